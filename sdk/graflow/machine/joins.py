"""The join rule (R3): when the tokens on a node may become an activation.

Each node has an *arrival*: the least round in which anything alive in the scope may still come to
it over an edge. With `least(u)`, the least round at which anything is alive at u or may come to u,

    arrival(v) = min over edges u -> v of  least(u) + weight(edge)
    least(v)   = min(arrival(v), rounds alive at v)

which is a shortest path over edges that weigh 0 (forward) or 1 (loop). Tokens of round r on v may
become an activation when `arrival(v) > r`. The tokens themselves do not hold each other up: every
cycle has a loop edge, so what they lead to comes back in a later round.

The numbers are kept up to date rather than computed anew: arrivals fall when something appears
(`appear`) and rise when it is gone (`vanish`). Beside each arrival stands the number of edges that
it can be had over; only when that falls to zero is it looked for again (the algorithm of Ramalingam
and Reps for shortest paths under change, 1996). So an acyclic graph costs each edge once.
"""

from heapq import heapify, heappop, heappush

from graflow.machine.graph import ScopeGraph

NEVER = 2**62
"""A round that never comes."""

_NOTHING = (NEVER, 0)


class Tracker:
    """Folds appearances and disappearances into the arrivals of one scope."""

    __slots__ = ("alive", "arrivals", "graph", "risen")

    def __init__(self, graph: ScopeGraph) -> None:
        self.graph = graph
        self.alive: dict[str, tuple[int, ...]] = {}
        """Rounds of what is alive at each node, sorted."""
        self.arrivals: dict[str, tuple[int, int]] = {}
        """For each node its arrival, and over how many edges that can be had."""
        self.risen: list[str] = []
        """Nodes whose arrival has risen: tokens on them may have become free."""

    def copy(self) -> "Tracker":
        """Return a tracker that shares nothing that changes."""
        made = Tracker(self.graph)
        made.alive = dict(self.alive)
        made.arrivals = dict(self.arrivals)
        return made

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Tracker)
            and self.alive == other.alive
            and self.arrivals == other.arrivals
        )

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        return f"Tracker(alive={self.alive!r}, arrivals={self.arrivals!r})"

    def arrival(self, node: str) -> int:
        """Return the least round in which something may still come to the node over an edge."""
        return self.arrivals.get(node, _NOTHING)[0]

    def _least(self, node: str) -> int:
        arrival = self.arrivals.get(node, _NOTHING)[0]
        rounds = self.alive.get(node)
        return rounds[0] if rounds and rounds[0] < arrival else arrival

    def appear(self, node: str, round_: int) -> None:
        """Note that something is alive at the node in the round."""
        before = self._least(node)
        rounds = self.alive.get(node)
        self.alive[node] = tuple(sorted((*rounds, round_))) if rounds else (round_,)
        if round_ < before:
            self._lower([(round_, node)])

    def vanish(self, node: str, round_: int) -> None:
        """Note that one thing alive at the node in the round is gone."""
        before = self._least(node)
        rounds = self.alive[node]
        if len(rounds) == 1:
            del self.alive[node]
        else:
            at = rounds.index(round_)
            self.alive[node] = (*rounds[:at], *rounds[at + 1 :])
        if self._least(node) > before:
            self._raise(node, before)

    def _lower(self, falling: list[tuple[int, str]]) -> None:
        """Spread smaller rounds; each entry is a node and what its `least` has fallen to."""
        heapify(falling)
        arrivals, after = self.arrivals, self.graph.after
        while falling:
            least, node = heappop(falling)
            if least > self._least(node):
                continue  # it has fallen further since
            for successor, weight in after.get(node, ()):
                arrival, support = arrivals.get(successor, _NOTHING)
                if least + weight < arrival:
                    before = self._least(successor)
                    arrivals[successor] = (least + weight, 1)
                    if least + weight < before:
                        heappush(falling, (least + weight, successor))
                elif least + weight == arrival:
                    arrivals[successor] = (arrival, support + 1)

    def _raise(self, node: str, before: int) -> None:
        """Withdraw what rested on a node whose `least` was `before`, then look for what is left."""
        unsupported: list[str] = []
        affected = [(node, before)]
        arrivals, after = self.arrivals, self.graph.after
        for at, old in affected:  # grows while it is walked
            for successor, weight in after.get(at, ()):
                arrival, support = arrivals.get(successor, _NOTHING)
                if old + weight != arrival or support == 0:
                    continue
                arrivals[successor] = (arrival, support - 1)
                if support > 1:
                    continue
                unsupported.append(successor)
                rounds = self.alive.get(successor)
                if not rounds or rounds[0] > arrival:
                    affected.append((successor, arrival))
        if unsupported:
            self._search(unsupported)

    def _search(self, unsupported: list[str]) -> None:
        """Find the arrivals of nodes that lost theirs."""
        for node in unsupported:
            self.arrivals[node] = _NOTHING
        found = {node: self._best(node) for node in unsupported}
        falling = []
        for node, best in found.items():
            before = self._least(node)
            if best[1]:
                self.arrivals[node] = best
            else:
                del self.arrivals[node]
            if best[0] < before:
                falling.append((best[0], node))
        if falling:
            self._lower(falling)
        self.risen.extend(unsupported)

    def _best(self, node: str) -> tuple[int, int]:
        arrival, support = _NOTHING
        for predecessor, weight in self.graph.before.get(node, ()):
            least = self._least(predecessor)
            if least == NEVER or least + weight > arrival:
                continue
            support = support + 1 if least + weight == arrival else 1
            arrival = least + weight
        return arrival, support
