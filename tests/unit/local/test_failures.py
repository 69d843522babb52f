"""F1, F4, A2 on the local host: how errors of tasks reach the program."""

import asyncio
import sys
import threading
import traceback

import pytest

from graflow import RetryPolicy, parallel, task, workflow
from graflow.core.task import Task
from graflow.exceptions import (
    ArgumentError,
    ConfigError,
    GraflowRuntimeError,
    NonRetryableError,
    ParallelGroupError,
    RetryLimitExceededError,
)


def run(first, *others):
    with workflow("w") as wf:
        flow = first
        for other in (*others, Task("end")):
            flow = flow >> other
        return wf.execute(ret_context=True)[1]


def test_f4_an_error_of_a_task_is_a_runtime_error_with_the_original_as_its_cause():
    boom = ValueError("boom")

    @task
    def fail():
        raise boom

    with pytest.raises(GraflowRuntimeError) as caught:
        run(fail)
    error = caught.value
    assert type(error) is GraflowRuntimeError
    assert error.cause is boom
    assert error.__cause__ is boom
    assert str(error) == "An error occurred: boom (caused by boom)"
    text = "".join(traceback.format_exception(error))
    assert "raise boom" in text
    assert "in task 'fail', attempt 1" in text


def test_r7_nothing_follows_a_failed_task():
    ran = []

    @task
    def fail():
        raise ValueError

    with pytest.raises(GraflowRuntimeError):
        run(fail, task("after")(lambda: ran.append(1)))
    assert ran == []


def test_a2_a_missing_argument_fails_before_user_code_and_is_not_tried_again():
    ran = []

    @task(max_retries=5)
    def needs(thing, other):
        ran.append(thing)

    with pytest.raises(ArgumentError, match=r"task 'needs' has no value for 'thing', 'other'") as e:
        run(task("thng")(lambda: 1), needs)
    assert ran == []
    assert "did you mean 'thng'?" in str(e.value)


def failing_until(attempt, **options):
    seen = []

    @task("t", inject_context=True, **options)
    def fail(context):
        seen.append((context.retry_count, context.max_retries, context.cycle_count))
        if len(seen) < attempt:
            raise ValueError(f"failure {len(seen)}")
        return len(seen)

    return fail, seen


def test_f1_a_task_is_tried_again_as_often_as_it_says():
    fail, seen = failing_until(3, max_retries=2)
    assert run(fail).get_result("t") == 3
    assert seen == [(0, 2, 1), (1, 2, 1), (2, 2, 1)]


def test_f1_when_all_attempts_failed_the_last_error_is_carried():
    fail, seen = failing_until(9, max_retries=2)
    with pytest.raises(RetryLimitExceededError) as caught:
        run(fail)
    error = caught.value
    assert (error.task_id, error.retry_count, error.max_retries) == ("t", 3, 2)
    assert str(error.last_error) == str(error.__cause__) == "failure 3"
    assert len(seen) == 3


def test_f1_a_retry_waits_as_its_policy_says_and_others_run_meanwhile():
    ran = []

    @task(retry_policy=RetryPolicy(max_retries=1, initial_interval=0.02))
    def flaky():
        ran.append("flaky")
        if len(ran) == 1:
            raise ValueError

    with workflow("w") as wf:
        start = Task("start")
        start >> [flaky, task("other")(lambda: ran.append("other"))]
        wf.execute()
    assert ran == ["flaky", "other", "flaky"]


def test_f1_retries_happen_inside_branches():
    fail, seen = failing_until(2, retry_policy=RetryPolicy(1, initial_interval=0.01))
    with workflow("w") as wf:
        parallel(fail, task("sibling")(lambda: 5))
        assert wf.execute() == {"t": 2, "sibling": 5}
    assert len(seen) == 2


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"max_retries": 3}, NonRetryableError("no")),
        ({"retry_policy": RetryPolicy(3, 0, give_up_on=(ValueError,))}, ValueError("no")),
        ({"retry_policy": RetryPolicy(3, 0, retry_on=(OSError,))}, ValueError("no")),
    ],
)
def test_f1_errors_that_another_attempt_cannot_help_end_the_task(options, error):
    seen = []

    @task(**options)
    def fail():
        seen.append(1)
        raise error

    with pytest.raises(GraflowRuntimeError) as caught:
        run(fail)
    assert not isinstance(caught.value, RetryLimitExceededError)
    assert caught.value.cause is error
    assert len(seen) == 1


def test_f4_what_is_no_exception_abandons_the_run_and_passes_through():
    stop, seen = KeyboardInterrupt(), []

    @task(max_retries=2)
    def leave():
        seen.append(1)
        raise stop

    with pytest.raises(KeyboardInterrupt) as caught:
        run(leave, task("after")(lambda: seen.append(2)))
    assert caught.value is stop
    assert seen == [1]


def test_an_interruption_in_a_branch_abandons_the_run_too():
    free = threading.Event()

    @task
    def leave():
        raise KeyboardInterrupt

    @task
    def stuck():
        free.wait(timeout=60)

    with workflow("w") as wf:
        (leave | stuck) >> Task("end")
        with pytest.raises(KeyboardInterrupt):
            wf.execute()
    free.set()


def test_f4_sys_exit_fails_the_task_as_it_does_in_a_pod():
    seen = []

    @task
    def leave():
        seen.append(1)
        sys.exit(3)

    with pytest.raises(GraflowRuntimeError, match=r"the task called sys\.exit\(3\)") as caught:
        run(leave, task("after")(lambda: seen.append(2)))
    assert isinstance(caught.value.cause, SystemExit)
    assert seen == [1]


@pytest.mark.parametrize(
    "kind", [asyncio.CancelledError, GeneratorExit, type("Own", (BaseException,), {})]
)
def test_f4_what_is_no_exception_fails_and_retries_the_task_as_it_does_in_a_pod(kind):
    tries = []

    @task(max_retries=1)
    def leave():
        tries.append(1)
        raise kind

    with pytest.raises(RetryLimitExceededError) as caught:
        run(leave)
    assert isinstance(caught.value.cause, kind)
    assert len(tries) == 2


def test_sys_exit_in_a_branch_is_a_failed_member():
    with workflow("w") as wf:
        (task("leave")(sys.exit) | Task("fine")) >> Task("end")
        with pytest.raises(ParallelGroupError) as caught:
            wf.execute()
    assert [member for member, _ in caught.value.failed_tasks] == ["leave"]
    assert caught.value.successful_tasks == ["fine"]


def test_f4_an_exception_that_cannot_say_what_it_is_fails_its_task_all_the_same():
    class MuteError(Exception):
        def __str__(self):
            raise ValueError("no words")

    @task
    def fail():
        raise MuteError

    with pytest.raises(GraflowRuntimeError, match="its text cannot be shown: ValueError") as caught:
        run(fail)
    assert isinstance(caught.value.cause, MuteError)


def test_f4_an_exception_without_words_is_named():
    @task
    def fail():
        raise LookupError

    with pytest.raises(GraflowRuntimeError) as caught:
        run(fail)
    assert str(caught.value) == "An error occurred: LookupError (caused by LookupError)"


def test_f4_an_inner_workflows_failure_is_an_error_of_the_task():
    @task
    def inner_fails():
        raise KeyError("deep")

    @task
    def outer():
        with workflow("inner") as inner:
            Task("x") >> inner_fails
            inner.execute()

    with pytest.raises(GraflowRuntimeError) as caught:
        run(outer)
    assert type(caught.value) is GraflowRuntimeError
    assert isinstance(caught.value.cause, KeyError)
    assert caught.value.__notes__ == [
        "in task 'inner_fails', attempt 1",
        "in task 'outer', attempt 1",
    ]


def test_f3_an_attempt_whose_time_is_up_is_stopped_and_has_failed():
    cleaned = []

    @task(timeout=0.05)
    def slow():
        try:
            while True:
                pass
        except Exception:  # noqa: BLE001 - what user code writes
            raise AssertionError("user code must not catch it by accident") from None
        finally:
            cleaned.append("up")

    with pytest.raises(GraflowRuntimeError) as caught:
        run(slow)
    assert str(caught.value.cause) == "task 'slow' ran longer than its timeout of 0.05 s"
    assert isinstance(caught.value.cause, TimeoutError)
    assert cleaned == ["up"]


def test_f3_code_that_will_not_stop_has_failed_all_the_same():
    begun = threading.Event()

    @task(timeout=0.01)
    def stubborn():
        while True:
            try:
                while True:
                    begun.wait(timeout=0)
            except BaseException:  # noqa: BLE001 - what the test is about
                return "never counted"

    with pytest.raises(GraflowRuntimeError, match="ran longer than its timeout"):
        run(stubborn)


def test_f3_time_is_up_counts_as_a_failed_attempt_in_branches_too():
    tries = []
    with workflow("w") as wf:

        @task(timeout=0.05, max_retries=1)
        def slow_once():
            tries.append(1)
            while len(tries) == 1:
                pass
            return len(tries)

        parallel(slow_once, task("fast", timeout=60)(lambda: 1))
        assert wf.execute() == {"slow_once": 2, "fast": 1}


def test_f3_a_program_inside_a_task_is_stopped_with_it_however_often_it_would_try_again():
    tries = []

    @task(max_retries=1_000)
    def slow():
        tries.append(1)
        while True:
            pass

    @task(timeout=0.05)
    def outer():
        with workflow("inner") as inner:
            Task("x") >> slow
            inner.execute()

    with pytest.raises(GraflowRuntimeError, match="task 'outer' ran longer than its timeout"):
        run(outer)
    assert tries == [1]


def test_f4_an_error_keeps_what_it_was_raised_from():
    deep = KeyError("deep")

    @task
    def fail():
        raise GraflowRuntimeError("said by the program") from deep

    with pytest.raises(GraflowRuntimeError, match="said by the program") as caught:
        run(fail)
    assert caught.value.__cause__ is deep


def test_f4_a_coroutine_that_was_cancelled_is_a_failed_task():
    @task
    async def cancelled():
        import asyncio

        waiting = asyncio.ensure_future(asyncio.Event().wait())
        asyncio.get_running_loop().call_soon(waiting.cancel)
        await waiting

    with pytest.raises(GraflowRuntimeError, match="the task's coroutine was cancelled"):
        run(cancelled)


def test_f3_a_run_whose_deadline_passes_has_failed_and_what_runs_is_stopped_with_its_finally():
    begun, cleaned = threading.Event(), threading.Event()
    with workflow("w", deadline=0.05) as wf:

        @task(retry_policy=RetryPolicy(max_retries=5, initial_interval=0.0))
        def endless():
            begun.set()
            try:
                while True:
                    begun.wait(timeout=0)
            finally:
                cleaned.set()

        @task
        def after():
            raise AssertionError("nothing begins any more")

        endless >> after
    with pytest.raises(GraflowRuntimeError, match=r"longer than its deadline, 0.05 s"):
        wf.execute()
    assert cleaned.is_set()


def test_f3_a_deadline_counts_while_a_retry_is_waited_for_and_in_branches():
    with workflow("w", deadline=0.05) as wf:

        @task(retry_policy=RetryPolicy(max_retries=1, initial_interval=3600.0))
        def flaky():
            raise ValueError("once more")

        @task
        def fine():
            return 1

        parallel(flaky, fine)
    with pytest.raises(GraflowRuntimeError, match="longer than its deadline"):
        wf.execute()


def test_f3_a_run_that_ends_before_its_deadline_is_none_the_wiser():
    with workflow("w", deadline=3600) as wf:

        @task(timeout=3600)
        def quick():
            return 1

    assert wf.execute() == 1


def test_f3_a_timeout_of_a_task_is_its_own_failure_within_a_deadline():
    with workflow("w", deadline=3600) as wf:

        @task(timeout=0.02)
        def slow():
            while True:
                threading.Event().wait(timeout=0)

    with pytest.raises(GraflowRuntimeError, match="ran longer than its timeout"):
        wf.execute()


@pytest.mark.parametrize("deadline", [0, -1, "2h", True])
def test_what_cannot_be_a_deadline_is_refused_at_once(deadline):
    with pytest.raises(ConfigError, match="must be a number of seconds above 0"):
        workflow("w", deadline=deadline)
