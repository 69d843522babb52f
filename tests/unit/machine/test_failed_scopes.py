"""What still happens in a scope that has failed (R7): what runs may end, and nothing begins."""

import pytest

from graflow.machine.directives import Cancel, Jump, Spawn, Terminate
from graflow.machine.events import AttemptLost
from graflow.machine.plan import BestEffort, Custom, Plan, Retry, TaskPlan
from graflow.machine.state import Error, Phase, RunPhase
from support.plans import Host, fragment, plan_of


def failed(plan: Plan, *running: str, by: str = "f") -> Host:
    """Return a run that has failed by one task while others run."""
    host = Host(plan)
    for node in running:
        host.claim(node)
    host.fail(by)
    assert host.state.phase is RunPhase.RUNNING
    return host


def test_r7_nothing_begins_in_scopes_inside_one_that_failed():
    host = failed(plan_of("f; G; b >> c", {"G": "b"}, start=("f", "G")), "b")
    host.end("b")
    assert host.state.phase is RunPhase.FAILED
    assert [*host.state.scopes[1].tokens] == ["c"]
    assert not host.starting()


def test_r7_the_next_activation_of_a_node_does_not_get_its_turn():
    host = Host(plan_of("a; b; f; x", start=("a", "b", "f")))
    host.end("a", Jump("x"))
    host.end("b", Jump("x"))
    host.claim("x")
    host.fail("f")
    host.end("x")
    assert [(a.node, a.phase) for a in host.state.activations.values()] == [
        ("f", Phase.FAILED),
        ("x", Phase.PENDING),
    ]


def test_r7_what_is_spawned_is_kept_and_not_started_and_the_run_ends():
    host = failed(plan_of("a; f", start=("a", "f")), "a")
    host.end("a", Spawn(fragment("n")))
    assert host.state.phase is RunPhase.FAILED
    assert [*host.state.scopes[1].tokens] == ["n"]


def test_r7_a_jump_and_an_edge_to_one_node_stay_two_tokens():
    host = failed(plan_of("b >> x; c; f", start=("b", "c", "f")), "b", "c")
    host.end("c", Jump("x"))
    host.end("b")
    assert [(t.round, t.explicit) for t in host.state.scopes[0].tokens["x"]] == [
        (0, True),
        (0, False),
    ]


@pytest.mark.parametrize("ending", [Terminate("done"), Cancel("enough")])
def test_r7_what_ends_a_run_that_has_failed_does_not_hide_its_failure(ending):
    host = failed(plan_of("a; f", start=("a", "f")), "a")
    host.end("a", ending)
    assert (host.state.phase, host.state.failure.node) == (RunPhase.FAILED, "f")
    assert host.state.value is None


def test_r7_what_waits_for_another_attempt_in_a_branch_that_failed_waits_no_longer():
    plan = plan_of("G; m >> a; m >> b", {"G": "m o"}, retry=Retry(2, initial_s=5.0))
    host = Host(plan)
    host.end("m")
    host.fail("a")
    assert host.find("a").phase is Phase.BACKOFF
    host.hear_failure("b", retryable=False)
    assert host.find("a").phase is Phase.PENDING
    assert [host.starting(), len(host.due())] == [["o"], 1]


def test_r7_an_attempt_that_is_lost_keeps_its_activation_for_a_resume_whatever_its_budget():
    tasks = (TaskPlan("a", max_losses=0), TaskPlan("f"))
    host = failed(Plan(tasks, (), ("a", "f")), "a")
    host.lose("a")
    assert (host.find("a").phase, host.find("a").attempt) == (Phase.PENDING, 2)
    assert host.state.phase is RunPhase.FAILED


def test_r7_a_policy_of_the_program_is_not_asked_and_branches_do_not_run_again():
    plan = plan_of("f; G", {"G": "a"}, start=("f", "G"), policies={"G": Custom()})
    host = failed(plan, "a")
    host.end("a")
    assert (host.state.phase, host.find("G").phase) == (RunPhase.FAILED, Phase.PENDING)
    again = {"G": Retry(max_attempts=2)}
    host = failed(plan_of("f; G", {"G": "a"}, start=("f", "G"), again=again), "a")
    host.fail("a")
    assert (host.state.phase, host.find("G").phase) == (RunPhase.FAILED, Phase.PENDING)
    assert host.state.failure.node == "f"
    assert not host.starting()


def test_r7_the_run_ends_when_the_policy_that_was_being_asked_has_failed():
    again = {"G": Retry(max_attempts=2)}
    plan = plan_of("f; G", {"G": "a"}, start=("f", "G"), policies={"G": Custom()}, again=again)
    host = Host(plan)
    host.end("a")
    host.claim("G")
    host.fail("f")
    assert host.state.phase is RunPhase.RUNNING
    host.hear_failure("G")
    assert host.state.phase is RunPhase.FAILED


def test_r7_a_failed_fragment_in_a_branch_is_a_failed_member():
    plan = plan_of("G >> after", {"G": "a b"}, policies={"G": BestEffort()})
    host = Host(plan)
    host.end("a", Spawn(fragment("n")))
    host.fail("n")
    host.end("b")
    assert host.starting() == ["after"]
    assert [member for member, _ in host.find("after").sent[0].value.branches] == ["b"]


def test_f2_a_lost_attempt_waits_before_the_next_one():
    host = Host(plan_of("a"))
    host.hear(AttemptLost(1, 1, Error("PodLost", "gone"), 100.0))
    assert (host.find("a").phase, host.find("a").not_before) == (Phase.BACKOFF, 101.0)


def test_r7_a_spawner_whose_other_fragment_ends_after_one_failed_does_not_go_on():
    host = Host(plan_of("a >> b"))
    host.end("a", Spawn(fragment("n")), Spawn(fragment("m")))
    host.claim("m")
    host.fail("n")
    host.end("m")
    assert (host.state.phase, host.find("a").phase) == (RunPhase.FAILED, Phase.HOLDING)
    assert not host.state.scopes[0].tokens


def test_r7_a_branch_that_failed_has_ended_though_others_still_run():
    plan = plan_of("G >> after", {"G": "a b"}, policies={"G": BestEffort()})
    host = Host(plan)
    host.claim("b")
    host.fail("a")
    host.end("b")
    assert host.starting() == ["after"]


def test_r7_the_run_ends_with_its_last_attempt_though_a_sibling_never_began():
    host = failed(plan_of("f; G", {"G": "a b"}, start=("f", "G")), "a")
    host.end("a")
    assert host.state.phase is RunPhase.FAILED
    assert host.find("b").phase is Phase.PENDING


def test_completed_tasks_are_counted_and_groups_are_not():
    assert Host(plan_of("s >> G", {"G": "a b"})).go().state.completed == 3
