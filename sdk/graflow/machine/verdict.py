"""What a group's policy makes of its branches (G2)."""

from collections.abc import Sequence
from typing import assert_never

from graflow.machine import reasons
from graflow.machine.plan import AtLeast, BestEffort, Critical, Custom, GroupPlan, Strict
from graflow.machine.state import Error, GroupFailure


def verdict(group: GroupPlan, failures: Sequence[tuple[str, Error | None]]) -> Error | None:
    """Return why the group fails, or None when it succeeds.

    Args:
        group: The group.
        failures: For each member, in the order of the members, why its branch failed, if it did.
    """
    failed = tuple((member, error) for member, error in failures if error)
    succeeded = tuple(member for member, error in failures if not error)
    message = _objection(group, failed, succeeded)
    if message is None:
        return None
    detail = GroupFailure(group.id, failed, succeeded)
    return Error(reasons.PARALLEL_GROUP_FAILED, message, detail)


def _objection(
    group: GroupPlan, failed: Sequence[tuple[str, Error]], succeeded: Sequence[str]
) -> str | None:
    match group.policy:
        case Custom():
            raise ValueError(f"the policy of group {group.id!r} is user code; the machine has none")
        case Strict() if failed:
            return f"Parallel group {group.id} failed: {len(failed)} task(s) failed"
        case AtLeast(minimum=minimum) if len(succeeded) < minimum:
            total = len(group.members)
            return f"Only {len(succeeded)}/{total} tasks succeeded in group {group.id}"
        case Critical(members=members) if set(members).difference(succeeded):
            missed = [member for member in group.members if member in {m for m, _ in failed}]
            return f"Critical tasks failed: {[m for m in missed if m in members]}"
        case Strict() | BestEffort() | AtLeast() | Critical():
            return None
        case _:
            assert_never(group.policy)
