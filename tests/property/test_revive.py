"""Any plan, any news, stopped anywhere: what is revived ends as if it had not stopped (K3)."""

import json
from collections import Counter
from zlib import crc32

from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from graflow.machine.codec import decode, encode
from graflow.machine.due import due
from graflow.machine.events import (
    AttemptClaimed,
    AttemptFailed,
    AttemptLost,
    AttemptSucceeded,
    CancelRequested,
    RunFailed,
    RunStarted,
    TimerFired,
)
from graflow.machine.plan import Plan
from graflow.machine.reasons import MAX_STEPS_EXCEEDED
from graflow.machine.reducer import reduce
from graflow.machine.revive import RevivalError, revived
from graflow.machine.scopes import groups_around, identity
from graflow.machine.state import RUN_SCOPE, Activation, Error, Phase, RunPhase, State
from property.promises import spawners_hold
from property.strategies import plans
from property.test_machine import Script, scripts

BOOM = Error("TaskFailed", "boom")
LATER = 1000.0


class Run:
    """A program under way: what its tasks decide, which of them always fail, and what ran."""

    def __init__(self, plan: Plan, script: Script, bad: int) -> None:
        self.plan = plan
        self.script = script
        self.bad = bad
        self.succeeded: list[str] = []
        self.passes: list[tuple[int, str, int]] = []
        """Scope, node and pass of what succeeded; a group that runs again has new scopes."""
        self.state = reduce(plan, State(), RunStarted(0.0))

    def copy(self) -> "Run":
        made = Run(self.plan, self.script, self.bad)
        made.state = self.state
        return made

    def goes_on(self, pick: st.DataObject | None) -> bool:
        """Let one attempt that is due end, drawn if `pick` draws; return whether there was one."""
        live = [a for a in self.state.activations.values() if a.phase.has_attempt]
        if self.state.phase.ended:
            return False
        if not live:
            self.state = reduce(self.plan, self.state, TimerFired(LATER))
            return True
        self.end(pick.draw(st.sampled_from(live)) if pick else live[0])
        return True

    def end(self, activation: Activation) -> None:
        name = identity(self.state, activation)
        number, attempt = activation.number, activation.attempt
        if self.bad and crc32(name.encode()) % self.bad == 0:
            self.state = reduce(self.plan, self.state, AttemptFailed(number, attempt, BOOM, 1.0))
            return
        decided = self.script(self.state, activation)
        if not activation.scopes:
            self.succeeded.append(name)
            self.passes.append((activation.scope, activation.node, activation.iteration))
        said = AttemptSucceeded(number, attempt, name, 1.0, decided)
        self.state = reduce(self.plan, self.state, said)

    def is_disturbed(self, data: st.DataObject) -> None:
        """Let something happen that a host may report before it stops."""
        live = [a for a in self.state.activations.values() if a.phase.has_attempt]
        if not live or self.state.phase.ended:
            return
        one = data.draw(st.sampled_from(live))
        kinds = [
            AttemptClaimed(one.number, one.attempt, "pod", 2.0),
            AttemptLost(one.number, one.attempt, BOOM, 2.0),
            CancelRequested("enough", 2.0),
            RunFailed(BOOM, 2.0),
        ]
        if not groups_around(self.state, one.scope):  # a policy might bear with it for good
            kinds.append(AttemptFailed(one.number, one.attempt, BOOM, 2.0, spends=False))
        news = data.draw(st.sampled_from(kinds))
        self.state = reduce(self.plan, self.state, news)

    def stops_and_goes_on(self) -> None:
        data = json.loads(json.dumps(encode(self.state)))
        at_rest = decode(self.plan, data)
        try:
            self.state = revived(self.plan, at_rest, LATER)
        except RevivalError:
            assume(self.state.steps < self.plan.max_steps)
            raise
        assert encode(at_rest) == data, "what was at rest has changed"
        assert decode(self.plan, encode(self.state)).scopes.keys() == self.state.scopes.keys()


def same_trackers(plan: Plan, state: State) -> None:
    """What is kept up to date is what would be derived anew."""
    back = decode(plan, json.loads(json.dumps(encode(state))))
    for number, scope in state.scopes.items():
        assert back.scopes[number].tracker.alive == scope.tracker.alive
        arrivals = {n: scope.tracker.arrival(n) for n in scope.tracker.graph.after}
        assert arrivals == {n: back.scopes[number].tracker.arrival(n) for n in arrivals}


def seen(run: Run) -> dict[str, object]:
    """Results of the run, but those of one id in two scopes: the slower one's stays."""
    scopes = Counter(node for _, node in {(scope, node) for scope, node, _ in run.passes})
    results = run.state.scopes[RUN_SCOPE].results
    return {task: found[-1].value for task, found in results.items() if scopes[task] < 2}


@given(plan=plans(max_steps=60), data=st.data())
@settings(deadline=None)
def test_a_run_that_is_stopped_and_revived_again_and_again_ends_as_one_that_is_not(
    plan: Plan, data: st.DataObject
) -> None:
    run = Run(plan, data.draw(scripts(plan)), data.draw(st.sampled_from([0, 0, 5, 11])))
    other = run.copy()
    while run.goes_on(None):
        pass
    assume(run.state.reason != MAX_STEPS_EXCEEDED)
    for _ in range(data.draw(st.integers(1, 3))):
        for _ in range(data.draw(st.integers(0, 8))):
            other.goes_on(data)
        if data.draw(st.booleans()):
            other.is_disturbed(data)
        event(f"stopped as {other.state.phase}")
        other.stops_and_goes_on()
        if not other.state.phase.ended:
            spawners_hold(other.state)
            same_trackers(plan, other.state)
    while other.goes_on(None):
        pass
    assume(other.state.reason != MAX_STEPS_EXCEEDED)
    assert max(Counter(other.passes).values(), default=1) == 1, "a success ran again"
    assert other.state.phase is run.state.phase
    if run.state.phase is RunPhase.SUCCEEDED:
        assert sorted(other.succeeded) == sorted(run.succeeded)
        assert other.state.value == run.state.value
        assert seen(other) == seen(run)


@given(plan=plans(), data=st.data())
@settings(deadline=None)
def test_no_attempt_number_is_used_by_two_runners(plan: Plan, data: st.DataObject) -> None:
    run = Run(plan, data.draw(scripts(plan)), 0)
    for _ in range(data.draw(st.integers(0, 8))):
        run.goes_on(data)
    run.is_disturbed(data)
    before = {
        a.number: a.attempt
        for a in run.state.activations.values()
        if a.phase.has_attempt or a.phase is Phase.FAILED
    }
    if run.state.reason == MAX_STEPS_EXCEEDED:
        return
    run.stops_and_goes_on()
    for command in due(plan, run.state):
        activation = getattr(command, "activation", None)
        if activation in before:
            assert command.attempt > before[activation]
