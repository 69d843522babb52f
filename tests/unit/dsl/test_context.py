"""C3: what a task can ask of its context."""

import pytest

from graflow.dsl.context import TaskExecutionContext, TaskFacts
from graflow.dsl.lone import LoneBackend


def context(**facts):
    return TaskExecutionContext(TaskFacts(task_id="t", **facts), LoneBackend())


def test_c3_a_context_says_what_is_fixed_about_the_attempt():
    asked = context(
        session_id="s", trace_id="r", cycle_count=2, max_cycles=3, retry_count=1, max_retries=4
    )
    assert (asked.task_id, asked.session_id, asked.trace_id) == ("t", "s", "r")
    assert (asked.cycle_count, asked.max_cycles) == (2, 3)
    assert (asked.retry_count, asked.max_retries) == (1, 4)
    assert asked.start_time > 0
    assert asked.elapsed_time() >= 0


@pytest.mark.parametrize(("count", "may"), [(1, True), (2, True), (3, False), (4, False)])
def test_t2_another_pass_is_allowed_below_max_cycles(count, may):
    assert context(cycle_count=count, max_cycles=3).can_iterate() is may


def test_c3_local_data_is_the_attempts_own():
    asked = context()
    asked.set_local_data("k", 1)
    asked.local_data["l"] = 2
    assert (asked.get_local_data("k"), asked.get_local_data("x", 0)) == (1, 0)
    assert asked.local_data == {"k": 1, "l": 2}
    assert context().local_data == {}


def test_c3_results_channel_and_graph_come_from_the_host():
    asked = context()
    assert asked.get_result("x", "default") == "default"
    assert asked.get_channel().keys() == []
    assert asked.graph.nodes == []
