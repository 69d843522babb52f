"""B2: what operators draw."""

import pytest

from graflow import chain, parallel, workflow
from graflow.core.task import ParallelGroup, SequentialTask, Task
from graflow.exceptions import ConfigError, DuplicateTaskError


@pytest.fixture
def tasks():
    return [Task(name) for name in "abcd"]


def edges(wf):
    return [f"{before}{after}" for before, after in wf.graph.edges]


def members(group):
    return [member.task_id for member in group.tasks]


@pytest.mark.parametrize(
    ("draw", "drawn"),
    [
        (lambda a, b, c, d: a >> b >> c, ["ab", "bc"]),
        (lambda a, b, c, d: a << b, ["ba"]),
        (lambda a, b, c, d: c << b << a, ["bc", "ab"]),
        (lambda a, b, c, d: chain(a, b, c), ["ab", "bc"]),
        (lambda a, b, c, d: a >> [b, c], ["ab", "ac"]),
        (lambda a, b, c, d: [b, c] >> d, ["bd", "cd"]),
        (lambda a, b, c, d: a >> [b, c] >> d, ["ab", "ac", "bd", "cd"]),
        (lambda a, b, c, d: d << [b, c], ["bd", "cd"]),
        (lambda a, b, c, d: [b, c] << a, ["ab", "ac"]),
        (lambda a, b, c, d: a >> (b, c), ["ab", "ac"]),
        (lambda a, b, c, d: [a, b] >> Task("x") >> [c, d], ["ax", "bx", "xc", "xd"]),
        (lambda a, b, c, d: (a >> b) >> (c >> d), ["ab", "cd", "bc"]),
        (lambda a, b, c, d: a >> [b >> c, d], ["bc", "ab", "ad"]),
        (lambda a, b, c, d: chain(a, [b, c], d), ["ab", "ac", "bd", "cd"]),
    ],
)
def test_b2_operators_draw_edges(tasks, draw, drawn):
    with workflow("w") as wf:
        draw(*tasks)
    assert edges(wf) == drawn


def test_drawing_an_edge_again_changes_nothing(tasks):
    a, b, *_ = tasks
    with workflow("w") as wf:
        a >> b
        a >> b
    assert edges(wf) == ["ab"]


def test_b2_a_list_makes_no_group(tasks):
    a, b, c, _ = tasks
    with workflow("w") as wf:
        a >> [b, c]
    assert wf.graph.nodes == ["a", "b", "c"]


def test_b2_beside_each_other_is_one_group(tasks):
    a, b, c, _ = tasks
    with workflow("w") as wf:
        group = a | b | c
    assert members(group) == ["a", "b", "c"]
    assert wf.graph.nodes == ["a", "b", "ParallelGroup_1", "c"]
    assert wf.graph.get_parallel_group_members("ParallelGroup_1") == ["a", "b", "c"]


def test_g1_edges_attach_to_the_group(tasks):
    a, b, c, d = tasks
    with workflow("w") as wf:
        a >> (b | c) >> d
    assert wf.graph.edges == [("a", "ParallelGroup_1"), ("ParallelGroup_1", "d")]


def test_b2_two_groups_without_successors_become_one(tasks):
    a, b, c, d = tasks
    with workflow("w") as wf:
        group = (a | b) | (c | d)
    assert members(group) == ["a", "b", "c", "d"]
    assert not wf.graph.has_node("ParallelGroup_2")


def test_b2_a_group_with_a_successor_stays_one_of_its_own(tasks):
    a, b, c, d = tasks
    with workflow("w"):
        left = a | b
        left >> Task("after")
        group = left | (c | d)
    assert members(group) == ["ParallelGroup_1", "ParallelGroup_2"]


def test_a_group_with_a_policy_or_a_name_of_its_own_stays_one(tasks):
    a, b, c, d = tasks
    with workflow("w"):
        group = (a | b) | (c | d).with_execution(policy="best_effort")
    assert members(group) == ["ParallelGroup_1", "ParallelGroup_2"]


def test_b2_the_chain_behind_a_member_belongs_to_its_branch(tasks):
    a, b, c, _ = tasks
    with workflow("w") as wf:
        group = a | (b >> c)
    assert members(group) == ["a", "b"]
    assert edges(wf) == ["bc"]


def test_b2_parallel_makes_a_group_of_at_least_two(tasks):
    a, b, c, _ = tasks
    with workflow("w"):
        assert members(parallel(a, b >> c)) == ["a", "b"]
        with pytest.raises(ValueError, match="at least two"):
            parallel(a)
    with pytest.raises(ValueError, match="at least one"):
        chain()


def test_g2_groups_are_named_in_order_of_creation_in_each_workflow(tasks):
    a, b, c, d = tasks
    for name in ("one", "two"):
        with workflow(name):
            assert parallel(a, b).task_id == "ParallelGroup_1"
            assert parallel(c, d).task_id == "ParallelGroup_2"


def test_a_group_can_be_named_before_and_after_edges_are_drawn(tasks):
    a, b, c, d = tasks
    with workflow("w") as wf:
        group = a | b
        c >> group >> d
        assert group.set_group_name("both") is group
    assert wf.graph.edges == [("c", "both"), ("both", "d")]
    assert wf.graph.get_node("both") is group


def test_b5_a_taken_group_name_is_refused(tasks):
    a, b, c, _ = tasks
    with workflow("w"):
        c >> a
        with pytest.raises(DuplicateTaskError, match="a task 'c' already"):
            (a | b).set_group_name("c")


def test_a_member_given_twice_is_refused(tasks):
    a, b, *_ = tasks
    with workflow("w"), pytest.raises(ValueError, match="'a' is in the group already"):
        a | b | a


def test_a_branch_begins_with_one_task(tasks):
    a, b, c, d = tasks
    with workflow("w"), pytest.raises(TypeError, match="this one with b, c"):
        a | ([b, c] >> d)


@pytest.mark.parametrize("other", [print, 3, "b", [1, 2]])
def test_an_edge_to_what_is_no_task_is_refused(tasks, other):
    with workflow("w"), pytest.raises(TypeError, match="make a function a task with @task"):
        tasks[0] >> other


def test_a_branch_that_is_no_task_is_refused(tasks):
    with workflow("w"), pytest.raises(TypeError, match=r"write a \| b"):
        tasks[0] | [tasks[1]]


def test_an_edge_to_an_empty_list_is_refused(tasks):
    with workflow("w"), pytest.raises(ValueError, match="leads nowhere"):
        tasks[0] >> []


def test_a_chain_drawn_once_brings_its_edges_into_any_workflow(tasks):
    a, b, c, d = tasks
    pipeline = b >> c
    for name in ("one", "two"):
        with workflow(name) as wf:
            a >> pipeline >> d
        assert sorted(edges(wf)) == ["ab", "bc", "cd"]


def test_a_group_drawn_once_brings_its_members_into_any_workflow(tasks):
    a, b, c, _ = tasks
    group = (a | b).set_group_name("g")
    for name in ("one", "two"):
        with workflow(name) as wf:
            group >> c
        assert sorted(wf.graph.nodes) == ["a", "b", "c", "g"]


def test_a_chain_can_be_looked_at(tasks):
    a, b, c, _ = tasks
    flow = a >> b >> c
    assert isinstance(flow, SequentialTask)
    assert (flow.leftmost, flow.rightmost, flow.task_id) == (a, c, "a")
    assert (list(flow), len(flow), flow[1], flow.tasks) == ([a, b, c], 3, b, [a, b, c])
    assert list(chain(Task("x"), [Task("y"), Task("z")])) != []


def test_chains_of_any_length_are_drawn_without_recursion():
    flow = first = Task("t0", register_to_context=False)
    for n in range(1, 5_000):
        flow = flow >> Task(f"t{n}", register_to_context=False)
    assert flow.leftmost is first
    with workflow("w") as wf:
        flow >> Task("end")
    assert len(wf.graph.edges) == 5_000


def test_the_backend_and_the_number_of_threads_are_checked(tasks):
    a, b, *_ = tasks
    group = a | b
    assert group.with_execution(backend="direct", backend_config={"thread_count": 2}) is group
    with pytest.raises(ConfigError, match="backend 'dask' is not known; there are: redis"):
        group.with_execution(backend="dask")
    with pytest.raises(ConfigError, match="thread_count is 0"):
        group.with_execution(backend_config={"thread_count": 0})


def test_policies_are_given_by_name_or_as_objects(tasks):
    from graflow.core.handlers import group_policy as policies
    from graflow.machine.plan import AtLeast, BestEffort, Critical, Strict

    group = ParallelGroup(tasks[:2])
    assert group.policy == Strict()
    for spec, policy in [
        ("best_effort", BestEffort()),
        ("strict", Strict()),
        (policies.BestEffortGroupPolicy(), BestEffort()),
        (policies.StrictGroupPolicy(), Strict()),
        (policies.AtLeastNGroupPolicy(1), AtLeast(1)),
        (policies.AtLeastNGroupPolicy(min_success=2), AtLeast(2)),
        (policies.CriticalGroupPolicy(["a"]), Critical(("a",))),
        (AtLeast(1), AtLeast(1)),
    ]:
        assert group.with_execution(policy=spec).policy == policy


def test_with_execution_keeps_what_it_does_not_say(tasks):
    from graflow.machine.plan import BestEffort

    group = ParallelGroup(tasks[:2]).with_execution(policy="best_effort")
    assert group.with_execution(backend="direct").policy == BestEffort()


@pytest.mark.parametrize(
    ("policy", "words"),
    [("strikt", "did you mean 'strict'"), ("critical", "needs values; give CriticalGroupPolicy")],
)
def test_a_policy_that_cannot_be_used_is_refused(tasks, policy, words):
    with pytest.raises(ConfigError, match=words):
        ParallelGroup(tasks[:2]).with_execution(policy=policy)


def test_a_policy_of_the_programs_own_is_judged_by_its_code(tasks):
    from graflow.core.handlers.group_policy import (
        AtLeastNGroupPolicy,
        GroupExecutionPolicy,
        StrictGroupPolicy,
    )
    from graflow.machine.plan import Custom

    class Mine(GroupExecutionPolicy):
        def on_group_finished(self, group_id, tasks, results, context):
            raise AssertionError

    class Stricter(StrictGroupPolicy):
        def on_group_finished(self, group_id, tasks, results, context):
            raise AssertionError

    for policy in (Mine(), Stricter()):
        group = ParallelGroup(tasks[:2]).with_execution(policy=policy)
        assert (group.policy, group.judge) == (Custom(), policy)
    with pytest.raises(ConfigError, match="min_success is -1"):
        AtLeastNGroupPolicy(-1)
