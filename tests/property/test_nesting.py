"""Groups in fragments in branches, as deep as tasks like to build: holding (T5), branches that are
not left (G6), joins (R3), and the value of the run by the words of R6."""

from collections.abc import Mapping
from typing import Any, TypeAlias

from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from graflow.machine.check import problems
from graflow.machine.directives import Directive, Iterate, Jump, Spawn
from graflow.machine.due import due
from graflow.machine.events import AttemptSucceeded, RunStarted
from graflow.machine.graph import absorbed
from graflow.machine.objections import known_nodes, objection
from graflow.machine.plan import BestEffort, Exit, GroupPlan, Plan, TaskPlan
from graflow.machine.reducer import reduce
from graflow.machine.scopes import node_of, plan_at
from graflow.machine.state import RUN_SCOPE, Activation, GroupValue, RunPhase, State
from property.promises import nothing_left_its_branch, nothing_was_created_too_early, spawners_hold
from property.strategies import fragments

Decided: TypeAlias = tuple[Directive, ...]
End: TypeAlias = tuple[Any, int, int, Any]
"""Place in the order of declaration, round, pass, value."""

EDGES = [
    *(("s", "G"), ("G", "after"), ("a", "a2"), ("a2", "x"), ("x", "y")),
    *(("b", "a2"), ("c", "after"), ("y", "after"), ("s", "after")),
]
DEEPEST = 5
"""Scopes in each other, from which on nothing more is built."""

BUSY = 20
"""Activations after which nothing more is built, so that most programs come to their end."""


@st.composite
def programs(draw: st.DrawFn) -> Plan:
    """A program with a group in it, or a group in a group, and some nodes beside it."""
    tasks = [TaskPlan(name) for name in draw(st.permutations(["s", "a", "b", "c", "a2", "x", "y"]))]
    inner = draw(st.booleans())
    groups = [GroupPlan("G", ("a", "H") if inner else ("a", "b"), BestEffort())]
    groups += [GroupPlan("H", ("b", "c"))] if inner else []
    nodes = (*tasks, TaskPlan("after"), *groups)
    edges = draw(st.lists(st.sampled_from(EDGES), unique=True, max_size=8))
    plan = Plan(nodes, tuple(edges), draw(st.sampled_from([("G",), ("s", "G")])), max_steps=60)
    assume(not problems(plan))
    return plan


@st.composite
def decisions(draw: st.DrawFn, plan: Plan, state: State, task: Activation) -> Decided:
    """What a task decides in its first pass: most often something to nest in."""
    if task.iteration > 1:
        return ()
    known = list(known_nodes(plan, state, task.scope))
    asked: list[Directive] = []
    if len(path(state, task.scope)) < DEEPEST and state.steps < BUSY and draw(st.booleans()):
        placed = sorted(plan.placed)
        asked.append(Spawn(draw(fragments(placed)), draw(st.booleans())))
    if draw(st.integers(0, 5)) == 0:
        asked.append(Jump(draw(st.sampled_from(known))))
    if draw(st.integers(0, 7)) == 0:
        asked.append(Iterate())
    return tuple(d for d in asked if objection(plan, state, task, [d]) is None)


def path(state: State, scope: int) -> str:
    """What a scope lies in: B for a branch, F for a fragment, the outermost first."""
    kinds = ""
    while scope != RUN_SCOPE:
        found = state.scopes[scope]
        kinds = ("B" if found.is_branch else "F") + kinds
        scope = found.parent
    return kinds


class Ends:
    """R6 by its words: which activations led to nothing further, and the best of them."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.best: dict[int, End] = {}
        self.decided: dict[int, tuple[Any, Decided]] = {}
        self.left: set[int] = set()

    def declared(self, state: State, a: Activation) -> Any:
        """Static nodes in their order, then dynamic ones by spawner, pass, call and position."""
        place = plan_at(self.plan, state, a.scope).order[a.node]
        scope = a.scope
        while scope != RUN_SCOPE and state.scopes[scope].is_branch:
            scope = state.scopes[scope].parent
        if scope == RUN_SCOPE:
            return (0, place)
        found = state.scopes[scope]
        owner = state.activations[found.owner]
        return (1, self.declared(state, owner), owner.iteration, found.call, place)

    def note(self, before: State, after: State, a: Activation, value: Any, asked: Decided) -> None:
        """Note what one success has brought to an end: the task, and what only waited for it."""
        self.decided[a.number] = (value, asked)
        for successor, _ in before.scopes[a.scope].tracker.graph.after[a.node]:
            is_exit = isinstance(plan_at(self.plan, before, a.scope).by_id[successor], Exit)
            if is_exit and not skips(asked):
                self.leaves(before, a.scope, successor, over_edge=True)
        gone = [n for n in before.activations if n not in after.activations]
        # What is inside ends before what is around it; a later scope is never around an earlier.
        for ended in sorted((before.activations[n] for n in gone), key=lambda g: -g.scope):
            self.ended(before, ended)

    def ended(self, state: State, a: Activation) -> None:
        inner: End | None = None
        if isinstance(node := node_of(self.plan, state, a), GroupPlan):
            values = [self.best.get(n, (None,) * 4)[3] for n in a.scopes]
            value: Any = GroupValue(tuple(zip(node.members, values, strict=True)))
            asked: Decided = ()
        else:
            value, asked = self.decided[a.number]
            scopes = [n for n, s in state.scopes.items() if s.owner == a.number and n != RUN_SCOPE]
            inner = max((self.best[n] for n in scopes if n in self.best), key=rank, default=None)
        moves = [d for d in asked if isinstance(d, Jump | Iterate)]
        for jump in moves:
            if isinstance(jump, Jump):
                self.leaves(state, a.scope, jump.target)
        leads = state.scopes[a.scope].tracker.graph.after[a.node] and not skips(asked)
        if not (moves or leads or a.number in self.left):
            own = (self.declared(state, a), a.round, a.iteration, value)
            others = [self.best[a.scope]] if a.scope in self.best else []
            self.best[a.scope] = max([*others, inner or own], key=rank)

    def leaves(self, state: State, scope: int, to: str, *, over_edge: bool = False) -> None:
        """T5: what goes from a fragment to a node outside is led there by its spawners."""
        left = []
        while not self.has(state, scope, to) and not state.scopes[scope].is_branch:
            owner = state.activations[state.scopes[scope].owner]
            left.append(owner.number)
            scope = owner.scope
        if over_edge and self.is_absorbed(state, scope, to):
            return
        self.left.update(left)

    def has(self, state: State, scope: int, node: str) -> bool:
        found = plan_at(self.plan, state, scope).by_id.get(node)
        return found is not None and not isinstance(found, Exit)

    def is_absorbed(self, state: State, scope: int, node: str) -> bool:
        while True:
            found = state.scopes[scope]
            if node in absorbed(plan_at(self.plan, state, scope), found.path):
                return True
            if scope == RUN_SCOPE or self.has(state, scope, node):
                return False
            scope = found.parent


def skips(asked: Decided) -> bool:
    """Whether own successors are skipped."""
    return any(isinstance(d, Jump | Iterate) or (isinstance(d, Spawn) and d.goto) for d in asked)


def rank(end: End) -> tuple[Any, int, int]:
    return end[:3]


def reached(state: State, seen: dict[str, None]) -> Mapping[str, None]:
    """Add the nestings of a state to those that were seen."""
    seen.update(dict.fromkeys(path(state, number) for number in state.scopes))
    return seen


@given(plan=programs(), data=st.data())
@settings(deadline=None, max_examples=settings().max_examples // 5)
def test_r6_t5_and_g6_hold_however_deep_groups_and_fragments_nest(
    plan: Plan, data: st.DataObject
) -> None:
    state = reduce(plan, State(), RunStarted(0.0))
    ends = Ends(plan)
    seen: dict[str, None] = {}
    while not state.phase.ended:
        start = data.draw(st.sampled_from(due(plan, state)))
        task = state.activations[start.activation]
        assert not isinstance(node_of(plan, state, task), Exit), "nobody can run an exit"
        asked: Decided = ()
        if isinstance(node_of(plan, state, task), TaskPlan):
            asked = data.draw(decisions(plan, state, task))
        before = state
        value = f"{task.number}"
        state = reduce(plan, before, AttemptSucceeded(task.number, 1, value, 1.0, asked))
        if not state.phase.ended:
            spawners_hold(state)
            nothing_was_created_too_early(before, state)
            nothing_left_its_branch(before, state, task.number)
        ends.note(before, state, task, value, asked)
        reached(state, seen)
    deepest = max(seen, key=len)
    event(f"deepest: {deepest}")
    event(f"{state.phase} {state.reason}")
    if state.phase is RunPhase.SUCCEEDED:
        assert state.value == ends.best.get(RUN_SCOPE, (None,) * 4)[3]
