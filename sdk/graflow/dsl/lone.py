"""The context of a task that runs with no workflow at all: `task.run(…)`."""

from graflow.dsl.asking import Recorded
from graflow.dsl.channel import Channel
from graflow.dsl.checkpoints import Asked, CheckpointMetadata
from graflow.dsl.feedback import FeedbackHandler
from graflow.dsl.graph import TaskGraph
from graflow.dsl.memory_channel import MemoryChannel
from graflow.dsl.missing import MISSING
from graflow.dsl.questions import Question
from graflow.dsl.services import Provided, Services
from graflow.exceptions import CheckpointError, QuestionError


class LoneBackend:
    """No results, a channel of its own, an empty graph."""

    def __init__(self) -> None:
        self._channel = MemoryChannel()
        self._graph = TaskGraph()
        self._kept: dict[str, object] = {}
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

    @property
    def calls_handlers(self) -> bool:
        """Return True: nobody is asked anyway."""
        return True

    def recorded(self, key: str, /) -> Recorded | None:
        """Return None: nothing was asked."""
        del key
        return None

    def ask(self, question: Question, handler: FeedbackHandler | None, /) -> Recorded:
        """Refuse: there is no run that could wait.

        Raises:
            QuestionError: Always.
        """
        del handler
        raise QuestionError(
            f"question {question.key!r} has nobody to wait for its answer: a task that runs alone, "
            "with task.run(…), belongs to no run; run it in a workflow"
        )

    def kept(self, key: str, /) -> object:
        """Return what the task has kept, or `MISSING`."""
        return self._kept.get(key, MISSING)

    def keep(self, key: str, value: object, /) -> None:
        """Keep a value for as long as the task runs."""
        self._kept[key] = value
