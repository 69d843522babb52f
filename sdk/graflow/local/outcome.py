"""What a run left, for programs that ask for its context."""

from collections.abc import Sequence
from dataclasses import replace

from graflow.dsl.channel import Channel
from graflow.dsl.checkpoints import CheckpointMetadata
from graflow.dsl.missing import MISSING
from graflow.local.rest import Rest
from graflow.local.views import RunChannel, thaw
from graflow.machine import results


class LocalOutcome:
    """See `Outcome`.

    Args:
        rest: The run.
        last_checkpoint: Of those that it took.
    """

    def __init__(
        self, rest: Rest, last_checkpoint: tuple[str, CheckpointMetadata] | None = None
    ) -> None:
        self._rest = rest
        self._results = results.of_run(rest.state)
        self._channel = RunChannel(rest.channel, self.result)
        self.last_checkpoint = last_checkpoint

    @property
    def session_id(self) -> str:
        """Id of the run."""
        return self._rest.session_id

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
        return self._rest.state.steps

    @property
    def message(self) -> str:
        """Why the run ended, if a task or somebody said so."""
        return self._rest.state.message

    def result(self, task_id: str, /) -> object:
        """Return a copy of the latest result of a task, or `MISSING`."""
        found = self._results.get(task_id)
        return MISSING if found is None else thaw(found.value)

    def at_rest(self) -> Rest:
        """Return the run, with a channel of its own."""
        return replace(self._rest, channel=self._rest.channel.copied())
