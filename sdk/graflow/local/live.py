"""The run as handlers, tracers and makers of agents see it while it goes on."""

import threading
from collections.abc import Sequence

from graflow.dsl.channel import Channel
from graflow.dsl.checkpoints import Asked, CheckpointMetadata
from graflow.dsl.execution import ExecutionContext
from graflow.dsl.memory_channel import MemoryChannel
from graflow.dsl.missing import MISSING
from graflow.dsl.services import Provided
from graflow.local.nodes import Nodes
from graflow.local.people import RunPeople
from graflow.local.rest import Rest
from graflow.local.views import RunChannel, thaw
from graflow.machine import results
from graflow.machine.state import State


class RunningContext(ExecutionContext):
    """The context of a run that goes on."""

    def is_completed(self) -> bool:
        """Return False: somebody is looking at it while it runs."""
        return False


class Live:
    """An `Outcome` of a run that has not ended yet."""

    def __init__(
        self, nodes: Nodes, channel: MemoryChannel, people: RunPeople, mutex: threading.Lock
    ) -> None:
        """Take what the run is made of.

        Args:
            nodes: Its tasks and state.
            channel: Its channel.
            people: What its tasks ask people.
            mutex: Held while the state changes.
        """
        self._nodes = nodes
        self.people = people
        self._mutex = mutex
        self._kept = channel
        self._channel = RunChannel(channel, self.result)
        self.last_checkpoint: tuple[str, CheckpointMetadata] | None = None
        """Of those that the run took."""
        self._session_id = people.session_id
        self.program = nodes.program
        self._contexts: dict[str | None, RunningContext] = {}
        self.provided = Provided(self.program.services, self.context)

    @property
    def session_id(self) -> str:
        """Its id."""
        return self._session_id

    @property
    def channel(self) -> Channel:
        """Its channel."""
        return self._channel

    @property
    def completed_tasks(self) -> Sequence[str]:
        """Ids of the tasks that have succeeded so far."""
        with self._mutex:
            return tuple(results.of_run(self._nodes.state))

    @property
    def steps(self) -> int:
        """How many activations there were so far."""
        return self._nodes.state.steps

    @property
    def message(self) -> str:
        """Why the run ends, if a task has said so."""
        return self._nodes.state.message

    def result(self, task_id: str, /) -> object:
        """Return a copy of the latest result of a task of the run's own scope, or `MISSING`."""
        with self._mutex:
            found = results.of_run(self._nodes.state).get(task_id)
        return MISSING if found is None else thaw(found.value)

    def at_rest(self) -> Rest:
        """Return the run as it is now."""
        with self._mutex:
            return self.rest(self._nodes.state.copy())

    def rest(self, state: State) -> Rest:
        """Return the run with a state of one's own, which is that of now or follows from it."""
        return Rest(self.program, state, self._kept.copied(), self._session_id)

    def take(self, asked: Asked, rest: Rest | None = None) -> tuple[str, CheckpointMetadata]:
        """Write a checkpoint.

        Args:
            asked: Where, and what to say about it.
            rest: The run; None: as it is now.

        Raises:
            CheckpointError: If a value or a task cannot be pickled, or it cannot be written there.
        """
        from graflow.local.checkpoints import keep  # noqa: PLC0415 - most runs take none

        found = keep(rest or self.at_rest(), asked)
        self.last_checkpoint = found
        return found

    def context(self, inside: str | None = None) -> RunningContext:
        """Return the run as a context.

        Args:
            inside: The group or task that what looks at it belongs to.
        """
        if inside not in self._contexts:
            made = RunningContext.of_run(self.program, self, self.provided)
            made.current_task_id = inside
            self._contexts[inside] = made
        return self._contexts[inside]
