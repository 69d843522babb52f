"""A Workflow's spec, read once: the plan and what the operator needs beside it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graflow.api.placement import profile_of
from graflow.api.runnable import runnable
from graflow.api.workflow import TaskSpec, WorkflowSpec
from graflow.machine import reasons
from graflow.machine.plan import Plan
from graflow.machine.state import Error
from graflow_operator.bundles import Bundle
from graflow_operator.turns import Limits


@dataclass(frozen=True)
class Program:
    """What a run executes."""

    spec: WorkflowSpec
    plan: Plan
    tasks: Mapping[str, TaskSpec]
    policies: Mapping[str, str]
    """Ids of the functions that judge groups, by the groups' names."""

    @property
    def limits(self) -> Limits:
        """What the spec says about starting."""
        return Limits(self.spec.parallelism, self.spec.suspend)


def read(workflow: Mapping[str, Any], plan: Mapping[str, Any] | None = None) -> Program:
    """Return the program of a Workflow object.

    Args:
        workflow: The object.
        plan: What its bundle says of tasks, groups, edges and start, if it has none of its own.

    Raises:
        InvalidWorkflow: If it makes no sense; with every problem found.
    """
    spec, found = runnable(workflow, plan)
    policies = {
        group.name: group.policy.function
        for group in spec.groups
        if group.policy and group.policy.function is not None
    }
    return Program(spec, found, {task.name: task for task in spec.tasks}, policies)


def is_over_before_it_began(workflow: Mapping[str, Any]) -> bool:
    """Whether a run was cancelled of which nothing is committed yet."""
    cancelled = (workflow.get("spec") or {}).get("cancel")
    return bool(cancelled) and not (workflow.get("status") or {}).get("cursor")


def without_plan(workflow: Mapping[str, Any]) -> Program:
    """Return the program of a run that has no need of its plan any more, and has none."""
    spec = WorkflowSpec.model_validate(workflow["spec"])
    return Program(spec, Plan(nodes=(), edges=(), start=()), {}, {})


def unfit(program: Program, bundle: Bundle, pythons: tuple[str, ...]) -> Error | None:
    """Return why the program's functions cannot run on the runner image; None if they can.

    Args:
        program: What is to run.
        bundle: Its code.
        pythons: Minor versions that the runner image has. Images that users name, and profiles,
            are not known here; their runners say theirs when they claim.
    """
    using = [task for task in program.tasks.values() if task.function is not None]
    asked = {task.name: task.function for task in using} | {**program.policies}
    missing = [name for name, function in asked.items() if function not in bundle.functions]
    if missing:
        known = ", ".join(sorted(bundle.functions)) or "none"
        words = f"task {missing[0]!r}: its function is not in the bundle, which has {known}"
        return Error(reasons.BUNDLE_CORRUPT, words, retryable=False)
    default = [task for task in using if not _may_name_an_image(task, program.spec)]
    if default and bundle.python not in pythons:
        return wrong_python(bundle.python, " or ".join(pythons))
    return None


def _may_name_an_image(task: TaskSpec, spec: WorkflowSpec) -> bool:
    named = any(pod and pod.image for pod in (task.pod, spec.pod))
    return named or profile_of(task, spec) is not None


def wrong_python(made_with: str, runs_on: str) -> Error:
    """Return the error of a program and a runner whose Pythons differ."""
    words = (
        f"the program was pickled by Python {made_with} and the runner image has {runs_on};"
        f" submit it with Python {runs_on}, or name an image with {made_with} in pod.image"
    )
    return Error(reasons.PYTHON_VERSION_MISMATCH, words, retryable=False)
