"""B3, B5, B6: what belongs to which workflow."""

import threading

import pytest

from graflow import task, workflow
from graflow.core.task import Task, TaskWrapper
from graflow.core.workflow import (
    WorkflowContext,
    clear_workflow_context,
    current_workflow_context,
    get_current_workflow_context,
    require_workflow_context,
    set_current_workflow_context,
)
from graflow.exceptions import (
    ConfigError,
    DuplicateTaskError,
    GraphCompilationError,
    UnknownTaskError,
)


def test_b3_tasks_and_edges_inside_the_with_belong_to_it():
    with workflow("w") as wf:

        @task
        def a():
            pass

        @task
        def b():
            pass

        a >> b
    assert wf.name == "w"
    assert wf.graph.nodes == ["a", "b"]
    assert wf.graph.edges == [("a", "b")]
    assert wf.graph.successors("a") == ["b"]
    assert wf.graph.predecessors("b") == ["a"]


def test_b3_a_module_level_task_works_in_any_number_of_workflows(module):
    program = module(
        """
        from graflow import task, workflow

        @task
        def a():
            return 1

        @task
        def b(a):
            return a + 1

        results = []
        for name in ("one", "two", "three"):
            with workflow(name) as wf:
                a >> b
                results.append(wf.execute())
        """
    )
    assert program["results"] == [2, 2, 2]


def test_b3_workflows_nest_and_a_workflow_can_be_entered_again():
    with workflow("outer") as outer:
        a = Task("a")
        with workflow("inner") as inner:
            Task("a") >> Task("b")
        a >> Task("c")
    with outer:
        a >> Task("d")
        with outer:
            Task("e")
    assert outer.graph.nodes == ["a", "c", "d", "e"]
    assert inner.graph.nodes == ["a", "b"]
    assert get_current_workflow_context() is None


def test_the_with_is_left_when_its_body_raises():
    with pytest.raises(KeyError), workflow("w"):
        raise KeyError
    assert get_current_workflow_context() is None


def test_the_current_workflow_is_the_innermost_with():
    with workflow("w") as wf:
        assert current_workflow_context() is wf
        assert require_workflow_context() is wf
    with pytest.raises(RuntimeError, match="no workflow here"):
        require_workflow_context()


def test_b3_outside_of_every_with_an_operator_makes_the_threads_ambient_workflow():
    a = Task("a")
    assert get_current_workflow_context() is None
    a >> Task("b")
    ambient = current_workflow_context()
    Task("c")
    assert ambient.graph.nodes == ["a", "b", "c"]
    clear_workflow_context()
    assert get_current_workflow_context() is None


def test_b3_each_thread_has_an_ambient_workflow_of_its_own():
    seen = []
    Task("a") >> Task("b")

    def elsewhere():
        Task("x") >> Task("y")
        seen.append(current_workflow_context().graph.nodes)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert seen == [["x", "y"]]
    assert current_workflow_context().graph.nodes == ["a", "b"]


def test_b3_an_ambient_workflow_can_be_run_and_be_set():
    def two():
        return 2

    def double(two):
        return two * 2

    task(two) >> task(double)
    assert current_workflow_context().execute() == 4
    mine = WorkflowContext("mine")
    set_current_workflow_context(mine)
    Task("t")
    assert mine.graph.nodes == ["t"]


def test_a_workflow_keeps_the_profile_of_tasks_that_name_none_for_clusters():
    with workflow("w", profile="plain") as wf:
        task(lambda: 1, id="a")
    assert wf.program().profile == "plain"
    assert wf.execute() == 1
    with pytest.raises(ConfigError, match="profile is ''"):
        workflow("w", profile="")


def test_b5_two_tasks_with_one_id_are_refused_inside_the_with():
    with workflow("w"):
        Task("a")
        with pytest.raises(DuplicateTaskError, match="a task 'a' already"):
            Task("a")


def test_b5_two_tasks_with_one_id_are_refused_outside_too():
    one, other = Task("a"), Task("a")
    with workflow("w"):
        one >> Task("b")
        with pytest.raises(DuplicateTaskError, match="'a'"):
            other >> Task("c")
    clear_workflow_context()
    one >> Task("b")
    with pytest.raises(DuplicateTaskError, match="'a'"):
        other >> Task("c")
    with pytest.raises(DuplicateTaskError, match="'a'"):
        Task("a")


def test_a_task_that_asks_not_to_be_registered_is_not():
    with workflow("w") as wf:
        TaskWrapper("a", print, register_to_context=False)
        Task("b", register_to_context=False)
    assert wf.graph.nodes == []


PROGRAM = """
from graflow import task, workflow

@task(inject_context=True)
def process(context):
    return type(context.graph.get_node("error_handler")).__name__

@task
def error_handler():
    raise AssertionError("an off-flow task began by itself")

@task
def finalize(process):
    return process

def build():
    with workflow("processing_pipeline") as wf:
        process >> finalize

        @task
        def inner():
            raise AssertionError("an off-flow task began by itself")
    return wf
"""


def test_b6_off_flow_tasks_are_known_to_the_run_and_never_start(module):
    wf = module(PROGRAM)["build"]()
    program = wf.program()
    assert program.tasks.keys() - program.plan.placed == {"error_handler", "inner"}
    assert program.plan.start == ("process",)
    assert wf.execute() == "TaskWrapper"
    assert not wf.graph.has_node("error_handler"), "what was drawn stays as it was"


def test_b6_off_flow_tasks_are_those_of_the_modules_that_flow_tasks_come_from(module):
    helpers = module(
        """
        from graflow import task

        @task
        def used():
            pass

        @task
        def beside():
            pass
        """
    )
    with workflow("w") as wf:
        helpers["used"] >> Task("end")
    program = wf.program()
    assert program.tasks.keys() - program.plan.placed == {"beside"}


def test_b6_the_flows_own_task_wins_over_an_off_flow_one_of_its_name(module):
    names = module(
        """
        from graflow import task

        @task("twice")
        def off():
            pass

        @task
        def used():
            pass
        """
    )
    with workflow("w") as wf:
        own = Task("twice")
        names["used"] >> own
    assert wf.program().tasks["twice"] is own


def test_an_unknown_node_is_a_key_error_with_the_nearest_name():
    with workflow("w") as wf:
        Task("error_handler")
    with pytest.raises(KeyError):
        wf.graph.get_node("eror_handler")
    with pytest.raises(UnknownTaskError, match="did you mean 'error_handler'"):
        wf.graph.get_node("eror_handler")


def test_a_workflow_needs_a_name():
    with pytest.raises(ConfigError, match="name is ''"):
        workflow("")


def test_a_workflow_without_tasks_says_so():
    with workflow("w") as wf, pytest.raises(GraphCompilationError, match="no tasks"):
        wf.execute()


def test_keys_of_the_initial_channel_are_texts():
    with workflow("w") as wf:
        Task("a")
        with pytest.raises(ConfigError, match="key of initial_channel is 3"):
            wf.execute(initial_channel={3: 4})


def test_a_handler_that_is_not_there_is_refused_before_the_run():
    with workflow("w") as wf:
        TaskWrapper("a", print, handler_type="dcoker")
        with pytest.raises(ConfigError, match=r"handler 'dcoker'.*did you mean 'docker'"):
            wf.execute()
