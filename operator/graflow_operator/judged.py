"""How the branches of a group ended, for a policy of the program's own. Pure."""

from typing import Any

from graflow.exceptions import RetryLimitExceededError, as_runtime_error
from graflow.machine import reasons
from graflow.machine.plan import GroupPlan, TaskPlan
from graflow.machine.scopes import plan_at
from graflow.machine.state import Activation, Failure, State
from graflow_operator.program import Program

Json = dict[str, Any]


def results(program: Program, state: State, group: Activation, plan: GroupPlan) -> Json:
    """Return what a policy is told of each member, in the order of the members."""
    found: Json = {}
    for member, number in zip(plan.members, group.scopes, strict=True):
        failure = state.scopes[number].failure
        if failure is None:
            found[member] = {"success": True, "duration": 0.0, "timestamp": group.since}
        else:
            found[member] = {"success": False, "error": _words(program, state, number, failure)}
    return found


def _words(program: Program, state: State, scope: int, failure: Failure) -> str:
    """Return what a program on one machine reads of a member that failed so."""
    error = failure.error
    if error.reason not in (reasons.TASK_FAILED, reasons.SYSTEM_EXIT):
        return error.message
    kind, _, words = error.message.partition(": ")
    cause = Exception(words or kind)
    node = plan_at(program.plan, state, scope).by_id.get(failure.node)
    most = node.retry.max_attempts if isinstance(node, TaskPlan) else 1
    if failure.failures >= most > 1:
        return str(RetryLimitExceededError(failure.node, failure.failures, most - 1, cause))
    return str(as_runtime_error(cause))
