"""Any plan, any news in any order, repeated, late or lost, and a crash after any fold."""

import json
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from graflow.machine.codec import decode, encode
from graflow.machine.commands import FinishRun, StartAttempt, StopAttempt, WakeAt
from graflow.machine.directives import Directive, Iterate, Jump, Spawn
from graflow.machine.due import due, next_start
from graflow.machine.events import (
    AttemptClaimed,
    AttemptFailed,
    AttemptLost,
    AttemptSucceeded,
    CancelRequested,
    Event,
    RunStarted,
    TimerFired,
)
from graflow.machine.objections import objection
from graflow.machine.plan import GroupPlan, Plan, TaskPlan
from graflow.machine.reducer import reduce
from graflow.machine.scopes import identity, node_of
from graflow.machine.state import RUN_SCOPE, Activation, Error, Phase, RunPhase, Scope, State
from property.strategies import directives, fragments, plans

BOOM = Error("TaskFailed", "boom")


def least_loops(scope: Scope, start: str) -> dict[str, int]:
    """For every node that edges lead to from `start`: the least number of loop edges on the way."""
    after = scope.tracker.graph.after
    found: dict[str, int] = {}
    todo = [(start, 0)]
    while todo:
        node, loops = todo.pop()
        for successor, weight in after.get(node, ()):
            if loops + weight < found.get(successor, 10**6):
                found[successor] = loops + weight
                todo.append((successor, loops + weight))
    return found


def may_still_come(state: State, number: int, node: str, round_: int) -> list[str]:
    """R3 by its words: what is alive in the scope and may come to the node by that round."""
    scope = state.scopes[number]
    alive = [(a.node, a.round) for a in state.activations.values() if a.scope == number] + [
        (t.node, t.round)
        for tokens in scope.tokens.values()
        for t in tokens
        if t.explicit or (t.node, t.round) != (node, round_)
    ]
    return [
        at
        for at, q in alive
        if q <= round_ and least_loops(scope, at).get(node, 10**6) <= round_ - q
    ]


def inside(state: State, number: int, outer: int) -> bool:
    while number != outer:
        if number == RUN_SCOPE:
            return False
        number = state.scopes[number].parent
    return True


def halted(state: State, number: int) -> bool:
    while not state.scopes[number].failure:
        if number == RUN_SCOPE:
            return False
        number = state.scopes[number].parent
    return True


class AnyNewsInAnyOrder(RuleBasedStateMachine):
    """Every rule of sections 2 and 3 as an invariant of every reachable state."""

    @initialize(plan=plans())
    def begin(self, plan: Plan) -> None:
        self.plan = plan
        self.now = 100.0
        self.committed: set[int] = set()
        self.state = State()
        self.hear(RunStarted(self.now))

    def hear(self, event: Event) -> None:
        before = self.state
        self.state = reduce(self.plan, before, event)
        again = reduce(self.plan, self.state, event)
        assert again is self.state, "repeated news changed the state"
        if before.phase.ended:
            assert self.state is before, "news changed a run that had ended"
        changed = self.state is not before
        assert self.state.seq == before.seq + changed
        if changed and not isinstance(event, RunStarted):
            self.nothing_was_created_too_early(before)
        if changed and isinstance(event, AttemptSucceeded):
            self.nothing_left_its_branch(before, event.activation)
        assert self.state.transitions_made >= before.transitions_made

    def nothing_was_created_too_early(self, before: State) -> None:
        decided = {
            name
            for made in self.state.transitions
            if made.number > before.transitions_made
            for name in made.target.split(", ")
        }
        for made in self.state.activations.values():
            scope = self.state.scopes[made.scope]
            explicit = scope.is_branch and scope.path[-1][1] == made.node and made.iteration == 1
            if made.number > before.steps and not explicit and made.node not in decided:
                late = may_still_come(self.state, made.scope, made.node, made.round)
                late = [at for at in late if at != made.node]
                assert not late, f"{made.node!r} was created while {late} may still come to it"

    def nothing_left_its_branch(self, before: State, activation: int) -> None:
        """G6: while the branch of the task that succeeded is open, all that is new is inside it."""
        number = before.activations[activation].scope
        while number != RUN_SCOPE and not before.scopes[number].is_branch:
            number = before.scopes[number].parent
        branch = self.state.scopes.get(number)
        if number == RUN_SCOPE or branch is None or branch.ended:
            return
        for made in self.state.activations.values():
            if made.number > before.steps:
                assert inside(self.state, made.scope, number), f"{made.node!r} left its branch"

    @rule(data=st.data())
    def something_is_said_of_any_attempt(self, data: st.DataObject) -> None:
        activation = data.draw(st.integers(1, self.state.steps + 1))
        attempt = data.draw(st.integers(1, 4))
        kind = data.draw(st.sampled_from(["claimed", "succeeded", "failed", "lost"]))
        before = self.state
        current = before.activations.get(activation)
        self.say(kind, activation, attempt)
        if current is None or current.attempt != attempt or activation in self.committed:
            assert self.state is before, "news of an attempt that is not current changed the state"
        if kind == "succeeded" and self.state is not before:
            assert activation not in self.committed, "an activation was committed twice"
            self.committed.add(activation)

    @rule(data=st.data(), kind=st.sampled_from(["claimed", "succeeded", "succeeded", "failed"]))
    def a_due_attempt_goes_on(self, data: st.DataObject, kind: str) -> None:
        live = [
            a for a in self.state.activations.values() if a.phase in (Phase.STARTING, Phase.RUNNING)
        ]
        if not live or self.state.phase.ended:
            return
        activation = data.draw(st.sampled_from(live))
        before = self.state
        decided: tuple[Directive, ...] = ()
        if kind == "succeeded" and isinstance(node_of(self.plan, before, activation), TaskPlan):
            decided = data.draw(directives(self.plan, before, activation))
        self.say(kind, activation.number, activation.attempt, decided)
        if kind == "succeeded":
            assert self.state is not before, "the success of a current attempt was not recorded"
            self.committed.add(activation.number)

    def say(
        self, kind: str, activation: int, attempt: int, decided: tuple[Directive, ...] = ()
    ) -> None:
        match kind:
            case "claimed":
                self.hear(AttemptClaimed(activation, attempt, f"pod-{attempt}", self.now))
            case "succeeded":
                value = f"v{activation}"
                self.hear(AttemptSucceeded(activation, attempt, value, self.now, decided))
            case "failed":
                self.hear(AttemptFailed(activation, attempt, BOOM, self.now))
            case "lost":
                self.hear(AttemptLost(activation, attempt, BOOM, self.now))

    @rule(seconds=st.sampled_from([0.5, 1.0, 40.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.hear(TimerFired(self.now))

    @rule()
    def the_host_crashes_and_reads_what_was_committed(self) -> None:
        data = json.loads(json.dumps(encode(self.state)))
        back = decode(self.plan, data)
        assert encode(back) == data
        assert due(self.plan, back) == due(self.plan, self.state)
        for number, scope in self.state.scopes.items():
            assert back.scopes[number].tracker.alive == scope.tracker.alive
            assert known(back.scopes[number]) == known(scope)
        self.state = back

    @invariant()
    def one_activation_of_a_node_runs_in_a_scope(self) -> None:
        running = [
            (a.scope, a.node)
            for a in self.state.activations.values()
            if a.phase in (Phase.STARTING, Phase.RUNNING, Phase.BACKOFF)
        ]
        assert len(running) == len(set(running))

    @invariant()
    def tokens_wait_exactly_while_something_may_still_come(self) -> None:
        if self.state.phase.ended:
            return
        for number, scope in self.state.scopes.items():
            if halted(self.state, number):
                continue
            for tokens in scope.tokens.values():
                for token in tokens:
                    if token.explicit:
                        holder = self.state.activations[scope.owner]
                        assert holder.phase is Phase.BACKOFF, "an explicit token waits for nothing"
                        continue
                    assert may_still_come(self.state, number, token.node, token.round), (
                        f"nothing can come to {token.node!r} any more, and it does not start"
                    )

    @invariant()
    def a_run_that_goes_on_has_something_to_do(self) -> None:
        if self.state.phase is not RunPhase.RUNNING:
            return
        busy = [a for a in self.state.activations.values() if a.phase is Phase.RUNNING]
        assert busy or due(self.plan, self.state), "nothing runs, nothing is due, and no end"

    @invariant()
    def what_holds_is_held_by_scopes_that_are_open(self) -> None:
        if self.state.phase.ended:
            return
        owners = {n: s.owner for n, s in self.state.scopes.items() if n != RUN_SCOPE}
        for number, owner in owners.items():
            assert number in self.state.activations[owner].scopes
        for a in self.state.activations.values():
            assert all(n in owners for n in a.scopes)
            open_ones = [n for n in a.scopes if not self.state.scopes[n].ended]
            if a.phase is Phase.HOLDING:
                assert open_ones or any(self.state.scopes[n].failure for n in a.scopes)

    @invariant()
    def results_that_a_branch_may_read_are_kept_for_exactly_as_long(self) -> None:
        for number, scope in self.state.scopes.items():
            seeing = [
                n
                for n, other in self.state.scopes.items()
                if other.is_branch and number in enclosing(self.state, n)
            ]
            assert scope.children == len(seeing)

    @invariant()
    def nothing_starts_in_a_scope_that_failed(self) -> None:
        for number in self.state.starting:
            assert not halted(self.state, self.state.activations[number].scope)

    @invariant()
    def steps_stay_within_their_bound(self) -> None:
        assert self.state.steps <= self.plan.max_steps

    @invariant()
    def what_is_due_follows_from_the_phase(self) -> None:
        for command in due(self.plan, self.state):
            match command:
                case StartAttempt(activation=number, attempt=attempt):
                    live = self.state.activations[number]
                    assert (live.phase, live.attempt) == (Phase.STARTING, attempt)
                case StopAttempt() | FinishRun():
                    assert self.state.phase.ended
                case WakeAt(at=at):
                    assert at in {a.not_before for a in self.state.activations.values()}


def enclosing(state: State, branch: int) -> list[int]:
    """The scopes around a branch that it reads through, up to the next branch or the run."""
    found = []
    number = state.scopes[branch].parent
    while True:
        found.append(number)
        if number == RUN_SCOPE or state.scopes[number].is_branch:
            return found
        number = state.scopes[number].parent


def known(scope: Scope) -> dict[str, int]:
    """The arrivals that are not `never`, without how often each can be had."""
    return {node: arrival for node, (arrival, support) in scope.tracker.arrivals.items() if support}


TestAnyNewsInAnyOrder = AnyNewsInAnyOrder.TestCase
TestAnyNewsInAnyOrder.settings = settings(stateful_step_count=30, deadline=None)


Script = Callable[[State, Activation], tuple[Directive, ...]]


def nothing(state: State, activation: Activation) -> tuple[Directive, ...]:
    del state, activation
    return ()


def drive(
    plan: Plan, order: st.DataObject | None = None, script: Script = nothing
) -> tuple[State, list[str]]:
    """Run a plan to its end, all attempts succeeding; any due attempt first when `order` draws.

    Returns:
        The state, and the identity of every activation that ran.
    """
    state = reduce(plan, State(), RunStarted(0.0))
    ran = []
    while start := next_start(state):
        if order:
            starts = [c for c in due(plan, state) if isinstance(c, StartAttempt)]
            start = order.draw(st.sampled_from(starts))
        activation = state.activations[start.activation]
        ran.append(identity(state, activation))
        decided = script(state, activation)
        value = f"{activation.node}#{activation.iteration}"
        event = AttemptSucceeded(start.activation, start.attempt, value, 1.0, decided)
        state = reduce(plan, state, event)
    return state, ran


@st.composite
def scripts(draw: st.DrawFn, plan: Plan) -> Script:
    """What tasks decide, by node and pass, such that it cannot matter which of two was faster.

    Each target has one jumper: of two jumps to one node the order decides which pass is whose.
    """
    jumpers = draw(st.permutations(list(plan.by_id)))
    targets = draw(st.lists(st.sampled_from(list(plan.by_id)), max_size=2, unique=True))
    jumps = dict(zip(jumpers, targets, strict=False))
    placed = sorted(plan.placed)
    spawns = draw(
        st.dictionaries(st.sampled_from(list(plan.by_id)), fragments([*placed]), max_size=2)
    )
    passes = draw(st.dictionaries(st.sampled_from(list(plan.by_id)), st.integers(1, 2), max_size=2))

    def script(state: State, activation: Activation) -> tuple[Directive, ...]:
        node = activation.node
        if isinstance(node_of(plan, state, activation), GroupPlan) or node not in plan.by_id:
            return ()
        asked: list[Directive] = []
        if node in spawns and activation.iteration == 1:
            asked.append(Spawn(spawns[node]))
        if node in jumps and activation.iteration == 1:
            asked.append(Jump(jumps[node]))
        if activation.iteration <= passes.get(node, 0):
            asked.append(Iterate("more"))
        return tuple(d for d in asked if objection(plan, state, activation, [d]) is None)

    return script


@given(data=st.data(), plan=plans(max_steps=60))
@settings(deadline=None)
def test_the_order_in_which_attempts_end_changes_neither_what_runs_nor_the_result(
    plan: Plan, data: st.DataObject
) -> None:
    script = data.draw(scripts(plan))
    first, ran = drive(plan, None, script)
    other, ran_other = drive(plan, data, script)
    assert first.phase.ended
    assert other.phase is first.phase
    if first.phase is RunPhase.SUCCEEDED:
        assert sorted(ran_other) == sorted(ran)
        assert other.value == first.value
        assert visible_results(other) == visible_results(first)


def visible_results(state: State) -> dict[str, object]:
    return {task: found[-1].value for task, found in state.scopes[RUN_SCOPE].results.items()}


@given(plan=plans())
@settings(deadline=None)
def test_every_acyclic_node_runs_at_most_once_in_a_scope(plan: Plan) -> None:
    state, ran = drive(plan)
    looping = {
        node
        for scope in state.scopes.values()
        for node, edges in scope.tracker.graph.after.items()
        if any(weight for _, weight in edges)
    }
    if not looping and not any(isinstance(n, GroupPlan) for n in plan.nodes):
        assert len(ran) == len(set(ran)) == len({name.split("#")[0] for name in ran})


@given(plan=plans())
@settings(deadline=None)
def test_a_cancelled_run_stops_what_runs_and_hears_nothing_more(plan: Plan) -> None:
    state = reduce(plan, State(), RunStarted(0.0))
    start = next_start(state)
    state = reduce(plan, state, CancelRequested("enough", 2.0))
    assert state.phase is RunPhase.CANCELLED
    assert FinishRun() in due(plan, state)
    if start:
        assert StopAttempt(start.activation, start.attempt) in due(plan, state)
        late = AttemptSucceeded(start.activation, start.attempt, "late", 3.0)
        assert reduce(plan, state, late) is state
