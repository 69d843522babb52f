"""A group whose policy is the program's own: what that is told, and what its word means. Pure."""

from typing import Any

from graflow.api.groups import branches, max_attempts
from graflow.exceptions import ParallelGroupError, RetryLimitExceededError, as_runtime_error
from graflow.machine import reasons
from graflow.machine.plan import GroupPlan
from graflow.machine.scopes import node_of
from graflow.machine.state import Activation, Error, Failure, GroupFailure, State
from graflow_operator.program import Program

Json = dict[str, Any]


def results(program: Program, state: State, group: Activation, plan: GroupPlan) -> Json:
    """Return what a policy is told of each member, in the order of the members."""
    found: Json = {}
    for member, (scope, failure) in branches(state, group, plan):
        if failure is None:
            found[member] = {"success": True, "duration": 0.0, "timestamp": group.since}
        else:
            found[member] = {"success": False, "error": _words(program, state, scope, failure)}
    return found


def verdict(program: Program, state: State, group: Activation, error: Error) -> Error:
    """Return why a group fails, given how the attempt of its policy has failed.

    A policy says no by the very error that a group fails with.
    """
    plan = node_of(program.plan, state, group)
    kind = error.detail.get("type", "") if isinstance(error.detail, dict) else ""
    if not isinstance(plan, GroupPlan) or kind.rpartition(".")[2] != ParallelGroupError.__name__:
        return error
    ended = [(member, failure) for member, (_, failure) in branches(state, group, plan)]
    failure = GroupFailure(
        plan.id,
        tuple((member, failed.error) for member, failed in ended if failed),
        tuple(member for member, failed in ended if not failed),
    )
    words = error.message.removeprefix(f"{kind}: ")
    return Error(reasons.PARALLEL_GROUP_FAILED, words, failure, retryable=error.retryable)


def _words(program: Program, state: State, scope: int, failure: Failure) -> str:
    """Return what a program on one machine reads of a member that failed so."""
    error = failure.error
    kind, _, words = error.message.partition(": ")
    raised = error.reason in (reasons.TASK_FAILED, reasons.SYSTEM_EXIT)
    cause = Exception((words or kind) if raised else error.message)
    most = max_attempts(program.plan, state, scope, failure)
    if failure.failures >= most > 1 and error.retryable:
        return str(RetryLimitExceededError(failure.node, failure.failures, most - 1, cause))
    return str(as_runtime_error(cause)) if raised else error.message
