"""Tokens of several rounds on one node, the order in which they become free, and results."""

from graflow.machine.directives import Jump
from graflow.machine.plan import Custom
from graflow.machine.results import of_run, seen_by, visible
from support.plans import Host, plan_of


def test_r3_tokens_wait_side_by_side_for_each_round_and_merge_within_one():
    host = Host(plan_of("a >> b >> a; b >> sink; slow >> sink", start=("a", "slow")))
    for node in ("a", "b", "a", "b"):
        host.end(node)
    assert [t.round for t in host.state.scopes[0].tokens["sink"]] == [0, 1]
    host.end("slow")
    assert [s.value for s in host.find("sink").sent] == ["b#1", "slow#1"]


def test_r3_a_lower_round_that_comes_later_is_created_first():
    host = Host(plan_of("a >> sink; slow >> sink", start=("a", "slow")))
    host.end("a", Jump("a"))
    host.end("a")
    assert [t.round for t in host.state.scopes[0].tokens["sink"]] == [1]
    host.end("slow")
    sinks = [a.round for a in host.state.activations.values() if a.node == "sink"]
    assert sinks == [0, 1]


def test_r4_what_becomes_free_at_once_begins_in_the_order_of_declaration():
    host = Host(plan_of("a >> s2; a >> s1; b >> s1; b >> s2; x", start=("a", "b")))
    host.end("a")
    host.end("b", Jump("x"))
    assert host.starting() == ["x", "s2", "s1"]


def test_g4_results_of_branches_keep_their_place_in_the_order_of_completion():
    host = Host(plan_of("s >> G", {"G": "a b"}))
    for node in ("s", "b", "a"):
        host.end(node)
    assert [*of_run(host.state)] == ["s", "b", "a", "G"]


def test_g4_of_an_id_that_a_branch_ran_twice_the_latest_result_becomes_visible():
    # The group H inside the branch is open when `m` runs again, so both results are kept.
    host = Host(plan_of("G; m >> H; m >> k", {"H": "p", "G": "m"}))
    host.end("m")
    host.end("k", Jump("m"))
    host.end("m")
    host.go()
    assert of_run(host.state)["m"].value == "m#2"


def test_g4_results_are_kept_only_for_branches_that_may_read_them():
    host = Host(plan_of("G", {"H": "b c", "G": "a H"}))
    assert [host.state.scopes[n].children for n in (0, 1, 2)] == [2, 0, 2]


def test_g4_a_group_inside_a_branch_sees_the_run_as_it_was_when_the_outer_group_started():
    host = Host(plan_of("G; a >> H; side", {"H": "b", "G": "a"}, start=("G", "side")))
    host.end("side")
    host.end("a")
    scope = host.find("b").scope
    assert visible(host.state, scope, "a").value == "a#1"
    assert visible(host.state, scope, "side") is None


def test_g4_of_an_id_in_several_branches_the_branch_declared_last_wins_for_the_policy_too():
    plan = plan_of("G; x", {"G": "a b"}, start=("G",), policies={"G": Custom()})
    host = Host(plan)
    host.end("b", Jump("x"))
    host.end("x", value="of b")
    host.end("a", Jump("x"))
    host.end("x", value="of a")
    assert seen_by(host.state, host.find("G"), "x").value == "of b"
    host.end("G")
    assert of_run(host.state)["x"].value == "of b"


def test_g4_a_policy_sees_nothing_of_branches_that_failed_and_the_latest_of_the_others():
    plan = plan_of("G; a >> a2; m >> H; m >> k", {"H": "p", "G": "a m"}, policies={"G": Custom()})
    host = Host(plan, failing=["a2"])
    host.end("a")
    host.end("a2")
    host.end("m")
    host.end("k", Jump("m"))
    host.end("m")
    while host.starting() != ["G"]:
        host.end(host.starting()[0])
    assert seen_by(host.state, host.find("G"), "a") is None
    assert seen_by(host.state, host.find("G"), "m").value == "m#2"


def test_c1_of_results_that_are_kept_for_a_branch_others_see_the_latest():
    host = Host(plan_of("a >> b >> a; b >> G", {"G": "x"}, start=("a",)))
    for node in ("a", "b", "a"):
        host.end(node)
    assert visible(host.state, 0, "a").value == "a#2"
    assert visible(host.state, host.find("x").scope, "a").value == "a#1"


def test_r2_the_walk_begins_at_the_start_nodes_and_not_at_what_is_declared_first():
    host = Host(plan_of("a >> b >> a", start=("b",)))
    host.end("b")
    assert host.find("a").round == 0
    host.end("a")
    assert host.find("b").round == 1


def test_r2_the_walk_of_a_branch_begins_at_its_member_also_when_a_jump_has_led_beyond():
    host = Host(plan_of("k >> n >> k; m >> t; m >> n; x", {"G": "m"}, start=("G",)))
    host.end("m")
    host.end("t", Jump("x"))
    host.end("n")
    assert host.find("k").round == 0


def test_g6_a_token_for_the_group_that_one_runs_in_is_absorbed():
    host = Host(plan_of("G >> after; a >> t >> G", {"G": "a b"}, start=("G",)))
    assert host.go().ran == ["a", "b", "t", "after"]
