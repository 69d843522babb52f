"""From the state of the machine to the status that people read. Pure, and bounded in size."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from graflow.api import cut
from graflow.api.attempts import EMPTY, AttemptHistory, first_failure
from graflow.api.conditions import conditions, failure_of
from graflow.api.entries import (
    ENDED,
    FAILED,
    MOST_TASKS,
    Entry,
    PodNote,
    PodNotes,
    View,
    entries,
)
from graflow.api.groups import failed_group
from graflow.api.moment import rfc3339
from graflow.api.waits import shortened, waiting
from graflow.api.workflow_status import (
    Counts,
    FailureStatus,
    TaskStatus,
    Transition,
    Waiting,
    WorkflowStatus,
)
from graflow.machine.plan import Plan, TaskPlan
from graflow.machine.scopes import node_of, plan_at
from graflow.machine.state import Error, GroupValue, Phase, RunPhase, State
from graflow.machine.state import Transition as Moved

__all__ = ["MAX_SUMMARY_BYTES", "PodNote", "PodNotes", "summarize", "transition"]

MAX_SUMMARY_BYTES = 32 * 1024
MAX_RESULT_BYTES = 16 * 1024
_FAILED_FIRST = 20
"""How many of the failed tasks come before the active ones, when there are very many of these."""

_REASON_BYTES = 1024
_TARGET_BYTES = 200


@dataclass(frozen=True, slots=True)
class _Detail:
    """How much is said: numbers of entries, and for texts bytes of JSON."""

    tasks: int
    others: int
    message: int
    traceback: int
    result: int
    failure: int
    """Of message and log of what failed first."""


_DETAILS = (
    _Detail(tasks=MOST_TASKS, others=20, message=1024, traceback=4096, result=2400, failure=2400),
    _Detail(tasks=MOST_TASKS, others=20, message=200, traceback=4096, result=120, failure=2400),
    _Detail(tasks=50, others=20, message=120, traceback=4096, result=0, failure=2400),
    _Detail(tasks=20, others=10, message=120, traceback=3072, result=0, failure=1500),
    _Detail(tasks=8, others=4, message=120, traceback=2048, result=0, failure=600),
    _Detail(tasks=1, others=1, message=120, traceback=1024, result=0, failure=200),
)
"""From the fullest to the shortest, which fits whatever is in the run."""


def summarize(  # noqa: PLR0913 - the parts that a status is made from
    spec_generation: int,
    plan: Plan,
    state: State,
    previous_status: WorkflowStatus | None,
    *,
    now: float,
    pods: PodNotes,
    hold_up: Error | None = None,
    history: AttemptHistory = EMPTY,
    room: int = MAX_SUMMARY_BYTES,
) -> WorkflowStatus:
    """Return what people are told about a run, in at most 32 KiB; without instance and cursor.

    Args:
        spec_generation: `metadata.generation` of the Workflow.
        plan: The run's plan.
        state: Where the run is.
        previous_status: What was told last; times are taken over from it.
        now: Seconds since the epoch.
        pods: What is known of the attempts' pods. Of an attempt that has no pod yet, a note
            without a name says why. The note of an attempt that has just ended is of use once more.
        hold_up: Why the run as a whole does not go on.
        history: What is remembered of attempts that did not succeed.
        room: Bytes that there are for it, 10 KiB at least.
    """
    if hold_up is not None and not state.phase.ended:
        state = replace(state, reason=hold_up.reason, message=hold_up.message)
    else:
        hold_up = None
    view = View(plan, state, previous_status or WorkflowStatus(), pods, now, history)
    found, others = entries(view)
    shown = tuple(_by_importance(found))
    told, count = waiting(view, found, hold_up)
    waits = told, count + others
    # Each looks at all that is alive, and is the same however much else is said.
    totals = {"progress": _progress(view), "counts": _counts(view)}
    status = WorkflowStatus()
    for detail in _DETAILS:
        status = _status(spec_generation, view, waits, shown, detail).model_copy(update=totals)
        if cut.size_of(status.manifest()) <= min(room, MAX_SUMMARY_BYTES):
            break
    return status


def _status(
    generation: int,
    view: View,
    waits: tuple[tuple[Waiting, ...], int],
    shown: tuple[Entry, ...],
    detail: _Detail,
) -> WorkflowStatus:
    state = view.state
    result = cut.value_ref(state.value, MAX_RESULT_BYTES)
    message = failure_of(view.plan, state)[0]
    if state.phase is RunPhase.SUCCEEDED and result is None:
        message = f"the result takes more than {MAX_RESULT_BYTES} bytes and is not shown here"
    return WorkflowStatus(
        phase=state.phase.value,
        reason=cut.cut(state.reason, 100) or None,
        message=cut.cut(message, 1024) or None,
        conditions=conditions(generation, view, traceback_bytes=detail.traceback),
        observed_generation=generation,
        start_time=rfc3339(state.started_at),
        completion_time=rfc3339(state.ended_at),
        waiting=tuple(shortened(wait, detail.message) for wait in waits[0][: detail.others]),
        waiting_count=waits[1] or None,
        tasks=tuple(_tasks(view, shown, detail)),
        transitions=tuple(
            transition(moved, detail.message) for moved in state.transitions[-detail.others :]
        ),
        result=result if state.phase is RunPhase.SUCCEEDED else None,
        failure=_failure(view, detail),
        failed_group=failed_group(view.plan, state, detail.message),
    )


def _failure(view: View, detail: _Detail) -> FailureStatus | None:
    """Return what failed first; what a person did is no failure, nor is what a run got over."""
    if view.state.phase in (RunPhase.CANCELLED, RunPhase.SUCCEEDED):
        return None
    return first_failure(view.plan, view.state, view.history, detail.failure)


def _by_importance(found: tuple[Entry, ...]) -> Iterator[Entry]:
    """Yield the entries in the order in which they get a place."""
    failed = [entry for entry in found if entry.phase == FAILED]
    yield from failed[:_FAILED_FIRST]
    yield from (entry for entry in found if entry.phase not in ENDED)
    yield from failed[_FAILED_FIRST:]
    yield from (entry for entry in found if entry.phase in ENDED - {FAILED})


def _tasks(view: View, shown: tuple[Entry, ...], detail: _Detail) -> Iterator[TaskStatus]:
    """Yield the tasks that have a place; the first failure of the run with its traceback."""
    first = view.state.failure
    told = False
    for entry in shown[: detail.tasks]:
        task = entry.status
        is_first = first is not None and not told and task.name == first.node
        told = told or is_first
        limit = detail.traceback if is_first else detail.message
        message = cut.cut_ends(entry.message, entry.traceback, limit) or None
        result = cut.value_ref(entry.value, detail.result) if entry.value else None
        if message == task.message and result == task.result:
            yield task
        else:
            yield task.model_copy(update={"message": message, "result": result})


def _progress(view: View) -> str:
    """Return how many tasks have succeeded, of those that the flow can come to.

    Tasks that a running one has made, or has jumped to from outside of the flow, count as soon as
    there is anything of them.
    """
    plan, state = view.plan, view.state
    done: set[str] = set()
    made: set[str] = set()
    for number, scope in state.scopes.items():
        # Of sets `difference` looks at what is in the first alone, and does so fast: there may be
        # many thousands of results or of scopes, and this is done with each commit.
        around = plan_at(plan, state, number)
        found = set(scope.results).difference(around.group_ids)
        foreign = found.difference(around.by_id)  # of fragments that have ended
        done |= found - {
            name for name in foreign if isinstance(scope.results[name][-1].value, GroupValue)
        }
        if scope.plan:
            made |= {node.id for node in scope.plan.nodes if isinstance(node, TaskPlan)}
    for activation in state.activations.values():
        is_placed = activation.node in plan.placed_tasks
        if not is_placed and isinstance(node_of(plan, state, activation), TaskPlan):
            made.add(activation.node)
    others = (made | (done - plan.placed)) - plan.placed_tasks
    return f"{len(done)}/{len(plan.placed_tasks) + len(others)}"


def _counts(view: View) -> Counts:
    state = view.state
    phases = dict.fromkeys(Phase, 0) | {Phase.STARTING: len(state.starting)}
    for activation in state.activations.values():
        if activation.phase is Phase.STARTING:
            continue
        is_task = isinstance(node_of(view.plan, state, activation), TaskPlan)
        # A group counts where it has an attempt: while its own policy judges it.
        if is_task or activation.phase.has_attempt:
            phases[activation.phase] += 1
    ended = state.phase.ended
    live = {phase: 0 if ended else count for phase, count in phases.items()}
    return Counts(
        pending=live[Phase.PENDING],
        starting=live[Phase.STARTING],
        running=live[Phase.RUNNING],
        waiting=live[Phase.BACKOFF] + live[Phase.PARKED],
        holding=live[Phase.HOLDING],
        succeeded=state.completed,
        failed=phases[Phase.FAILED],
        steps=state.steps,
    )


def transition(moved: Moved, limit: int = _REASON_BYTES) -> Transition:
    """Return a move of the machine as people read it; its reason in at most `limit` bytes."""
    return Transition(
        sequence=moved.number,
        time=rfc3339(moved.at) or "",
        source=moved.source,
        target=cut.cut(moved.target, _TARGET_BYTES) or None,
        kind=moved.kind,
        iteration=moved.iteration,
        reason=cut.cut(moved.reason, limit) or None,
    )
