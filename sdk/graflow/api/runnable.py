"""Whether a Workflow can run, and if not, why: asked by the SDK, at admission and by the operator.

All three get their words here, so that a mistake reads the same wherever it is found.
"""

from collections.abc import Mapping
from itertools import islice
from typing import Any

from graflow.api.convert import plan_of
from graflow.api.errors import InvalidWorkflow
from graflow.api.lent import BUNDLED, lent
from graflow.api.parse import parse_large_workflow, parse_runner_profile, parse_workflow
from graflow.api.pod import PodSettings
from graflow.api.shape import common_problems, pod_problems
from graflow.api.workflow import Workflow, WorkflowSpec
from graflow.machine.check import Problem
from graflow.machine.plan import Plan

_MOST = 20
"""How many of the settings that a bundle may not have are reported."""

_MOST_SUSPICIONS = 5


def needs_plan(workflow: Mapping[str, Any]) -> bool:
    """Whether the tasks of a Workflow are in its bundle."""
    spec = workflow.get("spec")
    return isinstance(spec, Mapping) and not spec.get("tasks") and bool(spec.get("bundle"))


def runnable(
    workflow: Mapping[str, Any], plan: Mapping[str, Any] | None = None
) -> tuple[WorkflowSpec, Plan]:
    """Return the spec and the plan of a Workflow that can run.

    Args:
        workflow: The object.
        plan: What its bundle says of tasks, groups, edges and start, if it has none of its own.

    Raises:
        InvalidWorkflow: If it cannot; with every problem found.
    """
    given = _without_status(workflow)
    if plan is None:
        spec: WorkflowSpec = _other_run(parse_workflow(given)).spec
        return spec, plan_of(spec)
    spec = _other_run(parse_large_workflow(given, plan)).spec
    asked = (
        p for n, task in enumerate(spec.tasks) for p in lent(task, f"spec.tasks[{n}]", BUNDLED)
    )
    if found := [*islice(asked, _MOST)]:
        raise InvalidWorkflow(found)
    return spec, plan_of(spec)


def warnings_about(workflow: Mapping[str, Any]) -> tuple[str, ...]:
    """Return warnings about a Workflow that can run, as far as it says itself what that is.

    Raises:
        InvalidWorkflow: If it cannot; with every problem found.
    """
    if not needs_plan(workflow):
        return _suspicions(*runnable(workflow))
    spec = _other_run(parse_large_workflow(_without_status(workflow), {})).spec
    if found := [*common_problems(spec)]:
        raise InvalidWorkflow(found)
    return ()


def _suspicions(spec: WorkflowSpec, plan: Plan) -> tuple[str, ...]:
    """Return what is legal, and hardly meant, about a Workflow that can run."""
    if any(task.function or task.entrypoint for task in spec.tasks):
        return ()  # their code may jump to any task
    lone = [n for n, task in enumerate(spec.tasks) if task.name not in plan.placed]
    return tuple(
        f"spec.tasks[{n}]: nothing leads to task {spec.tasks[n].name!r}, so it never runs; give it"
        " an after list, or name it in spec.start"
        for n in lone[:_MOST_SUSPICIONS]
    )


def _other_run(workflow: Workflow) -> Workflow:
    """Return a Workflow that goes on from none, or from another one than itself."""
    resume = workflow.spec.resume_from
    if resume and not resume.uid and resume.name == workflow.metadata.name:
        words = (
            f"{resume.name!r} is this Workflow itself; choose another metadata.name, or give"
            " the uid of the one that had the name before"
        )
        raise InvalidWorkflow([Problem("spec.resumeFrom.name", words)])
    return workflow


def _without_status(workflow: Mapping[str, Any]) -> dict[str, Any]:
    """Return what users have written: a status is the operator's, perhaps of a newer one."""
    return {name: part for name, part in workflow.items() if name != "status"}


def usable(profile: Mapping[str, Any]) -> PodSettings:
    """Return the settings in a RunnerProfile that pods can be made from.

    Raises:
        InvalidWorkflow: If it makes no sense; with every problem found.
    """
    spec = parse_runner_profile(profile).spec
    if found := [*pod_problems(spec, "spec")]:
        raise InvalidWorkflow(found)
    return spec
