"""What a workflow becomes when it is to run: a plan for the machine, and the tasks by id."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from graflow.dsl.flow import CoordinationBackend, Executable, ParallelGroup
from graflow.dsl.graph import TaskGraph
from graflow.dsl.retry import plan_retry
from graflow.dsl.task import TaskWrapper
from graflow.exceptions import ConfigError, GraphCompilationError
from graflow.machine.check import Problem, infer_start, named_start, problems
from graflow.machine.plan import (
    DEFAULT_MAX_CYCLES,
    DEFAULT_MAX_STEPS,
    GroupPlan,
    NodePlan,
    Plan,
    TaskPlan,
)


@dataclass(frozen=True)
class Defaults:
    """For tasks that say nothing."""

    max_cycles: int = DEFAULT_MAX_CYCLES
    max_retries: int = 0


@dataclass(frozen=True)
class Carrying:
    """How the local host carries the branches of a group."""

    inline: bool
    """One after the other, in the thread that came to the group."""

    most: int | None
    """Branches that run at a time; None: all of them."""


@dataclass(frozen=True)
class Program:
    """A workflow at one moment. Drawing on goes on without changing it."""

    name: str
    plan: Plan
    tasks: Mapping[str, TaskWrapper]
    """Tasks by id, off-flow ones included; groups are in the plan alone."""

    graph: TaskGraph
    """For `ctx.graph`: every node known to the run."""

    carrying: Mapping[str, Carrying]
    """By group."""

    def off_flow(self) -> tuple[str, ...]:
        """Return the tasks that no edge and no group leads to and that are no start."""
        drawn = {node for edge in self.plan.edges for node in edge}
        placed = drawn | set(self.plan.start) | set(self.plan.group_of)
        return tuple(name for name in self.tasks if name not in placed)


def freeze_program(
    name: str,
    graph: TaskGraph,
    *,
    start_node: str | None = None,
    max_steps: int = DEFAULT_MAX_STEPS,
    defaults: Defaults | None = None,
) -> Program:
    """Make the program of a workflow.

    Args:
        name: Of the workflow.
        graph: What was drawn; it is not changed.
        start_node: Where to begin; None: at every node without a predecessor (B7).
        max_steps: Activations after which a run fails.
        defaults: For tasks that say nothing.

    Raises:
        GraphCompilationError: If the workflow cannot run; says what to draw.
        DuplicateTaskError: If two nodes have one id.
    """
    whole = graph.copy()
    _add_members(whole)
    drawn = _in_order(whole)
    defaults = defaults or Defaults()
    plans = [_node_plan(key, node, defaults) for key, node in drawn]
    inferred = None if start_node else infer_start(plans, whole.edges)
    _add_off_flow(whole)
    nodes = _in_order(whole)
    plans = [_node_plan(key, node, defaults) for key, node in nodes]
    start = named_start(plans, start_node) if start_node else inferred
    if start is None or isinstance(start, Problem):
        raise GraphCompilationError(f"workflow {name!r}: {start.message if start else 'no start'}")
    tasks = {key: node for key, node in nodes if isinstance(node, TaskWrapper)}
    plan = Plan(
        nodes=tuple(plans),
        edges=tuple(whole.edges),
        start=start,
        max_steps=max_steps,
        params={key: tuple(node.signature.parameters) for key, node in tasks.items()},
    )
    if found := problems(plan):
        raise GraphCompilationError(
            f"workflow {name!r}: {'; '.join(problem.message for problem in found)}"
        )
    carrying = {key: _carrying(node) for key, node in nodes if isinstance(node, ParallelGroup)}
    return Program(name, plan, tasks, whole, carrying)


def _in_order(graph: TaskGraph) -> list[tuple[str, Executable]]:
    return sorted(graph.items(), key=lambda item: item[1].serial)


def _add_members(graph: TaskGraph) -> None:
    """Add members that low-level programs gave to groups alone."""
    todo = [node for _, node in graph.items()]
    while todo:
        node = todo.pop()
        if isinstance(node, ParallelGroup):
            for member in node.tasks:
                if not graph.has_node(member.task_id):
                    todo.append(member)
                graph.add_node(member)


def _add_off_flow(graph: TaskGraph) -> None:
    """Add the tasks at the top level of the modules that tasks of the flow come from (B6)."""
    modules = {id(found): found for _, node in graph.items() for found in _module(node)}
    here = {id(node) for _, node in graph.items()}
    for module in modules.values():
        for value in list(module.values()):
            if isinstance(value, TaskWrapper) and id(value) not in here:
                # A name that the flow uses itself means the flow's own task.
                graph.add_node(value, skip_if_exists=True)


def _module(node: Executable) -> Iterator[dict[str, Any]]:
    if not isinstance(node, TaskWrapper):
        return
    found = getattr(node.func, "__globals__", None)
    if found is None:
        found = getattr(sys.modules.get(getattr(node.func, "__module__", "")), "__dict__", None)
    if found is not None:
        yield found


def _node_plan(key: str, node: Executable, defaults: Defaults) -> NodePlan:
    if isinstance(node, ParallelGroup):
        return GroupPlan(key, tuple(member.task_id for member in node.tasks), node.policy)
    if not isinstance(node, TaskWrapper):
        raise TypeError(f"{node!r} is neither a task nor a group; make it with @task")
    if node.handler_type != "direct":
        raise ConfigError(
            f"task {key!r} asks for the handler {node.handler_type!r}; there is only 'direct' "
            "(for an image of its own use @task(image=…))"
        )
    return TaskPlan(
        key,
        retry=plan_retry(node.max_retries, node.retry_policy, defaults.max_retries),
        timeout_s=node.timeout,
        max_cycles=node.max_cycles or defaults.max_cycles,
    )


def _carrying(group: ParallelGroup) -> Carrying:
    return Carrying(group.backend is CoordinationBackend.DIRECT, group.thread_count)
