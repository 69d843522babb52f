"""B8: the same objects without operators, under Graflow's module paths."""

import pytest

from graflow.coordination.coordinator import CoordinationBackend
from graflow.core.context import ExecutionContext
from graflow.core.engine import WorkflowEngine
from graflow.core.graph import TaskGraph
from graflow.core.task import ParallelGroup, Task, TaskWrapper
from graflow.exceptions import ConfigError, DuplicateTaskError, UnknownTaskError


@pytest.fixture
def graph():
    made = TaskGraph()
    made.add_node(TaskWrapper("one", lambda: 1))
    made.add_node(TaskWrapper("double", lambda one: one * 2))
    made.add_edge("one", "double")
    return made


def test_b8_a_graph_built_by_hand_runs(graph):
    context = ExecutionContext.create(graph, start_node="one", max_steps=10)
    assert not context.is_completed()
    assert WorkflowEngine().execute(context) == 2
    assert context.is_completed()
    assert context.completed_tasks == ["one", "double"]
    assert (context.get_result("one"), context.get_result("x", "no")) == (1, "no")
    assert context.steps == 2


def test_b8_an_engine_can_be_told_where_to_begin(graph):
    graph.add_node(TaskWrapper("lone", lambda: 7))
    assert WorkflowEngine().execute(ExecutionContext.create(graph), "lone") == 7


def test_b8_the_channel_can_be_filled_before_and_read_after_the_run(graph):
    def use(ctx, extra):
        ctx.get_channel().set("seen", extra)

    graph.add_node(TaskWrapper("use", use, inject_context=True))
    graph.add_edge("double", "use")
    context = ExecutionContext.create(graph)
    context.channel.set("extra", 3)
    context.execute()
    assert context.get_channel().get("seen") == 3
    assert context.channel.get("one.__result__") == 1


def test_b8_defaults_of_a_context_are_for_tasks_that_say_nothing(graph):
    context = ExecutionContext.create(graph, default_max_cycles=3, default_max_retries=2)
    first = context.program().plan.nodes[0]
    assert (first.max_cycles, first.retry.max_attempts) == (3, 3)


def test_a_channel_backend_that_is_not_known_is_refused(graph):
    assert ExecutionContext.create(graph, channel_backend="redis")
    with pytest.raises(ConfigError, match="channel_backend 'kafka'"):
        ExecutionContext.create(graph, channel_backend="kafka")


def test_b8_groups_given_by_hand_bring_their_members():
    graph = TaskGraph()
    group = ParallelGroup([TaskWrapper("a", lambda: 1), TaskWrapper("b", lambda: 2)], name="g")
    graph.add_node(group)
    assert ExecutionContext.create(graph).execute() == {"a": 1, "b": 2}
    assert graph.get_parallel_group_members("g") == ["a", "b"]


def test_a_node_can_have_another_id_in_a_graph():
    graph = TaskGraph()
    inc = TaskWrapper("inc", lambda x=0: x + 1)
    graph.add_node(inc, "step1")
    graph.add_node(Task("end"))
    graph.add_edge("step1", "end")
    context = ExecutionContext.create(graph)
    context.execute()
    assert context.completed_tasks == ["step1", "end"]


def test_ids_are_unique_unless_the_node_that_is_there_may_stay(graph):
    other = Task("one")
    with pytest.raises(DuplicateTaskError, match="'one'"):
        graph.add_node(other)
    graph.add_node(other, skip_if_exists=True)
    assert graph.get_node("one") is not other


def test_edges_lead_between_known_nodes(graph):
    with pytest.raises(UnknownTaskError, match="did you mean 'double'"):
        graph.add_edge("one", "doubel")
    with pytest.raises(UnknownTaskError):
        graph.successors("x")


def test_a_graph_can_be_looked_at_and_changed(graph):
    assert graph.get_edges() == graph.edges == [("one", "double")]
    assert graph.get_start_nodes() == ["one"]
    assert ("one" in graph, len(graph), repr(graph)) == (True, 2, "TaskGraph(2 nodes, 1 edges)")
    graph.rename_node("one", "uno")
    assert graph.edges == [("uno", "double")]
    with pytest.raises(DuplicateTaskError):
        graph.rename_node("uno", "double")
    graph.remove_node("double")
    assert (graph.nodes, graph.edges) == (["uno"], [])
    graph.clear()
    assert graph.nodes == []


def test_backends_have_graflows_names():
    assert [str(backend) for backend in CoordinationBackend] == ["redis", "threading", "direct"]
