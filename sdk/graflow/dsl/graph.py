"""The graph of a workflow: nodes by id, edges in the order in which they were drawn."""

from collections.abc import Iterator
from typing import Any

from graflow.drawing import Picture, outline
from graflow.dsl.cycles import cycles
from graflow.dsl.flow import Executable, ParallelGroup
from graflow.exceptions import DuplicateTaskError, MissingPackageError, UnknownTaskError


class TaskGraph:
    """Nodes and edges. Workflows draw on one; low-level programs build it by hand."""

    def __init__(self) -> None:
        self._nodes: dict[str, Executable] = {}
        self._edges: dict[tuple[str, str], None] = {}
        self._after: dict[str, dict[str, None]] = {}
        self._before: dict[str, dict[str, None]] = {}

    @property
    def nodes(self) -> list[str]:
        """Ids of the nodes, in the order in which they came."""
        return list(self._nodes)

    @property
    def edges(self) -> list[tuple[str, str]]:
        """(from, to), in the order in which they were drawn."""
        return list(self._edges)

    def get_edges(self) -> list[tuple[str, str]]:
        """Return (from, to), in the order in which they were drawn."""
        return self.edges

    def items(self) -> Iterator[tuple[str, Executable]]:
        """Return ids and nodes, in the order in which they came."""
        return iter(self._nodes.items())

    def add_node(
        self,
        task: Executable,
        task_id: str | None = None,
        skip_if_exists: bool = False,  # noqa: FBT001, FBT002 - Graflow's own signature
    ) -> None:
        """Add a node.

        Args:
            task: A task or a group.
            task_id: Its id in this graph; by default its own.
            skip_if_exists: Keep the node of that id, if there is one.

        Raises:
            DuplicateTaskError: If another node has the id.
        """
        name = task.task_id if task_id is None else task_id
        found = self._nodes.get(name)
        if found is task or (found is not None and skip_if_exists):
            return
        if found is not None:
            raise DuplicateTaskError(name)
        self._nodes[name] = task

    def add_edge(self, before: str | Executable, after: str | Executable) -> None:
        """Draw an edge; drawing it again changes nothing.

        Raises:
            UnknownTaskError: If a side is not in the graph.
        """
        source, target = self._id(before), self._id(after)
        self._edges[source, target] = None
        self._after.setdefault(source, {})[target] = None
        self._before.setdefault(target, {})[source] = None

    def has_node(self, task_id: str) -> bool:
        """Return whether there is a node of that id."""
        return task_id in self._nodes

    def get_node(self, task_id: str) -> Executable:
        """Return the node of that id, members of groups included.

        Raises:
            UnknownTaskError: If there is none; it is a KeyError.
        """
        if task_id not in self._nodes:
            raise UnknownTaskError(task_id, self._nodes)
        return self._nodes[task_id]

    def successors(self, task_id: str) -> list[str]:
        """Return the nodes that edges lead to from this one, in the order of the edges."""
        return list(self._after.get(self._id(task_id), ()))

    def predecessors(self, task_id: str) -> list[str]:
        """Return the nodes from which edges lead to this one, in the order of the edges."""
        return list(self._before.get(self._id(task_id), ()))

    def get_start_nodes(self) -> list[str]:
        """Return the nodes that no edge leads to, members of groups apart."""
        members = {m.task_id for node in self._nodes.values() for m in _members(node)}
        return [name for name in self._nodes if not self._before.get(name) and name not in members]

    def get_parallel_group_members(self, group_id: str) -> list[str]:
        """Return the ids of a group's members, in their order; of a task: none."""
        return [member.task_id for member in _members(self.get_node(group_id))]

    def detect_cycles(self) -> list[list[str]]:
        """Return the cycles that the edges make, each as the ids along it."""
        return cycles({name: tuple(self._after.get(name, ())) for name in self._nodes})

    def picture(self) -> Picture:
        """Return what there is to draw; a graph that cannot run can be drawn."""
        groups = {name: [m.task_id for m in node.tasks] for name, node in self._groups()}
        members = {member for found in groups.values() for member in found}
        flow = {end for edge in self._edges for end in edge} | groups.keys()
        outer = [name for name in self._nodes if name not in members]
        drawn = [name for name in outer if name in flow] or outer
        start = [name for name in drawn if not self._before.get(name)] or drawn[:1]
        return Picture(list(dict.fromkeys((*self._nodes, *members))), self.edges, start, groups)

    def nx_graph(self) -> Any:  # noqa: ANN401 - networkx is optional
        """Return a `networkx.DiGraph` of the nodes and edges; a node's `task` is its object.

        Raises:
            MissingPackageError: If networkx is not installed.
        """
        try:
            import networkx as nx  # noqa: PLC0415 - optional
        except ImportError as error:
            raise MissingPackageError("networkx", "nx_graph()") from error
        made = nx.DiGraph()
        made.add_nodes_from((name, {"task": node}) for name, node in self._nodes.items())
        made.add_edges_from(self._edges)
        return made

    def rename_node(self, old: str, new: str) -> None:
        """Give a node another id in this graph.

        Raises:
            UnknownTaskError: If there is no such node.
            DuplicateTaskError: If another node has the new id.
        """
        node = self.get_node(old)
        if old == new:
            return
        if new in self._nodes:
            raise DuplicateTaskError(new)
        self._nodes = {new if name == old else name: found for name, found in self._nodes.items()}
        self._nodes[new] = node
        if self._after.get(old) or self._before.get(old):
            self._redraw({old: new})

    def remove_node(self, task_id: str) -> None:
        """Take out a node and its edges."""
        del self._nodes[self._id(task_id)]
        if self._after.get(task_id) or self._before.get(task_id):
            self._redraw({})

    def clear(self) -> None:
        """Take out everything."""
        self._nodes.clear()
        self._redraw({})

    def copy(self) -> "TaskGraph":
        """Return a graph of the same nodes and edges."""
        made = TaskGraph()
        made._nodes = dict(self._nodes)
        made._edges = dict(self._edges)
        made._redraw({})
        return made

    def __contains__(self, task_id: object) -> bool:
        return task_id in self._nodes

    def __len__(self) -> int:
        return len(self._nodes)

    def __str__(self) -> str:
        return outline(self.picture())

    def __repr__(self) -> str:
        return f"TaskGraph({len(self._nodes)} nodes, {len(self._edges)} edges)"

    def _groups(self) -> Iterator[tuple[str, ParallelGroup]]:
        return ((k, node) for k, node in self._nodes.items() if isinstance(node, ParallelGroup))

    def _id(self, node: str | Executable) -> str:
        name = node if isinstance(node, str) else node.task_id
        if name not in self._nodes:
            raise UnknownTaskError(name, self._nodes)
        return name

    def _redraw(self, renamed: dict[str, str]) -> None:
        """Draw the edges between the nodes that are left, under their new names."""
        edges = [(renamed.get(a, a), renamed.get(b, b)) for a, b in self._edges]
        self._edges, self._after, self._before = {}, {}, {}
        for before, after in edges:
            if before in self._nodes and after in self._nodes:
                self.add_edge(before, after)


def _members(node: Executable) -> list[Executable]:
    return node.tasks if isinstance(node, ParallelGroup) else []
