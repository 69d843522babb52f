"""What the API server checks by itself: CEL rules, with the words that users read."""

from typing import TypeAlias

from pydantic.config import JsonDict

Rule: TypeAlias = JsonDict

CHANGEABLE = (
    "suspend",
    "cancel",
    "cancelReason",
    "ttlSecondsAfterFinished",
    "parallelism",
    "activeDeadlineSeconds",
)
"""Fields of a Workflow's spec that may change after its creation."""

FIXED = (
    "tasks",
    "groups",
    "edges",
    "bundle",
    "start",
    "input",
    "exactInput",
    "pod",
    "profile",
    "maxSteps",
    "checkpointEvery",
    "resumeFrom",
    "runId",
    "submitter",
    "operator",
)
"""The other ones."""

KINDS = ("function", "entrypoint", "script", "container")
"""Fields of a task of which exactly one says what it runs."""


def rule(expression: str, message: str) -> Rule:
    """Return a validation rule as CRDs write it."""
    return {"rule": expression, "message": message}


def fixed(field: str) -> Rule:
    """Return the rule that an optional or required field keeps what it was created with."""
    return rule(
        f"has(self.{field}) == has(oldSelf.{field})"
        f" && (!has(self.{field}) || self.{field} == oldSelf.{field})",
        f"spec.{field} cannot be changed; create another Workflow."
        f" What can be changed is {', '.join(CHANGEABLE)}",
    )


EXACTLY_ONE_KIND = rule(
    f"[{', '.join(f'has(self.{kind})' for kind in KINDS)}].exists_one(given, given)",
    f"a task has exactly one of {', '.join(KINDS)}",
)

POLICY_MINIMUM = rule(
    "(self.type == 'AtLeast') == has(self.minimum)",
    "policy.minimum goes with type AtLeast, and only with it",
)
POLICY_MEMBERS = rule(
    "(self.type == 'Critical') == has(self.members)",
    "policy.members goes with type Critical, and only with it",
)

POLICY_FUNCTION = rule(
    "(self.type == 'Custom') == has(self.function)",
    "policy.function goes with type Custom, and only with it",
)
TASKS_SOMEWHERE = rule(
    "has(self.tasks) && size(self.tasks) > 0 || has(self.bundle)",
    "a workflow has tasks, or a bundle that has them",
)

SPEC_RULES = (
    *(fixed(field) for field in FIXED),
    TASKS_SOMEWHERE,
    rule(
        "!(has(oldSelf.cancel) && oldSelf.cancel) || (has(self.cancel) && self.cancel)",
        "spec.cancel cannot be taken back; create another Workflow",
    ),
)
