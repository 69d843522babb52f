"""Handlers of the program's own run its tasks on this machine."""

import itertools
import pickle

import pytest

from graflow.core.context import ExecutionContext
from graflow.core.decorators import task
from graflow.core.engine import WorkflowEngine
from graflow.core.graph import TaskGraph
from graflow.core.handler import TaskHandler
from graflow.core.handlers.direct import DirectTaskHandler
from graflow.core.handlers.docker import DockerTaskHandler
from graflow.core.task import TaskWrapper
from graflow.core.workflow import workflow
from graflow.exceptions import ConfigError, GraflowRuntimeError, RetryLimitExceededError


class Loud(TaskHandler):
    """As in Graflow's own examples: runs the task, and keeps its result."""

    def __init__(self):
        self.seen = []

    def execute_task(self, task, context):
        self.seen.append((task.task_id, context.get_result("one"), context.session_id))
        result = task.run()
        context.set_result(task.task_id, result)
        return result


def graph_of(*tasks):
    graph = TaskGraph()
    for one in tasks:
        graph.add_node(one)
    for before, after in itertools.pairwise(tasks):
        graph.add_edge(before.task_id, after.task_id)
    return graph


def run_with(handler, *tasks, name="loud"):
    engine = WorkflowEngine()
    engine.register_handler(name, handler)
    context = ExecutionContext.create(graph_of(*tasks))
    return engine.execute(context), context


def test_a_handler_runs_the_tasks_that_ask_for_it_and_no_others():
    loud = Loud()
    value, context = run_with(
        loud,
        TaskWrapper("one", lambda: 1),
        TaskWrapper("double", lambda one: one * 2, handler_type="loud"),
        TaskWrapper("last", lambda double: double + 1),
    )
    assert value == 3
    assert loud.seen == [("double", 1, context.session_id)]
    assert context.get_result("double") == 2


def test_a_decorator_names_its_handler():
    @task(handler="loud")
    def hello():
        return "hi"

    assert run_with(loud := Loud(), hello)[0] == "hi"
    assert [seen[0] for seen in loud.seen] == ["hello"]


def test_what_a_handler_keeps_is_the_value_whatever_the_function_returns():
    class Upper(TaskHandler):
        def execute_task(self, task, context):
            context.set_result(task.task_id, task.run().upper())

    value, context = run_with(Upper(), TaskWrapper("say", lambda: "hi", handler_type="loud"))
    assert (value, context.get_result("say")) == ("HI", "HI")


def test_a_handler_can_give_arguments_that_win():
    class Filled(TaskHandler):
        def execute_task(self, task, context):
            context.set_result(task.task_id, task.run(x=5))

    tasks = TaskWrapper("x", lambda: 1), TaskWrapper("y", lambda x: x, handler_type="loud")
    assert run_with(Filled(), *tasks)[0] == 5


def test_a_handler_need_not_call_the_function_at_all():
    class Cached(TaskHandler):
        def execute_task(self, task, context):
            context.set_result(task.task_id, "from the cache")

    def never():
        raise AssertionError

    value, _ = run_with(Cached(), TaskWrapper("t", never, handler_type="loud"))
    assert value == "from the cache"


def test_the_handler_named_direct_runs_every_task_that_asks_for_none():
    loud = Loud()
    run_with(loud, TaskWrapper("a", lambda: 1), TaskWrapper("b", lambda: 2), name="direct")
    assert [seen[0] for seen in loud.seen] == ["a", "b"]


def test_tasks_behind_a_handler_still_decide_what_runs_next():
    def go(ctx, n=3):
        if n > 1:
            ctx.next_iteration(n - 1)
        return n

    counted = TaskWrapper("go", go, inject_context=True, handler_type="loud")
    value, context = run_with(loud := Loud(), counted)
    assert (value, len(loud.seen), context.steps) == (1, 3, 3)


def test_members_of_a_group_are_run_by_their_handlers():
    with workflow("w") as wf:
        both = TaskWrapper("a", lambda: 1, handler_type="loud") | TaskWrapper("b", lambda: 2)
        engine = WorkflowEngine()
        engine.register_handler("loud", loud := Loud())
        context = ExecutionContext.create(wf.graph)
        assert engine.execute(context) == {"a": 1, "b": 2}
    assert [seen[0] for seen in loud.seen] == ["a"]
    assert both.task_id == "ParallelGroup_1"


def test_a_handler_that_keeps_nothing_fails_the_task_and_says_what_to_call():
    class Silent(TaskHandler):
        def execute_task(self, task, context):
            return task.run()

    with pytest.raises(GraflowRuntimeError, match=r"Silent kept no result.*context.set_result"):
        run_with(Silent(), TaskWrapper("t", lambda: 1, handler_type="loud"))


def test_a_handler_may_only_keep_the_result_of_its_task():
    class Wrong(TaskHandler):
        def execute_task(self, task, context):
            context.set_result("other", 1)

    with pytest.raises(GraflowRuntimeError, match="'t', and not that of 'other'"):
        run_with(Wrong(), TaskWrapper("t", lambda: 1, handler_type="loud"))


def test_what_a_handler_raises_is_retried_like_any_failure():
    class Flaky(TaskHandler):
        tries = 0

        def execute_task(self, task, context):
            self.tries += 1
            raise OSError("no route")

    flaky = Flaky()
    with pytest.raises(RetryLimitExceededError) as caught:
        run_with(flaky, TaskWrapper("t", lambda: 1, handler_type="loud", max_retries=2))
    assert flaky.tries == 3
    assert isinstance(caught.value.cause, OSError)


def test_a_handler_can_send_the_task_to_another_process():
    class Sent(TaskHandler):
        def execute_task(self, task, context):
            again = pickle.loads(pickle.dumps(task))
            context.set_result(task.task_id, (type(again).__name__, again.run(text="12")))

    value, _ = run_with(Sent(), TaskWrapper("t", len_of, bound={"text": ""}, handler_type="loud"))
    assert value == ("TaskWrapper", 2)


def len_of(text):
    return len(text)


def test_the_direct_handler_is_what_runs_without_one():
    direct = DirectTaskHandler()
    assert direct.get_name() == "direct"
    assert run_with(direct, TaskWrapper("t", lambda: 4, handler_type="loud"))[0] == 4
    assert Loud().get_name() == "Loud"


def test_a_handler_that_nobody_registered_is_refused_before_the_run_with_the_nearest_name():
    ran = []
    first = TaskWrapper("first", lambda: ran.append(1))
    with pytest.raises(ConfigError, match="'lowd', which nobody registered; did you mean 'loud'"):
        run_with(Loud(), first, TaskWrapper("t", lambda: 1, handler_type="lowd"))
    assert not ran


def test_the_docker_handler_says_what_to_write_instead_and_needs_no_docker():
    with pytest.raises(ConfigError, match=r"@task\(image='torch:2', env=\{'A': '1'\}, resources="):
        DockerTaskHandler("torch:2", environment={"A": "1"}, device_requests=["all"])
    with workflow("w") as wf:
        TaskWrapper("t", lambda: 1, handler_type="docker")
        with pytest.raises(ConfigError, match=r"'docker'.*graflow submit.*@task\(image="):
            wf.execute()


def test_what_is_no_handler_is_refused():
    with pytest.raises(ConfigError, match="handler 'x' is 3; give a TaskHandler"):
        WorkflowEngine().register_handler("x", 3)


def test_set_result_belongs_to_handlers():
    context = ExecutionContext.create(graph_of(TaskWrapper("a", lambda: 1)))
    with pytest.raises(GraflowRuntimeError, match=r"context.channel.set\('a', value\)"):
        context.set_result("a", 2)
