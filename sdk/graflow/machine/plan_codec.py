"""A plan as JSON and back: fragments are part of what a host persists.

What a host keeps about the nodes (`Plan.payload`) is passed through as it is.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from graflow.machine.plan import (
    AtLeast,
    BestEffort,
    Critical,
    Custom,
    Exit,
    GroupPlan,
    GroupPolicy,
    NodePlan,
    Plan,
    Retry,
    Strict,
    TaskPlan,
)

_PLAIN: Mapping[str, type[Strict | BestEffort | Custom]] = {
    "Strict": Strict,
    "BestEffort": BestEffort,
    "Custom": Custom,
}


def encode_plan(plan: Plan) -> dict[str, Any]:
    """Return the plan as plain JSON objects."""
    return {
        "nodes": [_encode_node(node) for node in plan.nodes],
        "edges": [list(edge) for edge in plan.edges],
        "start": list(plan.start),
        "maxSteps": plan.max_steps,
        "params": {task: list(names) for task, names in plan.params.items()},
        "payload": dict(plan.payload),
    }


def decode_plan(data: Mapping[str, Any]) -> Plan:
    """Return the plan that `encode_plan` was given."""
    return Plan(
        nodes=tuple(map(_decode_node, data["nodes"])),
        edges=tuple((before, after) for before, after in data["edges"]),
        start=tuple(data["start"]),
        max_steps=data["maxSteps"],
        params={task: tuple(names) for task, names in data["params"].items()},
        payload=dict(data["payload"]),
    )


def _encode_node(node: NodePlan) -> dict[str, Any]:
    match node:
        case TaskPlan():
            return {"task": asdict(node)}
        case GroupPlan():
            return {
                "group": node.id,
                "members": list(node.members),
                "policy": _encode_policy(node.policy),
                "retry": asdict(node.retry),
            }
        case Exit():
            return {"exit": node.id}


def _decode_node(data: Mapping[str, Any]) -> NodePlan:
    if "exit" in data:
        return Exit(data["exit"])
    if "task" in data:
        task = data["task"]
        return TaskPlan(**{**task, "retry": Retry(**task["retry"])})
    return GroupPlan(
        data["group"],
        tuple(data["members"]),
        _decode_policy(data["policy"]),
        Retry(**data["retry"]),
    )


def _encode_policy(policy: GroupPolicy) -> dict[str, Any]:
    return {"type": type(policy).__name__, **asdict(policy)}


def _decode_policy(data: Mapping[str, Any]) -> GroupPolicy:
    if data["type"] == "AtLeast":
        return AtLeast(data["minimum"])
    if data["type"] == "Critical":
        return Critical(tuple(data["members"]))
    return _PLAIN[data["type"]]()
