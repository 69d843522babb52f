"""What a running task built and handed over: a piece of graph that runs in a scope of its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from graflow.dsl.current import Place
from graflow.dsl.flow import Executable, ParallelGroup, Side, heads_of
from graflow.dsl.plans import Defaults, node_plan
from graflow.dsl.task import TaskWrapper
from graflow.exceptions import DuplicateTaskError, GraphCompilationError
from graflow.machine.check import problems
from graflow.machine.plan import Exit, Plan

if TYPE_CHECKING:
    from graflow.dsl.graph import TaskGraph


class Known(Protocol):
    """The tasks that a running task can go to."""

    @property
    def graph(self) -> "TaskGraph":
        """Those of the run, and of the fragments around the task."""

    def is_placed(self, task_id: str, /) -> bool:
        """Return whether a task known to the run has a place in a flow: an edge, or a group."""

    def is_static(self, task_id: str, /) -> bool:
        """Return whether a task of that id was there before the run began."""


@dataclass(frozen=True, slots=True)
class Fragment:
    """Nodes and edges that belong to nothing else yet."""

    nodes: tuple[Executable, ...]
    """In order of declaration."""

    edges: tuple[tuple[str, str], ...]
    start: tuple[str, ...]
    exits: tuple[str, ...]
    """Tasks of the flow that the fragment leads to: coming there is a jump out of it (T8)."""

    def plan(self, defaults: Defaults, payload: Mapping[str, object] | None = None) -> Plan:
        """Return the machine's form.

        Args:
            defaults: For tasks that say nothing.
            payload: What the host keeps about the nodes.
        """
        tasks = {node.task_id: node for node in self.nodes if isinstance(node, TaskWrapper)}
        return Plan(
            nodes=(
                *(node_plan(node.task_id, node, defaults) for node in self.nodes),
                *(Exit(name) for name in self.exits),
            ),
            edges=self.edges,
            start=self.start,
            params={name: tuple(node.signature.parameters) for name, node in tasks.items()},
            payload=payload or {},
        )


def fragment_of(part: Side, place: Place, known: Known) -> Fragment:
    """Return what leads on from a part that the running task has built.

    Raises:
        DuplicateTaskError: If a new task has the id of one in the workflow (T7).
        GraphCompilationError: If it cannot run; says what to draw.
    """
    graph = place.graph
    start = tuple(head.task_id for head in heads_of(part))
    found: dict[str, Executable] = {}
    todo = list(reversed(start))
    while todo:
        name = todo.pop()
        if name in found:
            continue
        node = found[name] = graph.get_node(name)
        todo += reversed(graph.successors(name))
        if isinstance(node, ParallelGroup) and not _is_exit(node, place, known):
            todo += [member.task_id for member in reversed(node.tasks)]
    for node in found.values():
        if node.built_at is place and known.is_static(node.task_id):
            raise DuplicateTaskError(node.task_id)
    exits = tuple(name for name, node in found.items() if _is_exit(node, place, known))
    inner = [node for name, node in found.items() if name not in exits]
    fragment = Fragment(
        nodes=tuple(sorted(inner, key=lambda node: node.serial)),
        edges=tuple((a, b) for a in found for b in graph.successors(a)),
        start=start,
        exits=exits,
    )
    if wrong := problems(fragment.plan(Defaults())):
        raise GraphCompilationError("; ".join(problem.message for problem in wrong))
    place.hand_over(found)
    return fragment


def _is_exit(node: Executable, place: Place, known: Known) -> bool:
    return node.built_at is not place and known.is_placed(node.task_id)
