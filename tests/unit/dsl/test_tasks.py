"""B1 and B4: what `@task` makes, and what a call of it makes."""

import asyncio
import pickle

import cloudpickle
import pytest

from graflow import RetryPolicy, TaskExecutionContext, chain, task, workflow
from graflow.core.task import Task, TaskWrapper
from graflow.exceptions import ArgumentError, ConfigError, DuplicateTaskError


def add(left, right=10):
    """Add two numbers."""
    return left + right


@pytest.mark.parametrize(
    ("made", "task_id"),
    [
        (task(add), "add"),
        (task()(add), "add"),
        (task("sum")(add), "sum"),
        (task(id="sum")(add), "sum"),
        (task("sum", inject_context=False)(add), "sum"),
    ],
    ids=["bare", "called", "positional", "keyword", "with-options"],
)
def test_b1_every_form_of_the_decorator_makes_a_task(made, task_id):
    assert isinstance(made, TaskWrapper)
    assert made.task_id == task_id


def test_two_different_ids_for_one_task_are_refused():
    with pytest.raises(TypeError, match="two ids, 'a' and 'b'"):
        task("a", id="b")


def test_a_task_looks_like_its_function():
    made = task("sum")(add)
    assert (made.__name__, made.__doc__) == ("add", "Add two numbers.")


def test_b1_run_calls_the_function_at_once_without_a_workflow():
    assert task(add).run(left=1) == 11
    assert task(add).run(1, 2) == 3
    assert task(add).run(left=1, right=5) == 6


def test_a2_run_without_a_required_argument_says_which():
    with pytest.raises(ArgumentError, match="task 'add' has no value for 'left'"):
        task(add).run()


def test_run_with_an_unknown_argument_names_the_nearest():
    with pytest.raises(ArgumentError, match="no parameter 'lefd'; did you mean 'left'"):
        task(add).run(lefd=1)


def test_run_with_too_many_or_doubled_arguments_is_refused():
    with pytest.raises(TypeError, match="takes 2 arguments, 3 were given"):
        task(add).run(1, 2, 3)
    with pytest.raises(TypeError, match="'left' twice"):
        task(add).run(1, left=2)


def test_b1_run_gives_a_context_and_a_channel_of_its_own():
    @task(inject_context=True)
    def who(anything: TaskExecutionContext, x):
        anything.get_channel().set("k", x)
        return anything.task_id, anything.get_channel().get("k"), anything.get_result("other", 0)

    assert who.run(x=5) == ("who", 5, 0)
    assert who.run(6) == ("who", 6, 0)


def test_a2_run_awaits_async_functions_in_a_running_loop_too():
    @task
    async def slow(x):
        await asyncio.sleep(0)
        return x + 1

    async def program():
        return slow.run(x=1)

    assert slow.run(x=1) == 2
    assert asyncio.run(program()) == 2


def test_b4_calling_with_arguments_makes_another_task_with_them_bound():
    base = task(max_retries=3, timeout=5)(add)
    made = base(task_id="t1", left=3)
    assert (made.task_id, made.max_retries, made.timeout) == ("t1", 3, 5)
    assert made.run() == 13
    assert made.run(left=4) == 14, "explicit arguments come before bound ones"
    assert base.bound == {}


def test_b4_an_instance_can_be_made_of_a_task_that_has_run():
    base = task(add)
    base.run(left=1)
    assert base(task_id="again", left=2).run() == 12


def test_b4_instances_of_instances_keep_what_was_bound():
    assert task(add)(task_id="a", left=1)(task_id="b", right=2).run() == 3


def test_calling_without_arguments_runs_the_function():
    assert task(id="seven")(lambda: 7)() == 7


def test_positional_arguments_of_an_instance_are_refused():
    with pytest.raises(TypeError, match="does not support positional arguments"):
        task(add)(1)


def test_binding_an_unknown_parameter_is_refused_with_the_nearest():
    with pytest.raises(TypeError, match="task 't' has no parameter 'rigth'; did you mean 'right'"):
        task(add)(task_id="t", rigth=1)


def test_b4_automatic_ids_count_and_skip_what_is_taken():
    base = task(add)
    with workflow("w") as wf:
        Task("add_2")
        ids = [base(left=n).task_id for n in range(3)]
    assert ids == ["add_1", "add_3", "add_4"]
    assert wf.graph.nodes == ["add_2", "add_1", "add_3", "add_4"]


def test_b5_an_instance_with_a_taken_id_is_refused():
    base = task(add)
    with workflow("w"):
        base(task_id="x", left=1)
        with pytest.raises(DuplicateTaskError, match="'x'"):
            base(task_id="x", left=2)


def test_b1_all_options_are_kept():
    policy = RetryPolicy(max_retries=2)
    made = task(
        "t",
        inject_llm_client=True,
        inject_llm_agent="writer",
        handler="direct",
        resolve_keyword_args=False,
        max_cycles=7,
        max_retries=1,
        retry_policy=policy,
        timeout=2.5,
        profile="gpu",
        image="registry/image:1",
        resources={"cpu": "1"},
        node_selector={"disk": "ssd"},
        tolerations=[{"key": "gpu"}],
        env={"A": "1"},
    )(add)
    assert (made.inject_llm_client, made.inject_llm_agent) == (True, "writer")
    assert (made.handler_type, made.resolve_keyword_args) == ("direct", False)
    assert (made.max_cycles, made.max_retries, made.retry_policy) == (7, 1, policy)
    assert (made.timeout, made.pod.profile, made.pod.image) == (2.5, "gpu", "registry/image:1")
    assert (made.pod.resources, made.pod.node_selector) == ({"cpu": "1"}, {"disk": "ssd"})
    assert (made.pod.tolerations, made.pod.env) == ([{"key": "gpu"}], {"A": "1"})
    assert made(task_id="u", left=1).pod is made.pod


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"timeout": 0}, "timeout is 0"),
        ({"timeout": "5"}, "timeout is '5'"),
        ({"max_retries": -1}, "max_retries is -1"),
        ({"max_retries": True}, "max_retries is True"),
        ({"max_cycles": 0}, "max_cycles is 0"),
        ({"retry_policy": 3}, "retry_policy is 3"),
        ({"image": ""}, "image is ''"),
        ({"env": {"A": 1}}, r"env\['A'\] is 1"),
        ({"env": ["A=1"]}, r"env is \['A=1'\]"),
        ({"resources": "big"}, "resources is 'big'"),
        ({"tolerations": ["gpu"]}, "tolerations is"),
        ({"id": ""}, "id is ''"),
    ],
)
def test_an_option_that_cannot_work_is_named_with_its_value(options, named):
    with pytest.raises(ConfigError, match=named):
        task(**options)(add)


@pytest.mark.parametrize(
    ("option", "near"), [("nodeselector", "node_selector"), ("retries", "max_retries")]
)
def test_an_option_that_there_is_not_is_refused_with_the_nearest(option, near):
    with pytest.raises(TypeError, match=rf"@task has no option '{option}'; did you mean '{near}'"):
        task(**{option: 1})


def test_a_context_without_a_parameter_to_take_it_is_refused():
    with pytest.raises(TypeError, match=r"write def f\(context, …\)"):

        @task(inject_context=True)
        def f():
            pass


def test_what_is_no_function_is_refused():
    with pytest.raises(TypeError, match="not callable"):
        TaskWrapper("x", 3)
    with pytest.raises(TypeError, match="no name to be the task's id"):
        task()(Callable())


class Callable:
    def __call__(self, x):
        return x


def test_any_callable_with_an_id_is_a_task():
    assert task("c")(Callable()).run(x=4) == 4


def test_tasks_travel_by_value_without_their_workflow():
    with workflow("w"):

        @task
        def first():
            return second.task_id

        @task
        def second(x=1):
            return first.task_id

        flow = chain(first, second)
    again = pickle.loads(cloudpickle.dumps({"first": first, "flow": flow}))
    assert again["first"].run() == "second"
    assert [found.task_id for found in again["flow"]] == ["first", "second"]
    assert again["first"].signature.parameters == {}


def test_the_portable_form_says_what_another_process_needs():
    made = task(max_retries=1)(add)(task_id="t", left=1)
    portable = made.portable()
    assert portable["func"] is add
    assert portable["bound"] == {"left": 1}
    assert portable["inject_context"] is False
