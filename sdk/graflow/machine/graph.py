"""The graph of a scope: which edges lead back (R2), and which nodes a barrier absorbs (G6)."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from graflow.machine.plan import Plan

FORWARD = 0
LOOP = 1
"""Weight of an edge: the rounds that a token gains on it."""

Path = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ScopeGraph:
    """The edges that tokens of a scope travel on, with the rounds that each one adds."""

    after: Mapping[str, tuple[tuple[str, int], ...]]
    """Successors with weights, in the order in which the edges were drawn."""

    before: Mapping[str, tuple[tuple[str, int], ...]]
    """Predecessors with weights."""


def scope_graph(plan: Plan, path: Path) -> ScopeGraph:
    """Return the graph of the run (empty path) or of the branch that the path leads to.

    It depends on the plan alone, so it is made once per plan and never remade on resume (R2).
    """
    known: dict[Path, ScopeGraph] = plan.__dict__.setdefault("_scope_graphs", {})
    if path not in known:
        known[path] = _build(plan, path)
    return known[path]


def _build(plan: Plan, path: Path) -> ScopeGraph:
    if not path:
        starts: Iterable[str] = (*plan.start, *plan.by_id)
        absorbed: frozenset[str] = frozenset()
    else:
        member = path[-1][1]
        starts = (member,)
        # Most members lead nowhere; what their group reaches need not be known for them.
        leads = bool(plan.successors[member])
        absorbed = frozenset().union(*(reached(plan, g) for g, _ in path)) if leads else frozenset()
    after = _classify(plan, starts, absorbed)
    before: dict[str, list[tuple[str, int]]] = {node: [] for node in after}
    for node, edges in after.items():
        for successor, weight in edges:
            before[successor].append((node, weight))
    return ScopeGraph(after, {node: tuple(edges) for node, edges in before.items()})


def _classify(
    plan: Plan, starts: Iterable[str], absorbed: frozenset[str]
) -> dict[str, tuple[tuple[str, int], ...]]:
    """Walk depth first; an edge to a node on the current path is a loop edge."""
    after: dict[str, list[tuple[str, int]]] = {}
    on_path: set[str] = set()
    for start in starts:
        if start in after:
            continue
        stack: list[tuple[str, Iterator[str]]] = [(start, iter(plan.successors[start]))]
        after[start] = []
        on_path.add(start)
        while stack:
            node, rest = stack[-1]
            successor = next(rest, None)
            if successor is None:
                on_path.remove(node)
                stack.pop()
            elif successor not in absorbed:
                after[node].append((successor, LOOP if successor in on_path else FORWARD))
                if successor not in after:
                    after[successor] = []
                    on_path.add(successor)
                    stack.append((successor, iter(plan.successors[successor])))
    return {node: tuple(edges) for node, edges in after.items()}


def reached(plan: Plan, node: str) -> frozenset[str]:
    """Return the nodes that edges lead to from a node, by one edge or more."""
    known: dict[str, frozenset[str]] = plan.__dict__.setdefault("_reached", {})
    if node not in known:
        found: set[str] = set()
        todo = list(plan.successors[node])
        while todo:
            at = todo.pop()
            if at not in found:
                found.add(at)
                todo.extend(plan.successors[at])
        known[node] = frozenset(found)
    return known[node]
