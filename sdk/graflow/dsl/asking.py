"""What a running task asks people, and what it keeps for its later attempts (section 9)."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import (
    TYPE_CHECKING,
    Any,
    NamedTuple,
    NoReturn,
    Protocol,
    TypedDict,
    TypeVar,
    Unpack,
)

if TYPE_CHECKING:  # what most tasks do without
    from graflow.dsl.context import TaskExecutionContext
    from graflow.dsl.feedback import FeedbackHandler, FeedbackResponse, FeedbackType, OnTimeout
    from graflow.dsl.questions import Question

T = TypeVar("T")

DEFAULT_TIMEOUT_S = 180.0
"""Graflow's own; people on a cluster have as long as the program says."""


class Parked(BaseException):
    """Ends an attempt whose question is open; the answer begins the next one.

    It is no Exception: what a task does about errors is not meant for it.
    """


class TaskOver(BaseException):
    """Ends a task as one that returns None: a question's deadline leads elsewhere."""

    def __init__(self, of: "TaskExecutionContext") -> None:
        super().__init__("the task goes on elsewhere, as its question says for its deadline")
        self.of = of


class Recorded(NamedTuple):
    """A question of the activation that was asked, by this attempt or one before."""

    feedback_id: str
    sha256: str
    """Of what was shown then."""

    answer: Mapping[str, Any] | None
    """As it goes between processes; None: there is none yet."""


class People(Protocol):
    """What a host does for tasks that ask people; part of `Backend`."""

    @property
    def calls_handlers(self) -> bool:
        """Whether a handler object of the program is told of questions here."""

    def recorded(self, key: str, /) -> Recorded | None:
        """Return the question of that key, if this activation has asked it."""

    def ask(self, question: "Question", handler: "FeedbackHandler | None", /) -> Recorded:
        """Ask, or go on waiting for what was asked, and return the question with its answer.

        Raises:
            Parked: If the attempt is to end, and the next one will have the answer.
            FeedbackTimeoutError: If nobody has answered in time.
        """

    def kept(self, key: str, /) -> object:
        """Return what an attempt of this activation has kept, or `MISSING`."""

    def keep(self, key: str, value: object, /) -> None:
        """Keep a value for the later attempts of this activation; it is durable on return."""


class More(TypedDict, total=False):
    """What a question can say that Graflow's cannot; all of it by name."""

    key: str | None
    """Tells the questions of a task apart; by default `q1`, `q2`, … in the order of the calls,
    which in a step are counted apart."""

    payload: Any
    """What is to be read besides the prompt: a text, `{"markdown": text}`, or JSON."""

    schema: Mapping[str, Any] | None
    """JSON Schema of a custom answer; by default any object."""

    assignees: Iterable[str]
    """Users who may answer. On a cluster; on one's own machine whoever is there may."""

    groups: Iterable[str]
    """Groups whose members may answer."""

    approvals: int
    """So many different people must approve."""

    submitter_may_answer: bool
    """Whether the person who submitted the run may answer."""

    on_timeout: "OnTimeout"
    """`"fail"`, or `AnswerWith`, `GoTo` or `Escalate` of `graflow.hitl.types`."""

    remind_every: float | None
    """Seconds between reminders."""

    hold: float | None
    """Seconds that a pod is kept for a quick answer; by default as the operator says."""


_step: ContextVar["tuple[Asking, str] | None"] = ContextVar("graflow_step", default=None)
"""The key of the step that runs here, and whose it is."""


class Asking:
    """What one attempt has asked."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._numbered: Counter[str] = Counter()
        """Questions without a key, by step."""
        self._named: set[str] = set()
        self._steps: dict[str, threading.RLock] = {}
        self._executed: Counter[tuple[str, str]] = Counter()
        """Workflows, by name and step."""
        self.parked = False
        """Whether it waits for an answer, whatever user code makes of that; for hosts."""

        self.over = False
        """Whether the task ends with the jump of a question's deadline, whatever user code makes of
        that."""

        self.timed_out: set[str] = set()
        """Ids of the questions that nobody has answered in time; for hosts."""

    def key(self, given: str | None) -> str:
        """Return the key of the next question.

        Raises:
            QuestionError: If this attempt has asked under it, or it is one that calls without a
                key have.
        """
        from graflow.exceptions import QuestionError  # noqa: PLC0415  # errors only
        from graflow.questions import AUTOMATIC_KEY, key_of  # noqa: PLC0415  # imported by now

        step = self._step_here()
        with self._mutex:
            if given is None:
                self._numbered[step] += 1
                number = f"q{self._numbered[step]}"
                return key_of((step, number), "step", step, number) if step else number
            if AUTOMATIC_KEY.fullmatch(given):
                raise QuestionError(
                    f"key is {given!r}, which questions without a key have; give it another name"
                )
            if given in self._named:
                raise QuestionError(
                    f"key is {given!r}, and this task has asked under it already; give each "
                    "question a key of its own, in a loop f'…-{i}'"
                )
            self._named.add(given)
            return given

    @contextmanager
    def step(self, key: str) -> Iterator[None]:
        """Run the step of a key, in one thread at a time."""
        with self._mutex:
            alone = self._steps.setdefault(key, threading.RLock())
        with alone:
            around = _step.set((self, key))
            try:
                yield
            finally:
                _step.reset(around)

    def executed(self, workflow: str) -> tuple[str, str, int]:
        """Return what names a workflow that the task executes now, alike in each attempt.

        Those of one name are counted, and those of a step apart: later attempts do not run it.
        """
        step = self._step_here()
        with self._mutex:
            self._executed[workflow, step] += 1
            return workflow, step, self._executed[workflow, step]

    def _step_here(self) -> str:
        """Return the key of the step of this attempt that runs here; empty: none does."""
        found = _step.get()
        return found[1] if found is not None and found[0] is self else ""


class AsksPeople:
    """The part of a task's context that asks people."""

    asking: Asking | None = None
    """What the attempt has asked; for hosts."""

    def request_feedback(  # noqa: PLR0913, PLR0917 - Graflow's own signature
        self,
        feedback_type: "str | FeedbackType",
        prompt: str,
        options: Sequence[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        timeout: float | None = DEFAULT_TIMEOUT_S,
        channel_key: str | None = None,
        write_to_channel: bool = False,  # noqa: FBT001, FBT002 - Graflow's own signature
        handler: "FeedbackHandler | None" = None,
        **more: Unpack[More],
    ) -> "FeedbackResponse":
        """Ask a person, and return the answer.

        While it waits, no time limit and no retry of the task is spent. On a cluster the pod goes,
        and the answer begins the task anew, in which the same call returns it at once: keep what
        came before with `step`.

        Args:
            feedback_type: approval, text, selection, multi_selection or custom.
            prompt: What is asked; at most 8 KiB.
            options: What there is to choose from.
            metadata: For programs that show questions: JSON, at most 4 KiB.
            timeout: Seconds that people have, from when it was first asked; None: no deadline.
            channel_key: Where the answer is written, if `write_to_channel`; the whole response is
                at `<channel_key>.__feedback_response__`.
            write_to_channel: Whether it is.
            handler: Is told of the question; on this machine only.
            **more: See `More`.

        Raises:
            QuestionError: If it cannot be asked like that.
            QuestionChangedError: If an earlier attempt has asked it in other words.
            FeedbackTimeoutError: If nobody has answered in time. Where it leaves the task, a run
                on this machine is suspended with a checkpoint, and on a cluster the task fails.
        """
        from graflow.dsl.answers import ask  # noqa: PLC0415  # few tasks ask

        return ask(
            self._of_attempt(),
            handler,
            (channel_key, write_to_channel),
            feedback_type=feedback_type,
            prompt=prompt,
            options=options,
            metadata=metadata,
            timeout=timeout,
            **more,
        )

    def request_approval(
        self,
        prompt: str,
        metadata: Mapping[str, Any] | None = None,
        timeout: float | None = DEFAULT_TIMEOUT_S,
        channel_key: str | None = None,
        write_to_channel: bool = False,  # noqa: FBT001, FBT002 - Graflow's own signature
        **more: Unpack[More],
    ) -> bool:
        """Ask whether something may be done; see `request_feedback`."""
        found = self.request_feedback(
            "approval", prompt, None, metadata, timeout, channel_key, write_to_channel, **more
        )
        return bool(found.approved)

    def request_text_input(
        self,
        prompt: str,
        metadata: Mapping[str, Any] | None = None,
        timeout: float | None = DEFAULT_TIMEOUT_S,
        channel_key: str | None = None,
        write_to_channel: bool = False,  # noqa: FBT001, FBT002 - Graflow's own signature
        **more: Unpack[More],
    ) -> str:
        """Ask for words; see `request_feedback`."""
        found = self.request_feedback(
            "text", prompt, None, metadata, timeout, channel_key, write_to_channel, **more
        )
        return found.text or ""

    def request_selection(  # noqa: PLR0913, PLR0917 - Graflow's own signature
        self,
        prompt: str,
        options: Sequence[str],
        metadata: Mapping[str, Any] | None = None,
        timeout: float | None = DEFAULT_TIMEOUT_S,
        channel_key: str | None = None,
        write_to_channel: bool = False,  # noqa: FBT001, FBT002 - Graflow's own signature
        **more: Unpack[More],
    ) -> str:
        """Ask for one of the options; see `request_feedback`."""
        found = self.request_feedback(
            "selection", prompt, options, metadata, timeout, channel_key, write_to_channel, **more
        )
        return found.selected or ""

    def step(self, key: str, fn: Callable[[], T]) -> T:
        """Call a function once for all attempts of this pass, and return what it returned.

        The value is kept before this returns. Later attempts, after an answer or a failure, return
        it without calling the function: so what comes before a question is not done twice.

        Args:
            key: Tells the steps of a task apart.
            fn: What to call; a call that raises is made again in the next attempt.

        Raises:
            QuestionError: If the key cannot be one.
        """
        from graflow.dsl.answers import step  # noqa: PLC0415  # few tasks have steps

        found: T = step(self._of_attempt(), key, fn)
        return found

    def _of_attempt(self) -> "TaskExecutionContext":
        """Return the context of the task that runs here."""
        raise NotImplementedError


_making = threading.Lock()


def asking_of(context: "TaskExecutionContext") -> Asking:
    """Return what an attempt has asked, in whatever thread it asks first."""
    with _making:
        if context.asking is None:
            context.asking = Asking()
        return context.asking


def park(context: "TaskExecutionContext") -> NoReturn:
    """End an attempt that waits for an answer: a workflow that its task executes cannot go on.

    Raises:
        Parked: Always.
    """
    asking_of(context).parked = True
    raise Parked("a workflow inside waits for an answer, and the task around it with it")
