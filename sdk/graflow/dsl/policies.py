"""When a parallel group counts as successful, in Graflow's words."""

from collections.abc import Sequence
from typing import TypeAlias

from graflow.dsl.checks import whole
from graflow.exceptions import ConfigError, hint
from graflow.machine.plan import AtLeast, BestEffort, Critical, GroupPolicy, Strict

STRICT = Strict()


class GroupExecutionPolicy:
    """Base of the policies; use one of its subclasses."""

    def judged_by(self) -> GroupPolicy:
        """Return the machine's form of the policy.

        Raises:
            ConfigError: If the policy is the program's own.
        """
        raise own_policy(self)


def own_policy(policy: GroupExecutionPolicy) -> ConfigError:
    """Return the refusal of a policy that the program defines."""
    return ConfigError(
        f"{type(policy).__name__} is a policy of the program's own, which cannot be run; use "
        "StrictGroupPolicy, BestEffortGroupPolicy, AtLeastNGroupPolicy or CriticalGroupPolicy"
    )


class StrictGroupPolicy(GroupExecutionPolicy):
    """All branches must succeed."""

    def judged_by(self) -> GroupPolicy:
        """Return the machine's form of the policy."""
        return STRICT


class BestEffortGroupPolicy(GroupExecutionPolicy):
    """No branch must succeed."""

    def judged_by(self) -> GroupPolicy:
        """Return the machine's form of the policy."""
        return BestEffort()


class AtLeastNGroupPolicy(GroupExecutionPolicy):
    """At least `min_success` branches must succeed."""

    def __init__(self, min_success: int) -> None:
        self.min_success = whole("min_success", min_success, least=0)

    def judged_by(self) -> GroupPolicy:
        """Return the machine's form of the policy."""
        return AtLeast(self.min_success)


class CriticalGroupPolicy(GroupExecutionPolicy):
    """The branches of these members must succeed."""

    def __init__(self, critical_task_ids: Sequence[str]) -> None:
        if isinstance(critical_task_ids, str):
            raise ConfigError(
                f"critical_task_ids is the text {critical_task_ids!r}; give a list of ids"
            )
        self.critical_task_ids = tuple(critical_task_ids)

    def judged_by(self) -> GroupPolicy:
        """Return the machine's form of the policy."""
        return Critical(self.critical_task_ids)


PolicySpec: TypeAlias = str | GroupExecutionPolicy | Strict | BestEffort | AtLeast | Critical

_BY_NAME: dict[str, GroupPolicy] = {"strict": STRICT, "best_effort": BestEffort()}


def policy_of(spec: PolicySpec) -> GroupPolicy:
    """Return the machine's form of a policy given by name or as an object.

    Raises:
        ConfigError: If it is not known, or would need values that a name cannot give.
    """
    if isinstance(spec, GroupExecutionPolicy):
        if hasattr(spec, "on_group_finished"):
            raise own_policy(spec)
        return spec.judged_by()
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
