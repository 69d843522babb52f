"""From a program's plan to the spec of a Workflow, as users would write it by hand."""

from collections.abc import Mapping, Sequence
from typing import Any

from graflow.api.convert import plan_of
from graflow.api.errors import InvalidWorkflow
from graflow.api.names import API_VERSION, WORKFLOW_KIND
from graflow.api.parse import parse_workflow
from graflow.compile.errors import ProgramTooLargeError, UnsupportedError
from graflow.dsl.options import PodOptions
from graflow.dsl.task import TaskWrapper
from graflow.exceptions import GraphCompilationError
from graflow.machine.check import infer_start
from graflow.machine.plan import (
    DEFAULT_MAX_CYCLES,
    DEFAULT_MAX_STEPS,
    AtLeast,
    BestEffort,
    Critical,
    GroupPlan,
    GroupPolicy,
    Plan,
    Retry,
    Strict,
    TaskPlan,
)
from graflow.values import is_json

MAX_TASKS = 1000

Fields = dict[str, Any]


def workflow_of(  # noqa: PLR0913 - one keyword for each field that is not the plan's
    name: str,
    plan: Plan,
    tasks: Mapping[str, TaskWrapper],
    *,
    bundle: Mapping[str, str],
    image: str | None = None,
    input: Mapping[str, object] | None = None,  # noqa: A002 - the field's name
) -> Fields:
    """Return the Workflow resource of a plan, without a namespace.

    Args:
        name: Name of the resource.
        plan: The program's plan.
        tasks: Its tasks, by id.
        bundle: Name and sha256 of the CodeBundle.
        image: Image of all tasks that name none.
        input: Channel keys to set before the start.

    Raises:
        ProgramTooLargeError: If it is more than one Workflow holds.
        UnsupportedError: If it asks for what is not there on a cluster.
        GraphCompilationError: If it cannot run.
    """
    ids = [node.id for node in plan.nodes if isinstance(node, TaskPlan)]
    if len(ids) > MAX_TASKS:
        raise ProgramTooLargeError(
            f"the program has {len(ids)} tasks, and a Workflow holds at most {MAX_TASKS}; let one "
            f"task do the work of several"
        )
    spec: Fields = {
        "tasks": [
            _task(node, tasks[node.id], plan) for node in plan.nodes if isinstance(node, TaskPlan)
        ]
    }
    if groups := [_group(node, plan) for node in plan.nodes if isinstance(node, GroupPlan)]:
        spec["groups"] = groups
    spec["bundle"] = dict(bundle)
    if plan.start != infer_start(plan.nodes, plan.edges):
        spec["start"] = list(plan.start)
    if input:
        spec["input"] = _input(input)
    if image:
        spec["pod"] = {"image": image}
    if plan.max_steps != DEFAULT_MAX_STEPS:
        spec["maxSteps"] = plan.max_steps
    return _checked(_resource(name, spec), plan)


def _resource(name: str, spec: Fields) -> Fields:
    head: Fields = {"apiVersion": API_VERSION, "kind": WORKFLOW_KIND, "metadata": {"name": name}}
    return head | {"spec": spec}


def _checked(resource: Fields, plan: Plan) -> Fields:
    """Return the resource once it is sure that the operator will see the very same plan in it."""
    spec = resource["spec"]
    order = {node.id: number for number, node in enumerate(plan.nodes)}
    try:
        seen = plan_of(parse_workflow(resource).spec)
        if list(seen.by_id) != list(order):
            for group in spec["groups"]:
                group["position"] = order[group["name"]]
            seen = plan_of(parse_workflow(resource).spec)
        if seen.successors != plan.successors:
            spec["edges"] = [list(edge) for edge in plan.edges]
            seen = plan_of(parse_workflow(resource).spec)
    except InvalidWorkflow as error:
        raise GraphCompilationError(str(error)) from error
    if (seen.nodes, seen.successors, seen.start) != (plan.nodes, plan.successors, plan.start):
        raise GraphCompilationError("the Workflow would not mean what the program means")
    return resource


def _task(node: TaskPlan, task: TaskWrapper, plan: Plan) -> Fields:
    if task.pod.profile is not None:
        raise UnsupportedError(
            f"task {node.id!r} asks for the profile {task.pod.profile!r}, and there are no runner "
            f"profiles yet; give image, resources, node_selector, tolerations and env instead"
        )
    fields: Fields = {"name": node.id}
    if after := _after(node.id, plan):
        fields["after"] = after
    fields["function"] = node.id
    if params := plan.params.get(node.id):
        fields["params"] = list(params)
    if node.retry != Retry():
        fields["retry"] = _retry(node.retry)
    if node.timeout_s is not None:
        fields["timeoutSeconds"] = node.timeout_s
    if node.max_cycles != DEFAULT_MAX_CYCLES:
        fields["maxIterations"] = node.max_cycles
    if pod := _pod(task.pod):
        fields["pod"] = pod
    return fields


def _group(node: GroupPlan, plan: Plan) -> Fields:
    fields: Fields = {"name": node.id, "members": list(node.members)}
    if after := _after(node.id, plan):
        fields["after"] = after
    if policy := _policy(node.policy):
        fields["policy"] = policy
    return fields


def _after(node: str, plan: Plan) -> list[str]:
    return [before for before, after in plan.edges if after == node]


def _policy(policy: GroupPolicy) -> Fields:
    match policy:
        case Strict():
            return {}
        case BestEffort():
            return {"type": "BestEffort"}
        case AtLeast(minimum=minimum):
            return {"type": "AtLeast", "minimum": minimum}
        case Critical(members=members):
            return {"type": "Critical", "members": list(members)}


def _retry(retry: Retry) -> Fields:
    return {
        "maxAttempts": retry.max_attempts,
        "initialSeconds": retry.initial_s,
        "factor": retry.factor,
        "maxSeconds": retry.max_s,
    }


def _pod(options: PodOptions) -> Fields:
    pod: Fields = {}
    if options.image:
        pod["image"] = options.image
    if options.resources:
        pod["resources"] = _resources(options.resources)
    if options.node_selector:
        pod["nodeSelector"] = dict(options.node_selector)
    if options.tolerations:
        pod["tolerations"] = [dict(toleration) for toleration in options.tolerations]
    if options.env:
        pod["env"] = [{"name": name, "value": text} for name, text in options.env.items()]
    return pod


def _resources(given: Mapping[str, object]) -> Fields:
    """Return requests and limits; the short form `{"cpu": "1"}` means both."""
    if not given.keys() - {"requests", "limits", "claims"}:
        return {key: _plain(part) for key, part in given.items()}
    short = {name: str(amount) for name, amount in given.items()}
    return {"requests": short, "limits": dict(short)}


def _plain(part: object) -> object:
    if isinstance(part, Mapping):
        return {str(name): str(amount) for name, amount in part.items()}
    return list(part) if isinstance(part, Sequence) and not isinstance(part, str) else part


def _input(given: Mapping[str, object]) -> Fields:
    for key, value in given.items():
        if not is_json(value):
            raise UnsupportedError(
                f"initial_channel[{key!r}] is {value!r}, which JSON does not keep as it is; on a "
                f"cluster, start with texts, numbers, lists and dicts with texts as keys"
            )
        if (number := _beyond_64_bits(value)) is not None:
            raise UnsupportedError(
                f"initial_channel[{key!r}] has the number {number}, which an API server would "
                f"round; it keeps whole numbers of 64 bits, so start with it as a text"
            )
    return dict(given)


def _beyond_64_bits(value: object) -> int | None:
    """Return the first whole number that does not fit into 64 bits."""
    if isinstance(value, int):
        return None if -(2**63) <= value < 2**63 else value
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return next((n for item in inner if (n := _beyond_64_bits(item)) is not None), None)
