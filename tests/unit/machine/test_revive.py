"""A state at rest goes on (K3): what had no success recorded begins anew, all else stands."""

import json
from dataclasses import replace

import pytest

from graflow.machine.codec import decode, encode
from graflow.machine.directives import Cancel, Jump, Spawn, Terminate
from graflow.machine.events import CancelRequested, RunFailed
from graflow.machine.plan import BestEffort, Custom, Plan, Retry
from graflow.machine.revive import RevivalError, revived
from graflow.machine.state import Error, GroupValue, Phase, RunPhase, State
from support.plans import Host, fragment, plan_of

NOW = 500.0


class Revived(Host):
    """A host that goes on from where another one stopped."""

    def __init__(self, host: Host, plan: Plan | None = None, **changes: object) -> None:
        super().__init__(plan or host.plan)
        before = encode(host.state)
        at_rest = decode(host.plan, json.loads(json.dumps(before)))
        self.state = revived(self.plan, at_rest, NOW, **changes)
        assert encode(at_rest) == before
        assert self.state.seq > at_rest.seq or self.state.phase is RunPhase.SUCCEEDED


def test_k3_an_attempt_that_ran_is_followed_by_the_next_one_of_the_same_pass():
    host = Host(plan_of("a >> b"))
    host.end("a", Jump("a"))
    host.claim("a")
    again = Revived(host)
    a = again.find("a")
    assert (a.phase, a.iteration, a.attempt, a.claim) == (Phase.STARTING, 2, 2, "")
    assert again.go().ran == ["a", "b"]
    assert again.state.started_at == NOW


def test_retries_begin_anew_and_nothing_waits():
    host = Host(plan_of("a", retry=Retry(3, initial_s=60.0)))
    host.fail("a")
    a = Revived(host).find("a")
    assert (a.phase, a.attempt, a.failures, a.error) == (Phase.STARTING, 2, 0, None)


def test_the_budget_for_lost_attempts_begins_anew():
    host = Host(plan_of("a"))
    host.lose("a")
    assert host.find("a").losses == 1
    a = Revived(host).find("a")
    assert (a.phase, a.losses, a.not_before) == (Phase.STARTING, 0, 0.0)


def test_a_failed_run_goes_on_with_the_task_that_failed_and_what_was_parked():
    plan = plan_of("a >> c; b >> c; b >> d", start=("a", "b"))
    host = Host(plan)
    host.claim("b")
    host.fail("a")
    host.end("b")
    assert host.state.phase is RunPhase.FAILED
    again = Revived(host)
    assert (again.starting(), again.find("a").attempt) == (["a", "d"], 2)
    again.go()
    assert again.ran == ["a", "d", "c"]
    assert again.state.phase is RunPhase.SUCCEEDED


def test_a_spawn_that_a_failed_run_recorded_takes_place():
    host = Host(plan_of("a >> z; f", start=("a", "f")))
    host.claim("a")
    host.fail("f")
    host.end("a", Spawn(fragment("n >> k")))
    again = Revived(host).go()
    assert sorted(again.ran) == ["f", "k", "n", "z"]


def test_a_failed_group_runs_again_only_what_did_not_succeed_in_its_branches():
    host = Host(plan_of("G >> after; a >> a2", {"G": "a b"}))
    host.end("a")
    host.fail("a2")
    host.end("b")
    assert host.state.phase is RunPhase.FAILED
    again = Revived(host).go()
    assert again.ran == ["a2", "after"]
    assert again.state.phase is RunPhase.SUCCEEDED


def test_a_member_whose_failure_the_policy_bears_runs_again_while_its_group_is_open():
    host = Host(plan_of("G >> after", {"G": "a b"}, policies={"G": BestEffort()}))
    host.fail("a")
    assert Revived(host).starting() == ["a", "b"]
    host.end("b")
    assert Revived(host).starting() == ["after"]


def test_a_policy_that_was_asked_is_asked_again_by_another_attempt():
    host = Host(plan_of("G >> after", {"G": "a"}, policies={"G": Custom()}))
    host.end("a")
    host.claim("G")
    again = Revived(host)
    assert (again.starting(), again.find("G").attempt) == (["G"], 2)
    host.hear_failure("G")
    again = Revived(host)
    assert (again.starting(), again.find("G").attempt) == (["G"], 2)
    again.go()
    assert again.state.phase is RunPhase.SUCCEEDED


def test_branches_that_wait_to_be_run_again_are_run_at_once():
    again = {"G": Retry(max_attempts=2, initial_s=60.0)}
    host = Host(plan_of("G", {"G": "a b"}, again=again))
    host.end("b")
    host.fail("a")
    assert host.find("G").phase is Phase.BACKOFF
    assert Revived(host).go().ran == ["a"]


def test_what_waits_for_its_turn_goes_on_waiting():
    host = Host(plan_of("a; b; x", start=("a", "b")))
    host.end("a", Jump("x"))
    host.end("b", Jump("x"))
    assert Revived(host).starting() == ["x"]
    assert Revived(host).go().ran == ["x", "x"]


def test_a_group_that_waits_for_its_turn_goes_on_waiting():
    host = Host(plan_of("a; b; G", {"G": "m"}, start=("a", "b")))
    host.end("a", Jump("G"))
    host.end("b", Jump("G"))
    assert Revived(host).go().ran == ["m", "m"]


def test_a_spawner_goes_on_whose_fragment_ended_after_the_run_had_failed():
    host = Host(plan_of("a >> z; f", start=("a", "f")))
    host.end("a", Spawn(fragment("n")))
    host.claim("n")
    host.fail("f")
    host.end("n")
    assert Revived(host).go().ran == ["f", "z"]


def test_a_fragment_goes_on_that_leads_to_a_task_of_the_one_around_it():
    host = Host(plan_of("a"))
    host.end("a", Spawn(fragment("n >> k")))
    host.end("n", Spawn(fragment("i >> k", exits=("k",))))
    assert Revived(host).go().ran == ["i", "k"]


def test_holding_spawners_go_on_holding():
    host = Host(plan_of("a >> b"))
    host.end("a", Spawn(fragment("n >> k")))
    host.end("n")
    assert Revived(host).go().ran == ["k", "b"]
    host.fail("k")
    assert Revived(host).go().ran == ["k", "b"]


def test_a_cancelled_run_goes_on_and_the_task_that_cancelled_it_decides_anew():
    host = Host(plan_of("a >> b"))
    host.claim("a")
    host.hear(CancelRequested("enough", 1.0))
    assert Revived(host).go().ran == ["a", "b"]
    host = Host(plan_of("a >> b"))
    host.end("a", Cancel("enough"))
    assert Revived(host).go().ran == ["a", "b"]


def test_a_run_that_its_host_gave_up_goes_on():
    host = Host(plan_of("a >> b"))
    host.claim("a")
    host.hear(RunFailed(Error("DeadlineExceeded", "too long"), 1.0))
    again = Revived(host)
    assert (again.state.failure, again.state.ended_at) == (None, 0.0)
    assert again.go().ran == ["a", "b"]


def test_a_run_that_had_not_begun_begins():
    plan = plan_of("a")
    assert [*revived(plan, State(), NOW).starting] == [1]
    host = Host(plan)
    host.state = State()
    host.hear(CancelRequested("enough", 1.0))
    again = Revived(host)
    assert again.state.seq > host.state.seq
    assert again.go().ran == ["a"]


def test_a_run_that_goes_on_says_nothing_of_its_end_before():
    stopped = Host(plan_of("a"))
    stopped.hear(CancelRequested("enough", 1.0))
    for again in (Revived(stopped), Revived(Host(plan_of("a")).go(), rerun=("a",))):
        state = again.state
        assert (state.phase, state.reason, state.message) == (RunPhase.RUNNING, "", "")
        assert state.value is None


@pytest.mark.parametrize("last", [(), (Terminate("done"),)])
def test_a_run_that_has_succeeded_stays_ended(last):
    host = Host(plan_of("a >> b"))
    host.end("a")
    host.end("b", *last)
    again = Revived(host)
    assert (again.state.phase, again.state.value) == (RunPhase.SUCCEEDED, "b#1")


def test_what_is_to_be_run_again_runs_on_what_its_predecessors_brought_and_leads_on():
    host = Host(plan_of("a >> b >> c")).go()
    again = Revived(host, results={"a": "better"}, rerun=("b",))
    b = again.find("b")
    assert (b.iteration, [(s.sender, s.value) for s in b.sent]) == (2, [("a", "better")])
    again.go()
    assert (again.ran, again.state.value) == (["b", "c"], "c#2")


def test_what_a_termination_stopped_stays_stopped_when_a_task_is_run_again():
    host = Host(plan_of("a; b; c >> d", start=("a", "b", "c")))
    host.claim("b")
    host.end("a", Terminate("done"))
    assert Revived(host, rerun=("c",)).go().ran == ["c", "d"]


def test_what_a_terminated_run_held_is_not_waited_for_when_a_task_is_run_again():
    host = Host(plan_of("a; b; c", start=("a", "b")))
    host.end("b", Spawn(fragment("n")))
    host.end("a", Terminate("done"))
    assert Revived(host, rerun=("c",)).go().state.value == "c#1"
    host = Host(plan_of("a; G", {"G": "m"}, start=("a", "G")))
    host.end("a", Terminate("done"))
    again = Revived(host, rerun=("a",)).go()
    assert [found.value for found in again.state.scopes[0].results["a"]] == ["a#2"]


def test_what_runs_again_after_laps_is_the_value_of_the_run():
    host = Host(plan_of("s >> a"))
    host.end("s")
    host.end("a", Jump("a"))
    host.go()
    assert Revived(host, rerun=("a",)).go().state.value == "a#3"


def test_what_runs_again_is_in_the_round_of_what_is_under_way():
    host = Host(plan_of("s >> a"))
    host.end("s")
    host.end("a", Jump("a"))
    host.end("a", Jump("a"))
    assert (host.find("a").round, Revived(host, rerun=("s",)).find("s").round) == (2, 2)


def test_a_task_that_is_alive_only_goes_on():
    host = Host(plan_of("a >> G >> z", {"G": "m"}))
    host.end("a")
    assert Revived(host, rerun=("m", "z", "G")).go().ran == ["m", "z", "z"]


def test_a_task_that_something_waits_for_at_its_join_only_goes_on():
    host = Host(plan_of("a >> c; b >> c", start=("a", "b")))
    host.end("a")
    again = Revived(host, rerun=("c",)).go()
    assert again.ran == ["b", "c"]


def test_a_task_that_is_alive_in_a_fragment_runs_again_in_the_run_too():
    host = Host(plan_of("a; x", start=("a",)))
    host.end("a", Spawn(fragment("x")))
    assert Revived(host, rerun=("x",)).starting() == ["x", "x"]


def test_a_member_runs_again_on_what_its_group_was_given():
    host = Host(plan_of("a >> G", {"G": "m n"})).go()
    again = Revived(host, rerun=("m",))
    assert [s.value for s in again.find("m").sent] == ["a#1"]


def test_what_runs_again_has_the_latest_of_several_results_that_an_open_group_keeps():
    host = Host(plan_of("a >> b; G", {"G": "m"}, start=("a", "G")))
    host.end("a", Jump("a"))
    host.end("a")
    host.end("b")
    assert [s.value for s in Revived(host, rerun=("b",)).find("b").sent] == ["a#2"]


def test_a_replaced_result_reaches_what_has_not_run_yet():
    host = Host(plan_of("a >> b; a >> c; b >> d; c >> d"))
    host.end("a")
    host.end("b")
    again = Revived(host, results={"a": "A", "b": "B"})
    assert [s.value for s in again.find("c").sent] == ["A"]
    again.end("c")
    assert [s.value for s in again.find("d").sent] == ["B", "c#1"]
    assert again.state.scopes[0].results["a"][-1].value == "A"


def test_a_replaced_result_is_none_of_the_pass_that_is_under_way():
    host = Host(plan_of("a"))
    host.end("a", Jump("a"))
    assert Revived(host, results={"a": "A"}).find("a").value is None


def test_a_replaced_result_of_the_last_task_is_the_value_of_the_run():
    host = Host(plan_of("a >> b")).go()
    assert Revived(host, results={"b": "B"}).state.value == "B"


def test_a_replaced_result_of_a_task_that_waits_for_what_it_spawned_is_what_it_hands_on():
    host = Host(plan_of("a >> z"))
    host.end("a", Spawn(fragment("n")))
    again = Revived(host, results={"a": "A"})
    again.end("n")
    assert [s.value for s in again.find("z").sent] == ["A"]


def test_a_replaced_result_of_another_task_leaves_the_value_of_a_terminated_run():
    host = Host(plan_of("a; b", start=("a", "b")))
    host.end("a")
    host.end("b", Terminate("done"), value="B")
    assert Revived(host, results={"a": "A"}).state.value == "B"


def test_results_that_are_not_there_are_refused_with_the_nearest_name():
    host = Host(plan_of("load >> G", {"G": "m"})).go()
    with pytest.raises(RevivalError, match=r"'lod' has no result.*did you mean 'load'\?"):
        Revived(host, results={"lod": 1})
    with pytest.raises(RevivalError, match=r"there are results of 'G', 'load', 'm'"):
        Revived(host, results={"zzz": 1})
    with pytest.raises(RevivalError, match="no results yet"):
        Revived(Host(plan_of("a")), results={"a": 1})
    with pytest.raises(RevivalError, match="no results yet"):
        revived(plan_of("a"), State(), NOW, results={"a": 1})
    with pytest.raises(RevivalError, match="'G' cannot be replaced by that"):
        Revived(host, results={"G": 1})
    with pytest.raises(RevivalError, match=r"'n', which is no member of it.*tasks are 'm'"):
        Revived(host, results={"G": GroupValue((("n", "N"),))})
    value = GroupValue((("m", "M"),))
    assert Revived(host, results={"G": value}).state.value == value


def test_a_task_to_run_again_that_is_none_is_refused_with_the_nearest_name():
    with pytest.raises(RevivalError, match=r"'lod' cannot be run again.*did you mean 'load'\?"):
        Revived(Host(plan_of("load")), rerun=("lod",))


def test_a_run_out_of_steps_goes_on_only_with_more_of_them():
    plan = plan_of("a >> b", max_steps=1)
    host = Host(plan).go()
    with pytest.raises(RevivalError, match="maxSteps is 1"):
        Revived(host)
    assert Revived(host, replace(plan, max_steps=2)).go().ran == ["b"]


def test_a_changed_plan_goes_on_where_nothing_alive_is_missing():
    host = Host(plan_of("a >> b >> c"))
    host.end("a")
    again = Revived(host, plan_of("b >> new")).go()
    assert again.ran == ["b", "new"]


def test_what_is_alive_in_a_branch_goes_on_though_no_edge_of_the_new_plan_leads_there():
    host = Host(plan_of("G >> z; a >> x", {"G": "a"}))
    host.end("a")
    again = Revived(host, plan_of("G >> z; x >> y", {"G": "a"}, start=("G",)))
    again.reload()
    assert again.go().ran == ["x", "y", "z"]


def test_a_changed_plan_without_what_is_alive_is_refused():
    host = Host(plan_of("a >> b"))
    host.end("a")
    with pytest.raises(RevivalError, match=r"'b' was alive.*; keep it, .*; did you mean 'b2'\?"):
        Revived(host, plan_of("a >> b2"))
    host = Host(plan_of("a >> c; b >> c", start=("a", "b")))
    host.end("a")
    with pytest.raises(RevivalError, match="'c' was alive"):
        Revived(host, plan_of("a; b", start=("a", "b")))
    host = Host(plan_of("G", {"G": "a b"}))
    with pytest.raises(RevivalError, match=r"'G' .* as a group of 'a', 'b', .* group of 'a'"):
        Revived(host, plan_of("G; b", {"G": "a"}, start=("G",)))
    with pytest.raises(RevivalError, match="and is now as a task"):
        Revived(host, plan_of("G; a; b", start=("G",)))


def test_a_changed_plan_without_what_a_fragment_leads_to_is_refused():
    host = Host(plan_of("a >> b >> c"))
    host.end("a", Spawn(fragment("n >> c", exits=("c",))), Jump("b"))
    with pytest.raises(RevivalError, match="'c' was alive"):
        Revived(host, plan_of("a >> b"))
    with pytest.raises(RevivalError, match="'b' was alive"):
        Revived(host, plan_of("a >> c"))
