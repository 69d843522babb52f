"""What the value of a run is (R6), where several things come to an end."""

from graflow.machine.directives import Iterate, Jump, Spawn
from graflow.machine.plan import Plan, TaskPlan
from support.plans import Host, fragment, plan_of


def test_r6_a_spawner_whose_fragment_went_on_outside_is_no_end():
    # `x` is declared before `a`: as an end, `a` would win.
    host = Host(plan_of("x; a", start=("a",)))
    host.end("a", Spawn(fragment("n")))
    host.end("n", Jump("x"))
    assert host.go().state.value == "x#1"


def test_r6_a_spawner_that_skips_its_successors_is_an_end():
    host = Host(plan_of("a >> b"))
    host.end("a", Spawn(fragment("n >> m"), goto=True))
    assert host.go().ran == ["a", "n", "m"]
    assert host.state.value == "m#1"


def test_r6_a_pass_that_asks_for_another_is_no_end():
    host = Host(plan_of("x; a", start=("a",)))
    host.end("a", Iterate())
    host.end("a", Jump("x"))
    assert host.go().state.value == "x#1"


def test_r6_of_one_node_the_highest_round_counts_then_the_latest_pass():
    host = Host(plan_of("s >> a; s >> b; s >> x; x", start=("s",)))
    host.end("s")
    host.end("b")
    host.end("x", Jump("x"))
    host.end("x", value="second round")
    host.end("a", Jump("x"))
    host.end("x", value="first round, third pass")
    assert host.go().state.value == "second round"


def test_r6_of_two_passes_in_one_round_the_latest_counts():
    host = Host(plan_of("s >> a; s >> b; x", start=("s",)))
    host.end("s")
    host.end("a", Jump("x"))
    host.end("b", Jump("x"))
    host.end("x", value="first")
    host.end("x", value="second")
    assert host.state.value == "second"


def test_r6_of_dynamic_nodes_the_later_pass_of_the_spawner_counts_before_the_call():
    host = Host(plan_of("a; b", start=("a", "b")))
    host.end("a", Spawn(fragment("n")), Spawn(fragment("m1; m2")))
    for node in ("n", "m1", "m2"):
        host.end(node)
    host.end("b", Jump("a"))
    host.end("a", Spawn(fragment("k")))
    assert host.go().state.value == "k#1"


def test_r6_what_is_built_by_what_was_built_is_declared_last():
    host = Host(plan_of("a; b", start=("a", "b")))
    host.end("a", Spawn(fragment("n")))
    host.end("b", Spawn(fragment("m")))
    host.end("n", Spawn(fragment("deep")))
    assert host.go().state.value == "deep#1"


def test_r6_the_value_of_a_branch_is_its_end_by_the_same_rule():
    host = Host(plan_of("G; a >> b; a >> c", {"G": "a"}))
    host.end("a")
    host.end("c")
    host.end("b")
    assert dict(host.state.value.branches) == {"a": "c#1"}


def test_r6_an_end_is_remembered_when_the_host_starts_anew():
    host = Host(plan_of("a; b", start=("a", "b")))
    host.end("b")
    host.reload()
    host.end("a")
    assert host.state.value == "b#1"


def test_r6_nodes_are_told_apart_by_their_place_in_the_plan_not_by_their_names():
    plan = Plan((TaskPlan("z"), TaskPlan("a")), (), ("z", "a"))
    assert Host(plan).go().state.value == "a#1"


def test_r6_the_order_of_declaration_counts_before_the_round():
    host = Host(plan_of("a; b", start=("a", "b")))
    host.end("b")
    host.end("a", Jump("a"))
    assert host.go().state.value == "b#1"


def test_r6_of_dynamic_nodes_of_one_pass_the_later_call_counts_before_the_place():
    host = Host(plan_of("a"))
    host.end("a", Spawn(fragment("n1; n2")), Spawn(fragment("m")))
    assert host.go().state.value == "m#1"
