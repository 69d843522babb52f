"""B7 and B9: where a workflow begins, and what cannot be run as it was drawn."""

import pytest

from graflow import task, workflow
from graflow.core.handlers.group_policy import AtLeastNGroupPolicy, CriticalGroupPolicy
from graflow.core.task import Task
from graflow.exceptions import GraphCompilationError


def starts(wf, *args):
    return wf.program(*args).plan.start


def test_b7_every_node_without_a_predecessor_starts_in_order_of_declaration():
    with workflow("w") as wf:
        b, a, end = Task("b"), Task("a"), Task("end")
        a >> end
        b >> end
    assert starts(wf) == ("b", "a")


def test_b7_a_lone_task_is_a_flow():
    with workflow("w") as wf:
        Task("only")
    assert starts(wf) == ("only",)


def test_b7_off_flow_tasks_and_members_do_not_start():
    with workflow("w") as wf:
        Task("off")
        Task("a") >> (Task("b") | Task("c"))
    assert starts(wf) == ("a",)


def test_b9_a_group_counts_as_having_an_edge():
    with workflow("w") as wf:
        Task("off")
        Task("b") | Task("c")
    assert starts(wf) == ("ParallelGroup_1",)


def test_b7_several_lone_tasks_are_refused_with_the_way_out():
    with workflow("w") as wf:
        Task("a")
        Task("b")
    with pytest.raises(GraphCompilationError, match=r"'a', 'b'.*pass start_node"):
        wf.program()
    assert starts(wf, "b") == ("b",)


def test_b7_a_pure_cycle_is_refused_with_the_candidates():
    with workflow("w") as wf:
        a, b = Task("a"), Task("b")
        a >> b >> a
    with pytest.raises(GraphCompilationError, match=r"pass start_node, one of 'a', 'b'"):
        wf.program()
    assert starts(wf, "b") == ("b",)


def test_b7_an_unknown_start_names_the_nearest():
    with workflow("w") as wf:
        Task("extract") >> Task("load")
    with pytest.raises(GraphCompilationError, match=r"'extrct'.*did you mean 'extract'"):
        wf.execute("extrct")


def test_b7_a_start_that_is_a_member_starts_the_outermost_group():
    with workflow("w") as wf:
        inner = (Task("a") | Task("b")).set_group_name("inner")
        ((inner >> Task("c")) | Task("d")).set_group_name("outer")
    assert starts(wf, "d") == ("outer",)
    assert starts(wf, "a") == ("outer",)


def test_b7_an_off_flow_task_can_be_the_start():
    with workflow("w") as wf:
        Task("off")
        Task("a") >> Task("b")
    assert starts(wf, "off") == ("off",)


def test_b9_a_task_in_two_groups_is_refused_when_it_is_to_run_not_when_drawn():
    with workflow("w") as wf:
        a, b, c = Task("a"), Task("b"), Task("c")
        a | b
        c >> (a | b)
    with pytest.raises(GraphCompilationError, match=r"member of two groups.*name the group once"):
        wf.execute()


def test_g6_an_edge_from_outside_into_a_member_says_to_draw_it_to_the_group():
    with workflow("w") as wf:
        a, b, c = Task("a"), Task("b"), Task("c")
        a | b
        c >> a
    with pytest.raises(GraphCompilationError, match="draw it to the group: c >> ParallelGroup_1"):
        wf.program()


def test_g2_policies_that_can_never_be_met_are_refused_when_the_workflow_is_built():
    with workflow("w") as wf:
        group = Task("alpha") | Task("beta")
        group.with_execution(policy=AtLeastNGroupPolicy(3))
    with pytest.raises(GraphCompilationError, match="at least 3 of its 2"):
        wf.program()
    group.with_execution(policy=CriticalGroupPolicy(["alpa"]))
    with pytest.raises(GraphCompilationError, match="did you mean 'alpha'"):
        wf.program()


def test_a_program_is_not_changed_by_what_is_drawn_later():
    with workflow("w") as wf:
        a = Task("a")
        a >> Task("b")
        program = wf.program()
        a >> Task("c")
    assert program.plan.edges == (("a", "b"),)
    assert program.graph.edges == [("a", "b")]


def test_nodes_are_declared_in_the_order_in_which_they_were_created():
    b, a = Task("b"), Task("a")
    with workflow("w") as wf:
        a >> b
    assert [node.id for node in wf.program().plan.nodes] == ["b", "a"]


def test_a_plan_says_what_the_task_says():
    from graflow import RetryPolicy

    with workflow("w") as wf:

        @task(max_retries=2, timeout=5, max_cycles=3)
        def a():
            pass

        @task(retry_policy=RetryPolicy(4, initial_interval=2, backoff_factor=3, max_interval=9))
        def b(a, x=1):
            pass

        a >> b
    plan = wf.program(max_steps=7).plan
    first, second = plan.nodes
    assert (first.retry.max_attempts, first.retry.initial_s) == (3, 0)
    assert (first.timeout_s, first.max_cycles, second.max_cycles) == (5, 3, 10)
    retry = second.retry
    assert (retry.max_attempts, retry.initial_s, retry.factor, retry.max_s) == (5, 2, 3, 9)
    assert plan.params == {"a": (), "b": ("a", "x")}
    assert plan.max_steps == 7


def test_a_limit_that_cannot_work_is_refused():
    with workflow("w") as wf:
        Task("a")
    with pytest.raises(GraphCompilationError, match="maxSteps is 0"):
        wf.execute(max_steps=0)
