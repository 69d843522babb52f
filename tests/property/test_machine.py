"""Any plan, any news in any order, repeated, late or lost, and a crash after any fold."""

import json
from collections.abc import Callable, Iterable

from hypothesis import given, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from graflow.machine.changes import applied, changes
from graflow.machine.codec import decode, encode
from graflow.machine.commands import AskPerson, FinishRun, StartAttempt, StopAttempt, WakeAt
from graflow.machine.directives import Directive, Iterate, Jump, Spawn
from graflow.machine.due import due
from graflow.machine.events import (
    AttemptClaimed,
    AttemptFailed,
    AttemptLost,
    AttemptParked,
    AttemptSucceeded,
    CancelRequested,
    Event,
    QuestionAnswered,
    QuestionAsked,
    RunStarted,
    TimerFired,
    ValueKept,
)
from graflow.machine.graph import reached
from graflow.machine.objections import objection
from graflow.machine.plan import GroupPlan, Plan, TaskPlan
from graflow.machine.reducer import reduce
from graflow.machine.scopes import identity, node_of
from graflow.machine.state import (
    RUN_SCOPE,
    Activation,
    Error,
    Phase,
    Question,
    RunPhase,
    Scope,
    State,
)
from property.promises import (
    halted,
    may_still_come,
    nothing_left_its_branch,
    nothing_was_created_too_early,
    spawners_hold,
)
from property.strategies import directives, fragments, plans

BOOM = Error("TaskFailed", "boom")


class AnyNewsInAnyOrder(RuleBasedStateMachine):
    """Every rule of sections 2 and 3 as an invariant of every reachable state."""

    @initialize(plan=plans())
    def begin(self, plan: Plan) -> None:
        self.plan = plan
        self.now = 100.0
        self.committed: set[int] = set()
        self.state = State()
        self.written = encode(self.state)
        self.unwritten = self.state
        self.log: list[str] = []
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
            nothing_was_created_too_early(before, self.state)
        if changed and isinstance(event, AttemptSucceeded):
            nothing_left_its_branch(before, self.state, event.activation)
        if not self.state.phase.ended:
            spawners_hold(self.state)
        assert self.state.transitions_made >= before.transitions_made

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

    @rule(data=st.data())
    def the_innermost_task_hands_over_groups(self, data: st.DataObject) -> None:
        live = [
            a
            for a in self.state.activations.values()
            if a.phase in (Phase.STARTING, Phase.RUNNING)
            and isinstance(node_of(self.plan, self.state, a), TaskPlan)
        ]
        if not live or self.state.phase.ended or len(self.state.scopes) > 5:
            return
        task = max(live, key=lambda a: a.scope)
        spawn = Spawn(data.draw(fragments([])))
        if objection(self.plan, self.state, task, [spawn]) is None:
            self.say("succeeded", task.number, task.attempt, (spawn,))
            self.committed.add(task.number)

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

    @rule(data=st.data())
    def a_task_asks_keeps_and_parks(self, data: st.DataObject) -> None:
        """Of any attempt, now and then of one that is not current."""
        activation = data.draw(st.integers(1, self.state.steps + 1))
        attempt = data.draw(st.integers(1, 4))
        key = data.draw(st.sampled_from("pq"))
        waits_for = tuple(data.draw(st.sets(st.sampled_from("pq"))))
        asked = Question(key, "digest", {"prompt": key})
        event = data.draw(
            st.sampled_from(
                [
                    QuestionAsked(activation, attempt, asked, self.now),
                    ValueKept(activation, attempt, key, "kept", self.now),
                    AttemptParked(activation, attempt, self.now, waits_for),
                ]
            )
        )
        self.hear(event)

    @rule(data=st.data(), answer=st.sampled_from(["yes", "no"]))
    def somebody_answers(self, data: st.DataObject, answer: str) -> None:
        activation = data.draw(st.sampled_from([*self.state.asking, self.state.steps + 1]))
        key = data.draw(st.sampled_from("pq"))
        before = self.state.activations.get(activation)
        given = {q.key: q.answer for q in before.questions if q.answer} if before else {}
        self.hear(QuestionAnswered(activation, key, answer, self.now))
        after = self.state.activations.get(activation)
        if after:
            now = {q.key: q.answer for q in after.questions if q.answer}
            assert now.items() >= given.items(), "an answer was replaced by a later one"

    @invariant()
    def whoever_has_parked_waits_for_an_answer_and_is_asked_about(self) -> None:
        if self.state.phase.ended:
            return
        asked = [c for c in due(self.plan, self.state) if isinstance(c, AskPerson)]
        for a in self.state.activations.values():
            is_open = [q.key for q in a.questions if q.answer is None] if a.is_asking else []
            assert is_open == [c.key for c in asked if c.activation == a.number]
            assert (a.number in self.state.asking) == bool(is_open)
            if a.phase is Phase.PARKED:
                assert is_open, "it has parked, and nothing can wake it"
                assert not halted(self.state, a.scope)

    @rule(seconds=st.sampled_from([0.5, 1.0, 40.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.hear(TimerFired(self.now))

    @rule()
    def the_host_writes_what_has_changed(self) -> None:
        self.log.append(json.dumps(changes(self.unwritten, self.state)))
        self.unwritten = self.state
        read = applied(self.written, map(json.loads, self.log))
        assert read == encode(self.state)
        assert json.dumps(read, sort_keys=True) == json.dumps(encode(self.state), sort_keys=True)

    @rule()
    def the_host_crashes_and_reads_what_was_committed(self) -> None:
        self.the_host_writes_what_has_changed()
        data = json.loads(json.dumps(encode(self.state)))
        back = decode(self.plan, data)
        assert encode(back) == data
        assert due(self.plan, back) == due(self.plan, self.state)
        for number, scope in self.state.scopes.items():
            assert back.scopes[number].tracker.alive == scope.tracker.alive
            assert known(back.scopes[number]) == known(scope)
        self.state = self.unwritten = back

    @invariant()
    def one_activation_of_a_node_runs_in_a_scope(self) -> None:
        running = [
            (a.scope, a.node)
            for a in self.state.activations.values()
            if a.phase in (Phase.STARTING, Phase.RUNNING, Phase.BACKOFF, Phase.PARKED)
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
    while starts := [c for c in due(plan, state) if isinstance(c, StartAttempt)]:
        start = order.draw(st.sampled_from(starts)) if order else starts[0]
        activation = state.activations[start.activation]
        ran.append(identity(state, activation))
        decided = script(state, activation)
        note(f"{ran[-1]} {decided}")
        value = f"{activation.node}#{activation.iteration}"
        event = AttemptSucceeded(start.activation, start.attempt, value, 1.0, decided)
        state = reduce(plan, state, event)
    return state, ran


def loops(plan: Plan) -> bool:
    return any(node in reached(plan, node) for node in plan.by_id)


def around(plan: Plan, nodes: Iterable[str]) -> set[str]:
    """The nodes with all that edges and memberships lead to from them."""
    found: set[str] = set()
    todo = list(nodes)
    while todo:
        node = todo.pop()
        if node not in found:
            found.add(node)
            todo += plan.successors[node]
            todo += getattr(plan.by_id[node], "members", ())
    return found


@st.composite
def scripts(draw: st.DrawFn, plan: Plan) -> Script:
    """What tasks decide, by node and pass, such that it cannot matter which of two was faster.

    It does matter where a jump comes to what may be running already: what both lead to merges when
    it was in time. So there is one jump, along the edges, against them, or to what nothing else
    leads to; and none in a program with loops, whose laps it could meet.
    """
    jumps: dict[str, str] = {}
    ways: dict[str, list[str]] = {node: [] for node in plan.by_id}
    if not loops(plan):
        ways = {node: sorted(reached(plan, node) & plan.placed) for node in plan.by_id}
        jumper, target = draw(st.tuples(*[st.sampled_from(list(plan.by_id))] * 2))
        flow = around(plan, plan.start)
        if target in ways[jumper] or jumper in ways[target] or not flow & around(plan, [target]):
            jumps[jumper] = target
    spawners = draw(st.lists(st.sampled_from(list(plan.by_id)), unique=True, max_size=2))
    spawns = {node: draw(fragments(ways[node])) for node in spawners}
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
    note(f"one after the other: {ran}")
    other, ran_other = drive(plan, data, script)
    note(f"in another order: {ran_other}")
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
    start = next((c for c in due(plan, state) if isinstance(c, StartAttempt)), None)
    state = reduce(plan, state, CancelRequested("enough", 2.0))
    assert state.phase is RunPhase.CANCELLED
    assert FinishRun() in due(plan, state)
    if start:
        assert StopAttempt(start.activation, start.attempt) in due(plan, state)
        late = AttemptSucceeded(start.activation, start.attempt, "late", 3.0)
        assert reduce(plan, state, late) is state
