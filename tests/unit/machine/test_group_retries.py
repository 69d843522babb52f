"""Groups that run again (G5), policies that are asked again (G2), and groups in a queue (R4)."""

import pytest

from graflow.machine import reasons
from graflow.machine.directives import Jump, Spawn
from graflow.machine.plan import Custom, Retry
from graflow.machine.state import RunPhase
from support.plans import Host, fragment, plan_of

TWICE = {"G": Retry(max_attempts=2)}


def test_g5_a_member_runs_again_with_the_groups_input_and_from_round_0():
    host = Host(plan_of("a >> G", {"G": "m"}, again=TWICE))
    host.end("a", Jump("a"))
    host.end("a")
    host.fail("m")
    m = host.find("m")
    assert (host.find("G").round, m.round, m.iteration) == (1, 0, 1)
    assert [s.sender for s in m.sent] == ["a"]


def test_g5_nothing_of_the_branch_that_failed_is_left_when_it_runs_again():
    host = Host(plan_of("G", {"G": "a b"}, again=TWICE))
    host.end("a", Spawn(fragment("n")))
    host.end("b")
    host.fail("n")
    assert [a.node for a in host.state.activations.values()] == ["G", "a"]
    assert sorted(host.state.scopes) == [0, *sorted(host.find("G").scopes)]


def test_g5_a_run_that_may_make_no_more_activations_fails_instead():
    host = Host(plan_of("G", {"G": "a"}, again=TWICE, max_steps=2))
    host.fail("a")
    assert (host.state.phase, host.state.reason) == (RunPhase.FAILED, reasons.MAX_STEPS_EXCEEDED)
    assert (host.state.steps, host.state.failure.node) == (2, "a")


def test_g2_a_policy_that_is_asked_again_has_an_attempt_of_its_own():
    host = Host(plan_of("G", {"G": "a"}, policies={"G": Custom()}, again=TWICE))
    host.fail("a")
    host.fail("G")
    assert host.starting() == ["a"]
    assert host.find("G").claim == ""
    host.end("a")
    assert (host.starting(), host.find("G").attempt) == (["G"], 2)
    host.end("G")
    assert host.state.phase is RunPhase.SUCCEEDED


def test_g2_a_policy_is_asked_again_alone_when_no_branch_failed():
    host = Host(plan_of("G", {"G": "a"}, policies={"G": Custom()}, again=TWICE))
    host.end("a")
    host.fail("G")
    assert (host.starting(), host.find("G").attempt) == (["G"], 2)


def test_g2_a_policys_error_that_another_try_cannot_mend_fails_the_group_at_once():
    host = Host(plan_of("G", {"G": "a"}, policies={"G": Custom()}, again=TWICE))
    host.fail("a")
    host.claim("G")
    host.hear_failure("G", retryable=False)
    assert host.state.phase is RunPhase.FAILED


@pytest.mark.parametrize("policy", [None, Custom()])
def test_r4_a_group_that_is_come_to_twice_runs_twice_one_after_the_other(policy):
    policies = {"G": policy} if policy else {}
    host = Host(plan_of("a; b; G", {"G": "m"}, start=("a", "b"), policies=policies))
    host.end("a", Jump("G"))
    host.end("b", Jump("G"))
    assert host.starting() == ["m"]
    assert host.go().ran.count("m") == 2
    assert host.state.phase is RunPhase.SUCCEEDED
