"""All that tasks have decided is in the store, in order, once, whatever crashes."""

import contextlib
import json

import pytest

from graflow.machine import fold
from graflow_operator import history
from support.world import NAME, World, returned

FAILED = {"outcome": "Failed", "error": {"message": "no", "type": "ValueError"}}
FLOW = {"tasks": [{"name": "a", "script": "return 1", "maxIterations": 1000}]}


@pytest.fixture
def few_kept(monkeypatch):
    """How many moves a state keeps, which are few here."""
    for module in (history, fold):
        monkeypatch.setattr(module, "KEPT_TRANSITIONS", 3)
    return 3


def passes(number):
    """A task that asks for so many more passes, and says how many are left."""
    left = list(range(number, -1, -1))

    def run(task, order):
        del task, order
        more = left.pop(0)
        again = {"kind": "Iteration", "reason": f"{more} left\u2028…"}
        return returned(more, *([again] if more else []))

    return run


def segments(world):
    """The lines of each segment, oldest first, from the one that the cursor names."""
    run = world.workflow["metadata"]["uid"]
    found, name = [], world.status["cursor"].get("history")
    while name:
        data = world.store.get(f"team/{run}/history/{name}.jsonl").decode()
        found.insert(0, data.removesuffix("\n").split("\n"))
        name = json.loads(found[0][0])["previous"]
    return found


def told(world):
    """Everything in the history, and then what only the status has."""
    moves = [json.loads(line) for _, *lines in segments(world) for line in lines]
    latest = moves[-1]["sequence"] if moves else 0
    return moves + [t for t in world.status.get("transitions", ()) if t["sequence"] > latest]


def stored(world):
    return [key for key in world.store._objects if "/history/" in key]


async def test_every_move_is_in_the_history_and_the_last_20_in_the_status(monkeypatch):
    monkeypatch.setattr(history, "FULL", 8)
    async with World(FLOW, work=passes(50)) as world:
        world.start()
        await world.end()
        moves = told(world)
        assert [one["sequence"] for one in moves] == list(range(1, 51))
        assert moves[0]["reason"] == "50 left\u2028…"
        assert moves[30:] == world.status["transitions"]
        # Whoever reads them sees all segments, and nothing that was replaced is left behind.
        await world.until(lambda: world.actor.done)
        assert len(stored(world)) == 3


async def test_the_store_is_written_once_in_20_moves_and_at_the_end_it_has_them_all():
    async with World(FLOW, work=passes(50)) as world:
        put, written = world.store.put, []
        world.store.put = lambda key, data: (written.append(key), put(key, data))
        world.start()
        await world.end()
        history = [key for key in written if "/history/" in key]
        assert len(history) == 3
        last = world.store.get(history[-1]).decode().removesuffix("\n").split("\n")
        assert json.loads(last[-1])["sequence"] == 50


async def test_a_run_that_decides_nothing_has_no_history():
    async with World(FLOW) as world:
        world.start()
        await world.end()
        assert "history" not in world.status["cursor"]
        assert stored(world) == []


async def test_without_a_store_the_last_20_are_all_there_is():
    async with World(FLOW, work=passes(30), store=False) as world:
        world.start()
        await world.end()
        assert "history" not in world.status["cursor"]
        assert [t["sequence"] for t in world.status["transitions"]] == list(range(11, 31))


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_k1_a_crash_at_any_write_neither_loses_a_move_nor_tells_it_twice(after, monkeypatch):
    monkeypatch.setattr(history, "FULL", 3)
    for module in (history, fold):
        monkeypatch.setattr(module, "KEPT_TRANSITIONS", 2)
    for number in range(1, 28):
        async with World(FLOW, work=passes(7)) as world:
            world.start(dies_at=number, dies_after=after)
            await world.end(restart=True)
            assert [one["reason"][0] for one in told(world)] == list("7654321"), number
            assert [one["sequence"] for one in told(world)] == list(range(1, 8)), number


async def test_a_segment_that_is_gone_from_the_store_does_not_stop_the_run():
    async with World(FLOW, work=passes(5)) as world:
        world.start()
        await world.until(lambda: len(told(world)) >= 2 if world.status.get("cursor") else False)
        await world.crash()
        for key in stored(world):
            world.store.delete(key)
        world.start()
        status = await world.end()
        assert status["phase"] == "Succeeded"
        assert [one["sequence"] for one in told(world)][-1] == 5


def failing(number):
    """A task that asks for so many more passes, and fails in the last one."""
    run = passes(number)

    def work(task, order):
        report = run(task, order)
        return report if report["directives"] else FAILED

    return work


@contextlib.asynccontextmanager
async def going_on(source, **asked):
    """Return a world beside, whose run goes on from that of the first one and has ended."""
    spec = {**FLOW, "resumeFrom": {"name": NAME, **asked}}
    async with World(spec, work=passes(6), name="again", beside=source) as again:
        again.start()
        await again.end()
        yield again


async def test_k3_the_history_of_a_resumed_run_begins_with_the_last_moves_of_the_first(few_kept):
    async with World(FLOW, work=failing(7)) as source:
        source.start()
        await source.end()
        before = told(source)
        assert [one["reason"][0] for one in before] == list("7654321")
        async with going_on(source) as again:
            after = told(again)
            assert after[:few_kept] == before[-few_kept:]
            assert [one["reason"][0] for one in after] == list("321") + list("654321")
            assert [one["sequence"] for one in after] == list(range(5, 14))
            # They are in objects of its own, which lead to none of the first run.
            assert json.loads(segments(again)[0][0]) == {"previous": None}


async def test_k3_the_history_of_a_fork_begins_with_the_last_moves_before_its_checkpoint(few_kept):
    async with World({**FLOW, "checkpointEvery": 5}, work=passes(7)) as source:
        source.start()
        await source.end()
        at = source.status["checkpoints"][0]["seq"]
        async with going_on(source, checkpoint=at) as again:
            after = told(again)
            assert after[:few_kept] == told(source)[5 - few_kept : 5]
            assert [one["reason"][0] for one in after] == list("543") + list("654321")
            assert [one["sequence"] for one in after] == list(range(3, 12))


async def test_k3_a_run_that_had_nothing_to_go_on_with_tells_the_last_moves_of_the_first(few_kept):
    async with World(FLOW, work=passes(7)) as source:
        source.start()
        await source.end()
        async with going_on(source) as again:
            assert again.executed == []
            assert told(again) == told(source)[-few_kept:]
            assert segments(again), "it has ended, so all its moves are in the store"
