"""Whole programs in the words of Graflow 0.1.9: low-level API, limits, errors, groups' policies."""

import pytest

from graflow.coordination.coordinator import CoordinationBackend
from graflow.core.context import ExecutionContext, create_execution_context, execute_with_cycles
from graflow.core.cycle import CycleController
from graflow.core.decorators import task
from graflow.core.engine import WorkflowEngine
from graflow.core.graph import TaskGraph
from graflow.core.handler import TaskResult
from graflow.core.handlers.group_policy import (
    AtLeastNGroupPolicy,
    CriticalGroupPolicy,
    GroupExecutionPolicy,
    StrictGroupPolicy,
    canonicalize_group_policy,
    resolve_group_policy,
)
from graflow.core.retry import RetryController, RetryPolicy
from graflow.core.task import ParallelGroup, Task, TaskWrapper, chain, parallel
from graflow.core.workflow import workflow
from graflow.exceptions import (
    ConfigError,
    CycleLimitExceededError,
    GraflowRuntimeError,
    GraphCompilationError,
    MaxStepsExceededError,
    ParallelGroupError,
    RetryLimitExceededError,
    TaskError,
)


def test_a_program_of_graflows_readme_runs_by_task_ids():
    with workflow("etl") as wf:

        @task
        def extract():
            return {"data": [1, 2, 3]}

        @task
        def transform(extract):
            return [x * 2 for x in extract["data"]]

        @task
        def load(transform):
            return f"Loaded: {transform}"

        chain(extract, transform, load)
        value, context = wf.execute(ret_context=True)
    assert value == "Loaded: [2, 4, 6]"
    assert context.completed_tasks == ["extract", "transform", "load"]
    assert context.is_completed()


def test_a_context_made_for_one_task_runs_what_is_added_to_its_graph():
    seen = []
    context = create_execution_context(max_steps=5)
    context.graph.add_node(TaskWrapper("next", lambda: seen.append(1), register_to_context=False))
    context.graph.add_edge("ROOT", "next")
    WorkflowEngine().execute(context)
    assert seen == [1]
    assert (context.start_node, context.max_steps, context.steps) == ("ROOT", 5, 2)


def test_a_graph_with_a_cycle_runs_until_its_steps_are_spent():
    seen = []
    graph = TaskGraph()
    graph.add_node(TaskWrapper("a", lambda: seen.append("a"), register_to_context=False))
    graph.add_edge("a", "a")
    with pytest.raises(MaxStepsExceededError):
        execute_with_cycles(graph, "a", max_steps=3)
    assert seen == ["a"] * 3


def test_steps_that_were_made_before_count():
    graph = TaskGraph()
    graph.add_node(Task("a", register_to_context=False))
    graph.add_node(Task("b", register_to_context=False))
    graph.add_edge("a", "b")
    context = ExecutionContext(graph, "a", max_steps=3, steps=1)
    context.execute()
    assert context.steps == 3
    with pytest.raises(MaxStepsExceededError):
        ExecutionContext(graph, "a", max_steps=3, steps=2).execute()


def test_a_context_keeps_what_it_was_given():
    parent = create_execution_context()
    context = ExecutionContext(
        TaskGraph(), config={"a": 1}, parent_context=parent, session_id="s", channel_backend="redis"
    )
    assert (context.config, context.session_id) == ({"a": 1}, "s")
    assert (context.trace_id, context.parent_context) == (parent.trace_id, parent)
    assert len(parent.session_id) == 32
    with pytest.raises(ConfigError, match="steps is -1"):
        ExecutionContext(TaskGraph(), steps=-1)


def test_the_id_of_a_context_is_that_of_its_run():
    context = create_execution_context()
    seen = []
    node = TaskWrapper(
        "t", lambda ctx: seen.append(ctx.session_id), inject_context=True, register_to_context=False
    )
    context.graph.add_node(node)
    context.graph.add_edge("ROOT", "t")
    before = context.session_id
    context.execute()
    assert seen == [before] == [context.session_id]


def test_limits_by_id_win_over_the_tasks_own():
    def again(ctx):
        ctx.next_iteration()

    graph = TaskGraph()
    graph.add_node(TaskWrapper("t", again, inject_context=True, max_cycles=9))
    context = ExecutionContext.create(graph)
    context.cycle_controller.set_node_max_cycles("t", 2)
    with pytest.raises(CycleLimitExceededError) as caught:
        context.execute()
    assert (caught.value.cycle_count, caught.value.max_cycles) == (2, 2)


@pytest.mark.parametrize(
    ("limit", "tried"),
    [
        (lambda c: c.set_node_policy("t", RetryPolicy(max_retries=2, initial_interval=0)), 3),
        (lambda c: c.set_node_max_retries("t", 1), 2),
        (lambda c: c.set_node_max_retries("other", 1), 6),
    ],
)
def test_retries_by_id_win_over_the_tasks_own(limit, tried):
    tries = []

    def fail():
        tries.append(1)
        raise OSError("no")

    graph = TaskGraph()
    graph.add_node(TaskWrapper("t", fail))
    context = ExecutionContext.create(graph, default_max_retries=5)
    limit(context.retry_controller)
    with pytest.raises(RetryLimitExceededError) as caught:
        context.execute()
    assert (len(tries), caught.value.max_retries) == (tried, tried - 1)


def test_a_context_shows_what_a_failed_run_left():
    def fail():
        raise ValueError("boom")

    with workflow("w") as wf:
        TaskWrapper("a", lambda: 1) >> TaskWrapper("b", fail)
    context = ExecutionContext.create(wf.graph, "a")
    with pytest.raises(GraflowRuntimeError) as caught:
        WorkflowEngine().execute(context)
    assert context.error is caught.value
    assert (context.completed_tasks, context.get_result("a")) == (["a"], 1)
    assert caught.value.context.get_result("a") == 1


def test_a_task_can_look_at_its_run_as_a_context():
    def look(ctx):
        run = ctx.execution_context
        return run.get_result("a"), run.session_id == ctx.session_id, run.is_completed()

    with workflow("w") as wf:
        TaskWrapper("a", lambda: 1) >> TaskWrapper("b", look, inject_context=True)
        assert wf.execute() == (1, True, False)


def test_what_a_task_said_when_it_ended_the_run_is_the_contexts_message():
    def stop(ctx):
        ctx.terminate_workflow("enough")
        return 1

    with workflow("w") as wf:
        TaskWrapper("a", stop, inject_context=True) >> Task("b")
    context = ExecutionContext.create(wf.graph, "a")
    assert context.ctrl_message is None
    assert context.execute() == 1
    assert context.ctrl_message == "enough"


def test_controllers_count_for_programs_that_count():
    cycles = CycleController(default_max_cycles=2)
    assert [cycles.increment("a"), cycles.accept_next_cycle("a"), cycles.increment("a")] == [
        1,
        True,
        2,
    ]
    with pytest.raises(CycleLimitExceededError):
        cycles.check_cycle_limit("a")
    assert CycleController().get_max_cycles_for_node("a") == 100
    retries = RetryController(default_max_retries=1)
    assert retries.get_delay("a") == 0.0
    retries.set_node_policy("a", RetryPolicy(max_retries=3, initial_interval=2, max_interval=5))
    retries.check_retry_limit("a")
    assert [(retries.increment("a", OSError("x")), retries.get_delay("a")) for _ in range(3)] == [
        (1, 2.0),
        (2, 4.0),
        (3, 5.0),
    ]
    with pytest.raises(RetryLimitExceededError) as caught:
        retries.check_retry_limit("a")
    assert str(caught.value.last_error) == "x"


def test_an_error_of_a_task_names_it_and_a_message_of_its_own():
    def fail():
        raise TaskError("a", "bad input", ValueError("x"))

    with workflow("w") as wf:
        TaskWrapper("a", fail)
        with pytest.raises(GraflowRuntimeError) as caught:
            wf.execute()
    assert (caught.value.task_id, str(caught.value)) == ("a", "bad input (caused by x)")


def test_no_start_is_told_as_a_compilation_error():
    with workflow("w") as wf:
        Task("a") >> Task("b") >> wf.graph.get_node("a")
        with pytest.raises(GraphCompilationError, match="pass start_node"):
            wf.execute()


@pytest.mark.parametrize("backend", ["direct", CoordinationBackend.THREADING, "redis"])
def test_every_backend_is_accepted(backend):
    with workflow("w") as wf:
        both = parallel(TaskWrapper("a", lambda: 1), TaskWrapper("b", lambda: 2))
        config = {"redis_client": object(), "key_prefix": "p", "thread_count": 2}
        both.with_execution(backend=backend, backend_config=config)
        assert wf.execute() == {"a": 1, "b": 2}


def test_policies_become_names_and_dicts_and_come_back():
    class Mine(StrictGroupPolicy):
        def on_group_finished(self, group_id, tasks, results, context):
            super().on_group_finished(group_id, tasks, results, context)

    for policy in ("strict", "best_effort", AtLeastNGroupPolicy(2), CriticalGroupPolicy(["a"])):
        again = resolve_group_policy(canonicalize_group_policy(policy))
        assert canonicalize_group_policy(again) == canonicalize_group_policy(policy)
    mine = Mine()
    assert resolve_group_policy(canonicalize_group_policy(mine)) is mine
    assert (mine.get_name(), CriticalGroupPolicy(["a"]).critical_task_ids) == ("Mine", ["a"])
    with pytest.raises(ConfigError, match="'at_least_n' needs values"):
        resolve_group_policy({"type": "at_least_n"})
    with pytest.raises(ConfigError, match="did you mean 'strict'"):
        resolve_group_policy("strct")


def test_a_policy_of_the_programs_own_judges_results_by_member():
    judged = []

    class Half(GroupExecutionPolicy):
        def on_group_finished(self, group_id, tasks, results, context):
            judged.append([type(result) is TaskResult for result in results.values()])
            bad = [name for name, result in results.items() if not result.success]
            if len(bad) * 2 > len(tasks):
                raise ParallelGroupError("too few", group_id, [(b, "x") for b in bad], [])

    def fail():
        raise ValueError("boom")

    with workflow("w") as wf:
        group = ParallelGroup([Task("a"), TaskWrapper("b", fail)], name="g")
        group.with_execution(policy=Half()) >> TaskWrapper("end", lambda: "went on")
        assert wf.execute() == "went on"
    assert judged == [[True, True]]


def test_a_redis_client_is_kept_for_programs_that_ask_for_it():
    client = object()
    with workflow("w") as wf:
        wf.set_redis_client(client)
        assert wf.get_redis_client() is client
