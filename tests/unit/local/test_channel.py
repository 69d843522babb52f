"""C2, C5: the channel of a run in this process."""

import pickle
import threading
import time

import pytest

from graflow import parallel, task, workflow
from graflow.core.context import TaskExecutionContext


def test_c2_increments_from_five_branches_at_once_all_count():
    @task(inject_context=True)
    def count(ctx, n):
        for _ in range(100):
            ctx.get_channel().atomic_add("total")

    with workflow("counting") as wf:
        _ = parallel(*(count(task_id=f"c{n}", n=n) for n in range(5)))
        _, ctx = wf.execute(ret_context=True)
    assert ctx.get_channel().get("total") == 500
    assert ctx.channel.keys() == ["total"]


def run_two(first, **options):
    """Run a task that keeps a lock and ends, and one that wants it; return what the second saw."""
    held, seen, kept = threading.Event(), [], []

    @task(id="holder", inject_context=True, **options)
    def holder(ctx):
        kept.append(ctx.get_channel().lock("l"))
        kept[-1].__enter__()
        held.set()
        first()

    @task(id="waiter", inject_context=True)
    def waiter(ctx):
        assert held.wait(10)
        with ctx.get_channel().lock("l", timeout=10):
            seen.append("held")

    with workflow("locks") as wf:
        _ = parallel(holder, waiter).with_execution(policy="best_effort")
        wf.execute()
    return seen


def fail():
    raise KeyError("no")


def sleep():
    while True:
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("ends", "options"),
    [(lambda: None, {}), (fail, {}), (sleep, {"timeout": 0.1})],
    ids=["success", "an exception", "a timeout"],
)
def test_c2_a_lock_ends_with_the_attempt_that_holds_it(ends, options):
    assert run_two(ends, **options) == ["held"]


def test_c2_a_retry_can_have_the_lock_that_the_attempt_before_held():
    kept = []

    @task(inject_context=True, max_retries=1)
    def flaky(ctx):
        kept.append(ctx.get_channel().lock("l", timeout=0))
        kept[-1].__enter__()
        if ctx.retry_count == 0:
            raise ValueError("once")
        return "held"

    with workflow("retry") as wf:
        wf.add_node("flaky", flaky, skip_if_exists=True)
        assert wf.execute("flaky") == "held"


def test_c5_a_captured_channel_or_context_is_pickled_as_a_handle():
    @task(inject_context=True)
    def first(ctx: TaskExecutionContext):
        ctx.get_channel().set("k", 1)
        return pickle.dumps((ctx, ctx.get_channel()))

    @task(inject_context=True)
    def second(ctx, first):
        context, channel = pickle.loads(first)
        channel.append("l", context.task_id)
        with channel.lock("x"):
            return context.get_channel().get("l"), channel.get("k"), channel.get("first.__result__")

    with workflow("handles") as wf:
        _ = first >> second
        log, value, data = wf.execute()
    assert (log, value, type(data)) == (["second"], 1, bytes)


def test_c1_initial_keys_and_results_are_in_the_channel():
    @task
    def a():
        return [1]

    @task(inject_context=True)
    def b(ctx, n):
        channel = ctx.get_channel()
        channel.get("a.__result__").append(2)
        channel.get("l").append(2)
        return n, channel.get("a.__result__"), channel.get("l"), channel.keys()

    with workflow("initial") as wf:
        _ = a >> b
        found = wf.execute(initial_channel={"n": 3, "l": [1]})
    assert found == (3, [1], [1], ["n", "l"])
