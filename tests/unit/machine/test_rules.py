"""The rules of running (R) and of groups (G), each by its number in docs/concepts."""

import itertools

import pytest

from graflow.machine import reasons
from graflow.machine.check import infer_start, named_start, problems
from graflow.machine.events import (
    AttemptClaimed,
    AttemptFailed,
    AttemptLost,
    AttemptSucceeded,
    RunStarted,
    TimerFired,
)
from graflow.machine.plan import (
    AtLeast,
    BestEffort,
    Critical,
    GroupPlan,
    Plan,
    Retry,
    Strict,
    TaskPlan,
)
from graflow.machine.reducer import reduce
from graflow.machine.results import of_run, visible
from graflow.machine.state import (
    RUN_SCOPE,
    Error,
    GroupFailure,
    GroupValue,
    Phase,
    RunPhase,
    State,
)
from support.plans import Host, plan_of


def test_r1_a_completed_activation_puts_a_token_on_each_successor_in_the_order_of_the_edges():
    host = Host(plan_of("a >> c; a >> b"))
    host.end("a")
    assert host.starting() == ["c", "b"]


def test_r1_and_r2_a_loop_edge_opens_the_next_round_and_forward_edges_keep_it():
    host = Host(plan_of("init >> agent >> tool >> agent"))
    host.end("init")
    host.end("agent")
    assert host.find("tool").round == 0
    host.end("tool")
    assert host.find("agent").round == 1


def test_r2_a_self_edge_is_a_loop_edge():
    host = Host(plan_of("a >> b >> b"))
    host.end("a")
    host.end("b")
    assert (host.find("b").round, host.find("b").iteration) == (1, 2)


def test_r3_the_sink_of_a_diamond_runs_once_after_both_sides():
    host = Host(plan_of("a >> b >> d; a >> c >> d"))
    host.end("a")
    host.end("b")
    assert host.starting() == ["c"]
    host.end("c")
    assert [s.sender for s in host.find("d").sent] == ["b", "c"]
    assert host.go().ran == ["a", "b", "c", "d"]


def test_r3_a_longer_side_holds_the_join_up_until_it_has_come():
    host = Host(plan_of("a >> b >> d; a >> c >> c2 >> c3 >> d"))
    for node in ("a", "b", "c", "c2"):
        host.end(node)
        assert "d" not in host.starting()
    host.end("c3")
    assert host.starting() == ["d"]


def test_r3_a_loop_does_not_wait_for_the_edge_that_first_led_into_it():
    host = Host(plan_of("init >> agent >> tool >> agent", max_steps=7)).go()
    assert host.ran == ["init", "agent", "tool", "agent", "tool", "agent", "tool"]


def test_r3_what_follows_a_loop_task_runs_once_per_lap():
    host = Host(plan_of("init >> agent >> tool >> agent; tool >> log", max_steps=10)).go()
    assert host.ran[:6] == ["init", "agent", "tool", "agent", "log", "tool"]


def test_r3_tokens_of_different_rounds_do_not_merge():
    host = Host(plan_of("a >> b >> a; b >> sink", start=["a"]))
    host.end("a")
    host.end("b")
    host.end("a")
    host.end("b")
    assert host.find("sink").round == 0
    assert [s.value for s in host.find("sink").sent] == ["b#1"]


def test_r4_one_activation_of_a_node_runs_at_a_time_and_the_others_wait_their_turn():
    host = Host(plan_of("a >> b >> a; b >> sink", start=["a"]))
    for node in ("a", "b", "a", "b"):
        host.end(node)
    sinks = [a for a in host.state.activations.values() if a.node == "sink"]
    assert [a.phase for a in sinks] == [Phase.STARTING, Phase.PENDING]
    host.end("sink")
    assert host.find("sink").phase is Phase.STARTING


def test_r6_of_several_ends_the_node_declared_last_gives_the_value():
    host = Host(plan_of("a >> b; a >> c"))
    host.end("a")
    host.end("c")
    host.end("b")
    assert host.state.value == "c#1"


def test_r7_a_failure_lets_running_attempts_end_and_starts_nothing_more():
    host = Host(plan_of("a >> b >> d; a >> c >> e"), failing=["b"])
    host.end("a")
    c = host.find("c")
    host.state = reduce(host.plan, host.state, AttemptClaimed(c.number, 1, "pod", 0.0))
    host.end("b")
    assert host.state.phase is RunPhase.RUNNING
    assert host.starting() == []
    host.state = reduce(host.plan, host.state, AttemptSucceeded(c.number, 1, "kept", 0.0))
    assert host.state.phase is RunPhase.FAILED
    assert of_run(host.state)["c"].value == "kept"
    assert "e" in host.state.scopes[0].tokens


def test_r7_the_first_failure_is_the_reason():
    host = Host(plan_of("a >> b; a >> c"), failing=["b", "c"])
    host.end("a")
    c = host.find("c")
    host.state = reduce(host.plan, host.state, AttemptClaimed(c.number, 1, "pod", 0.0))
    host.end("b")
    late = AttemptFailed(c.number, 1, Error("TaskFailed", "later"), 0.0)
    host.state = reduce(host.plan, host.state, late)
    assert host.state.failure.node == "b"
    assert host.state.message == "b broke"


def test_r7_a_runner_that_had_not_claimed_when_its_scope_failed_is_too_late():
    host = Host(plan_of("a >> b; a >> c"), failing=["b"])
    host.end("a")
    c = host.find("c")
    host.end("b")
    assert host.state.phase is RunPhase.FAILED
    assert host.find("c").attempt == c.attempt + 1


def test_r8_going_over_max_steps_fails_the_run_and_names_the_node():
    host = Host(plan_of("a >> b >> a", start=["a"], max_steps=3)).go()
    assert host.state.reason == reasons.MAX_STEPS_EXCEEDED
    assert "'b'" in host.state.message
    assert host.state.steps == 3


def test_g1_a_group_is_a_barrier_for_the_chains_behind_its_members():
    host = Host(plan_of("s >> G >> d; b >> c", {"G": "a b"}))
    for node in ("s", "a", "b"):
        host.end(node)
        assert "d" not in host.starting()
    host.end("c")
    assert host.starting() == ["d"]


def test_g1_the_members_get_what_came_to_the_group():
    host = Host(plan_of("s >> G", {"G": "a b"}))
    host.end("s", value="for all")
    assert [(s.sender, s.value) for s in host.find("b").sent] == [("s", "for all")]


def test_g2_strict_fails_when_every_branch_has_ended_and_names_both_kinds_in_order():
    host = Host(plan_of("G", {"G": "x y z"}), failing=["y", "x"])
    host.end("y")
    host.end("x")
    assert host.state.phase is RunPhase.RUNNING
    host.end("z")
    error = host.state.failure.error
    assert (error.reason, error.message) == (
        reasons.PARALLEL_GROUP_FAILED,
        "Parallel group G failed: 2 task(s) failed",
    )
    assert isinstance(error.detail, GroupFailure)
    assert [member for member, _ in error.detail.failed] == ["x", "y"]
    assert error.detail.succeeded == ("z",)


@pytest.mark.parametrize(
    ("policy", "failing", "phase"),
    [
        (BestEffort(), ["x", "y"], RunPhase.SUCCEEDED),
        (AtLeast(1), ["x"], RunPhase.SUCCEEDED),
        (AtLeast(2), ["x"], RunPhase.FAILED),
        (Critical(("y",)), ["x"], RunPhase.SUCCEEDED),
        (Critical(("x",)), ["x"], RunPhase.FAILED),
    ],
)
def test_g2_policies(policy, failing, phase):
    host = Host(plan_of("G >> after", {"G": "x y"}, policies={"G": policy}), failing=failing)
    assert host.go().state.phase is phase


def test_g4_the_value_is_a_dict_of_the_branches_that_succeeded_in_the_order_of_the_members():
    plan = plan_of("G; b >> c", {"G": "a b z"}, policies={"G": BestEffort()})
    host = Host(plan, failing=["a"])
    host.end("z")
    host.end("b")
    host.end("a")
    host.end("c")
    assert host.state.value == GroupValue((("b", "c#1"), ("z", "z#1")))


def test_g4_a_branch_sees_its_own_and_earlier_results_and_never_a_siblings():
    host = Host(plan_of("s >> G; s >> side; b >> c", {"G": "a b"}))
    host.end("s")
    host.end("a")
    host.end("side")
    host.end("b")
    scope = host.find("c").scope
    assert visible(host.state, scope, "b").value == "b#1"
    assert visible(host.state, scope, "s").value == "s#1"
    assert visible(host.state, scope, "a") is None
    assert visible(host.state, scope, "side") is None
    host.end("c")
    assert of_run(host.state)["c"].value == "c#1"


def test_g4_a_result_that_is_replaced_outside_keeps_its_old_value_for_an_open_branch():
    host = Host(plan_of("a >> b >> a; b >> G", {"G": "x y"}, start=["a"]))
    host.end("a")
    host.end("b")
    host.end("a")
    scope = host.find("x").scope
    assert of_run(host.state)["a"].value == "a#2"
    assert visible(host.state, scope, "a").value == "a#1"


def test_g4_failed_branches_contribute_no_results():
    plan = plan_of("G >> after; b >> c", {"G": "a b"}, policies={"G": BestEffort()})
    host = Host(plan, failing=["c"]).go()
    assert set(of_run(host.state)) == {"a", "G", "after"}


def test_g5_groups_nest():
    host = Host(plan_of("s >> G >> e", {"H": "b c", "G": "a H"})).go()
    assert host.ran == ["s", "a", "b", "c", "e"]
    assert of_run(host.state)["G"].value == GroupValue(
        (("a", "a#1"), ("H", GroupValue((("b", "b#1"), ("c", "c#1")))))
    )


def test_g6_a_token_for_what_the_group_itself_leads_to_is_absorbed_by_the_barrier():
    host = Host(plan_of("G >> d; a >> d", {"G": "a b"})).go()
    assert host.ran == ["a", "b", "d"]


def test_g6_a_token_for_what_a_group_further_out_leads_to_is_absorbed_too():
    # `after` closes a branch of the inner group, and it is what the outer one leads to.
    drawing = "outer >> after; b >> after"
    host = Host(plan_of(drawing, {"inner": "b c", "outer": "a inner"})).go()
    assert sorted(host.ran) == ["a", "after", "b", "c"]
    assert host.ran[-1] == "after"
    assert host.state.value == "after#1"


def test_r8_a_group_that_has_ended_leaves_nothing_of_its_branches_behind():
    plan = plan_of("before >> G >> after; b >> later", {"G": "a b"}, policies={"G": BestEffort()})
    host = Host(plan, failing={"a"})
    for node in ("before", "a", "b", "later"):
        host.end(node)
    assert host.starting() == ["after"]
    assert list(host.state.scopes) == [RUN_SCOPE]
    assert [a.node for a in host.state.activations.values()] == ["after"]
    assert host.state.scopes[RUN_SCOPE].children == 0


def test_g6_an_edge_from_outside_into_a_member_is_refused():
    nodes = (TaskPlan("x"), TaskPlan("a"), TaskPlan("b"), GroupPlan("G", ("a", "b")))
    found = problems(Plan(nodes, (("x", "a"),), ("x", "G")))
    assert [p.message for p in found] == [
        "the edge from 'x' leads into 'a', a member of group 'G'; draw it to the group: x >> G"
    ]


def test_f1_each_activation_has_its_own_count_of_attempts_and_backs_off():
    plan = plan_of("a >> b >> a", start=["a"], retry=Retry(2, initial_s=5.0))
    host = Host(plan, failing=["a"])
    host.end("a")
    assert host.find("a").phase is Phase.BACKOFF
    assert host.starting() == []
    host.state = reduce(plan, host.state, TimerFired(4.9))
    assert host.starting() == []
    host.state = reduce(plan, host.state, TimerFired(5.0))
    assert (host.find("a").attempt, host.starting()) == (2, ["a"])
    host.failing.clear()
    host.end("a")
    host.end("b")
    assert (host.find("a").attempt, host.find("a").failures) == (1, 0)


def waits(**retry):
    """How long each of many activations waits, in seconds."""
    plan = plan_of("s >> a; s >> b; s >> c; s >> d", start=["s"], retry=Retry(2, **retry))
    host = Host(plan, failing=["a", "b", "c", "d"])
    host.end("s")
    for node in "abcd":
        host.end(node)
    return [host.find(node).not_before - host.find(node).since for node in "abcd"]


def test_f1_jitter_spreads_waits_by_up_to_a_half_and_a_replay_gives_the_same():
    assert waits(initial_s=8.0) == [8.0] * 4
    spread = waits(initial_s=8.0, jitter=True)
    assert len(set(spread)) == 4
    assert all(4.0 <= wait < 12.0 for wait in spread)
    assert waits(initial_s=8.0, jitter=True) == spread


def test_f1_max_attempts_counts_the_first_attempt():
    plan = plan_of("a", retry=Retry(max_attempts=2))
    host = Host(plan, failing=["a"])
    host.end("a")
    assert (host.find("a").attempt, host.starting()) == (2, ["a"])
    host.end("a")
    assert host.state.phase is RunPhase.FAILED
    assert (host.state.failure.attempt, host.state.failure.failures) == (2, 2)


def test_r7_a_retry_that_a_failed_scope_forbids_burns_the_number_of_the_attempt():
    plan = plan_of("a >> b; a >> c", retry=Retry(max_attempts=2))
    host = Host(plan)
    host.end("a")
    b, c = host.find("b"), host.find("c")
    host.state = reduce(plan, host.state, AttemptClaimed(c.number, 1, "pod", 0.0))
    given_up = Error("TaskFailed", "for good", retryable=False)
    host.state = reduce(plan, host.state, AttemptFailed(b.number, 1, given_up, 0.0))
    again = Error("TaskFailed", "once more?")
    host.state = reduce(plan, host.state, AttemptFailed(c.number, 1, again, 0.0))
    assert host.state.phase is RunPhase.FAILED
    assert (host.find("c").phase, host.find("c").attempt) == (Phase.PENDING, 2)


def test_f1_an_error_that_cannot_be_retried_ends_the_activation_at_once():
    plan = plan_of("a", retry=Retry(5))
    host = Host(plan)
    error = Error("ArgumentsMissing", "no x", retryable=False)
    host.state = reduce(plan, host.state, AttemptFailed(1, 1, error, 0.0))
    assert host.state.phase is RunPhase.FAILED


def test_f2_lost_attempts_spend_a_budget_of_their_own():
    plan = plan_of("a", retry=Retry(1))
    host = Host(plan)
    for attempt in range(1, 6):
        lost = AttemptLost(1, attempt, Error("PodLost", "gone"), 0.0)
        host.state = reduce(plan, host.state, lost)
        host.state = reduce(plan, host.state, TimerFired(10.0**6))
        assert host.find("a").attempt == attempt + 1
    lost = AttemptLost(1, 6, Error("PodLost", "gone"), 0.0)
    assert reduce(plan, host.state, lost).phase is RunPhase.FAILED


def test_an_attempt_whose_pod_may_never_have_existed_burns_its_number_and_no_budget():
    plan = plan_of("a")
    host = Host(plan)
    for attempt in range(1, 20):
        lost = AttemptLost(1, attempt, Error("PodLost", "gone"), 0.0, spends=False)
        host.state = reduce(plan, host.state, lost)
        assert (host.find("a").attempt, host.find("a").phase) == (attempt + 1, Phase.BACKOFF)
        host.state = reduce(plan, host.state, TimerFired(10.0**6))
    assert host.find("a").losses == 0


def test_the_first_claim_of_an_attempt_holds():
    plan = plan_of("a")
    state = reduce(plan, State(), RunStarted(0.0))
    state = reduce(plan, state, AttemptClaimed(1, 1, "first", 1.0))
    assert reduce(plan, state, AttemptClaimed(1, 1, "second", 2.0)) is state


def test_b7_every_node_without_an_incoming_edge_starts_except_members_and_tasks_off_the_flow():
    nodes = [TaskPlan(n) for n in "abcdx"] + [GroupPlan("G", ("c", "d"))]
    assert infer_start(nodes, [("a", "b")]) == ("a", "G")
    assert infer_start([TaskPlan("only")], []) == ("only",)


def test_b7_a_pure_cycle_and_several_lone_tasks_are_refused_with_the_way_out():
    nodes = [TaskPlan("a"), TaskPlan("b")]
    cycle = infer_start(nodes, [("a", "b"), ("b", "a")])
    lone = infer_start(nodes, [])
    assert "pass start_node" in cycle.message
    assert "'a', 'b'" in cycle.message
    assert "pass start_node" in lone.message


def test_b7_a_start_that_is_a_member_starts_its_group_and_an_unknown_one_names_the_nearest():
    nodes = [TaskPlan("fetch"), TaskPlan("b"), GroupPlan("G", ("fetch", "b"))]
    assert named_start(nodes, "fetch") == ("G",)
    assert "did you mean 'fetch'?" in named_start(nodes, "fecth").message


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (Plan((TaskPlan("a"), TaskPlan("a")), (), ("a",)), "two tasks are named 'a'"),
        (Plan((TaskPlan("fetch"),), (("fecth", "fetch"),), ("fetch",)), "did you mean 'fetch'?"),
        (
            Plan(
                (TaskPlan("a"), TaskPlan("b"), GroupPlan("G", ("a",)), GroupPlan("H", ("a", "b"))),
                (),
                ("G", "H"),
            ),
            "a member of two groups",
        ),
        (Plan((GroupPlan("G", ("H",)), GroupPlan("H", ("G",))), (), ("G",)), "member of itself"),
        (Plan((TaskPlan("a"), GroupPlan("G", ("a",), AtLeast(2))), (), ("G",)), "at least 2"),
        (Plan((TaskPlan("a"), GroupPlan("G", ("a",), Critical(("b",)))), (), ("G",)), "critical"),
        (Plan((TaskPlan("a"),), (), ("a",), max_steps=0), "at least 1"),
    ],
)
def test_a_plan_that_cannot_run_is_refused_with_words(plan, words):
    assert any(words in problem.message for problem in problems(plan))


@pytest.mark.parametrize(("depth", "words"), [(100, []), (101, ["'a' is inside of 101 groups"])])
def test_groups_in_groups_are_refused_before_they_are_too_deep_to_begin(depth, words):
    inner = ("a", *(f"G{number}" for number in range(depth)))
    groups = tuple(GroupPlan(name, (member,)) for member, name in itertools.pairwise(inner))
    plan = Plan((TaskPlan("a"), *groups), (), inner[-1:])
    assert [problem.message.partition(",")[0] for problem in problems(plan)] == words
    assert reduce(plan, State(), RunStarted(0.0)).starting, "what may be does begin"


def test_strict_is_what_a_group_has_when_nothing_is_said():
    assert GroupPlan("G", ("a",)).policy == Strict()
