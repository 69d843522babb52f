"""Arrivals kept up to date are those that a search from nothing finds, whatever comes and goes."""

from hypothesis import given, settings
from hypothesis import strategies as st

from graflow.machine.graph import scope_graph
from graflow.machine.joins import NEVER, Tracker
from graflow.machine.plan import Plan, TaskPlan

NAMES = [f"n{n}" for n in range(6)]


@st.composite
def graphs(draw: st.DrawFn):
    edge = st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES))
    edges = tuple(draw(st.lists(edge, min_size=3, max_size=14, unique=True)))
    plan = Plan(tuple(TaskPlan(name) for name in NAMES), edges, (NAMES[0],))
    return scope_graph(plan, ())


def searched(graph, alive) -> dict[str, int]:
    """Shortest paths by relaxing every edge until nothing changes."""
    arrivals = dict.fromkeys(NAMES, NEVER)
    changed = True
    while changed:
        changed = False
        for node, edges in graph.after.items():
            least = min([arrivals[node], *(r for at, r in alive if at == node)])
            for successor, weight in edges:
                if least + weight < arrivals[successor]:
                    arrivals[successor] = least + weight
                    changed = True
    return arrivals


@given(graph=graphs(), data=st.data())
@settings(deadline=None)
def test_arrivals_follow_what_appears_and_vanishes(graph, data) -> None:
    tracker = Tracker(graph)
    alive: list[tuple[str, int]] = []
    for _ in range(data.draw(st.integers(1, 12))):
        before = {name: tracker.arrival(name) for name in NAMES}
        tracker.risen.clear()
        if alive and data.draw(st.booleans()):
            gone = data.draw(st.sampled_from(alive))
            alive.remove(gone)
            tracker.vanish(*gone)
        else:
            come = (data.draw(st.sampled_from(NAMES)), data.draw(st.integers(0, 3)))
            alive.append(come)
            tracker.appear(*come)
        expected = searched(graph, alive)
        assert {name: tracker.arrival(name) for name in NAMES} == expected
        risen = {name for name in NAMES if expected[name] > before[name]}
        assert risen <= set(tracker.risen), "a node whose arrival rose would not be looked at again"
