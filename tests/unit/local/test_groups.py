"""G1, G2, G4 on the local host."""

import sys
import threading

import pytest

from graflow import parallel, task, workflow
from graflow.core.handlers.group_policy import AtLeastNGroupPolicy, CriticalGroupPolicy
from graflow.core.task import Task
from graflow.exceptions import GraflowRuntimeError, ParallelGroupError


def value_of(name, value):
    return task(name)(lambda: value)


def failing(name, message):
    @task(name)
    def fail():
        raise ValueError(message)

    return fail


def test_the_value_of_a_group_is_a_dict_by_member():
    with workflow("w") as wf:
        group = (value_of("a", 1) | value_of("b", 2)).set_group_name("g")
        Task("start") >> group >> task("join")(lambda a, b, g: (a, b, g))
        assert wf.execute() == (1, 2, {"a": 1, "b": 2})


def test_a_lone_group_runs_and_gives_its_dict():
    with workflow("w") as wf:
        value_of("b", 2) | value_of("a", 1)
        assert list(wf.execute().items()) == [("b", 2), ("a", 1)]


def test_the_join_is_given_the_groups_dict_whole():
    with workflow("w") as wf:
        (value_of("a", 1) | value_of("b", 2)) >> task("join")(lambda found: [*found])
        assert wf.execute() == ["a", "b"]


def test_the_chain_behind_a_member_runs_in_the_branch_and_is_its_value():
    with workflow("w") as wf:
        group = value_of("x", 1) | (value_of("y", 2) >> task("z")(lambda y: y * 10))
        group.set_group_name("g") >> task("join")(lambda g, z: (g, z))
        assert wf.execute() == ({"x": 1, "y": 20}, 20)


def test_a_group_waits_for_all_of_its_branches():
    gate = threading.Event()
    done = []
    with workflow("w") as wf:

        @task
        def slow():
            assert gate.wait(timeout=60)
            done.append("slow")

        @task
        def fast():
            gate.set()
            done.append("fast")

        (slow | fast) >> task("join")(lambda: list(done))
        assert sorted(wf.execute()) == ["fast", "slow"]


def test_branches_run_at_the_same_time_each_in_a_thread_of_its_own():
    meeting = threading.Barrier(4, timeout=60)
    with workflow("w") as wf:

        def meet(n):
            meeting.wait()
            return threading.current_thread().name

        base = task(meet)
        parallel(*(base(task_id=f"m{n}", n=n) for n in range(4)))
        assert len(set(wf.execute().values())) == 4


@pytest.fixture
def _threads_give_way_only_when_they_wait():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1000)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("_threads_give_way_only_when_they_wait")
def test_branches_begin_in_the_order_of_the_members():
    begun = []
    names = [f"m{n}" for n in range(20)]
    with workflow("w") as wf:

        def note(name):
            begun.append(name)

        base = task(note)
        parallel(*(base(task_id=name, name=name) for name in names))
        wf.execute()
    assert begun == names


@pytest.mark.parametrize("backend", ["direct", "threading", "redis"])
def test_g3_the_backend_changes_how_branches_run_and_not_what_they_give(backend):
    with workflow("w") as wf:
        group = value_of("a", 1) | (value_of("b", 2) >> task("b2")(lambda b: b + 1))
        group.with_execution(backend=backend).set_group_name("g") >> task("join")(lambda g: g)
        assert wf.execute() == {"a": 1, "b": 3}


def test_g3_the_direct_backend_carries_branch_after_branch_in_the_same_thread():
    ran = []
    with workflow("w") as wf:

        def note(name):
            ran.append((name, threading.current_thread()))

        base = task(note)
        a, a2, b, c = (base(task_id=name, name=name) for name in ("a", "a2", "b", "c"))
        inner = (b | c).with_execution(backend="direct")
        ((a >> a2) | inner).with_execution(backend="direct")
        wf.execute()
    assert [name for name, _ in ran] == ["a", "a2", "b", "c"]
    assert {thread for _, thread in ran} == {threading.current_thread()}


def test_a_thread_count_bounds_the_branches_that_run_at_a_time():
    mutex, running, most = threading.Lock(), set(), []
    with workflow("w") as wf:

        def work(n):
            with mutex:
                running.add(n)
                most.append(len(running))
            with mutex:
                running.remove(n)
            return threading.current_thread().name

        base = task(work)
        group = parallel(*(base(task_id=f"m{n}", n=n) for n in range(12)))
        group.with_execution(backend_config={"thread_count": 2})
        assert len(set(wf.execute().values())) <= 2
    assert max(most) <= 2


def test_a_branch_sees_its_own_results_and_those_from_before_never_a_siblings():
    first_done = threading.Event()
    with workflow("w") as wf:

        @task
        def left():
            first_done.set()
            return "left"

        @task(inject_context=True)
        def left_after(context):
            return context.get_result("left"), context.get_result("before")

        @task(inject_context=True)
        def right(context):
            assert first_done.wait(timeout=60)
            return context.get_result("left", "unseen"), context.get_result("before")

        group = (left >> left_after) | right
        value_of("before", 0) >> group
        assert wf.execute() == {"left": ("left", 0), "right": ("unseen", 0)}


def test_when_the_group_ends_its_branches_results_are_visible():
    with workflow("w") as wf:
        group = (value_of("a", 1) >> value_of("a2", 11)) | value_of("b", 2)
        group >> task("join")(lambda a, a2, b: [a, a2, b])
        value, context = wf.execute(ret_context=True)
    assert value == [1, 11, 2]
    assert set(context.completed_tasks) == {"a", "a2", "b", "ParallelGroup_1", "join"}


def test_groups_nest():
    with workflow("w") as wf:
        inner = (value_of("a", 1) | value_of("b", 2)).set_group_name("inner")
        outer = ((inner >> task("sum")(lambda a, b: a + b)) | value_of("c", 5)).set_group_name(
            "out"
        )
        outer >> task("join")(lambda out: out)
        assert wf.execute() == {"inner": 3, "c": 5}


def test_one_channel_is_shared_by_all_branches():
    with workflow("w") as wf:

        @task(inject_context=True)
        def count(context, n):
            for _ in range(100):
                context.get_channel().atomic_add("total")
                with context.get_channel().lock("l"):
                    channel = context.get_channel()
                    channel.set("by_hand", channel.get("by_hand", 0) + 1)

        parallel(*(count(task_id=f"c{n}", n=n) for n in range(5)))
        _, context = wf.execute(ret_context=True)
    assert context.channel.get("total") == 500
    assert context.channel.get("by_hand") == 500


def test_a_failed_member_fails_a_strict_group_in_graflows_words():
    with workflow("w") as wf:
        parallel(value_of("t0", 0), failing("t1", "boom1"), value_of("t2", 2), failing("t3", "b3"))
        with pytest.raises(ParallelGroupError) as caught:
            wf.execute()
    error = caught.value
    assert str(error) == "Parallel group ParallelGroup_1 failed: 2 task(s) failed"
    assert error.group_id == "ParallelGroup_1"
    assert error.failed_tasks == [
        ("t1", "An error occurred: boom1 (caused by boom1)"),
        ("t3", "An error occurred: b3 (caused by b3)"),
    ]
    assert error.successful_tasks == ["t0", "t2"]
    assert isinstance(error.__cause__, ValueError)
    assert isinstance(error, GraflowRuntimeError)
    assert "t3: An error occurred: b3 (caused by b3)" in error.__notes__


def test_a_failing_member_waits_for_its_siblings():
    done = []
    failed = threading.Event()
    with workflow("w") as wf:

        @task
        def fail():
            failed.set()
            raise ValueError("x")

        @task
        def slow():
            assert failed.wait(timeout=60)
            done.append("slow")

        (fail | (slow >> task("after")(lambda: done.append("after")))) >> task("never")(
            lambda: done.append("never")
        )
        with pytest.raises(ParallelGroupError) as caught:
            wf.execute()
    assert done == ["slow", "after"]
    assert caught.value.successful_tasks == ["slow"]


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ("best_effort", None),
        (AtLeastNGroupPolicy(1), None),
        (AtLeastNGroupPolicy(2), "Only 1/3 tasks succeeded in group g"),
        (CriticalGroupPolicy(["ok"]), None),
        (CriticalGroupPolicy(["ok", "bad"]), r"Critical tasks failed: \['bad'\]"),
    ],
    ids=["best-effort", "at-least-1", "at-least-2", "critical-ok", "critical-bad"],
)
def test_policies_judge_when_every_branch_has_ended(policy, message):
    with workflow("w") as wf:
        group = parallel(failing("bad", "1"), value_of("ok", 7), failing("worse", "2"))
        group.set_group_name("g").with_execution(policy=policy) >> task("join")(lambda g: g)
        if message is None:
            assert wf.execute() == {"ok": 7}
        else:
            with pytest.raises(ParallelGroupError, match=message):
                wf.execute()


def test_a_failed_group_in_a_branch_fails_that_branch():
    with workflow("w") as wf:
        inner = (failing("a", "deep") | value_of("b", 1)).set_group_name("inner")
        parallel(inner, value_of("c", 2)).with_execution(policy="strict")
        with pytest.raises(ParallelGroupError) as caught:
            wf.execute()
    assert caught.value.failed_tasks == [("inner", "Parallel group inner failed: 1 task(s) failed")]
    assert str(caught.value.cause) == "deep"


def test_a_hundred_branches_with_chains_run():
    with workflow("w") as wf:
        first, second = task("f")(lambda n: n), task("s")(lambda x: x + 1)
        branches = [first(task_id=f"f{n}", n=n) >> second(task_id=f"s{n}") for n in range(100)]
        parallel(*branches) >> task("sum")(lambda found: sum(found.values()))
        assert wf.execute() == sum(range(1, 101))
