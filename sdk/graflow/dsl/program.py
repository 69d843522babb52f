"""What a workflow becomes when it is to run: a plan for the machine, and the tasks by id."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from graflow.dsl.flow import CoordinationBackend, Executable, ParallelGroup
from graflow.dsl.graph import TaskGraph
from graflow.dsl.handler import DIRECT, DOCKER
from graflow.dsl.plans import Defaults, node_plan
from graflow.dsl.services import Services
from graflow.dsl.task import TaskWrapper
from graflow.exceptions import ConfigError, GraphCompilationError, hint
from graflow.machine.check import Problem, infer_start, named_start, problems
from graflow.machine.defaults import DEFAULT_MAX_STEPS
from graflow.machine.plan import Plan


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

    services: Services = field(default_factory=Services)
    defaults: Defaults = field(default_factory=Defaults)
    """For what tasks build at run time, too."""

    profile: str | None = None
    """RunnerProfile of tasks that name none; the local host has no use for it."""

    deadline_s: float | None = None
    """Longest time of a whole run, in seconds."""


def freeze_program(  # noqa: PLR0913 - one keyword for each thing that a program is made of
    name: str,
    graph: TaskGraph,
    *,
    start_node: str | None = None,
    max_steps: int = DEFAULT_MAX_STEPS,
    defaults: Defaults | None = None,
    services: Services | None = None,
    profile: str | None = None,
    deadline_s: float | None = None,
) -> Program:
    """Make the program of a workflow.

    Args:
        name: Of the workflow.
        graph: What was drawn; it is not changed.
        start_node: Where to begin; None: at every node without a predecessor (B7).
        max_steps: Activations after which a run fails.
        defaults: For tasks that say nothing.
        services: What its runs are given besides.
        profile: RunnerProfile of tasks that name none.
        deadline_s: Longest time of a whole run, in seconds.

    Raises:
        GraphCompilationError: If the workflow cannot run; says what to draw.
        DuplicateTaskError: If two nodes have one id.
        ConfigError: If a task asks for a handler that nobody registered.
    """
    whole = graph.copy()
    _add_members(whole)
    drawn = _in_order(whole)
    defaults = defaults or Defaults()
    known = {key: node_plan(key, node, defaults) for key, node in drawn}
    inferred = None if start_node else infer_start(list(known.values()), whole.edges)
    _add_off_flow(whole)
    nodes = _in_order(whole)
    plans = [known.get(key) or node_plan(key, node, defaults) for key, node in nodes]
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
    carrying = {key: carrying_of(node) for key, node in nodes if isinstance(node, ParallelGroup)}
    services = services or Services()
    for key, node in tasks.items():
        _check_handler(key, node, services.handlers)
    return Program(name, plan, tasks, whole, carrying, services, defaults, profile, deadline_s)


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


def _check_handler(key: str, node: TaskWrapper, handlers: Mapping[str, object]) -> None:
    """Refuse a handler that no host has; each host refuses those that it has not itself."""
    known = (DIRECT, DOCKER, *handlers)
    if node.handler_type not in known:
        raise ConfigError(
            f"task {key!r} asks for the handler {node.handler_type!r}, which nobody registered; "
            f"{hint(node.handler_type, known)} (register one with "
            f"WorkflowEngine().register_handler({node.handler_type!r}, handler))"
        )


def carrying_of(group: ParallelGroup) -> Carrying:
    """Return how the local host carries the branches of a group."""
    return Carrying(group.backend is CoordinationBackend.DIRECT, group.thread_count)
