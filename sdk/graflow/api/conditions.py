"""The conditions of a run: Accepted, Succeeded, Finished."""

from collections.abc import Iterable

from graflow.api import cut
from graflow.api.entries import View, traceback_of
from graflow.api.errors import words
from graflow.api.moment import rfc3339
from graflow.api.workflow_status import Condition, ConditionStatus, WorkflowStatus
from graflow.machine import reasons
from graflow.machine.check import Problem
from graflow.machine.plan import GroupPlan, Plan
from graflow.machine.scopes import node_of
from graflow.machine.state import Phase, RunPhase, State

ACCEPTED, SUCCEEDED, FINISHED = "Accepted", "Succeeded", "Finished"
_REFUSAL_BYTES = 4096
_YES, _NO, _UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN


def conditions(generation: int, view: View, *, traceback_bytes: int) -> tuple[Condition, ...]:
    """Return the conditions of a run that was accepted."""
    phase = view.state.phase
    message, traceback = failure_of(view.plan, view.state)
    text = cut.cut_ends(message, traceback, traceback_bytes)
    succeeded = {RunPhase.SUCCEEDED: _YES, RunPhase.FAILED: _NO, RunPhase.CANCELLED: _NO}
    reason = cut.cut(view.state.reason, 100) or phase.value
    made = (
        (ACCEPTED, _YES, ACCEPTED, ""),
        (SUCCEEDED, succeeded.get(phase, _UNKNOWN), reason, text),
        (FINISHED, _YES if phase.ended else _NO, phase.value, ""),
    )
    return _dated(made, view.previous, generation, view.now)


def refused(
    generation: int, problems: Iterable[Problem], previous: WorkflowStatus | None, *, now: float
) -> WorkflowStatus:
    """Return the status of a Workflow that makes no sense: Failed, with every problem in words.

    Args:
        generation: `metadata.generation` of the Workflow.
        problems: What is wrong with it.
        previous: What was told last.
        now: Seconds since the epoch.
    """
    text = refusal(problems)
    made = (
        (ACCEPTED, _NO, reasons.INVALID, text),
        (SUCCEEDED, _NO, reasons.INVALID, text),
        (FINISHED, _YES, RunPhase.FAILED.value, ""),
    )
    return WorkflowStatus(
        phase=RunPhase.FAILED.value,
        reason=reasons.INVALID,
        message=text,
        conditions=_dated(made, previous or WorkflowStatus(), generation, now),
        observed_generation=generation,
        completion_time=(previous and previous.completion_time) or rfc3339(now),
    )


def refusal(problems: Iterable[Problem]) -> str:
    """Return what is wrong with an object, short enough for a condition."""
    return cut.cut(words(problems), _REFUSAL_BYTES)


def failure_of(plan: Plan, state: State) -> tuple[str, str]:
    """Return why a run ended other than well: a sentence, and what the host knows besides."""
    failure = state.failure
    if failure is None:
        return state.message, ""
    message = failure.error.message
    if failure.attempt and _is_group(plan, state, failure.node):
        if failure.error.reason != reasons.PARALLEL_GROUP_FAILED:
            message = f"the policy of group {failure.node!r} failed: {message}"
    elif failure.attempt:
        tries = f" after {failure.attempt} attempts" if failure.attempt > 1 else ""
        message = f"task {failure.node!r} failed{tries}: {message}"
    return message, traceback_of(failure.error)


def _is_group(plan: Plan, state: State, name: str) -> bool:
    """Whether the node that a run has failed by is a group, of the plan or of a fragment."""
    nodes = [plan.by_id.get(name)] + [
        node_of(plan, state, activation)
        for activation in state.activations.values()
        if activation.node == name and activation.phase is Phase.FAILED
    ]
    return any(isinstance(node, GroupPlan) for node in nodes)


def _dated(
    made: Iterable[tuple[str, ConditionStatus, str, str]],
    previous: WorkflowStatus,
    generation: int,
    now: float,
) -> tuple[Condition, ...]:
    """Return conditions, each with the time when its status changed last."""
    before = {condition.type: condition for condition in previous.conditions}
    return tuple(
        Condition(
            type=kind,
            status=status,
            reason=reason,
            message=message,
            last_transition_time=before[kind].last_transition_time
            if kind in before and before[kind].status is status
            else rfc3339(now) or "",
            observed_generation=generation,
        )
        for kind, status, reason, message in made
    )
