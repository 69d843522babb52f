"""Moves that tasks decide: jumps (R5), fragments and passes (T), custom policies and retries of
groups (G2, G5), each by its number in docs/concepts."""

import pytest

from graflow.machine import reasons
from graflow.machine.directives import Cancel, Iterate, Jump, Kind, Spawn, Terminate
from graflow.machine.objections import objection
from graflow.machine.plan import Custom, GroupPlan, Plan, Retry, TaskPlan
from graflow.machine.results import of_run, seen_by
from graflow.machine.scopes import identity
from graflow.machine.state import GroupValue, Phase, RunPhase
from support.plans import Host, fragment, plan_of


def test_r5_a_side_that_jumped_away_does_not_block_the_sink():
    host = Host(plan_of("a >> b >> d; a >> c >> d; x", start=("a",)))
    host.end("a")
    host.end("b", Jump("x"))
    host.end("c")
    assert host.starting() == ["x", "d"]
    assert [s.sender for s in host.find("d").sent] == ["c"]


def test_r5_a_side_that_jumps_to_the_sink_itself_neither_doubles_it_nor_starts_it_early():
    host = Host(plan_of("a >> b >> b2 >> d; a >> c >> d"))
    host.end("a")
    host.end("b", Jump("d"))
    assert host.starting() == ["c"]
    host.end("c")
    assert host.go().ran == ["a", "b", "c", "d"]


def test_r5_jumping_back_to_one_side_of_a_finished_diamond_runs_the_sink_again_without_the_other():
    host = Host(plan_of("a >> b >> d; a >> c >> d"))
    for node in ("a", "b", "c"):
        host.end(node)
    host.end("d", Jump("b"))
    assert host.find("b").round == 1
    host.end("b")
    assert (host.find("d").round, [s.sender for s in host.find("d").sent]) == (1, ["b"])
    assert host.go().ran == ["a", "b", "c", "d", "b", "d"]


def test_r5_a_cycle_reached_only_by_a_jump_runs():
    host = Host(plan_of("a; x >> y >> x", start=("a",), max_steps=6))
    host.end("a", Jump("x"))
    assert host.go().ran == ["a", "x", "y", "x", "y", "x"]


def test_r5_two_tasks_that_jump_to_one_node_run_it_twice_one_after_the_other():
    host = Host(plan_of("a >> b; a >> c; x", start=("a",)))
    host.end("a")
    host.end("b", Jump("x"))
    host.end("c", Jump("x"))
    assert host.starting() == ["x"]
    assert host.go().ran == ["a", "b", "c", "x", "x"]


def test_r5_a_jump_to_the_jumper_itself_opens_the_next_round():
    host = Host(plan_of("a >> b"))
    host.end("a", Jump("a"))
    assert (host.find("a").round, host.find("a").iteration) == (1, 2)


def test_r5_a_jump_sideways_keeps_the_round_and_carries_the_jumpers_result():
    host = Host(plan_of("a; x", start=("a",)))
    host.end("a", Jump("a"))
    host.end("a", Jump("x"))
    x = host.find("x")
    assert (x.round, [(s.sender, s.value) for s in x.sent]) == (1, [("a", "a#2")])


def test_t_a_pass_keeps_its_round_so_that_the_join_behind_it_waits_for_the_last():
    host = Host(plan_of("a >> b >> d; a >> c >> d"))
    host.end("a")
    host.end("b", Iterate("data"))
    host.end("c")
    assert host.starting() == ["b"]
    again = host.find("b")
    assert (again.round, again.iteration, again.again) == (0, 2, "data")
    assert [s.sender for s in again.sent] == ["a"]
    host.end("b", Iterate())
    assert host.find("b").again == "data"
    assert host.go().ran == ["a", "b", "c", "b", "b", "d"]


def test_t6_a_second_next_iteration_replaces_the_first():
    host = Host(plan_of("a"))
    host.end("a", Iterate("one"), Iterate("two"))
    assert host.find("a").again == "two"
    assert host.go().ran == ["a", "a"]


def test_t6_cancel_comes_before_terminate_and_terminate_before_all_else():
    host = Host(plan_of("a >> b"))
    host.end("a", Jump("b"), Terminate("done"), Cancel("no"))
    assert (host.state.phase, host.state.message) == (RunPhase.CANCELLED, "no")
    host = Host(plan_of("a >> b"))
    host.end("a", Jump("b"), Terminate("done"))
    state = host.state
    assert (state.phase, state.reason) == (RunPhase.SUCCEEDED, reasons.TERMINATED)
    assert (state.message, state.value) == ("done", "a#1")


def test_t5_a_spawner_holds_its_place_until_all_that_it_spawned_has_ended():
    host = Host(plan_of("a >> b >> d; a >> c >> d"))
    host.end("a")
    host.end("b", Spawn(fragment("n1 >> n2")), Spawn(fragment("m")))
    host.end("c")
    assert host.find("b").phase is Phase.HOLDING
    assert host.starting() == ["n1", "m"]
    assert [s.sender for s in host.find("n1").sent] == ["b"]
    for node in ("n1", "m"):
        host.end(node)
    assert host.starting() == ["n2"]
    host.end("n2")
    assert host.starting() == ["d"]
    assert host.go().ran == ["a", "b", "c", "n1", "m", "n2", "d"]


def test_t6_the_jumps_of_a_spawner_come_after_what_it_spawned():
    host = Host(plan_of("a >> b; x", start=("a",)))
    host.end("a", Jump("x"), Spawn(fragment("n")))
    assert host.starting() == ["n"]
    assert host.go().ran == ["a", "n", "x"]


def test_t8_coming_to_the_exit_of_a_fragment_is_a_jump_of_the_spawner():
    host = Host(plan_of("a >> b >> c"))
    host.end("a", Spawn(fragment("n >> c", exits=("c",)), goto=True))
    assert host.go().ran == ["a", "n", "c"]


def test_t5_a_fragment_that_goes_on_to_the_spawners_successor_merges_with_its_own_token():
    host = Host(plan_of("a >> b"))
    host.end("a", Spawn(fragment("n")))
    host.end("n", Jump("b"))
    assert host.go().ran == ["a", "n", "b"]
    assert host.state.value == "b#1"


def test_r6_the_fragments_end_counts_only_where_the_spawner_leads_to_nothing():
    host = Host(plan_of("a"))
    host.end("a", Spawn(fragment("n >> m")))
    assert host.go().state.value == "m#1"
    host = Host(plan_of("a; x", start=("a",)))
    host.end("a", Spawn(fragment("n")))
    host.end("n", Jump("x"))
    assert host.go().state.value == "x#1"


def test_r6_dynamic_nodes_are_declared_after_static_ones_by_spawner_pass_call_and_position():
    host = Host(plan_of("a; z", start=("a", "z")))
    host.end("z")
    host.end("a", Spawn(fragment("n")), Spawn(fragment("m1; m2")))
    assert host.go().state.value == "m2#1"


def test_r7_a_failed_fragment_fails_its_spawners_scope_once_nothing_runs_in_it():
    host = Host(plan_of("a >> b"))
    host.end("a", Spawn(fragment("n; m")))
    host.claim("m")
    host.fail("n")
    assert host.state.phase is RunPhase.RUNNING
    host.end("m")
    assert (host.state.phase, host.state.message) == (RunPhase.FAILED, "boom")


def test_r7_what_is_decided_in_a_scope_that_failed_is_kept_and_not_started():
    host = Host(plan_of("a >> c; b; x", start=("a", "b")))
    host.claim("b")
    host.fail("a")
    host.end("b", Jump("x"))
    assert host.state.phase is RunPhase.FAILED
    (token,) = host.state.scopes[0].tokens["x"]
    assert token.explicit
    assert host.ran == ["b"]


def test_g6_a_jump_stays_in_its_branch_and_the_barrier_waits():
    plan = plan_of("G >> after; x >> y", {"G": "a b"}, start=("G",))
    host = Host(plan)
    host.end("a", Jump("x"))
    host.end("b")
    assert host.starting() == ["x"]
    branch = host.find("x").scope
    assert host.state.scopes[branch].path == (("G", "a"),)
    host.end("x")
    assert host.go().ran == ["a", "b", "x", "y", "after"]
    assert dict(of_run(host.state))["G"].value == GroupValue((("a", "y#1"), ("b", "b#1")))


def test_g6_a_jump_from_a_branch_inside_a_fragment_takes_the_chain_behind_its_target_along():
    host = Host(plan_of("s >> after; x >> y", start=("s",)))
    host.end("s", Spawn(fragment("D", {"D": "p q"})))
    host.end("p", Jump("x"))
    assert host.state.scopes[host.find("x").scope].is_branch
    host.reload()
    host.end("x")
    assert host.starting() == ["q", "y"]
    assert host.go().ran == ["s", "p", "x", "q", "y", "after"]


def test_g6_what_an_exit_inside_a_branch_would_start_the_barrier_absorbs():
    plan = plan_of("G >> after", {"G": "a b"})
    host = Host(plan)
    host.end("a", Spawn(fragment("n >> after", exits=("after",))))
    assert host.go().ran == ["a", "b", "n", "after"]


def test_g2_a_custom_policy_is_an_attempt_of_its_own_after_all_branches():
    plan = plan_of("G >> after", {"G": "a b"}, policies={"G": Custom()})
    host = Host(plan)
    host.fail("a")
    assert "G" not in host.starting()
    host.end("b")
    assert host.starting() == ["G"]
    group = host.find("G")
    assert seen_by(host.state, group, "b").value == "b#1"
    assert seen_by(host.state, group, "a") is None
    assert host.go().ran == ["b", "G", "after"]
    assert dict(of_run(host.state))["G"].value == GroupValue((("b", "b#1"),))


def test_g2_a_custom_policy_that_is_lost_is_asked_again_and_one_that_raises_fails_the_group():
    plan = plan_of("G >> after", {"G": "a b"}, policies={"G": Custom()})
    host = Host(plan)
    for node in ("a", "b"):
        host.end(node)
    host.lose("G")
    host.wake()
    assert (host.starting(), host.find("G").attempt) == (["G"], 2)
    host.fail("G")
    assert (host.state.phase, host.state.message) == (RunPhase.FAILED, "boom")


def test_g5_only_the_branches_that_failed_run_again_each_in_a_fresh_scope():
    again = {"G": Retry(max_attempts=2, initial_s=5.0)}
    host = Host(plan_of("G >> after; a >> a2", {"G": "a b"}, again=again))
    host.end("a", Iterate())
    host.end("a")
    host.fail("a2")
    host.end("b")
    assert host.find("G").phase is Phase.BACKOFF
    host.reload()
    host.wake()
    assert host.starting() == ["a"]
    assert host.find("a").iteration == 1
    assert host.go().ran == ["a", "a", "b", "a", "a2", "after"]
    assert host.state.phase is RunPhase.SUCCEEDED


def test_g5_a_group_whose_retries_are_spent_fails():
    host = Host(plan_of("G >> after", {"G": "a b"}, again={"G": Retry(max_attempts=2)}))
    host.end("b")
    host.fail("a")
    assert host.starting() == ["a"]
    host.fail("a")
    assert host.state.phase is RunPhase.FAILED


def test_r8_what_has_ended_leaves_neither_scopes_nor_nodes_only_results():
    host = Host(plan_of("a >> b"))
    host.end("a", Spawn(fragment("n >> m")))
    host.go()
    assert list(host.state.scopes) == [0]
    assert list(of_run(host.state)) == ["a", "n", "m", "b"]
    assert not host.state.activations


def test_t7_ids_may_come_again_and_get_result_gives_the_latest():
    host = Host(plan_of("a >> b"))
    host.end("a", Spawn(fragment("n")), Iterate())
    host.end("n")
    host.end("a", Spawn(fragment("n")))
    host.end("n", value="second")
    host.go()
    assert of_run(host.state)["n"].value == "second"


def test_transitions_tell_who_decided_what_and_why_and_only_the_last_are_kept():
    host = Host(plan_of("a >> b; x", start=("a",)))
    host.end("a", Spawn(fragment("n")), Jump("x", reason="score 0.6 < 0.8"))
    host.go()
    told = [(t.number, t.source, t.target, t.kind, t.reason) for t in host.state.transitions]
    assert told == [
        (1, "a", "n", Kind.SPAWN, ""),
        (2, "a", "x", Kind.JUMP, "score 0.6 < 0.8"),
    ]
    host = Host(plan_of("a", max_steps=40))
    for _ in range(30):
        host.end("a", Jump("a"))
    assert [t.number for t in host.state.transitions] == list(range(11, 31))


def test_identity_names_an_activation_by_where_it_stands():
    plan = plan_of("G", {"G": "a b"})
    host = Host(plan)
    host.end("a", Spawn(fragment("n")))
    assert identity(host.state, host.find("n")) == "G#1/0/a#1/0/n#1"


@pytest.mark.parametrize(
    ("decided", "words"),
    [
        (Jump("finnish"), "did you mean 'finish'"),
        (Jump("G"), "'a' runs in group 'G' and cannot jump to it"),
        (Spawn(Plan((TaskPlan("finish"),), (), ("finish",))), "has one of that id already"),
        (Spawn(fragment("n >> finish >> m", exits=("finish",))), "can only end what is built here"),
        (Spawn(Plan((TaskPlan("n"),), (), ())), "no start node is given"),
        (Iterate(), "its max_cycles is 1"),
    ],
)
def test_what_cannot_be_done_is_refused_in_words(decided, words):
    group = GroupPlan("G", ("a", "b"))
    plan = Plan(
        (TaskPlan("a", max_cycles=1), TaskPlan("b"), group, TaskPlan("finish")),
        (("G", "finish"),),
        ("G",),
    )
    host = Host(plan)
    assert words in objection(plan, host.state, host.find("a"), (decided,))


def test_a_custom_policy_decides_nothing_that_runs():
    plan = plan_of("G", {"G": "a b"}, policies={"G": Custom()})
    host = Host(plan)
    for node in ("a", "b"):
        host.end(node)
    assert "cannot decide" in objection(plan, host.state, host.find("G"), (Jump("a"),))
