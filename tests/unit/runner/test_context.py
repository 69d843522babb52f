"""C3, B3 in a pod: what a task can ask of its context, and programs of its own."""

import json

import pytest

from graflow import task
from unit.runner.fake_operator import RUN
from unit.runner.harness import bundle, with_bundle


def carries(operator, func, plan=None, **options):
    data, hashes = bundle(functions={"t": task("t", **options)(func).portable()}, plan=plan)
    with_bundle(operator, data)
    operator.order["call"] = {"function": hashes["t"]}


def value(operator, runners):
    runner = runners.run()
    assert runner.process.returncode == 0, runner.stderr
    return operator.reports[0]["value"]["json"]


ASKED = [
    "task_id",
    "session_id",
    "trace_id",
    "cycle_count",
    "max_cycles",
    "retry_count",
    "max_retries",
]


def test_c3_every_attribute_of_the_context_is_there_in_a_pod(operator, runners):
    def asks(ctx):
        import time

        began = ctx.start_time
        ctx.set_local_data("k", 1)
        ctx.local_data["l"] = 2
        return [
            {name: getattr(ctx, name) for name in ASKED},
            0 <= time.time() - began < 60,
            0 <= ctx.elapsed_time() < 60,
            ctx.can_iterate(),
            [ctx.get_local_data("k"), ctx.get_local_data("x", 0), ctx.local_data],
            ctx.get_result("other", "none"),
        ]

    carries(operator, asks, inject_context=True)
    operator.order["task"] |= {"iteration": 3, "maxCycles": 4, "maxAttempts": 6, "failures": 2}
    operator.answers = {"other": {"result": {"json": 7}}}
    facts, *others = value(operator, runners)
    assert facts == {
        "task_id": "t",
        "session_id": RUN,
        "trace_id": RUN,
        "cycle_count": 3,
        "max_cycles": 4,
        "retry_count": 2,
        "max_retries": 5,
    }
    assert others == [True, True, True, [1, 0, {"k": 1, "l": 2}], 7]


@pytest.mark.parametrize(("iteration", "may"), [(3, True), (4, False)])
def test_c3_a_pod_knows_whether_another_pass_is_allowed(operator, runners, iteration, may):
    carries(operator, lambda ctx: ctx.can_iterate(), inject_context=True)
    operator.order["task"] |= {"iteration": iteration, "maxCycles": 4}
    assert value(operator, runners) is may


def test_c1_a_result_is_a_copy_each_time_it_is_read_in_a_pod(operator, runners):
    def changes(ctx, other):
        other.append("changed")
        ctx.get_result("other").append("changed")
        return ctx.get_result("other")

    carries(operator, changes, inject_context=True)
    operator.answers = {"other": {"result": {"json": [1]}}}
    assert value(operator, runners) == [1]


def test_b3_a_workflow_in_a_pod_is_a_program_of_its_own(operator, runners):
    def outer():
        from graflow import task, workflow

        with workflow("inner") as inner:
            task("x")(lambda: 3) >> task("y")(lambda x: x + 1)
            return inner.execute()

    carries(operator, outer)
    assert value(operator, runners) == 4
    assert not [call for call in operator.calls if "results" in call]


def test_b3_in_a_pod_the_current_workflow_is_the_runs(operator, runners):
    def looks():
        from graflow.core.workflow import current_workflow_context, workflow

        before = current_workflow_context()
        with workflow("own") as own:
            inside = current_workflow_context() is own
        again = current_workflow_context()
        edges = [list(edge) for edge in before.graph.edges]
        return [before.name, before.graph.nodes, edges, inside, again is before]

    tasks = [{"name": "t", "function": "t"}, {"name": "end", "function": "t", "after": ["t"]}]
    carries(operator, looks, plan={"tasks": tasks})
    operator.order["run"]["name"] = "etl-7f3k9"
    assert value(operator, runners) == ["etl-7f3k9", ["t", "end"], [["t", "end"]], True, True]


def test_b3_what_a_task_draws_in_a_pod_changes_nothing(operator, runners):
    def draws():
        from graflow import task

        flow = task("a")(lambda: 1) >> task("b")(lambda: 2)
        return [found.task_id for found in flow]

    carries(operator, draws)
    assert value(operator, runners) == ["a", "b"]


def test_f4_the_failure_of_an_inner_workflow_is_the_tasks_with_the_whole_traceback(
    operator, runners
):
    def outer():
        from graflow import task, workflow

        def breaks():
            raise KeyError("deep")

        with workflow("inner") as inner:
            task("x")(breaks)
            inner.execute()

    carries(operator, outer)
    assert runners.run().process.returncode == 1
    error = operator.reports[0]["error"]
    assert error["reason"] == "TaskFailed"
    assert "deep" in error["message"]
    assert "KeyError: 'deep'" in error["traceback"]
    assert 'raise KeyError("deep")' in error["traceback"] or "in breaks" in error["traceback"]


def judged(operator, runners, func, **options):
    carries(operator, func, **options)
    assert runners.run().process.returncode == 1
    error = operator.reports[0]["error"]
    return error["reason"], error["retryable"]


POLICIES = {
    "all errors": ({}, True),
    "another one": ({"retry_on": (OSError,)}, False),
    "this one": ({"retry_on": (ValueError,)}, True),
    "a parent": ({"retry_on": (Exception,)}, True),
    "given up on": ({"give_up_on": (ValueError,)}, False),
}


@pytest.mark.parametrize(("options", "retryable"), POLICIES.values(), ids=POLICIES)
def test_f1_a_pod_judges_an_error_by_the_tasks_own_policy(operator, runners, options, retryable):
    from graflow import RetryPolicy

    def fails():
        raise ValueError("no")

    policy = RetryPolicy(3, **options)
    assert judged(operator, runners, fails, retry_policy=policy) == ("TaskFailed", retryable)


def test_f1_an_exception_class_of_the_programs_own_is_judged_in_the_pod(operator, runners):
    from graflow import RetryPolicy

    class HopelessError(Exception):
        pass

    def fails():
        raise HopelessError

    policy = RetryPolicy(3, give_up_on=(HopelessError,))
    assert judged(operator, runners, fails, retry_policy=policy) == ("TaskFailed", False)


def test_f1_sys_exit_is_judged_by_the_policy_too(operator, runners):
    from graflow import RetryPolicy

    def leaves():
        import sys

        sys.exit(3)

    policy = RetryPolicy(3, give_up_on=(SystemExit,))
    assert judged(operator, runners, leaves, retry_policy=policy) == ("SystemExit", False)


def test_f1_too_many_passes_are_not_tried_again(operator, runners):
    def asks(ctx):
        ctx.next_iteration()

    carries(operator, asks, inject_context=True)
    operator.order["task"] |= {"iteration": 4, "maxCycles": 4}
    assert runners.run().process.returncode == 1
    error = operator.reports[0]["error"]
    assert (error["reason"], error["retryable"]) == ("CycleLimitExceeded", False)
    assert json.dumps(error).count("max_cycles is 4") >= 1
