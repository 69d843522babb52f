"""When a parallel group counts as successful, in Graflow's words."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from graflow.dsl.checks import whole
from graflow.exceptions import ConfigError, ParallelGroupError, hint
from graflow.machine import reasons
from graflow.machine.plan import (
    AtLeast,
    BestEffort,
    Critical,
    Custom,
    GroupPlan,
    GroupPolicy,
    Strict,
)
from graflow.machine.state import Error, GroupFailure
from graflow.machine.verdict import verdict

if TYPE_CHECKING:
    from graflow.dsl.flow import Executable
    from graflow.dsl.handler import TaskResult

STRICT = Strict()


class GroupExecutionPolicy(ABC):
    """Says whether a group succeeds, once all of its branches have ended.

    A class of the program's own is user code: on a cluster it runs in a pod of its own.
    """

    def get_name(self) -> str:
        """Return the policy's name for people."""
        return type(self).__name__

    @abstractmethod
    def on_group_finished(
        self,
        group_id: str,
        tasks: "Sequence[Executable]",
        results: "Mapping[str, TaskResult]",
        context: Any,  # noqa: ANN401 - a TaskExecutionContext; any stand-in with its calls will do
    ) -> None:
        """Return if the group succeeds; raise, best ParallelGroupError, if it fails.

        Args:
            group_id: The group.
            tasks: Its members.
            results: How each member's branch ended, in the order of the members.
            context: Reads results (`get_result`) and the channel; it decides nothing that runs.
        """


class _Closed(GroupExecutionPolicy):
    """A policy that the machine judges by itself."""

    def judged_by(self) -> GroupPolicy:
        """Return the machine's form of the policy."""
        return STRICT

    def on_group_finished(
        self,
        group_id: str,
        tasks: "Sequence[Executable]",
        results: "Mapping[str, TaskResult]",
        context: Any,  # noqa: ANN401 - as in the base class
    ) -> None:
        """Judge as the machine would: for policies of the program's own that build on this one."""
        del tasks, context
        failures = [(member, _error_of(result)) for member, result in results.items()]
        found = verdict(GroupPlan(group_id, tuple(results), self.judged_by()), failures)
        if found is not None and isinstance(found.detail, GroupFailure):
            failed = [(member, error.message) for member, error in found.detail.failed]
            raise ParallelGroupError(found.message, group_id, failed, found.detail.succeeded)


def _error_of(result: "TaskResult") -> Error | None:
    if result.success:
        return None
    return Error(reasons.TASK_FAILED, result.error_message or "the branch failed")


class StrictGroupPolicy(_Closed):
    """All branches must succeed."""


class BestEffortGroupPolicy(_Closed):
    """No branch must succeed."""

    def judged_by(self) -> GroupPolicy:
        """Return the machine's form of the policy."""
        return BestEffort()


class AtLeastNGroupPolicy(_Closed):
    """At least `min_success` branches must succeed."""

    def __init__(self, min_success: int) -> None:
        self.min_success = whole("min_success", min_success, least=0)

    def judged_by(self) -> GroupPolicy:
        """Return the machine's form of the policy."""
        return AtLeast(self.min_success)


class CriticalGroupPolicy(_Closed):
    """The branches of these members must succeed."""

    def __init__(self, critical_task_ids: Sequence[str]) -> None:
        if isinstance(critical_task_ids, str):
            raise ConfigError(
                f"critical_task_ids is the text {critical_task_ids!r}; give a list of ids"
            )
        self.critical_task_ids = list(critical_task_ids)

    def judged_by(self) -> GroupPolicy:
        """Return the machine's form of the policy."""
        return Critical(tuple(self.critical_task_ids))


PolicySpec: TypeAlias = str | GroupExecutionPolicy | Strict | BestEffort | AtLeast | Critical

_BY_NAME: dict[str, GroupPolicy] = {"strict": STRICT, "best_effort": BestEffort()}


def policy_of(spec: PolicySpec) -> GroupPolicy:
    """Return the machine's form of a policy given by name or as an object.

    Raises:
        ConfigError: If it is not known, or would need values that a name cannot give.
    """
    if isinstance(spec, GroupExecutionPolicy):
        if judge_of(spec) is None and isinstance(spec, _Closed):
            return spec.judged_by()
        return Custom()
    if isinstance(spec, str):
        if spec in _BY_NAME:
            return _BY_NAME[spec]
        if spec in ("at_least_n", "critical"):
            needed = (
                "AtLeastNGroupPolicy(n)" if spec == "at_least_n" else "CriticalGroupPolicy(ids)"
            )
            raise ConfigError(f"policy {spec!r} needs values; give {needed}")
        raise ConfigError(f"policy {spec!r} is not known; {hint(spec, _BY_NAME)}")
    return spec


def judge_of(spec: PolicySpec) -> GroupExecutionPolicy | None:
    """Return the policy if it is the program's own, which only its code can judge by."""
    if not isinstance(spec, GroupExecutionPolicy):
        return None
    own = type(spec).on_group_finished is not _Closed.on_group_finished
    return spec if own else None


def canonicalize_group_policy(policy: str | GroupExecutionPolicy) -> str | dict[str, Any]:
    """Return a policy as a name, or as a dict with a `type`; see `resolve_group_policy`."""
    if isinstance(policy, str):
        return policy
    if judge_of(policy) is not None:
        return {"type": "__custom__", "policy": policy}
    match policy:
        case AtLeastNGroupPolicy():
            return {"type": "at_least_n", "min_success": policy.min_success}
        case CriticalGroupPolicy():
            return {"type": "critical", "critical_task_ids": policy.critical_task_ids}
        case StrictGroupPolicy():
            return "strict"
        case BestEffortGroupPolicy():
            return "best_effort"
        case _:
            raise TypeError(f"{policy!r} is no policy of a group")


def resolve_group_policy(
    policy: str | Mapping[str, Any] | GroupExecutionPolicy,
) -> GroupExecutionPolicy:
    """Return the policy of a name or of a dict that `canonicalize_group_policy` made.

    Raises:
        ConfigError: If it is not known, or lacks values.
    """
    if isinstance(policy, GroupExecutionPolicy):
        return policy
    given: Mapping[str, Any] = policy if isinstance(policy, Mapping) else {"type": policy}
    match given:
        case {"type": "strict"}:
            return StrictGroupPolicy()
        case {"type": "best_effort"}:
            return BestEffortGroupPolicy()
        case {"type": "at_least_n", "min_success": least}:
            return AtLeastNGroupPolicy(least)
        case {"type": "critical", "critical_task_ids": ids}:
            return CriticalGroupPolicy(ids)
        case {"type": "__custom__", "policy": GroupExecutionPolicy() as own}:
            return own
        case _:
            policy_of(str(given.get("type")))  # says what is wrong with the name
            raise ConfigError(f"policy {policy!r} lacks values")
