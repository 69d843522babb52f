"""Where jumps and fragments land: scope, round and what they bring (R1, R5, T5, G6)."""

import pytest

from graflow.machine.directives import Iterate, Jump, Spawn
from graflow.machine.objections import objection
from graflow.machine.plan import Plan, TaskPlan
from graflow.machine.scopes import groups_around
from graflow.machine.state import GroupValue
from support.plans import Host, fragment, plan_of


def test_r1_rounds_begin_at_0_in_a_fragment_and_in_a_branch_of_a_later_round():
    host = Host(plan_of("a; G", {"G": "b"}, start=("a",)))
    host.end("a", Jump("a"))
    assert host.find("a").round == 1
    host.end("a", Spawn(fragment("n")), Jump("G"))
    assert host.find("n").round == 0
    host.end("n")
    assert (host.find("G").round, host.find("b").round) == (1, 0)


def test_t6_one_goto_among_several_calls_skips_the_own_successors():
    host = Host(plan_of("a >> b"))
    host.end("a", Spawn(fragment("n"), goto=True), Spawn(fragment("m")))
    assert host.go().ran == ["a", "n", "m"]


def test_g6_a_group_outside_can_be_jumped_to_from_a_branch_inside_a_fragment():
    host = Host(plan_of("s >> after; G >> y", {"G": "u v"}, start=("s",)))
    host.end("s", Spawn(fragment("D", {"D": "p q"})))
    host.end("p", Jump("G"))
    host.reload()
    assert host.starting() == ["q", "u", "v"]
    assert host.go().ran == ["s", "p", "q", "u", "v", "y", "after"]


def test_g6_what_a_host_keeps_of_a_node_goes_with_it_into_a_branch():
    tasks = (TaskPlan("n"), TaskPlan("x"), TaskPlan("off"))
    outer = Plan(tasks, (), ("n",), params={"x": ("p",), "off": ()}, payload={"x": "X", "n": "N"})
    host = Host(plan_of("s"))
    host.end("s", Spawn(outer))
    host.end("n", Spawn(fragment("D", {"D": "p q"})))
    host.end("p", Jump("x"))
    branch = host.state.scopes[host.find("x").scope]
    assert branch.is_branch
    assert (branch.plan.payload, branch.plan.params) == ({"x": "X"}, {"x": ("p",)})


def test_g6_the_chain_that_goes_along_is_what_the_scope_around_would_have_run():
    # `after` is absorbed by the barrier of G around the fragment, so nothing inside goes on to it.
    host = Host(plan_of("G >> after; x >> after; x >> y", {"G": "a"}, start=("G",)))
    host.end("a", Spawn(fragment("D", {"D": "p q"})))
    host.end("p", Jump("x"))
    host.end("x")
    assert host.starting() == ["q", "y"]
    assert host.go().ran == ["a", "p", "x", "q", "y", "after"]


def test_t8_in_a_branch_the_node_outside_takes_the_place_of_its_exit():
    host = Host(plan_of("s >> x >> y"))
    host.end("s", Spawn(fragment("D; p >> p2 >> x; p >> x", {"D": "p q"}, exits=("x",))))
    host.end("p")
    assert host.starting() == ["q", "p2"]
    host.end("p2")
    x = host.find("x")
    assert host.state.scopes[x.scope].is_branch
    assert [s.sender for s in x.sent] == ["p", "p2"]
    host.reload()
    host.end("x")
    assert host.go().ran == ["s", "p", "p2", "x", "q", "y", "x", "y"]


def test_t8_a_jump_from_a_branch_to_a_node_that_is_an_exit_of_its_fragment_stays_in_the_branch():
    host = Host(plan_of("s; x >> y", start=("s",)))
    host.end("s", Spawn(fragment("D >> x", {"D": "p q"}, exits=("x",))))
    host.end("p", Jump("x"))
    assert host.state.scopes[host.find("x").scope].is_branch
    host.end("q")
    host.end("x")  # the barrier absorbs `y`, which D leads to as well
    assert host.go().ran == ["s", "p", "q", "x", "x", "y"]


def test_g6_an_exit_in_a_branch_of_a_fragment_is_absorbed_by_a_barrier_further_out():
    host = Host(plan_of("G >> after", {"G": "a b"}))
    host.end("a", Spawn(fragment("D; p >> after", {"D": "p q"}, exits=("after",))))
    assert host.go().ran == ["a", "b", "p", "q", "after"]


def test_r6_a_branch_that_took_nodes_in_keeps_the_order_of_its_own():
    def value(first: str) -> object:
        host = Host(plan_of("s; x", start=("s",)))
        host.end("s", Spawn(fragment("D; p >> a; p >> t; p >> z", {"D": "p"})))
        host.end("p")
        if first == "z":
            host.end("z")
        host.end("t", Jump("x"))
        host.end("x", Jump("a"))
        return host.go().state.value

    assert value("z") == value("t") == GroupValue((("p", "z#1"),))


def test_t5_a_jump_out_of_two_fragments_counts_as_one_of_the_outermost_spawner():
    host = Host(plan_of("a >> b >> c"))
    host.end("a", Jump("a"))
    host.end("a", Spawn(fragment("n")))
    host.end("n", Spawn(fragment("m")))
    host.end("m", Jump("c"))
    assert host.starting() == ["b"]
    assert host.find("b").round == 1
    host.end("b")
    c = host.find("c")
    assert (c.round, [s.sender for s in c.sent]) == (1, ["m", "b"])


def test_t8_an_exit_is_reached_once_all_that_leads_to_it_has_come():
    host = Host(plan_of("a >> b; c", start=("a",)))
    host.end("a", Spawn(fragment("n >> c; m >> c", exits=("c",)), goto=True))
    host.end("n")
    assert host.starting() == ["m"]
    host.end("m")
    assert [s.sender for s in host.find("c").sent] == ["n", "m"]
    assert host.go().ran == ["a", "n", "m", "c"]


def test_t8_a_fragment_ends_when_its_last_token_has_left_by_an_exit():
    host = Host(plan_of("a >> b; c", start=("a",)))
    host.end("a", Spawn(fragment("n >> c", exits=("c",))))
    host.end("n")
    host.reload()
    assert host.starting() == ["c", "b"]


def test_t_a_pass_keeps_input_and_data_until_it_is_given_other_data():
    host = Host(plan_of("s >> a"))
    host.end("s")
    host.end("a", Iterate("one"))
    host.end("a", Iterate())
    again = host.find("a")
    assert (again.again, [s.sender for s in again.sent]) == ("one", ["s"])
    host.end("a", Iterate("two"))
    assert host.find("a").again == "two"


def test_t8_what_has_left_by_an_exit_is_alive_in_the_fragment_no_more():
    host = Host(plan_of("a >> b; c", start=("a",)))
    host.end("a", Spawn(fragment("n >> c; m", exits=("c",))))
    host.end("n")
    assert host.state.scopes[host.find("m").scope].tracker.alive == {"m": (0,)}


def test_g6_a_branch_that_a_jump_has_led_further_is_as_wide_when_the_host_starts_anew():
    host = Host(plan_of("G >> after; x >> y", {"G": "a b"}, start=("G",)))
    host.end("a", Jump("x"))
    host.reload()
    host.end("x")
    host.reload()
    assert host.go().ran == ["a", "x", "b", "y", "after"]


def test_r5_a_jump_to_what_only_a_loop_edge_leads_to_does_not_wait_for_the_join():
    host = Host(plan_of("y >> x >> y; y >> z; slow >> z", start=("y", "slow")))
    host.end("y")
    host.end("x", Jump("z"))
    assert host.starting() == ["slow", "z"]
    assert host.find("z").round == 0


def test_g6_no_group_around_can_be_jumped_to_however_far_out():
    plan = plan_of("G", {"H": "b c", "G": "a H"})
    host = Host(plan)
    b = host.find("b")
    assert groups_around(host.state, b.scope) == ("H", "G")
    assert "runs in group 'G'" in objection(plan, host.state, b, [Jump("G")])
    host.end("b", Spawn(fragment("n")))
    assert "runs in group 'H'" in objection(plan, host.state, host.find("n"), [Jump("H")])


def test_t8_a_task_without_edges_can_be_a_node_of_a_fragment():
    plan = plan_of("a >> b; off", start=("a",))
    host = Host(plan)
    spawn = Spawn(fragment("off >> n"))
    assert objection(plan, host.state, host.find("a"), [spawn]) is None
    host.end("a", spawn)
    assert host.go().ran == ["a", "off", "n", "b"]


def test_t5_a_task_of_a_fragment_can_jump_within_it_and_out_of_it_to_what_is_known():
    plan = plan_of("a >> b")
    host = Host(plan)
    host.end("a", Spawn(fragment("n >> m >> k")))
    n = host.find("n")
    assert objection(plan, host.state, n, [Jump("k"), Jump("b")]) is None
    unknown = Spawn(fragment("d >> bb", exits=("bb",)))
    assert "did you mean 'b'?" in objection(plan, host.state, n, [unknown])
    host.end("n", Jump("k"))
    assert host.go().ran == ["a", "n", "k", "b"]


@pytest.mark.parametrize("taken", ["first", "member", "G", "x"])
def test_t7_no_id_that_has_a_place_in_the_program_can_be_given_again(taken):
    plan = plan_of("first; G; x >> y", {"G": "member"}, start=("first", "G"))
    host = Host(plan)
    spawn = Spawn(Plan((TaskPlan(taken),), (), (taken,)))
    assert "of that id already" in objection(plan, host.state, host.find("first"), [spawn])


def test_r1_an_edge_that_is_drawn_twice_is_one_edge():
    host = Host(Plan((TaskPlan("a"), TaskPlan("b")), (("a", "b"), ("a", "b")), ("a",)))
    host.end("a")
    assert [s.sender for s in host.find("b").sent] == ["a"]
