"""Programs and news for property tests: any plan, and anything that hosts may report of it."""

from hypothesis import assume
from hypothesis import strategies as st

from graflow.machine.check import infer_start, named_start, problems
from graflow.machine.directives import Cancel, Directive, Iterate, Jump, Spawn, Terminate
from graflow.machine.objections import known_nodes, objection
from graflow.machine.plan import (
    AtLeast,
    BestEffort,
    Custom,
    Exit,
    GroupPlan,
    GroupPolicy,
    NodePlan,
    Plan,
    Retry,
    Strict,
    TaskPlan,
)
from graflow.machine.state import Activation, State


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
        policy = draw(policies(len(members)))
        retry = Retry(max_attempts=draw(st.integers(1, 2)), initial_s=draw(waits))
        groups.append(GroupPlan(f"G{number}", tuple(members), policy, retry))
    return groups


def policies(size: int) -> st.SearchStrategy[GroupPolicy]:
    return (
        st.just(Strict())
        | st.just(BestEffort())
        | st.just(Custom())
        | st.builds(AtLeast, st.integers(0, size))
    )


@st.composite
def fragments(draw: st.DrawFn, placed: list[str]) -> Plan:
    """Any piece of graph that a task can hand over, groups in groups too; it may lead outside."""
    names = [f"d{n}" for n in range(draw(st.integers(1, 4)))]
    nodes: list[NodePlan] = [TaskPlan(name) for name in names]
    groups = draw(st.integers(0, 2)) if len(names) > 1 else 0
    if groups:
        nodes.append(GroupPlan("D", tuple(names[:2]), draw(policies(2))))
    if groups > 1 and len(names) > 2:
        nodes.append(GroupPlan("E", ("D", names[2]), draw(policies(2))))
    exits = draw(st.lists(st.sampled_from(placed), max_size=1)) if placed else []
    ids = [node.id for node in nodes]
    members = {m for node in nodes if isinstance(node, GroupPlan) for m in node.members}
    targets = [name for name in (*ids, *exits) if name not in members]
    inner = st.tuples(st.sampled_from(ids), st.sampled_from(targets))
    plan = Plan(
        (*nodes, *(Exit(name) for name in exits)),
        tuple(draw(st.lists(inner, max_size=4))),
        (draw(st.sampled_from([ids[-1], *ids])),),
    )
    start = plan.start[0]
    while start in plan.group_of:
        start = plan.group_of[start]
    plan = Plan(plan.nodes, plan.edges, (start,))
    assume(not problems(plan))
    return plan


@st.composite
def directives(
    draw: st.DrawFn, plan: Plan, state: State, activation: Activation
) -> tuple[Directive, ...]:
    """Whatever a task may decide, most often nothing."""
    known = list(known_nodes(plan, state, activation.scope))
    placed = [name for name in known if name in plan.placed]
    one = (
        st.builds(Jump, st.sampled_from(known))
        | st.builds(Spawn, fragments(placed), st.booleans())
        | st.builds(Iterate, st.sampled_from([None, "data"]))
    )
    asked = list(draw(st.lists(one, max_size=2)))
    if draw(st.integers(0, 30)) == 0:
        asked.append(draw(st.sampled_from([Terminate("done"), Cancel("enough")])))
    return tuple(d for d in asked if objection(plan, state, activation, [d]) is None)
