"""Programs and news for property tests: any plan, and anything that hosts may report of it."""

from hypothesis import assume
from hypothesis import strategies as st

from graflow.machine.check import infer_start, named_start, problems
from graflow.machine.plan import (
    AtLeast,
    BestEffort,
    GroupPlan,
    GroupPolicy,
    NodePlan,
    Plan,
    Retry,
    Strict,
    TaskPlan,
)


@st.composite
def plans(draw: st.DrawFn, max_tasks: int = 7, max_steps: int = 25) -> Plan:
    """Any plan that passes the check: loops, several roots, groups inside groups, chains."""
    names = [f"t{n}" for n in range(draw(st.integers(1, max_tasks)))]
    tasks: list[NodePlan] = [
        TaskPlan(name, Retry(max_attempts=draw(st.integers(1, 2)), initial_s=draw(waits)))
        for name in names
    ]
    groups = draw(group_sets(names))
    nodes = (*tasks, *groups)
    ids = [node.id for node in nodes]
    edges = tuple(draw(st.lists(st.tuples(st.sampled_from(ids), st.sampled_from(ids)), max_size=9)))
    start = infer_start(nodes, edges)
    if not isinstance(start, tuple):
        start = named_start(nodes, draw(st.sampled_from(ids)))
    assert isinstance(start, tuple)
    plan = Plan(nodes, edges, start, max_steps)
    assume(not problems(plan))
    return plan


waits = st.sampled_from([0.0, 1.0])


@st.composite
def group_sets(draw: st.DrawFn, names: list[str]) -> list[GroupPlan]:
    """Up to two groups over the names, the second perhaps around the first."""
    groups: list[GroupPlan] = []
    free = list(names)
    for number in range(draw(st.integers(0, 2))):
        if len(free) < 2:
            break
        members = draw(st.lists(st.sampled_from(free), min_size=1, max_size=3, unique=True))
        free = [name for name in free if name not in members] + [f"G{number}"]
        groups.append(GroupPlan(f"G{number}", tuple(members), draw(policies(len(members)))))
    return groups


def policies(size: int) -> st.SearchStrategy[GroupPolicy]:
    return st.just(Strict()) | st.just(BestEffort()) | st.builds(AtLeast, st.integers(0, size))
