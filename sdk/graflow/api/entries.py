"""What there is to tell about each task of a run: the live ones, and how the others ended."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import cached_property, partial
from heapq import nlargest
from itertools import islice
from typing import TypeAlias

from graflow.api import cut
from graflow.api.attempts import EMPTY, AttemptHistory
from graflow.api.moment import rfc3339
from graflow.api.workflow_status import TaskStatus, WorkflowStatus
from graflow.machine import reasons
from graflow.machine.plan import GroupPlan, Plan, TaskPlan
from graflow.machine.scopes import node_of, plan_at
from graflow.machine.state import Activation, Error, GroupFailure, Phase, Result, State, Value

PENDING, RUNNING, WAITING = "Pending", "Running", "Waiting"
SUCCEEDED, FAILED, CANCELLED = "Succeeded", "Failed", "Cancelled"
ENDED = frozenset({SUCCEEDED, FAILED, CANCELLED})
MOST_TASKS = 100
"""Of a status."""

MOST_REASON = 100
"""Bytes of a reason as JSON."""

_SHOWN = {
    Phase.PENDING: PENDING,
    Phase.STARTING: PENDING,
    Phase.RUNNING: RUNNING,
    Phase.HOLDING: RUNNING,
    Phase.BACKOFF: WAITING,
    Phase.PARKED: WAITING,
    Phase.FAILED: FAILED,
}
_NAME = 253
_NAMED = 5
_GROUPS_DEEP = 20


@dataclass(frozen=True, slots=True)
class PodNote:
    """What is known of an attempt's pod, or why there is none yet."""

    name: str = ""
    """Name of the pod; empty while there is none."""

    node: str = ""
    phase: str = ""
    reason: str = ""
    """Why it does not run yet, or why it ended: a word of `graflow.machine.reasons`."""

    message: str = ""
    until: float = 0.0
    """When that ends by itself, in seconds since the epoch; 0 if it does not."""


PodNotes: TypeAlias = Mapping[tuple[int, int], PodNote]
"""By activation and attempt. Those that wait for the same thing and have no pod share one."""

_NOTHING = PodNote()


@dataclass(frozen=True)
class Entry:
    """What may become a line of the status. A run has many thousands, and few have a place."""

    name: str
    phase: str
    make: Callable[[], TaskStatus] = field(repr=False)
    """Makes the line, which is expensive."""

    activation: int | None = None
    reason: str = ""
    message: str = ""
    traceback: str = ""
    value: Value = None
    since: float = 0.0
    """When it came to its phase; 0 when that is not known."""

    until: float = 0.0
    """When what it waits for comes by itself; 0 when it does not."""

    @cached_property
    def status(self) -> TaskStatus:
        """The line. Its message and result are those of the last status, or none; cut them anew."""
        return self.make()

    @classmethod
    def told(cls, task: TaskStatus, message: str = "", value: Value = None) -> "Entry":
        """Return the entry of what the last status has told and is still so."""
        return cls(
            task.name,
            task.phase,
            lambda: task,
            task.activation,
            task.reason or "",
            message=message,
            value=value,
        )


@dataclass(frozen=True)
class View:
    """All that a status is made from."""

    plan: Plan
    state: State
    previous: WorkflowStatus
    pods: PodNotes
    now: float
    history: AttemptHistory = EMPTY

    def has_ended(self, fragment: int, node: str) -> bool:
        """Whether a node of a fragment has run there, or in a branch there, and runs no more."""
        begun, live = self._nodes
        return (fragment, node) in begun and (fragment, node) not in live

    @cached_property
    def _nodes(self) -> tuple[AbstractSet[tuple[int, str]], AbstractSet[tuple[int, str]]]:
        """Nodes of each fragment that have had an activation, and those that have one now."""
        scopes = self.state.scopes
        begun = {(scope.home, node) for scope in scopes.values() for node in scope.counts}
        alive = self.state.activations.values()
        return begun, {(scopes[one.scope].home, one.node) for one in alive}


def entries(view: View) -> tuple[tuple[Entry, ...], int]:
    """Return the entries: live and failed ones by number, then the others, the newest first.

    Of those that succeeded, and of those that wait alike, the ones that can have no place in a
    status are left out: a run may have many thousands of them, and a status is made with each
    commit. How many that wait were left out is returned as well.
    """
    live, others = _live(view)
    named = {entry.name for entry in live} | others.keys()
    known = {task.name: task for task in view.previous.tasks if task.name not in named}
    succeeded = _succeeded(view, known, besides=named)
    named = {entry.name for entry in succeeded}
    gone = (_gone(view, task) for name, task in known.items() if name not in named)
    return (*live, *succeeded, *gone), others.total()


def _live(view: View) -> tuple[list[Entry], Counter[str]]:
    """Return the entries of live activations, and the names of those that are left out."""
    known = {task.activation: task for task in view.previous.tasks}
    ended = view.state.phase.ended
    made, left_out, alike = [], [], Counter[int]()
    for number, activation in sorted(view.state.activations.items()):
        note = view.pods.get((number, activation.attempt), _NOTHING)
        if activation.phase is Phase.STARTING and not ended:
            alike[id(note)] += 1
            if alike[id(note)] > MOST_TASKS:
                left_out.append(activation.node)
                continue
        if not (ended and _ended_the_run(view.state, activation)) and _has_entry(view, activation):
            made.append(_of_activation(view, activation, note, known.get(number)))
    return made, Counter(left_out)


def _has_entry(view: View, activation: Activation) -> bool:
    """Whether it tells something: of a group that waits for its branches these tell more."""
    is_group = isinstance(node_of(view.plan, view.state, activation), GroupPlan)
    return not is_group or activation.phase not in (Phase.PENDING, Phase.HOLDING)


def _ended_the_run(state: State, activation: Activation) -> bool:
    """Whether it is the task that has ended the run: it has succeeded, and nothing came of it."""
    results = state.scopes[activation.scope].results.get(activation.node)
    return results is not None and results[-1].seq == state.seq


def _of_activation(
    view: View, activation: Activation, note: PodNote, before: TaskStatus | None
) -> Entry:
    state, error = view.state, activation.error
    phase, since = _SHOWN[activation.phase], activation.since
    if state.phase.ended and activation.phase is not Phase.FAILED:
        phase, since = CANCELLED, state.ended_at
    reason, message = ("", "") if phase == CANCELLED else _why(view, activation, note)
    return Entry(
        activation.node,
        phase,
        partial(_line, view, activation, note, before, (phase, since, reason)),
        activation.number,
        reason,
        message=message,
        traceback=traceback_of(error) if error and phase == FAILED else "",
        since=since,
        until=activation.not_before if activation.phase is Phase.BACKOFF else note.until,
    )


def _line(
    view: View,
    activation: Activation,
    note: PodNote,
    before: TaskStatus | None,
    shown: tuple[str, float, str],
) -> TaskStatus:
    """Return the line of a live activation; `shown` is its phase, since when, and why."""
    phase, since, reason = shown
    same = before if before and before.attempt == activation.attempt else None
    began = same.start_time if same else None
    return TaskStatus(
        name=activation.node,
        phase=phase,
        iteration=activation.iteration,
        activation=activation.number,
        attempt=activation.attempt,
        failures=activation.failures or None,
        max_attempts=_max_attempts(view, activation) if phase == FAILED else None,
        pod=note.name[:_NAME] or (same.pod if same else None),
        node=note.node[:_NAME] or (same.node if same else None),
        start_time=rfc3339(since) if activation.phase is Phase.RUNNING else began,
        completion_time=rfc3339(since) if phase in ENDED else None,
        reason=cut.cut(reason, MOST_REASON) or None,
    )


def _max_attempts(view: View, activation: Activation) -> int | None:
    node = node_of(view.plan, view.state, activation)
    return node.retry.max_attempts if isinstance(node, TaskPlan) else None


def _why(  # noqa: PLR0911  one per phase
    view: View, activation: Activation, note: PodNote
) -> tuple[str, str]:
    """Return why an activation does not run, as reason and message; both empty when it does."""
    error = activation.error
    match activation.phase:
        case Phase.STARTING:
            return note.reason or reasons.POD_PENDING, note.message
        case Phase.HOLDING:
            return reasons.HOLDING, f"waits for what it has started: {_held_by(view, activation)}"
        case Phase.BACKOFF:
            last = f"; the last one failed: {error.message}" if error else ""
            when = rfc3339(activation.not_before)
            return reasons.BACKOFF, f"attempt {activation.attempt} starts at {when}{last}"
        case Phase.PARKED:
            return reasons.WAITING_FOR_PERSON, _asked_by(activation)
        case Phase.FAILED if error:
            return error.reason, error.message
        case Phase.PENDING if not _has_turn(view.state, activation):
            return reasons.WAITING_FOR_TURN, "another run of this task comes first"
        case _:
            return "", ""


def _asked_by(activation: Activation) -> str:
    """Return what a task waits to be answered."""
    names = [question.name for question in activation.questions if question.answer is None]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"waits for an answer to {', '.join(names[:_NAMED])}{more}"


def _held_by(view: View, activation: Activation) -> str:
    """Return the tasks of the fragments that hold a task, as far as they have not ended."""
    state = view.state
    nodes = [
        node.id
        for scope in activation.scopes
        if scope in state.scopes and not state.scopes[scope].ended
        for node in plan_at(view.plan, state, scope).nodes
        if isinstance(node, TaskPlan) and not view.has_ended(scope, node.id)
    ]
    more = f" and {len(nodes) - _NAMED} more" if len(nodes) > _NAMED else ""
    return ", ".join(repr(node) for node in nodes[:_NAMED]) + more


def _has_turn(state: State, activation: Activation) -> bool:
    queue = state.scopes[activation.scope].queues.get(activation.node, ())
    return queue[:1] == (activation.number,)


def traceback_of(error: Error, deep: int = _GROUPS_DEEP) -> str:
    """Return what the host knows of an error beyond its message, as text."""
    match error.detail:
        case {"traceback": str(text)} | str(text):
            return text
        case GroupFailure(failed=failed) if deep:
            return "\n".join(
                f"{member}: {inner.message}\n{traceback_of(inner, deep - 1)}".rstrip()
                for member, inner in failed
            )
        case _:
            return ""


def _succeeded(
    view: View, known: Mapping[str, TaskStatus], *, besides: Collection[str]
) -> tuple[Entry, ...]:
    """Return entries of the tasks and groups with a result: the newest, then those told before."""
    last_seq = view.previous.cursor.seq if view.previous.cursor else 0
    latest = _latest(view.state, known, besides)
    newest = dict.fromkeys(nlargest(MOST_TASKS, latest, key=lambda n: latest[n][0].completed))
    told = dict.fromkeys(name for name in known if name in latest)
    return tuple(
        _success(view, name, result, iteration, known.get(name), is_new=result.seq > last_seq)
        for name in newest | told
        for result, iteration in (latest[name],)
    )


def _latest(
    state: State, known: Mapping[str, object], besides: Collection[str]
) -> dict[str, tuple[Result, int]]:
    """Return the newest results by id, and those of known ids, each with its iteration.

    At least `MOST_TASKS`, if there are so many. This is done with each commit, so the others, which
    may be many thousands, are not looked at.
    """
    latest: dict[str, tuple[Result, int]] = {}
    for scope in state.scopes.values():
        others = (name for name in reversed(scope.results) if name not in besides)
        names = (*islice(others, MOST_TASKS), *(known.keys() & scope.results.keys()))
        for name in dict.fromkeys(names):
            result = scope.results[name][-1]
            if name not in latest or latest[name][0].completed <= result.completed:
                latest[name] = (result, scope.counts.get(name, 0))
    return latest


def _success(  # noqa: PLR0913 - the parts that an entry is made of
    view: View,
    name: str,
    result: Result,
    iteration: int,
    before: TaskStatus | None,
    *,
    is_new: bool,
) -> Entry:
    if before is not None and before.phase == SUCCEEDED and iteration in (0, before.iteration):
        return Entry.told(before, value=result.value)
    make = partial(_line_of_success, view, name, iteration, before, is_new=is_new)
    return Entry(name, SUCCEEDED, make, value=result.value, since=view.now)


def _line_of_success(
    view: View, name: str, iteration: int, before: TaskStatus | None, *, is_new: bool
) -> TaskStatus:
    if before is not None:
        ended = _end(view, before, SUCCEEDED, "")
        return ended.model_copy(update={"iteration": iteration or before.iteration})
    return TaskStatus(
        name=name,
        phase=SUCCEEDED,
        iteration=iteration or None,
        completion_time=rfc3339(view.now) if is_new else None,
    )


def _gone(view: View, before: TaskStatus) -> Entry:
    """Return what became of a task that is not live any more and has no result.

    It was part of a branch that failed and that its group got over; or it was, with its result,
    and is remembered from the last status.
    """
    if before.phase in ENDED:
        return Entry.told(before, message=before.message or "", value=before.result)
    note = view.pods.get((before.activation or 0, before.attempt or 0), _NOTHING)
    reason = note.reason or reasons.TASK_FAILED
    message = note.message or "it failed, and its group went on without it"
    make = partial(_end, view, before, FAILED, reason)
    return Entry(before.name, FAILED, make, before.activation, reason, message, since=view.now)


def _bare(task: TaskStatus) -> TaskStatus:
    return task.model_copy(update={"message": None, "result": None})


def _end(view: View, before: TaskStatus, phase: str, reason: str) -> TaskStatus:
    """Return what was told of an activation, as one that has ended now."""
    note = view.pods.get((before.activation or 0, before.attempt or 0), _NOTHING)
    return _bare(before).model_copy(
        update={
            "phase": phase,
            "reason": reason or None,
            "pod": note.name[:_NAME] or before.pod,
            "node": note.node[:_NAME] or before.node,
            "completion_time": rfc3339(view.now),
        }
    )
