"""Arrivals kept up to date are those that a search from nothing finds, whatever comes and goes."""

from hypothesis import given, settings
from hypothesis import strategies as st

from graflow.machine.graph import scope_graph
from graflow.machine.joins import NEVER, Tracker
from graflow.machine.plan import Plan, TaskPlan

NAMES = [f"n{n}" for n in range(5)]
EDGES = [(before, after) for before in NAMES for after in NAMES]


@st.composite
def graphs(draw: st.DrawFn):
    edges = tuple(draw(st.lists(st.sampled_from(EDGES), min_size=3, max_size=14, unique=True)))
    plan = Plan(tuple(TaskPlan(name) for name in NAMES), edges, (NAMES[0],))
    return scope_graph(plan, ())


def searched(graph, alive) -> dict[str, tuple[int, int]]:
    """Arrivals by relaxing edges until nothing changes, and over how many edges each is had."""

    def least(node: str) -> int:
        return min([arrivals[node], *(r for at, r in alive if at == node)])

    edges = [(node, *edge) for node, after in graph.after.items() for edge in after]
    arrivals = dict.fromkeys(NAMES, NEVER)
    changed = True
    while changed:
        changed = False
        for node, successor, weight in edges:
            if least(node) + weight < arrivals[successor]:
                arrivals[successor] = least(node) + weight
                changed = True
    return {
        name: (arrival, sum(to == name and least(at) + w == arrival for at, to, w in edges))
        for name, arrival in arrivals.items()
        if arrival != NEVER
    }


@given(graph=graphs(), data=st.data())
@settings(deadline=None)
def test_r3_arrivals_follow_what_appears_and_vanishes(graph, data) -> None:
    tracker = Tracker(graph)
    alive: list[tuple[str, int]] = []
    for _ in range(data.draw(st.integers(1, 20))):
        before = {name: tracker.arrival(name) for name in NAMES}
        tracker.risen.clear()
        if alive and data.draw(st.integers(0, 5)) > 2:
            gone = data.draw(st.sampled_from(alive))
            alive.remove(gone)
            tracker.vanish(*gone)
        else:
            come = (data.draw(st.sampled_from(NAMES)), data.draw(st.integers(0, 3)))
            alive.append(come)
            tracker.appear(*come)
        expected = searched(graph, alive)
        assert tracker.arrivals == expected
        assert all(tracker.alive.get(n, ()) == rounds_at(alive, n) for n in NAMES)
        risen = {name for name in NAMES if tracker.arrival(name) > before[name]}
        assert risen <= set(tracker.risen), "a node whose arrival rose would not be looked at again"


def rounds_at(alive, node: str) -> tuple[int, ...]:
    return tuple(sorted(r for at, r in alive if at == node))


def test_r3_what_is_alive_at_a_node_still_supports_what_follows_when_nothing_comes_to_it() -> None:
    names = ("s", "u", "v", "w")
    edges = (("s", "u"), ("u", "v"), ("w", "v"))
    plan = Plan(tuple(TaskPlan(name) for name in names), edges, ("s", "w"))
    tracker = Tracker(scope_graph(plan, ()))
    for node in ("s", "u", "w"):
        tracker.appear(node, 0)
    tracker.vanish("s", 0)
    assert tracker.arrivals == {"v": (0, 2)}
    assert tracker.risen == ["u"]
