"""A plan in the words of a Workflow's spec: tasks, groups, edges and starts."""

from collections.abc import Mapping, Sequence
from typing import Any

from graflow.compile.errors import UnsupportedError
from graflow.dsl.handler import DIRECT, DOCKER
from graflow.dsl.options import PodOptions
from graflow.dsl.task import TaskWrapper
from graflow.machine.check import infer_start
from graflow.machine.defaults import DEFAULT_MAX_CYCLES
from graflow.machine.plan import (
    AtLeast,
    BestEffort,
    Critical,
    Custom,
    GroupPlan,
    GroupPolicy,
    Plan,
    Retry,
    Strict,
    TaskPlan,
)

Fields = dict[str, Any]


def plan_fields(plan: Plan, tasks: Mapping[str, TaskWrapper]) -> Fields:
    """Return the fields of a spec that say what a plan says.

    Args:
        plan: Of a program.
        tasks: Its tasks, by id.

    Raises:
        UnsupportedError: If a task asks for what is not there on a cluster.
    """
    before: dict[str, list[str]] = {}
    for source, target in plan.edges:
        before.setdefault(target, []).append(source)

    def after(node: str) -> Fields:
        return {"after": before[node]} if node in before else {}

    fields: Fields = {
        "tasks": [
            {"name": node.id, **after(node.id), **task_fields(node, tasks[node.id], plan)}
            for node in plan.nodes
            if isinstance(node, TaskPlan)
        ]
    }
    if groups := [node for node in plan.nodes if isinstance(node, GroupPlan)]:
        fields["groups"] = [
            {"name": node.id, "members": list(node.members), **after(node.id), **group_fields(node)}
            for node in groups
        ]
    if plan.start != infer_start(plan.nodes, plan.edges):
        fields["start"] = list(plan.start)
    return fields


def task_fields(node: TaskPlan, task: TaskWrapper, plan: Plan) -> Fields:
    """Return what a spec says of a task, beside its name and what it comes after.

    Raises:
        UnsupportedError: If it asks for what is not there on a cluster.
    """
    if task.handler_type not in (DIRECT, DOCKER):
        raise UnsupportedError(
            f"task {node.id!r} asks for the handler {task.handler_type!r}, which runs tasks where "
            f"the program runs; on a cluster leave handler out, since each task has a pod"
        )
    fields: Fields = {"function": node.id}
    if params := plan.params.get(node.id):
        fields["params"] = list(params)
    if node.retry != Retry():
        fields["retry"] = _retry(node.retry)
    if node.timeout_s is not None:
        fields["timeoutSeconds"] = node.timeout_s
    if node.max_cycles != DEFAULT_MAX_CYCLES:
        fields["maxIterations"] = node.max_cycles
    if task.pod.profile is not None:
        fields["profile"] = task.pod.profile
    if pod := _pod(task.pod):
        fields["pod"] = pod
    return fields


def group_fields(node: GroupPlan) -> Fields:
    """Return what a spec says of a group, beside its name, members and what it comes after."""
    fields: Fields = {}
    if policy := _policy(node.id, node.policy):
        fields["policy"] = policy
    if node.retry != Retry():
        fields["retry"] = _retry(node.retry)
    return fields


def _policy(group: str, policy: GroupPolicy) -> Fields:
    match policy:
        case Strict():
            return {}
        case BestEffort():
            return {"type": "BestEffort"}
        case AtLeast(minimum=minimum):
            return {"type": "AtLeast", "minimum": minimum}
        case Critical(members=members):
            return {"type": "Critical", "members": list(members)}
        case Custom():
            return {"type": "Custom", "function": group}


def _retry(retry: Retry) -> Fields:
    return {
        "maxAttempts": retry.max_attempts,
        "initialSeconds": retry.initial_s,
        "factor": retry.factor,
        "maxSeconds": retry.max_s,
        **({"jitter": True} if retry.jitter else {}),
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
