"""The graph of a scope: which edges lead back (R2), and which nodes a barrier absorbs (G6)."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

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

    @cached_property
    def _depths(self) -> Mapping[str, int]:
        """Places in an order in which every forward edge leads from a lesser to a greater one."""
        left = {
            node: sum(weight == FORWARD for _, weight in edges)
            for node, edges in self.before.items()
        }
        ready = [node for node, count in left.items() if not count]
        for node in ready:  # grows while it is walked
            for successor, weight in self.after[node]:
                if weight == FORWARD:
                    left[successor] -= 1
                    if not left[successor]:
                        ready.append(successor)
        return {node: place for place, node in enumerate(ready)}

    def leads(self, source: str, target: str) -> bool:
        """Return whether forward edges, one or more, lead from a node to another."""
        depths = self._depths
        deepest = depths[target]
        seen = {source}
        todo = [source] if depths[source] < deepest else []
        while todo:
            for successor, weight in self.after[todo.pop()]:
                if weight != FORWARD or successor in seen:
                    continue
                if successor == target:
                    return True
                seen.add(successor)
                if depths[successor] < deepest:
                    todo.append(successor)
        return False


def scope_graph(plan: Plan, path: Path, *, whole: bool = False) -> ScopeGraph:
    """Return the graph of a run, a fragment (empty path), or the branch that the path leads to.

    It depends on the plan alone, so it is made once per plan and never remade on resume (R2).

    Args:
        plan: Of the run or of the fragment.
        path: The (group, member) pairs that lead to a branch in it.
        whole: For a branch: with the nodes that only a jump leads to. What the member leads to is
            walked first, so its part of the graph is the same either way.
    """
    known: dict[tuple[Path, bool], ScopeGraph] = plan.__dict__.setdefault("_scope_graphs", {})
    key = (path, whole or not path)
    if key not in known:
        known[key] = _build(plan, path, whole=whole)
    return known[key]


def _build(plan: Plan, path: Path, *, whole: bool) -> ScopeGraph:
    if not path:
        starts: Iterable[str] = (*plan.start, *plan.by_id)
        taken: frozenset[str] = frozenset()
    else:
        member = path[-1][1]
        starts = (member, *plan.by_id) if whole else (member,)
        # Most members lead nowhere; what their group reaches need not be known for them.
        taken = absorbed(plan, path) if whole or plan.successors[member] else frozenset()
    after = _classify(plan, starts, taken)
    before: dict[str, list[tuple[str, int]]] = {node: [] for node in after}
    for node, edges in after.items():
        for successor, weight in edges:
            before[successor].append((node, weight))
    return ScopeGraph(
        {node: tuple(edges) for node, edges in after.items()},
        {node: tuple(edges) for node, edges in before.items()},
    )


def absorbed(plan: Plan, path: Path) -> frozenset[str]:
    """Return the nodes on which a branch puts no tokens: its barriers do, when it has ended."""
    groups = [group for group, _ in path]
    return frozenset(groups).union(*(reached(plan, group) for group in groups))


def _classify(
    plan: Plan, starts: Iterable[str], taken: frozenset[str]
) -> dict[str, list[tuple[str, int]]]:
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
            elif successor not in taken:
                after[node].append((successor, LOOP if successor in on_path else FORWARD))
                if successor not in after:
                    after[successor] = []
                    on_path.add(successor)
                    stack.append((successor, iter(plan.successors[successor])))
    return after


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
