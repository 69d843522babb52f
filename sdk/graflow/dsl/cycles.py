"""The cycles of a graph, for people who look for one that they did not mean."""

from collections.abc import Iterator, Mapping, Sequence

Edges = Mapping[str, Sequence[str]]


def cycles(after: Edges) -> list[list[str]]:
    """Return the cycles that pass no node twice, each from its first node on.

    There can be exponentially many where many edges lie between the same nodes.

    Args:
        after: Successors of each node; its order is that of the answer.
    """
    order = {node: position for position, node in enumerate(after)}
    knots = _knots(after)
    found: list[list[str]] = []
    for first in after:
        knot = knots[first]

        def within(node: str, first: str = first, knot: int = knot) -> Iterator[str]:
            """Return where a cycle that begins at `first` may go on."""
            return (n for n in after[node] if knots[n] == knot and order[n] >= order[first])

        path = [first]
        steps = [within(first)]
        while steps:
            node = next(steps[-1], None)
            if node is None:
                steps.pop()
                path.pop()
            elif node == first:
                found.append(list(path))
            elif node not in path:
                path.append(node)
                steps.append(within(node))
    return found


def _knots(after: Edges) -> Mapping[str, int]:
    """Return a number for each node, the same for those that lie on cycles with each other.

    Tarjan's strongly connected components, without recursion.
    """
    seen: dict[str, int] = {}
    low: dict[str, int] = {}
    open_nodes: dict[str, None] = {}
    knots: dict[str, int] = {}
    for root in after:
        if root in seen:
            continue
        walk: list[tuple[str, Iterator[str]]] = [(root, iter(after[root]))]
        seen[root] = low[root] = len(seen)
        open_nodes[root] = None
        while walk:
            node, rest = walk[-1]
            step = next(rest, None)
            if step is None:
                walk.pop()
                if walk:
                    low[walk[-1][0]] = min(low[walk[-1][0]], low[node])
                if low[node] == seen[node]:
                    _close(node, open_nodes, knots, seen[node])
            elif step not in seen:
                seen[step] = low[step] = len(seen)
                open_nodes[step] = None
                walk.append((step, iter(after[step])))
            elif step in open_nodes:
                low[node] = min(low[node], seen[step])
    return knots


def _close(node: str, open_nodes: dict[str, None], knots: dict[str, int], number: int) -> None:
    while node not in knots:
        last, _ = open_nodes.popitem()
        knots[last] = number
