"""What is wrong with the single parts of a spec, each looked at by itself."""

from collections.abc import Iterator

from graflow.api.cut import size_of
from graflow.api.inputs import input_problems, resume_problems
from graflow.api.large import LargeSpec
from graflow.api.pod import EnvVar, PodSettings
from graflow.api.rules import (
    EXACTLY_ONE_KIND,
    KINDS,
    POLICY_FUNCTION,
    POLICY_MEMBERS,
    POLICY_MINIMUM,
    TASKS_SOMEWHERE,
)
from graflow.api.workflow import GroupPolicySpec, GroupSpec, PolicyType, TaskSpec, WorkflowSpec
from graflow.machine.check import Problem

MAX_SPEC_BYTES = 128 * 1024
_OURS_ENV = "GRAFLOW_"
_OURS_LABEL = "graflow.dev/"


def shape_problems(spec: WorkflowSpec) -> Iterator[Problem]:
    """Yield what is wrong with tasks, policies and pod settings, apart from how they connect."""
    if not spec.tasks:
        words = "the bundle has no tasks" if spec.bundle else str(TASKS_SOMEWHERE["message"])
        yield Problem("spec.tasks", words)
    yield from common_problems(spec)
    for number, task in enumerate(spec.tasks):
        yield from task_problems(task, f"spec.tasks[{number}]")
        if task.function is not None and spec.bundle is None:
            yield _no_bundle(f"spec.tasks[{number}]", f"task {task.name!r} runs", task.function)
    for number, group in enumerate(spec.groups):
        yield from group_problems(group, f"spec.groups[{number}]")
        function = group.policy.function if group.policy else None
        if function is not None and spec.bundle is None:
            asks = f"group {group.name!r} is judged by"
            yield _no_bundle(f"spec.groups[{number}].policy", asks, function)


def common_problems(spec: WorkflowSpec) -> Iterator[Problem]:
    """Yield what is wrong with a spec apart from its tasks and groups."""
    size = 0 if isinstance(spec, LargeSpec) else size_of(spec.manifest())
    if size > MAX_SPEC_BYTES:
        yield Problem(
            "spec",
            f"takes {size} bytes and may take {MAX_SPEC_BYTES}, since the cluster keeps it again"
            " with every change of the status; move scripts and data into the image or a bundle",
        )
    yield from input_problems(spec)
    if spec.resume_from:
        yield from resume_problems(spec.resume_from)
    if spec.pod:
        yield from pod_problems(spec.pod, "spec.pod")


def _no_bundle(field: str, asks: str, function: str) -> Problem:
    return Problem(
        f"{field}.function",
        f"{asks} the function {function!r} of a bundle, and the workflow"
        " has none; set spec.bundle, or use script, entrypoint or container",
    )


def task_problems(task: TaskSpec, field: str) -> Iterator[Problem]:
    """Yield what is wrong with one task, looked at by itself."""
    given = [kind for kind in KINDS if getattr(task, kind) is not None]
    if len(given) != 1:
        has = f"has {' and '.join(given)}" if given else "has none of them"
        yield Problem(field, f"{EXACTLY_ONE_KIND['message']}; task {task.name!r} {has}")
    if task.pod:
        yield from pod_problems(task.pod, f"{field}.pod")
    if task.container:
        yield from _env(task.container.env or (), f"{field}.container.env")
        if task.pod and task.pod.image:
            yield Problem(
                f"{field}.pod.image",
                "is not used for a container task; its image is container.image",
            )


def group_problems(group: GroupSpec, field: str) -> Iterator[Problem]:
    """Yield what is wrong with one group, looked at by itself."""
    if group.policy:
        yield from _policy(group.policy, f"{field}.policy")


def _policy(policy: GroupPolicySpec, field: str) -> Iterator[Problem]:
    if (policy.type is PolicyType.AT_LEAST) != (policy.minimum is not None):
        yield Problem(f"{field}.minimum", str(POLICY_MINIMUM["message"]))
    if (policy.type is PolicyType.CRITICAL) != (policy.members is not None):
        yield Problem(f"{field}.members", str(POLICY_MEMBERS["message"]))
    if (policy.type is PolicyType.CUSTOM) != (policy.function is not None):
        yield Problem(f"{field}.function", str(POLICY_FUNCTION["message"]))


def pod_problems(pod: PodSettings, field: str) -> Iterator[Problem]:
    """Yield what is wrong with pod settings, wherever they are written."""
    yield from _env(pod.env or (), f"{field}.env")
    for kind, mapping in (("labels", pod.labels), ("annotations", pod.annotations)):
        for key in mapping or {}:
            if key.startswith(_OURS_LABEL):
                yield Problem(
                    f"{field}.{kind}",
                    f"{key!r}: {kind} under {_OURS_LABEL} are the operator's own; choose another",
                )


def _env(variables: tuple[EnvVar, ...], field: str) -> Iterator[Problem]:
    for number, variable in enumerate(variables):
        if variable.name.startswith(_OURS_ENV):
            yield Problem(
                f"{field}[{number}].name",
                f"{variable.name!r}: names that begin with {_OURS_ENV} are the runner's own;"
                " choose another",
            )
        if variable.value is not None and variable.value_from is not None:
            yield Problem(f"{field}[{number}]", "has value or valueFrom, not both")
