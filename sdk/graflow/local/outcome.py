"""What a run left, for programs that ask for its context."""

from collections.abc import Sequence

from graflow.dsl.channel import Channel
from graflow.dsl.memory_channel import MemoryChannel
from graflow.dsl.missing import MISSING
from graflow.local.views import RunChannel, thaw
from graflow.machine import results
from graflow.machine.state import State


class LocalOutcome:
    """See `Outcome`."""

    def __init__(self, state: State, channel: MemoryChannel, session_id: str) -> None:
        self._results = results.of_run(state)
        self._channel = RunChannel(channel, self.result)
        self._session_id = session_id
        self._steps = state.steps
        self._message = state.message

    @property
    def session_id(self) -> str:
        """Id of the run."""
        return self._session_id

    @property
    def channel(self) -> Channel:
        """Its channel."""
        return self._channel

    @property
    def completed_tasks(self) -> Sequence[str]:
        """Ids of the tasks that succeeded, in the order of their latest completion."""
        return tuple(self._results)

    @property
    def steps(self) -> int:
        """How many activations there were."""
        return self._steps

    @property
    def message(self) -> str:
        """Why the run ended, if a task or somebody said so."""
        return self._message

    def result(self, task_id: str, /) -> object:
        """Return a copy of the latest result of a task, or `MISSING`."""
        found = self._results.get(task_id)
        return MISSING if found is None else thaw(found.value)
