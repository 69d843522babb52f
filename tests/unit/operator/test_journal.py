"""The state of a run in its status and in the store: what a commit writes, and what is read."""

import copy
import itertools
import random

from graflow.machine.events import AttemptSucceeded, RunStarted
from graflow.machine.plan import Plan, TaskPlan
from graflow.machine.reducer import fold
from graflow.machine.state import State
from graflow.store.keys import RunKeys
from graflow.store.memory import MemoryStore
from graflow_operator import journal, snapshot
from graflow_operator.journal import Journal
from graflow_operator.snapshot import Snapshot
from graflow_operator.storage import Storage
from graflow_operator.verdicts import Succeeded
from support.world import NAMESPACE, World

rng = random.Random(1)


def chain(length):
    """A chain of tasks."""
    return {
        "tasks": [
            {"name": f"t{n}", "script": "return 1", "after": [f"t{n - 1}"] if n else []}
            for n in range(length)
        ]
    }


def noise(task, order):
    """A result that nothing packs any smaller."""
    return Succeeded({"json": rng.randbytes(250).hex()})


def small(monkeypatch, **sizes):
    for name, size in {
        "SMALL_CHARS": 500,
        "INLINE_CHARS": 2000,
        "TRAIL_CHARS": 1500,
        **sizes,
    }.items():
        monkeypatch.setattr(journal, name, size)


def cursor(world):
    return world.status.get("cursor") or {}


async def until_stored(world, number=1):
    """Let the run go on until its state is a base and segments in the store."""
    await world.until(lambda: len(cursor(world).get("segments") or ()) >= number)


def named(world):
    """The objects of the state that the status names."""
    prefix = f"{NAMESPACE}/{world.workflow['metadata']['uid']}"
    return {cursor(world)["key"], *(f"{prefix}/changes/{s}" for s in cursor(world)["segments"])}


def stored(world):
    return {key for key in world.store._objects if "/state/" in key or "/changes/" in key}


async def test_a_run_goes_on_from_base_segments_and_changes_after_a_crash(monkeypatch):
    small(monkeypatch)
    async with World(chain(40), work=noise) as world:
        world.start()
        await until_stored(world, 2)
        await world.crash()
        world.start()
        status = await world.end()
        assert (status["phase"], status["counts"]["succeeded"]) == ("Succeeded", 40)
        assert len(world.executed) == len(set(world.executed)) == 40
        assert world.pods == [] or len(world.made("pods")) == 40
        # Whoever wants the results of a run that has ended finds them in one place.
        assert "changes" not in status["cursor"]
        assert "segments" not in status["cursor"]
        await world.until(lambda: stored(world) == {status["cursor"]["key"]})


async def test_what_no_status_names_any_more_is_removed(monkeypatch):
    small(monkeypatch)
    async with World(chain(40), work=noise) as world:
        world.start()
        await until_stored(world)
        world.auto_run = False
        await world.until(lambda: stored(world) == named(world))


async def test_an_object_with_other_content_is_named_and_waited_for(monkeypatch):
    small(monkeypatch)
    async with World(chain(40), work=noise) as world:
        world.start()
        await until_stored(world)
        await world.crash()
        segment = cursor(world)["segments"][0]
        key = f"{NAMESPACE}/{world.workflow['metadata']['uid']}/changes/{segment}"
        good = world.store.get(key)
        world.store.put(key, b"rot")
        world.start()
        await world.until(lambda: world.status.get("reason") == "StateUnreadable")
        message = world.status["message"]
        assert key in message
        assert segment.partition("-")[2] in message
        world.store.put(key, good)
        assert (await world.end())["phase"] == "Succeeded"


async def test_an_object_that_is_gone_is_named_and_waited_for(monkeypatch):
    small(monkeypatch)
    async with World(chain(40), work=noise) as world:
        world.start()
        await until_stored(world)
        await world.crash()
        key = cursor(world)["key"]
        good = world.store.get(key)
        world.store.delete(key)
        world.start()
        await world.until(lambda: world.status.get("reason") == "StateUnreadable")
        assert key in world.status["message"]
        world.store.put(key, good)
        assert (await world.end())["phase"] == "Succeeded"


async def test_an_old_cursor_whose_objects_are_gone_means_reading_the_workflow_again(monkeypatch):
    small(monkeypatch)
    async with World(chain(40), work=noise) as world:
        world.start()
        await until_stored(world)
        old = copy.deepcopy(world.workflow)
        gone = set(named(world))
        await world.until(lambda: not gone & stored(world))
        await world.crash()
        world.start(old)
        status = await world.end()
        assert status["phase"] == "Succeeded"
        assert len(world.executed) == len(set(world.executed)) == 40


async def test_a_cursor_that_names_objects_of_others_is_refused(monkeypatch):
    small(monkeypatch)
    async with World(chain(40), work=noise) as world:
        world.start()
        await until_stored(world)
        await world.crash()
        world.workflow["status"]["cursor"]["segments"] = ["../../other/state/1"]
        world.start()
        await world.until(lambda: world.status.get("reason") == "StateUnreadable")
        assert "segments" in world.status["message"]


async def test_segments_become_one_before_there_are_many_and_are_read_in_their_order(monkeypatch):
    small(monkeypatch)
    tasks = [TaskPlan(f"t{n}") for n in range(200)]
    edges = tuple((f"t{n}", f"t{n + 1}") for n in range(199))
    plan = Plan(tuple(tasks), edges, ("t0",))
    storage = Storage(MemoryStore(), threads=1)
    keys = RunKeys(NAMESPACE, "u1")
    writer, state = Journal(storage, keys), State()
    fold(plan, state, RunStarted(1.0))
    before, counts = Snapshot(state), []
    for number in range(1, 160):
        state = before.state.copy()
        fold(plan, state, AttemptSucceeded(number, 1, {"json": rng.randbytes(250).hex()}, 2.0))
        kept = await writer.place(before, after := Snapshot(state), 0)
        writer.committed(kept)
        before = after
        counts.append(len(kept.segments))
        if number % 10 == 0:
            read = await Journal(storage, keys).read(plan, kept.cursor)
            assert snapshot.document(read) == snapshot.document(after)
    storage.close()
    falls = [old - new for old, new in itertools.pairwise(counts) if 0 < new < old]
    assert falls, "no segments were merged"
    assert max(counts) < 8
