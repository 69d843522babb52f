"""Checkpoints on this machine: what they hold, how they are read, and runs that go on (K2, K3)."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from graflow import task, workflow
from graflow.core.checkpoint import CheckpointError, CheckpointManager
from graflow.core.context import ExecutionContext
from graflow.core.engine import WorkflowEngine
from graflow.core.graph import TaskGraph
from graflow.core.handler import TaskHandler
from graflow.core.handlers.group_policy import GroupExecutionPolicy
from graflow.exceptions import GraflowRuntimeError, MaxStepsExceededError
from graflow.local import checkpoints, places
from graflow.machine.state import RunPhase
from graflow.store.memory import MemoryStore
from graflow.trace.console import ConsoleTracer

ran: list[str] = []
"""What ran in a test; functions of this module are imported, not copied."""

broken: set[str] = set()
"""Tasks that fail."""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ran.clear()
    broken.clear()


@task(inject_context=True)
def load(ctx):
    ran.append("load")
    ctx.get_channel().set("rows", [1, 2])
    ctx.checkpoint({"stage": "loaded"}, path="loaded")
    return {"n": 2}


@task
def clean(load):
    ran.append("clean")
    assert Path("loaded.pkl").exists(), "what follows began before its checkpoint was there"
    return load["n"] + 1


@task
def train(clean):
    ran.append("train")
    if "train" in broken:
        raise ValueError("no memory")
    return clean * 10


@task
def score(clean):
    ran.append("score")
    return clean


@task
def report(train, score):
    ran.append("report")
    return [train, score]


@task
def finish(train):
    ran.append("finish")
    return train + 1


def fails(wf, **options):
    with pytest.raises(GraflowRuntimeError) as failed:
        wf.execute(**options)
    return failed.value.context


def fails_with(wf):
    with pytest.raises(GraflowRuntimeError) as failed:
        wf.execute()
    return str(failed.value)


def goes_on(path, **changes):
    context, _ = CheckpointManager.resume_from_checkpoint(path, **changes)
    return WorkflowEngine().execute(context), context


def line():
    with workflow("line") as wf:
        _ = load >> clean >> train >> finish
    return wf


def test_k2_a_run_goes_on_right_after_the_task_that_took_the_checkpoint():
    broken.add("train")
    left = fails(line())
    broken.clear()
    ran.clear()
    value, context = goes_on(left.last_checkpoint_path)
    assert (value, ran) == (31, ["clean", "train", "finish"])
    assert context.session_id == left.session_id
    assert context.channel.get("rows") == [1, 2]
    assert context.completed_tasks == ["load", "clean", "train", "finish"]


def test_a_failed_run_is_kept_by_its_context_and_goes_on_with_what_failed():
    broken.add("train")
    path, metadata = CheckpointManager.create_checkpoint(
        fails(line()), metadata={"why": "later"}, resuming_task_id="train"
    )
    broken.clear()
    ran.clear()
    assert goes_on(path)[0] == 31
    assert ran == ["train", "finish"]
    assert metadata.user_metadata == {"why": "later"}
    assert json.loads(Path(path).with_suffix(".state.json").read_text())["resuming_task_id"] == (
        "train"
    )


def test_branches_of_a_group_go_on_where_each_of_them_stood():
    broken.add("train")
    with workflow("group") as wf:
        _ = load >> clean >> (train | score).set_group_name("g") >> report
    path, _ = CheckpointManager.create_checkpoint(fails(wf))
    broken.clear()
    ran.clear()
    assert goes_on(path)[0] == [30, 3]
    assert ran == ["train", "report"]


def test_a_checkpoint_taken_in_a_branch_keeps_the_results_of_the_others():
    @task(inject_context=True)
    def late(ctx):
        both.wait(10)
        if ctx.get_result("train") is None:
            ctx.checkpoint(path="in")
        return 5

    @task
    def early(clean):
        both.wait(10)
        return clean

    both = Rendezvous()
    with workflow("w") as wf:
        group = (late | (early >> score)).set_group_name("g")
        _ = load >> clean >> group
        value = wf.execute()
    Path("loaded.pkl").unlink()
    ran.clear()
    assert goes_on("in")[0] == value
    assert ran in (["score"], [])


class Rendezvous:
    """A barrier that a copy of its task does without."""

    def __init__(self):
        self.barrier = threading.Barrier(2)

    def wait(self, seconds):
        if self.barrier is not None:
            self.barrier.wait(seconds)

    def __reduce__(self):
        return object.__new__, (Open,)


class Open(Rendezvous):
    barrier = None


def test_what_a_task_has_spawned_goes_on_and_so_do_its_passes():
    @task(inject_context=True)
    def plan(ctx):
        ran.append(f"plan {ctx.cycle_count}")
        if ctx.cycle_count == 1:
            piece = work(task_id="piece", n=ctx.cycle_count) >> last(task_id="tail")
            ctx.next_task(piece)
            ctx.next_iteration()
        return ctx.cycle_count

    @task(inject_context=True)
    def work(ctx, n):
        ran.append("work")
        ctx.checkpoint(path="here")
        return n

    @task
    def last(piece):
        ran.append("last")
        return piece

    with workflow("w") as wf:
        _ = plan >> Done("done")
        wf.execute()
    assert ran == ["plan 1", "work", "last", "plan 2"]
    ran.clear()
    _, context = goes_on("here")
    assert context.completed_tasks == ["piece", "tail", "plan", "done"]
    assert context.steps == 5


def Done(name):  # noqa: N802 - as the class that it makes
    from graflow.core.task import Task

    return Task(name)


def test_an_immediate_checkpoint_has_the_task_begin_anew_in_the_same_pass():
    @task(inject_context=True)
    def careful(ctx):
        ctx.get_channel().atomic_add("calls")
        path, metadata = ctx.checkpoint({"k": 1}, path="now", deferred=False)
        assert (path, metadata.user_metadata["mode"]) == ("now.pkl", "immediate")
        return ctx.cycle_count, ctx.get_channel().get("calls")

    with workflow("w") as wf:
        _ = careful >> Done("end")
        wf.execute()
    _, context = goes_on("now")
    assert context.get_result("careful") == (1, 2)


def test_a_task_that_fails_takes_no_deferred_checkpoint():
    @task(inject_context=True)
    def hasty(ctx):
        ctx.checkpoint(path="here")
        raise ValueError("no")

    with workflow("w") as wf:
        _ = hasty >> Done("end")
        left = fails(wf)
    assert left.last_checkpoint_path is None
    assert not Path("here.pkl").exists()


def test_a_policy_of_the_program_takes_checkpoints_at_once_only():
    class Saves(GroupExecutionPolicy):
        def __init__(self, *, deferred):
            self.deferred = deferred

        def on_group_finished(self, group_id, tasks, results, context):
            del group_id, tasks
            assert results["train"].success
            context.checkpoint(path="judged", deferred=self.deferred)

    def judged(deferred):
        with workflow("w") as wf:
            group = (train | score).set_group_name("g")
            _ = load >> clean >> group.with_execution(policy=Saves(deferred=deferred))
        return wf

    assert "deferred=False" in fails_with(judged(deferred=True))
    value = judged(deferred=False).execute()
    ran.clear()
    assert goes_on("judged")[0] == value
    assert ran == []


def test_names_that_nobody_chose_do_not_meet():
    context, _ = CheckpointManager.resume_from_checkpoint(
        CheckpointManager.create_checkpoint(line_context())[0]
    )
    paths = {CheckpointManager.create_checkpoint(context)[0] for _ in range(3)}
    assert len(paths) == 3
    assert all(path.startswith(f"checkpoints/{context.session_id}/") for path in paths)


def line_context():
    graph = TaskGraph()
    graph.add_node(train)
    context = ExecutionContext.create(graph, "train")
    context.channel.set("clean", 3)
    return context


def test_a_run_that_has_not_begun_is_kept_with_its_channel():
    path, _ = CheckpointManager.create_checkpoint(line_context())
    assert goes_on(path)[0] == 30


def test_a_run_that_has_succeeded_stays_ended_unless_told_what_to_run_again():
    broken.add("train")
    fails(line())
    broken.clear()
    value, context = goes_on("loaded")
    path, _ = CheckpointManager.create_checkpoint(context, path="end")
    ran.clear()
    assert goes_on(path)[0] == value
    assert ran == []
    assert goes_on(path, results={"clean": 5}, rerun=["train"])[0] == 51
    assert ran == ["train", "finish"]


def test_a_run_that_is_kept_again_before_it_goes_on_keeps_what_is_to_be_changed():
    broken.add("train")
    fails(line())
    broken.clear()
    value, context = goes_on("loaded")
    path, _ = CheckpointManager.create_checkpoint(context, path="end")
    for changes in ({"results": {"clean": 5}, "rerun": ["train"]}, {}, {}):
        context, _ = CheckpointManager.resume_from_checkpoint(path, **changes)
        context.max_steps = 77
        path, _ = CheckpointManager.create_checkpoint(context, path="again")
    ran.clear()
    after, context = goes_on(path)
    assert (after, ran) == (51, ["train", "finish"])
    assert value != after
    assert context.max_steps == 77


def test_a_run_that_is_kept_again_unchanged_stands_where_it_stood():
    broken.add("train")
    fails(line())
    context, _ = CheckpointManager.resume_from_checkpoint("loaded")
    before = context.phase
    path, _ = CheckpointManager.create_checkpoint(context, path="again")
    assert CheckpointManager.resume_from_checkpoint(path)[0].phase is before


def test_what_cannot_be_changed_is_refused_with_the_nearest_name():
    broken.add("train")
    fails(line())
    with pytest.raises(CheckpointError, match="did you mean 'load'"):
        goes_on("loaded", results={"lod": 1})
    with pytest.raises(CheckpointError, match="did you mean 'train'"):
        goes_on("loaded", rerun=["trian"])


def test_the_channel_may_be_changed_before_the_run_goes_on_and_again_each_time():
    @task(inject_context=True)
    def count(ctx):
        return ctx.get_channel().atomic_add("n")

    with workflow("w") as wf:
        _ = load >> count
        wf.execute()
    context, _ = CheckpointManager.resume_from_checkpoint("loaded")
    context.channel.set("n", 5)
    assert [context.execute(), context.execute()] == [6, 6]


def test_a_run_out_of_steps_goes_on_with_more_of_them():
    with pytest.raises(MaxStepsExceededError) as failed:
        line().execute(max_steps=2)
    path, _ = CheckpointManager.create_checkpoint(failed.value.context)
    with pytest.raises(CheckpointError, match="maxSteps is 2"):
        goes_on(path)
    context, _ = CheckpointManager.resume_from_checkpoint(path)
    context.max_steps = 10
    assert context.execute() == 31


def test_a_context_shows_where_the_run_stands_before_it_goes_on():
    broken.add("train")
    fails(line())
    context, metadata = CheckpointManager.resume_from_checkpoint("loaded")
    assert (context.phase, context.is_completed()) == (RunPhase.RUNNING, False)
    assert (context.completed_tasks, context.get_result("load")) == (["load"], {"n": 2})
    assert (context.last_checkpoint_path, context.steps) == ("loaded", 2)
    assert context.checkpoint_metadata == metadata.to_dict()
    assert context.checkpoint_metadata["user_metadata"]["stage"] == "loaded"


def test_a_handler_is_given_again_and_a_tracer_may_be():
    class Loud(TaskHandler):
        def execute_task(self, task, context):
            ran.append("loud")
            context.set_result(task.task_id, task.run())

    @task(handler="loud")
    def said(load):
        return load["n"]

    graph = TaskGraph()
    for node in (load, said):
        graph.add_node(node)
    graph.add_edge("load", "said")
    engine = WorkflowEngine()
    engine.register_handler("loud", Loud())
    engine.execute(ExecutionContext.create(graph, "load"))
    context, _ = CheckpointManager.resume_from_checkpoint("loaded")
    context.tracer = ConsoleTracer()
    ran.clear()
    assert engine.execute(context) == 2
    assert ran == ["loud"]


def test_a_tracer_hears_of_groups_that_were_open_already():
    broken.add("train")
    with workflow("group") as wf:
        _ = load >> clean >> (train | score).set_group_name("g") >> report
    path, _ = CheckpointManager.create_checkpoint(fails(wf))
    broken.clear()
    context, _ = CheckpointManager.resume_from_checkpoint(path)
    context.tracer = ConsoleTracer()
    assert context.execute() == [30, 3]


class Judge(GroupExecutionPolicy):
    def on_group_finished(self, group_id, tasks, results, context):
        ran.append(f"judge {sorted(results)}")
        if "judge" in broken:
            raise ValueError("no verdict")


@pytest.mark.parametrize("traced", [False, True])
def test_k3_a_group_that_waits_for_its_own_policy_alone_opens_no_branches_again(traced):
    broken.add("judge")
    with workflow("judged") as wf:
        both = (train | score).set_group_name("g").with_execution(policy=Judge())
        _ = load >> clean >> both >> report
    path, _ = CheckpointManager.create_checkpoint(fails(wf))
    broken.clear()
    ran.clear()
    context, _ = CheckpointManager.resume_from_checkpoint(path)
    context.tracer = ConsoleTracer() if traced else None
    assert context.execute() == [30, 3]
    assert ran == ["judge ['score', 'train']", "report"]


@task(inject_context=True)
def holder(ctx):
    with ctx.get_channel().lock("door"):
        ctx.checkpoint(path="held", deferred=False)
    return "through"


def test_k3_a_lock_that_was_held_at_a_checkpoint_is_free_where_it_goes_on():
    @task(inject_context=True)
    def look(ctx):
        with ctx.get_channel().lock("door", timeout=0.0):
            return "free"

    with workflow("doors") as wf:
        _ = look >> holder
    assert wf.execute() == "through"
    context, _ = CheckpointManager.resume_from_checkpoint("held", rerun=["look"])
    with context.channel.lock("door", timeout=0.0):
        pass
    assert context.execute() == "through"
    assert context.get_result("look") == "free"


def test_keys_with_a_time_to_live_and_locks_are_those_of_the_moment(monkeypatch):
    @task(inject_context=True)
    def lease(ctx):
        channel = ctx.get_channel()
        channel.set("short", 1, ttl=50)
        channel.set("long", 2, ttl=5000)
        channel.append("items", 1, ttl=5000)
        with channel.lock("l"):
            ctx.checkpoint(path="held", deferred=False)
        return 0

    @task(inject_context=True)
    def look(ctx):
        channel = ctx.get_channel()
        with channel.lock("l", timeout=0.0):
            return channel.keys()

    with workflow("w") as wf:
        _ = lease >> look
        wf.execute()
    now = checkpoints_clock()
    monkeypatch.setattr("graflow.dsl.memory_channel.time", now)
    context, _ = CheckpointManager.resume_from_checkpoint("held")
    assert context.channel.keys() == ["long", "items"]
    assert context.channel.get("items") == [1]


def checkpoints_clock():
    """A clock of another machine, a hundred seconds later."""
    import time

    class Clock:
        @staticmethod
        def time():
            return time.time() + 100

        @staticmethod
        def monotonic():
            return 7.0

    return Clock


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: data[:-1], "is damaged"),
        (lambda data: data.replace(b"loaded", b"laoded"), "is damaged"),
        (lambda data: data.replace(b'"layout": 1', b'"layout": 9'), "layout 9"),
        (lambda data: data.replace(b'"python": "3', b'"python": "2'), "written by Python 2"),
        (lambda data: data.split(b"\n", 1)[1], "a pickle that something else made"),
        (lambda data: b"PK" + data, "something else"),
        (lambda _: b"graflow checkpoint {", "is no checkpoint"),
        (lambda _: b"", "is no checkpoint"),
    ],
)
def test_what_is_no_whole_checkpoint_of_this_version_is_refused_before_it_is_unpickled(
    change, words, monkeypatch
):
    broken.add("train")
    fails(line())
    path = Path("loaded.pkl")
    path.write_bytes(change(path.read_bytes()))
    monkeypatch.setattr(checkpoints, "loaded", lambda _: pytest.fail("it was unpickled"))
    with pytest.raises(CheckpointError, match=words):
        CheckpointManager.resume_from_checkpoint("loaded.pkl")


def test_a_checkpoint_that_is_not_there_is_said_so():
    with pytest.raises(CheckpointError, match=r"nowhere.pkl cannot be read: No such file"):
        CheckpointManager.resume_from_checkpoint("nowhere")


def test_who_gives_a_folder_or_another_name_is_told_the_newest_checkpoint_there():
    for name, age in (("old", 2), ("new", 1)):
        path, _ = CheckpointManager.create_checkpoint(line_context(), path=f"kept/{name}")
        os.utime(path, (1000 - age, 1000 - age))
    for given in ("kept", "kept/nwe.pkl", "kept/new.state.json"):
        with pytest.raises(CheckpointError, match=r"give one that is there, as kept/new\.pkl"):
            CheckpointManager.resume_from_checkpoint(given)


def test_a_path_of_somebodys_home_is_the_one_that_a_shell_makes_of_it(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    path, _ = CheckpointManager.create_checkpoint(line_context(), path="~/kept")
    assert path == str(tmp_path / "home" / "kept.pkl")
    assert Path(path).exists()
    assert CheckpointManager.resume_from_checkpoint("~/kept")[0].session_id


@pytest.mark.parametrize(
    "path",
    [
        "redis://host/key",
        "s3://bucket",
        "s3:///key",
        Path("s3://b/k"),
        ".",
        "a/..",
        ".pkl",
        "a/.pkl",
        "a\0b",
        "s3://",
    ],
)
def test_places_that_there_are_not_are_refused(path):
    with pytest.raises(CheckpointError, match="s3://bucket/key") as raised:
        CheckpointManager.create_checkpoint(line_context(), path=path)
    assert f"cannot be at {str(path)!r}" in str(raised.value)


def test_a_checkpoint_is_whole_or_absent(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space")))
    with pytest.raises(CheckpointError, match=r"cannot be written: No space"):
        CheckpointManager.create_checkpoint(line_context(), path="full/a")
    assert list(Path("full").iterdir()) == []


def test_a_checkpoint_at_a_folder_is_refused_and_leaves_no_extracts():
    Path("kept/a.pkl").mkdir(parents=True)
    with pytest.raises(CheckpointError, match=r"cannot be written: Is a directory"):
        CheckpointManager.create_checkpoint(line_context(), path="kept/a")
    assert [file.name for file in Path("kept").iterdir()] == ["a.pkl"]


def test_a_value_that_cannot_be_kept_fails_the_task_and_is_named():
    @task(inject_context=True)
    def hold(ctx):
        ctx.get_channel().set("gate", threading.Lock())
        ctx.checkpoint()

    with workflow("w") as wf:
        _ = hold >> Done("end")
    with pytest.warns(UserWarning, match="gate"):
        words = fails_with(wf)
    assert "channel key 'gate' (a _thread.lock) cannot be kept" in words


def test_a_task_that_cannot_be_kept_is_named_with_its_variable():
    gate = threading.Lock()

    @task(inject_context=True)
    def guarded(ctx):
        with gate:
            ctx.checkpoint(deferred=False)

    with workflow("w") as wf:
        _ = guarded >> Done("end")
        with pytest.raises(GraflowRuntimeError, match="'guarded' uses the variable 'gate'"):
            wf.execute()


def test_a_result_that_cannot_be_kept_is_named():
    @task
    def lock():
        return threading.Lock()

    with workflow("w") as wf:
        _ = lock >> load
    with pytest.warns(UserWarning, match="lock"):
        words = fails_with(wf)
    assert "the value of task 'lock' (a _thread.lock) cannot be kept" in words


def test_objects_in_a_bucket_are_read_back(monkeypatch):
    store = MemoryStore()
    monkeypatch.setattr(places, "s3_store", lambda bucket: {"b": store}[bucket])
    path, _ = CheckpointManager.create_checkpoint(line_context(), path="s3://b/runs/1/")
    assert path.startswith("s3://b/runs/1/session_")
    assert len(list(store.list("runs/1/"))) == 3
    assert goes_on(path)[0] == 30
    with pytest.raises(CheckpointError, match=r"s3://b/none.pkl cannot be read"):
        goes_on("s3://b/none")


PROGRAM = """
    import os, signal, sys
    from graflow import task, workflow

    seen = []

    def note(word):
        seen.append(word)
        print(word, flush=True)

    class Point:
        def __init__(self, x):
            self.x = x

    @task(inject_context=True)
    def first(ctx):
        note("first")
        ctx.checkpoint(path="kept")
        return Point(4)

    @task
    def second(first):
        note("second")
        if "die" in sys.argv:
            os.kill(os.getpid(), signal.SIGKILL)
        return first.x

    if __name__ == "__main__":
        with workflow("w") as wf:
            _ = first >> second
            print("value", wf.execute())
"""


def program(*args, text=PROGRAM):
    Path("program.py").write_text(textwrap.dedent(text))
    return subprocess.run(
        [sys.executable, *args], capture_output=True, text=True, check=False, timeout=60
    )


def test_a_process_that_was_killed_goes_on_in_another_program():
    assert program("program.py", "die").returncode == -signal.SIGKILL
    resume = """
        from graflow.core.checkpoint import CheckpointManager
        class Point: pass
        context, metadata = CheckpointManager.resume_from_checkpoint("kept")
        print(context.execute(), metadata.user_metadata["task_id"])
    """
    Path("resume.py").write_text(textwrap.dedent(resume))
    ended = subprocess.run(
        [sys.executable, "resume.py"], capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.stdout.split() == ["second", "4", "first"], ended.stderr


def test_the_same_program_goes_on_by_the_command_line_with_its_code_of_now():
    program("program.py", "die")
    changed = PROGRAM.replace("return first.x", "return first.x * 2")
    ended = program("-m", "graflow", "run", "--resume", "kept.pkl", "program.py", text=changed)
    assert ended.stdout.split() == ["second", "value", "8"], ended.stderr
    other = PROGRAM.replace('workflow("w")', 'workflow("x")')
    ended = program("-m", "graflow", "run", "--resume", "kept.pkl", "program.py", text=other)
    assert "of workflow 'w', and the program runs 'x'" in ended.stderr


def test_a_program_that_goes_on_from_nothing_says_so():
    program("program.py", "die")
    ended = program("-m", "graflow", "run", "--resume", "kept.pkl", "program.py", text="x = 1")
    assert ended.returncode == 2
    assert "came to its end without executing a workflow" in ended.stderr
