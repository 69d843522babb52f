"""R, A and C on the local host: programs as their writers see them."""

import threading
from collections import OrderedDict

import pytest

from graflow import chain, task, workflow
from graflow.core.task import Task
from graflow.core.workflow import current_workflow_context
from graflow.dsl.copies import UncopyableValueWarning
from graflow.exceptions import MaxStepsExceededError


def named(name, value=None):
    """A task that returns a value and notes that it ran."""

    @task(name)
    def run():
        order.append(name)
        return value

    return run


order: list[str] = []


@pytest.fixture(autouse=True)
def _fresh_order():
    order.clear()


def test_r3_the_sink_of_a_diamond_runs_once_after_both_sides():
    with workflow("w") as wf:
        a, b, c, d = (named(name) for name in "abcd")
        a >> [b, c] >> d
        wf.execute()
    assert order == ["a", "b", "c", "d"]


def test_r4_activations_run_in_the_order_of_their_creation():
    with workflow("w") as wf:
        s, a, a2, b, b2 = (named(name) for name in ("s", "a", "a2", "b", "b2"))
        s >> a >> a2
        s >> b >> b2
        wf.execute()
    assert order == ["s", "a", "b", "a2", "b2"]


def test_r6_the_value_of_a_run_is_that_of_the_end_declared_last():
    with workflow("w") as wf:
        a, last, early = named("a", 1), named("z", "last"), named("y", "declared after")
        a >> [early, last]
        assert wf.execute() == "declared after"


def test_b7_start_node_begins_in_the_middle():
    with workflow("w") as wf:
        chain(*(named(name, name) for name in "abc"))
        assert wf.execute(start_node="b") == "c"
    assert order == ["b", "c"]


def test_r6_the_context_of_a_run_has_results_channel_completed_tasks_and_steps():
    with workflow("w") as wf:

        @task(inject_context=True)
        def a(context, limit):
            context.get_channel().set("seen", limit)
            return [limit]

        a >> named("b", None)
        value, context = wf.execute(ret_context=True, initial_channel={"limit": 5})
    assert value is None
    assert context.get_result("a") == [5]
    assert context.get_result("b", "default") is None
    assert context.get_result("x", "default") == "default"
    assert context.get_channel().get("seen") == 5
    assert context.completed_tasks == ["a", "b"]
    assert (context.steps, context.is_completed()) == (2, True)
    assert len(context.session_id) == 32


def test_c1_a_task_sees_results_and_its_channel_key_of_them():
    with workflow("w") as wf:

        @task(inject_context=True)
        def b(context):
            channel = context.get_channel()
            return (
                context.get_result("a"),
                channel.get("a.__result__"),
                channel.exists("a.__result__"),
                channel.exists("x.__result__"),
            )

        named("a", 1) >> b
        assert wf.execute() == (1, 1, True, False)


def test_c1_values_are_copies():
    kept = []
    with workflow("w") as wf:

        @task
        def a():
            kept.append(["mine"])
            return kept[0]

        @task
        def b(a):
            a.append("b")

        @task(inject_context=True)
        def c(context):
            context.get_result("a").append("c")
            return context.get_result("a")

        a >> b >> c
        value, context = wf.execute(ret_context=True)
    assert value == ["mine"]
    value.append("changed")
    assert context.get_result("c") == ["mine"]
    assert kept == [["mine"]]


def test_c1_values_keep_their_types():
    value = {"t": (1, 2), "o": OrderedDict(a=1), "s": {1}, 3: float("inf")}
    with workflow("w") as wf:
        named("a", value) >> task("b")(lambda a: a)
        assert wf.execute() == value


def test_c1_what_cannot_be_pickled_passes_as_it_is_with_one_warning_that_names_the_task():
    lock = threading.Lock()
    with workflow("w") as wf:
        a = named("a", lock)
        a >> task("b")(lambda a: a is lock)
        with pytest.warns(
            UncopyableValueWarning, match=r"task 'a' has the type _thread\.lock"
        ) as w:
            value = wf.execute()
    assert value is True
    assert len([x for x in w if x.category is UncopyableValueWarning]) == 1


def test_classes_made_in_a_function_keep_their_identity():
    class Local:
        pass

    with workflow("w") as wf:
        named("a", Local()) >> task("b")(lambda a: isinstance(a, Local))
        assert wf.execute() is True


def test_a2_async_tasks_are_awaited():
    with workflow("w") as wf:

        @task
        async def a():
            return 1

        a >> task("b")(lambda a: a + 1)
        assert wf.execute() == 2


def test_c3_a_running_task_is_told_about_itself():
    with workflow("w") as wf:

        @task(inject_context=True, max_cycles=4, max_retries=2)
        def a(context):
            return (
                context.task_id,
                context.session_id == context.trace_id,
                context.cycle_count,
                context.max_cycles,
                context.can_iterate(),
                context.retry_count,
                context.max_retries,
                context.graph.get_node("b").task_id,
            )

        a >> Task("b")
        assert wf.execute(ret_context=True)[1].get_result("a") == (
            "a", True, 1, 4, True, 0, 2, "b",
        )  # fmt: skip


def test_b3_in_a_running_task_the_current_workflow_is_the_runs():
    with workflow("the-run") as wf:

        @task
        def a():
            before = current_workflow_context().graph.edges
            Task("x") >> Task("y")
            with workflow("own") as own:
                inside = current_workflow_context() is own
            return current_workflow_context().name, before, inside

        a >> task("b")(lambda a: a)
        assert wf.execute() == ("the-run", [("a", "b")], True)
    assert wf.graph.edges == [("a", "b")], "edges drawn at run time change nothing"


def test_b3_a_workflow_in_a_running_task_is_a_program_of_its_own():
    with workflow("outer") as wf:

        @task
        def a(n=3):
            with workflow("inner") as inner:
                named("x", n) >> task("y")(lambda x: x + 1)
                return inner.execute()

        a >> task("b")(lambda a: a * 2)
        assert wf.execute() == 8


def test_r8_a_loop_without_a_way_out_ends_at_max_steps_and_names_the_task():
    with workflow("w") as wf:
        a, b = named("agent"), named("tool")
        named("init") >> a >> b >> a
        with pytest.raises(MaxStepsExceededError, match="'agent' would be activation 6"):
            wf.execute(max_steps=5)
    assert order == ["init", "agent", "tool", "agent", "tool"]


def test_a_workflow_runs_again_from_the_beginning():
    with workflow("w") as wf:
        named("a", 1) >> named("b", 2)
    assert [wf.execute(), wf.execute()] == [2, 2]


def test_b4_a_bound_argument_and_one_by_name_meet():
    def add(left, right):
        return left + right

    with workflow("w") as wf:
        base = task(add)
        named("left", 1) >> base(task_id="plus_10", right=10) >> base(task_id="sum", left=5)
        assert wf.execute() == 16


def test_a1_without_resolving_only_bound_arguments_and_defaults_count():
    with workflow("w") as wf:

        @task(resolve_keyword_args=False)
        def b(a="default", c="default"):
            return a, c

        named("a", 1) >> b(task_id="b2", c="bound")
        assert wf.execute() == ("default", "bound")


def test_a_chain_of_ten_thousand_tasks_runs_without_recursion():
    def inc(x):
        return x + 1

    with workflow("w") as wf:
        base = task(inc)
        flow = named("t0", 0)
        for n in range(1, 10_000):
            flow = flow >> base(task_id=f"t{n}")
        assert wf.execute(max_steps=10_000) == 9_999
