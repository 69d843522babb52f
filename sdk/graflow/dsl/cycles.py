"""The cycles of a graph, for people who look for one that they did not mean."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

Edges = Mapping[str, Sequence[str]]


def cycles(after: Edges) -> list[list[str]]:
    """Return the cycles that pass no node twice, each from its first node on.

    Johnson's algorithm: time grows with the number of cycles, of which there can be exponentially
    many where many edges lie between the same nodes.

    Args:
        after: Successors of each node; its order is that of the answer.
    """
    order = {node: position for position, node in enumerate(after)}
    found: list[list[str]] = []
    todo = list(_knots(after))
    while todo:
        knot = todo.pop()
        first = min(knot, key=order.__getitem__)
        within = {node: [n for n in after[node] if n in knot] for node in knot}
        found += _Walk(first, within).cycles()
        todo += _knots({node: [n for n in beside if n != first] for node, beside in within.items()})
    return sorted(found, key=lambda cycle: [order[node] for node in cycle])


class _Walk:
    """The way through one knot from its first node, which leads into no dead end twice."""

    def __init__(self, first: str, after: Edges) -> None:
        self._first = first
        self._after = after
        self._blocked = {first}
        """Nodes on the path, and those that lead to the first only through the path."""
        self._waiting: dict[str, set[str]] = {}
        """Nodes to unblock with each blocked one."""

    def cycles(self) -> Iterator[list[str]]:
        """Yield the cycles that the first node is on."""
        path = [self._first]
        steps = [iter(self._after[self._first])]
        closed = [False]
        while steps:
            node = next(steps[-1], None)
            if node is None:
                steps.pop()
                self._leave(path.pop(), closes=(closes := closed.pop()))
                if closed:
                    closed[-1] |= closes
            elif node == self._first:
                closed[-1] = True
                yield list(path)
            elif node not in self._blocked:
                self._blocked.add(node)
                path.append(node)
                steps.append(iter(self._after[node]))
                closed.append(False)

    def _leave(self, node: str, *, closes: bool) -> None:
        if not closes:
            for beside in self._after[node]:
                self._waiting.setdefault(beside, set()).add(node)
            return
        todo = [node]
        while todo:
            free = todo.pop()
            if free in self._blocked:
                self._blocked.remove(free)
                todo += self._waiting.pop(free, ())


def _knots(after: Edges) -> Iterator[set[str]]:
    """Yield the sets of nodes that lie on cycles with each other.

    Tarjan's strongly connected components, without recursion.
    """
    seen: dict[str, int] = {}
    low: dict[str, int] = {}
    open_nodes: dict[str, None] = {}
    for root in after:
        walk: list[tuple[str, Iterator[str]]] = []
        if root not in seen:
            walk.append((root, _enter(root, after, seen, low, open_nodes)))
        while walk:
            node, rest = walk[-1]
            step = next(rest, None)
            if step is None:
                walk.pop()
                if walk:
                    low[walk[-1][0]] = min(low[walk[-1][0]], low[node])
                if low[node] == seen[node]:
                    knot = set(_until(node, open_nodes))
                    if len(knot) > 1 or node in after[node]:
                        yield knot
            elif step not in seen:
                walk.append((step, _enter(step, after, seen, low, open_nodes)))
            elif step in open_nodes:
                low[node] = min(low[node], seen[step])


def _enter(
    node: str, after: Edges, seen: dict[str, int], low: dict[str, int], open_nodes: dict[str, None]
) -> Iterator[str]:
    seen[node] = low[node] = len(seen)
    open_nodes[node] = None
    return iter(after[node])


def _until(node: str, open_nodes: dict[str, None]) -> Iterable[str]:
    while True:
        last, _ = open_nodes.popitem()
        yield last
        if last == node:
            return
