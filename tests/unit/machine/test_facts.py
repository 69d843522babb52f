"""Facts that come early, late or twice, and that a pure fold leaves the state before as it was."""

import json

from graflow.machine.codec import encode
from graflow.machine.commands import FinishRun, StopAttempt, WakeAt
from graflow.machine.directives import Iterate, Jump, Spawn, Terminate
from graflow.machine.events import AttemptSucceeded, CancelRequested, RunFailed, TimerFired
from graflow.machine.plan import DEFAULT_MAX_LOSSES, BestEffort, Plan, Retry, TaskPlan
from graflow.machine.reducer import reduce
from graflow.machine.retry import backoff_s, loss_backoff_s
from graflow.machine.state import Error, Phase, RunPhase, State
from support.plans import Host, fragment, plan_of


class Watching(Host):
    """A host that compares the state before each fold with what is left of it afterwards."""

    def hear(self, event):
        before = self.state
        was = told(before)
        super().hear(event)
        assert told(before) == was


def told(state: State) -> str:
    """All that a state says, also what is not persisted."""
    derived = [
        [sorted(s.tracker.alive.items()), sorted(s.tracker.arrivals.items()), [*s.queues.items()]]
        for s in state.scopes.values()
    ]
    return json.dumps([encode(state), derived, [*state.backoff], [*state.starting]])


def test_a_pure_fold_changes_nothing_of_the_state_that_it_was_given():
    plan = plan_of(
        "s >> a >> d; s >> b >> d; d >> G >> e",
        {"G": "x y"},
        policies={"G": BestEffort()},
        retry=Retry(2, initial_s=1.0),
    )
    host = Watching(plan)
    host.end("s")
    host.end("a", Spawn(fragment("n >> m")), Iterate("more"))
    host.fail("b")
    host.wake()
    host.end("b")
    host.end("n", Jump("d"))
    host.go()
    assert host.state.phase is RunPhase.SUCCEEDED
    assert host.ran[-3:] == ["x", "y", "e"]


def test_f1_nothing_can_be_known_of_an_attempt_that_waits_to_begin():
    host = Host(plan_of("a", retry=Retry(2, initial_s=5.0)))
    host.fail("a")
    assert (host.find("a").phase, host.find("a").attempt) == (Phase.BACKOFF, 2)
    early = AttemptSucceeded(1, 2, "early", 0.0)
    assert reduce(host.plan, host.state, early) is host.state


def test_r4_nothing_can_be_known_of_an_activation_whose_turn_has_not_come():
    host = Host(plan_of("a; b; x", start=("a", "b")))
    host.end("a", Jump("x"))
    host.end("b", Jump("x"))
    waiting = max(host.state.activations)
    assert host.state.activations[waiting].phase is Phase.PENDING
    early = AttemptSucceeded(waiting, 1, "early", 0.0)
    assert reduce(host.plan, host.state, early) is host.state


def test_a_run_can_be_ended_before_it_has_begun():
    plan = plan_of("a")
    cancelled = reduce(plan, State(), CancelRequested("no", 1.0))
    assert (cancelled.phase, cancelled.message) == (RunPhase.CANCELLED, "no")
    failed = reduce(plan, State(), RunFailed(Error("Invalid", "bad"), 1.0))
    assert (failed.phase, failed.reason) == (RunPhase.FAILED, "Invalid")
    begun = State()
    assert reduce(plan, begun, TimerFired(1.0)) is begun


def test_t5_a_spawner_that_needed_two_attempts_holds_without_its_old_error():
    host = Host(plan_of("a", retry=Retry(2)))
    host.fail("a")
    host.end("a", Spawn(fragment("n")))
    holding = host.find("a")
    assert (holding.phase, holding.error, holding.claim) == (Phase.HOLDING, None, "")


def test_transitions_of_one_fold_are_all_kept_for_the_host_to_collect():
    host = Host(plan_of("a; x", start=("a",)))
    host.end("a", *[Jump("x")] * 25)
    assert [t.number for t in host.state.transitions] == list(range(1, 26))


def test_f1_the_host_is_to_wake_the_run_for_the_first_that_waits():
    tasks = (TaskPlan("a", Retry(2, initial_s=9.0)), TaskPlan("b", Retry(2, initial_s=4.0)))
    host = Host(Plan(tasks, (), ("a", "b")))
    host.fail("a")
    host.fail("b")
    assert host.due() == (WakeAt(4.0),)


def test_f1_waits_grow_up_to_the_longest():
    patient = Retry(9, initial_s=1.0, factor=3.0, max_s=5.0)
    assert [backoff_s(patient, n) for n in (1, 2, 3)] == [1.0, 3.0, 5.0]


def test_the_budget_of_losses_outlasts_a_disturbance_of_a_minute():
    pauses = [loss_backoff_s(lost) for lost in range(1, DEFAULT_MAX_LOSSES + 1)]
    assert pauses[0] == 1.0, "a single loss costs little"
    assert sum(pauses) > 60.0


def test_t1_when_the_run_has_ended_all_that_runs_or_might_is_to_stop():
    host = Host(plan_of("a; b; c", start=("a", "b", "c")))
    host.claim("a")
    host.end("b", Terminate("done"))
    assert host.due() == (StopAttempt(1, 1), StopAttempt(2, 1), StopAttempt(3, 1), FinishRun())
    assert host.state.value == "b#1"
