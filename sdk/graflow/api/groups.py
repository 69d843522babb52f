"""The group that a run has failed by: which members, and why, for people and for the SDK."""

from collections.abc import Iterator

from graflow.api import cut
from graflow.api.workflow_status import FailedGroup, FailedMember
from graflow.machine.plan import GroupPlan, Plan, TaskPlan
from graflow.machine.scopes import node_of, plan_at
from graflow.machine.state import Activation, Failure, GroupFailure, Phase, State

MOST = 100
"""Members that failed, and members that succeeded, that are named."""


def failed_group(plan: Plan, state: State, limit: int) -> FailedGroup | None:
    """Return the group that a run has failed by; None if it did not, or by something else.

    Args:
        plan: Of the run.
        state: In which it has ended.
        limit: Bytes of JSON for each message.
    """
    failure = state.failure
    if failure is None or not isinstance(failure.error.detail, GroupFailure):
        return None
    group = next((a for a in state.activations.values() if _is_failure_of(a, failure)), None)
    node = node_of(plan, state, group) if group else None
    if group is None or not isinstance(node, GroupPlan):
        return None
    ended = dict(branches(state, group, node))
    failed = [(member, scope, found) for member, (scope, found) in ended.items() if found]
    succeeded = [member for member, (_, found) in ended.items() if not found]
    return FailedGroup(
        name=node.id,
        failed=tuple(_member(plan, state, one, limit) for one in failed[:MOST]),
        succeeded=tuple(succeeded[:MOST]),
    )


def branches(
    state: State, group: Activation, node: GroupPlan
) -> Iterator[tuple[str, tuple[int, Failure | None]]]:
    """Yield for each member of a group the scope of its branch, and why that failed, if it did."""
    for member, scope in zip(node.members, group.scopes, strict=True):
        yield member, (scope, state.scopes[scope].failure)


def max_attempts(plan: Plan, state: State, scope: int, failure: Failure) -> int:
    """Return how often the task that a scope failed by may be tried; 1 if that is not known."""
    node = plan_at(plan, state, scope).by_id.get(failure.node)
    return node.retry.max_attempts if isinstance(node, TaskPlan) else 1


def _is_failure_of(activation: Activation, failure: Failure) -> bool:
    return (
        activation.phase is Phase.FAILED
        and activation.node == failure.node
        and activation.error == failure.error
    )


def _member(plan: Plan, state: State, found: tuple[str, int, Failure], limit: int) -> FailedMember:
    member, scope, failure = found
    return FailedMember(
        name=member,
        task=failure.node,
        reason=cut.cut(failure.error.reason, 100),
        message=cut.cut(failure.error.message, limit),
        failures=failure.failures,
        max_attempts=max_attempts(plan, state, scope, failure),
        iteration=failure.iteration,
    )
