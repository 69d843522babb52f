"""One call as hosts make it."""

from graflow import TaskExecutionContext, chain, task
from graflow.core.task import Task
from graflow.core.workflow import (
    WorkflowContext,
    current_workflow_context,
    get_current_workflow_context,
)
from graflow.dsl.arguments import Again, Incoming
from graflow.dsl.call import Callee, run_call
from graflow.dsl.context import TaskFacts
from graflow.dsl.graph import TaskGraph
from graflow.dsl.lone import LoneBackend


def alone():
    return TaskExecutionContext(TaskFacts(task_id="t"), LoneBackend())


def call(func, **options):
    inject = options.pop("inject_context", False)
    callee = Callee(func=func, inject_context=inject, inject_llm_client=True)
    return run_call(callee, alone(), **options)


def test_b3_what_a_task_draws_belongs_to_nothing():
    def draws():
        flow = chain(Task("a"), Task("b"))
        return [found.task_id for found in flow]

    assert call(draws) == ["a", "b"]
    assert call(draws) == ["a", "b"], "and is gone afterwards"
    assert get_current_workflow_context() is None


def test_b3_in_a_task_the_current_workflow_is_the_one_that_the_host_gives():
    mine = WorkflowContext.of("run", TaskGraph())

    def look():
        Task("a") >> Task("b")
        return current_workflow_context() is mine

    assert call(look, workflow=mine)
    assert mine.graph.nodes == []


def test_positional_only_parameters_are_filled_too():
    def f(context, x, /, y, *, z=3):
        return context.task_id, x, y, z

    callee = Callee(func=f, inject_context=True, bound={"y": 2})
    assert run_call(callee, alone(), sent=[Incoming("a", lambda: 1)]) == ("t", 1, 2, 3)


def test_positional_only_parameters_keep_their_places_when_one_has_no_value():
    def f(x=1, y=2, /):
        return x, y

    assert run_call(Callee(func=f, bound={"y": 5}), alone()) == (1, 5)


def test_data_of_an_iteration_is_the_first_argument_of_any_function():
    def named(context, state, x="default"):
        return state, x

    def listed(context, *states, x="default"):
        return *states, x

    def only_listed(*arguments):
        return arguments[1]

    again = Again(data=[1])
    for f, expected in ((named, ([1], "default")), (listed, ([1], "default")), (only_listed, [1])):
        assert run_call(Callee(func=f, inject_context=True), alone(), again=again) == expected


def test_the_host_is_told_right_before_user_code_begins():
    order = []
    call(lambda: order.append("code"), begin=lambda: order.append("begin"))
    assert order == ["begin", "code"]


def test_an_llm_client_is_injected_where_the_host_has_one():
    assert call(lambda llm_client: llm_client, injected={"llm_client": "c"}) == "c"
    assert call(lambda llm_client="none": llm_client) == "none"


def test_the_portable_form_makes_the_same_call_and_ignores_what_it_does_not_know():
    made = task("t0", inject_context=True)(lambda context, x: (context.task_id, x))(
        task_id="t", x=1
    )
    again = Callee.from_portable({**made.portable(), "from_a_later_release": 1})
    assert again == made.callee
