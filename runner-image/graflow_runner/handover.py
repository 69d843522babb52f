"""Fragments that a task has handed over: their plan as a spec says it, and their code.

Imported when a task hands something over: packing code is nothing that a pod does at its start.
"""

from collections.abc import Mapping
from typing import Any

from graflow.compile.errors import CaptureError, UnsupportedError
from graflow.compile.pickles import pickled
from graflow.compile.written import group_fields, task_fields
from graflow.dsl.flow import ParallelGroup
from graflow.dsl.fragment import Fragment
from graflow.dsl.plans import Defaults
from graflow.dsl.task import TaskWrapper
from graflow.machine import reasons
from graflow.machine.defaults import DEFAULT_MAX_CYCLES
from graflow.machine.plan import GroupPlan, Plan, TaskPlan
from graflow.values import EncodedValue
from graflow_runner.bundle import PYTHON
from graflow_runner.errors import AttemptError
from graflow_runner.known import KnownTasks
from graflow_runner.outcome import Leaf

Fields = dict[str, Any]


def written(fragment: Fragment, known: KnownTasks, defaults: Mapping[str, int]) -> Fields:
    """Return a fragment as a report has it, with a `Leaf` where bytes are.

    Args:
        fragment: What was handed over.
        known: The tasks of the run.
        defaults: What the program says for tasks that say nothing.

    Raises:
        AttemptError: If something of it cannot travel.
    """
    given = Defaults(
        max_cycles=defaults.get("maxCycles", DEFAULT_MAX_CYCLES),
        max_retries=defaults.get("maxRetries", 0),
    )
    plan = fragment.plan(given)
    # Of the program's tasks only those that no edge leads to are nodes of a fragment (T8).
    found = {node.task_id: known.written(node.task_id) for node in fragment.nodes}
    static = {name: spec for name, spec in found.items() if spec is not None}
    try:
        tasks, groups = _nodes(fragment, plan, static)
        code = _code(fragment, static)
    except CaptureError as error:
        raise AttemptError(reasons.VALUE_NOT_SERIALIZABLE, str(error)) from error
    except UnsupportedError as error:
        raise AttemptError(reasons.INVALID, str(error)) from error
    return {
        "tasks": tasks,
        "groups": groups,
        "edges": [list(edge) for edge in plan.edges],
        "exits": list(fragment.exits),
        "start": list(plan.start),
        "code": code,
    }


def _nodes(
    fragment: Fragment, plan: Plan, static: Mapping[str, Mapping[str, Any]]
) -> tuple[list[Fields], list[Fields]]:
    objects = {node.task_id: node for node in fragment.nodes}
    tasks: list[Fields] = []
    groups: list[Fields] = []
    for position, node in enumerate(plan.nodes):
        name = node.id
        if name in static:
            tasks.append(dict(static[name]))
        elif isinstance(node, TaskPlan):
            task = objects[name]
            if isinstance(task, TaskWrapper):
                tasks.append({"name": name, **task_fields(node, task, plan)})
        elif isinstance(node, GroupPlan):
            head = {"name": name, "members": list(node.members), "position": position}
            groups.append({**head, **group_fields(node)})
    return tasks, groups


def _code(fragment: Fragment, static: Mapping[str, object]) -> Fields:
    """Return the code of tasks and policies by id; what instances of a function share is one."""
    forms: dict[str, object] = {}
    for node in fragment.nodes:
        if isinstance(node, TaskWrapper) and node.task_id not in static:
            forms[node.task_id] = node.portable()
        elif isinstance(node, ParallelGroup) and node.judge is not None:
            forms[node.task_id] = node.judge
    shared: dict[bytes, Leaf] = {}
    found: Fields = {}
    for name, one in pickled(forms).items():
        code = shared.setdefault(one.code, Leaf(EncodedValue("pickle", one.code)))
        parts: Fields = {"python": {"json": PYTHON}, "code": code}
        if one.arguments:
            parts["arguments"] = Leaf(EncodedValue("pickle", one.arguments))
        found[name] = {"group": parts}
    return found
