"""C5: a captured context or channel travels as a handle on those of the task it arrives in."""

import pickle
import threading

import cloudpickle
import pytest

from graflow.dsl.call import Callee, run_call
from graflow.dsl.context import TaskExecutionContext, TaskFacts
from graflow.dsl.memory_channel import MemoryChannel
from graflow.exceptions import GraflowRuntimeError


class Backend:
    def __init__(self, channel):
        self.channel = channel

    def result(self, task_id, /):
        return f"result of {task_id}"


def context(task, channel):
    return TaskExecutionContext(TaskFacts(task_id=task), Backend(channel))


def in_task(ctx, func):
    return run_call(Callee(func=func), ctx)


def test_c5_a_captured_channel_is_that_of_the_task_where_it_arrives():
    here, there = MemoryChannel().of_attempt(1, 1), MemoryChannel().of_attempt(2, 1)
    code = cloudpickle.dumps(lambda: here.append("k", 1))
    assert in_task(context("there", there), pickle.loads(code)) == 1
    assert (here.get("k"), there.get("k")) == (None, [1])


def test_c5_a_captured_context_is_that_of_the_task_where_it_arrives():
    ctx = context("here", MemoryChannel())
    code = cloudpickle.dumps(lambda: (ctx.task_id, ctx.get_result("x"), pickle.dumps(ctx)))
    task, result, again = in_task(context("there", MemoryChannel()), pickle.loads(code))
    assert (task, result) == ("there", "result of x")
    third = context("third", MemoryChannel())
    assert in_task(third, lambda: pickle.loads(again).task_id) == "third"


def test_c5_a_handle_in_a_thread_of_the_task_is_bound_to_it():
    handle = pickle.loads(pickle.dumps(MemoryChannel().of_attempt(1, 1)))
    channel = MemoryChannel()

    def work():
        thread = threading.Thread(target=lambda: handle.set("k", 1))
        thread.start()
        thread.join()

    in_task(context("t", channel), work)
    assert channel.get("k") == 1


def test_c5_a_handle_outside_of_every_task_says_so():
    handle = pickle.loads(pickle.dumps(context("t", MemoryChannel())))
    with pytest.raises(GraflowRuntimeError, match="used where no task runs"):
        handle.task_id  # noqa: B018 - reading it is the point
