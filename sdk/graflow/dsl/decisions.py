"""What a running task decides about what runs next: collected here, applied when it succeeds (T1).

A host reads `Decisions.calls` after the call and turns them into the machine's directives; only
`Handover` is not one yet, for a fragment still consists of task objects.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

from graflow.dsl import current
from graflow.dsl.arguments import Again
from graflow.dsl.flow import Executable, SequentialTask, Side
from graflow.dsl.fragment import Fragment, Known, fragment_of
from graflow.dsl.missing import MISSING
from graflow.dsl.task import TaskWrapper
from graflow.exceptions import CycleLimitExceededError, InvalidTransitionError, hint
from graflow.machine.directives import Cancel, Iterate, Jump, Terminate

if TYPE_CHECKING:
    from graflow.dsl.checkpoints import Asked
    from graflow.dsl.context import TaskFacts
    from graflow.dsl.current import Place


@dataclass(frozen=True, slots=True)
class Handover:
    """Run what the task has built, then go on."""

    fragment: Fragment
    goto: bool
    reason: str


Call: TypeAlias = Jump | Handover | Iterate | Terminate | Cancel


_STRAY = (
    "what a thread or a `with workflow` inside a task builds is not what the task builds (begin a "
    "thread with contextvars.copy_context().run); "
)


class Decider(Protocol):
    """The task that decides, as its host knows it."""

    @property
    def facts(self) -> "TaskFacts":
        """What is fixed about the attempt."""

    @property
    def known(self) -> Known:
        """The tasks that can be gone to."""

    @property
    def place(self) -> "Place | None":
        """Where what the task builds is drawn."""

    @property
    def func(self) -> Callable[..., object] | None:
        """Its function."""


class Decisions:
    """Everything that one attempt has asked for, in the order of its calls."""

    def __init__(self, decider: Decider) -> None:
        self._decider = decider
        self.calls: list[Call] = []
        self.result: object = MISSING
        """The task's value, where `terminate_workflow` was given one."""
        self.checkpoint: Asked | None = None
        """What is to be taken when the attempt has succeeded."""

    def next_task(self, part: Side, *, goto: bool, reason: str) -> str:
        """Go to a task that exists, or run what was built; return the id it begins with."""
        place = self._decider.place
        if place is not None and _is_new(part, place):
            fragment = fragment_of(part, place, self._decider.known)
            self.calls.append(Handover(fragment, goto, reason))
            return fragment.start[0]
        if not isinstance(part, Executable | SequentialTask):
            raise TypeError(
                f"next_task goes to a task, a chain or a group, not to {part!r}; "
                "for several at once give parallel(a, b)"
            )
        self.jump(part.task_id, reason)
        return part.task_id

    def jump(self, target: str, reason: str) -> None:
        """Go to a task that exists."""
        self.check_target(target)
        self.calls.append(Jump(target, reason))

    def next_iteration(self, data: object, *, reason: str) -> str:
        """Run this task again; return its id."""
        facts = self._decider.facts
        if facts.cycle_count >= facts.max_cycles:
            raise CycleLimitExceededError(facts.task_id, facts.cycle_count, facts.max_cycles)
        self.calls.append(Iterate(self._again(data), reason))
        return facts.task_id

    def terminate(self, message: str, result: object) -> None:
        """End the run as succeeded, when this attempt has."""
        self.result = result
        self.calls.append(Terminate(message))

    def cancel(self, message: str, error: object) -> None:
        """End the run as cancelled, when this attempt has succeeded."""
        self.calls.append(Cancel(message if error is None else f"{message} ({error})"))

    def _again(self, data: object) -> Again | None:
        if data is None:
            return None
        if not isinstance(data, TaskWrapper):
            return Again(data=data)
        func = self._decider.func
        if func is not None and _name(data.func) != _name(func):
            raise InvalidTransitionError(
                f"next_iteration runs task {self._decider.facts.task_id!r} again, and "
                f"{data.task_id!r} is another task; to go there call next_task({data.task_id})"
            )
        return Again(bound=data.bound)

    def check_target(self, target: str) -> None:
        """Raise `InvalidTransitionError` if the task cannot be gone to."""
        known = self._decider.known
        if not known.graph.has_node(target):
            nearest = hint(target, known.graph.nodes)
            stray = "" if current.place() is self._decider.place else _STRAY
            raise InvalidTransitionError(
                f"task {target!r} is not in the workflow; {stray}{nearest}"
            )
        facts = self._decider.facts
        if target in facts.inside:
            raise InvalidTransitionError(
                f"task {facts.task_id!r} runs in group {target!r} and cannot jump to it"
            )


def _is_new(part: Side, place: "Place") -> bool:
    """Whether the running task built a part (T7): if not, it exists, and is jumped to."""
    if isinstance(part, SequentialTask):
        return part.drawn_on is place.drawing
    return isinstance(part, Executable) and part.built_at is place


def _name(func: Callable[..., object]) -> tuple[object, object]:
    return getattr(func, "__module__", None), getattr(func, "__qualname__", func)
