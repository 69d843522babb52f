"""What a running task can ask its run: results by id, and what its parameters are named after."""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from graflow.dsl.arguments import Available
from graflow.dsl.channel import Channel
from graflow.dsl.missing import MISSING
from graflow_runner.calls import Operator
from graflow_runner.refs import Fetch, value_of
from graflow_runner.saving import Saving

if TYPE_CHECKING:  # what most tasks never ask for
    from graflow.dsl.asking import Recorded
    from graflow.dsl.checkpoints import Asked, CheckpointMetadata
    from graflow.dsl.context import TaskExecutionContext
    from graflow.dsl.current import Surface
    from graflow.dsl.feedback import FeedbackHandler
    from graflow.dsl.graph import TaskGraph
    from graflow.dsl.questions import Question
    from graflow.dsl.services import Provided
    from graflow_runner.bundle import Bundle
    from graflow_runner.known import KnownTasks
    from graflow_runner.people import PodPeople

_UNKNOWN: Final[Mapping[str, Any]] = {}


class ParameterNames:
    """What parameters are named after, from the order, and asked for in one call if it says less.

    Args:
        known: The order's `names`: what the operator looked up already; None: nothing there.
        wanted: Names of all parameters.
        senders: Tasks that sent a token; their results can be read, if nothing better is known.
    """

    def __init__(
        self,
        known: Mapping[str, Any],
        *,
        wanted: Collection[str],
        senders: Collection[str],
        operator: Operator,
        fetch: Fetch,
    ) -> None:
        self._known = dict(known)
        self._wanted = wanted
        self._senders = senders
        self._operator = operator
        self._fetch = fetch

    def result(self, task_id: str, /) -> object:
        """Return the latest result of a task, or `MISSING`."""
        return self._value(task_id, "result")

    def channel_value(self, key: str, /) -> object:
        """Return the value of a channel key, or `MISSING`."""
        found = self._found(key)
        if "channel" not in found:
            return MISSING
        from graflow_runner.channel import decoded  # noqa: PLC0415  # not every task has one

        return decoded(found["channel"], self._fetch)

    def is_task(self, name: str, /) -> bool:
        """Return whether a task of that id is known to the run."""
        found = self._found(name)
        return "task" in found or "result" in found

    def available(self) -> Available:
        """Return what could be asked for; only asked when the attempt fails by it."""
        found = self._operator.visible()
        return Available(
            results=tuple(found.get("results", self._senders)),
            channel=tuple(found.get("channel", ())),
        )

    def _value(self, name: str, kind: str) -> object:
        found = self._found(name)
        return value_of(found[kind], self._fetch) if kind in found else MISSING

    def _found(self, name: str) -> Mapping[str, Any]:
        if name not in self._known:
            asked = [name, *(w for w in self._wanted if w not in self._known and w != name)]
            answers = self._operator.results(asked, source="names")
            self._known |= {one: answers.get(one) for one in asked}
        return self._known[name] or _UNKNOWN


class RunBackend:
    """The run, for the context of a task in a pod.

    Args:
        operator: Whom to ask.
        fetch: Gets what is in the store.
        bundle: The run's code; None: it has none.
        around: The order's plans around the task.
        saving: How it takes checkpoints.
        people: Makes what asks people; called when the task first asks.
    """

    def __init__(  # noqa: PLR0913  # all that contexts ask for
        self,
        operator: Operator,
        fetch: Fetch,
        bundle: "Bundle | None",
        *,
        around: Sequence[Mapping[str, Any]],
        saving: Saving,
        people: "Callable[[], PodPeople]",
    ) -> None:
        self._operator = operator
        self._fetch = fetch
        self._bundle = bundle
        self._around = around
        self._saving = saving
        self._people = people
        self.context: TaskExecutionContext | None = None
        """That of the running task: what functions that make agents are given."""

    def result(self, task_id: str, /) -> object:
        """Return the latest result of a task that this one may see, or `MISSING`."""
        found = self._operator.results([task_id], source="results").get(task_id) or _UNKNOWN
        return value_of(found["result"], self._fetch) if "result" in found else MISSING

    @cached_property
    def channel(self) -> Channel:
        """The run's channel, which the operator keeps."""
        from graflow_runner.channel import PodChannel  # noqa: PLC0415  # not every task has one

        return PodChannel(self._operator, self._fetch)

    @cached_property
    def provided(self) -> "Provided":
        """The program's clients, agents and prompts, read or made when the task first asks."""
        from graflow.dsl.services import Provided, Services  # noqa: PLC0415  # few tasks ask

        given = self._bundle.services() if self._bundle else {}
        return Provided(Services.from_portable(given), lambda: self.context)

    @cached_property
    def known(self) -> "KnownTasks":
        """The tasks that can be gone to, read when the task first asks."""
        from graflow_runner.known import KnownTasks  # noqa: PLC0415  # few tasks ask

        return KnownTasks(self._bundle, self._around)

    @property
    def graph(self) -> "TaskGraph":
        """The tasks known to the run, and to the fragments around the task."""
        return self.known.graph

    def workflow(self, name: str) -> "Surface":
        """Return the workflow of the run, of this name, for the task to look at."""
        from graflow.dsl.workflow import WorkflowContext  # noqa: PLC0415  # few tasks look at it

        return WorkflowContext.of(name, self.graph)

    def is_placed(self, task_id: str, /) -> bool:
        """Return whether a task has a place in a flow: an edge, a group, or the start."""
        return self.known.is_placed(task_id)

    def is_static(self, task_id: str, /) -> bool:
        """Return whether a task of that id was there before the run began."""
        return self.known.is_static(task_id)

    def check_saving(self) -> None:
        """Raise `CheckpointError` where no checkpoint can be taken: there is no store."""
        self._saving.check()

    def checkpoint(self, asked: "Asked", /) -> "tuple[str, CheckpointMetadata]":
        """Have the operator take a checkpoint; returns when it is committed."""
        return self._saving.save(asked)

    @property
    def calls_handlers(self) -> bool:
        """Return False: the operator tells people, and a pod may be lost while it does."""
        return False

    @cached_property
    def _asking(self) -> "PodPeople":
        return self._people()

    @property
    def waits_for(self) -> "Sequence[str]":
        """Keys of the questions of which this attempt has heard no answer."""
        return self._asking.waits_for

    def recorded(self, key: str, /) -> "Recorded | None":
        """Return the question of that key, if this activation has asked it."""
        return self._asking.recorded(key)

    def ask(self, question: "Question", handler: "FeedbackHandler | None", /) -> "Recorded":
        """Have the operator ask, and return the question once it has an answer."""
        del handler  # refused before: the operator tells people
        return self._asking.ask(question)

    def kept(self, key: str, /) -> object:
        """Return what an attempt of this activation has kept, or `MISSING`."""
        return self._asking.kept(key)

    def keep(self, key: str, value: object, /) -> None:
        """Keep a value for the later attempts of this activation; it is committed on return."""
        self._asking.keep(key, value)
