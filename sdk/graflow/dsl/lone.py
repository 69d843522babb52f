"""The context of a task that runs with no workflow at all: `task.run(…)`."""

from graflow.dsl.channel import Channel
from graflow.dsl.checkpoints import Asked, CheckpointMetadata
from graflow.dsl.graph import TaskGraph
from graflow.dsl.memory_channel import MemoryChannel
from graflow.dsl.missing import MISSING
from graflow.dsl.services import Provided, Services
from graflow.exceptions import CheckpointError


class LoneBackend:
    """No results, a channel of its own, an empty graph."""

    def __init__(self) -> None:
        self._channel = MemoryChannel()
        self._graph = TaskGraph()
        self.provided = Provided(Services(), lambda: None)

    def result(self, task_id: str, /) -> object:
        """Return `MISSING`."""
        del task_id
        return MISSING

    @property
    def channel(self) -> Channel:
        """A channel that nobody else sees."""
        return self._channel

    @property
    def graph(self) -> TaskGraph:
        """A graph without nodes."""
        return self._graph

    def is_placed(self, task_id: str, /) -> bool:
        """Return False: there is no flow."""
        del task_id
        return False

    def is_static(self, task_id: str, /) -> bool:
        """Return False: there is no run."""
        del task_id
        return False

    def check_saving(self) -> None:
        """Let it be asked for: what is deferred never comes, for there is no run."""

    def checkpoint(self, asked: Asked, /) -> tuple[str, CheckpointMetadata]:
        """Refuse: there is no run.

        Raises:
            CheckpointError: Always.
        """
        del asked
        raise CheckpointError("a task that runs alone has no run to take a checkpoint of")
