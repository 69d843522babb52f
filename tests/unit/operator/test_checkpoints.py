"""K2: one document with all that a run needs to go on, in the store before what names it."""

import asyncio
import json
import zlib

import pytest

from graflow.store.keys import segment_name
from graflow_operator import checkpoint
from graflow_operator.checkpoint import BadWishError, UnreadableCheckpointError
from graflow_operator.checkpoints import Taken
from graflow_operator.verdicts import Succeeded
from support.channel_pod import ChannelPod
from support.saving import SavingPod, document, documents
from support.world import World, returned, script

CHAIN = {"tasks": [script("a"), script("b", "a"), script("c", "b")]}


def newest(world):
    """Return the document that the cursor names."""
    return found_in(world, world.status["cursor"]["checkpoint"])


def found_in(world, name):
    return checkpoint.unpack(name, document(world, name))


def shown(world):
    return [(entry["reason"], entry.get("task")) for entry in world.status["checkpoints"]]


def asking(path="", **metadata):
    return {**returned(1), "checkpoint": {"path": path, "metadata": metadata}}


async def test_k2_a_checkpoint_that_a_task_asked_for_has_its_success_and_nothing_after_it():
    async with World(CHAIN) as world:
        world.work = lambda task, order: asking("half", n=1) if task == "b" else returned(1)
        world.start()
        await world.end()
        assert shown(world) == [("Asked", "b"), ("End", None)]
        asked = world.status["checkpoints"][0]
        assert (asked["path"], asked["metadata"]) == ("half", {"n": 1})
        found = found_in(world, newest(world).previous)
        assert found.seq == asked["seq"]
        state = checkpoint.snapshot_of(found, found.plan).state
        assert set(state.scopes[0].results) == {"a", "b"}
        assert [one.node for one in state.activations.values()] == ["c"]


async def test_k2_a_checkpoint_costs_no_status_of_its_own():
    writes = []
    for every in ({}, {"checkpointEvery": 1}):
        async with World({**CHAIN, **every}) as world:
            world.start()
            await world.end()
            writes.append(len([w for w in world.cluster.writes if w[0] == "patch_status"]))
    assert writes[0] == writes[1]
    assert shown(world) == [("Every", None)] * 2 + [("End", None)]


async def test_k2_there_is_one_after_every_so_many_results():
    tasks = [script(f"t{n}", *([f"t{n - 1}"] if n else [])) for n in range(7)]
    async with World({"tasks": tasks, "checkpointEvery": 3}) as world:
        world.start()
        await world.end()
        assert [reason for reason, _ in shown(world)] == ["Every", "Every", "End"]


async def test_that_a_checkpoint_was_due_is_not_told_where_a_task_asked_for_it():
    async with World({**CHAIN, "checkpointEvery": 1}) as world:
        world.work = lambda task, order: asking("half") if task == "b" else returned(1)
        world.start()
        await world.end()
        assert [reason for reason, _ in shown(world)] == ["Every", "Asked", "End"]


async def test_k2_a_status_shows_the_last_ten_and_all_are_in_the_store():
    tasks = [script(f"t{n}", *([f"t{n - 1}"] if n else [])) for n in range(15)]
    async with World({"tasks": tasks, "checkpointEvery": 1}) as world:
        world.start()
        await world.end()
        assert len(world.status["checkpoints"]) == 10
        assert len(documents(world)) == 15


def test_a_status_shows_the_later_of_two_checkpoints_that_have_one_number():
    taken = Taken(f"7-{'0' * 64}", ({"seq": 7, "path": "later"},))
    shown = taken.shown([{"seq": 3}, {"seq": 7, "path": "earlier"}])
    assert shown == [{"seq": 3}, {"seq": 7, "path": "later"}]


async def test_k2_a_checkpoint_at_once_is_a_consistent_cut_of_state_and_channel():
    async def work(task, order):
        if task == "b":
            pod = ChannelPod(world, order)
            await pod.set("n", 1)
            seqs.append(await SavingPod(world, order).save(path="now"))
            await pod.set("n", 2)
        return returned(1)

    seqs = []
    async with World(CHAIN, work=work) as world:
        world.start()
        await world.end()
        [name] = [name for name in documents(world) if name.startswith(f"{seqs[0]}-")]
        found = found_in(world, name)
        assert found.channel.entries["n"].content == 1
        state = checkpoint.snapshot_of(found, found.plan).state
        assert [one.node for one in state.activations.values()] == ["b"]
        assert shown(world)[0] == ("Asked", "b")
        assert found.answered, "who asks again while the attempt goes on gets the same answer"
        assert not newest(world).answered, "and nobody does once it is over"


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_k2_a_call_whose_answer_was_lost_gets_the_recorded_one(after):
    async def work(task, order):
        if task == "b":
            pod = SavingPod(world, order)
            first = await pod.save(1)
            await world.crash()
            world.start()
            asked.append((first, await pod.save(1), await pod.save(2)))
        return returned(1)

    asked = []
    async with World({**CHAIN, "checkpointEvery": 1} if after else CHAIN, work=work) as world:
        world.start()
        await world.end()
        [(first, again, second)] = asked
        assert first == again
        assert second >= first
        names = [name for name in documents(world) if name.startswith(f"{first}-")]
        assert len(names) == (1 if second > first else 2)


async def test_k2_a_later_checkpoint_of_another_task_keeps_the_answers_of_the_one_before():
    async def work(task, order):
        pod = SavingPod(world, order)
        if task == "first":
            asked.append(await pod.save(1))
            saved["first"].set()
            await saved["second"].wait()
            await world.crash()
            world.start()
            asked.append(await pod.save(1))
        elif task == "second":
            await saved["first"].wait()
            await pod.save(1)
            saved["second"].set()
        return returned(1)

    asked, saved = [], {"first": asyncio.Event(), "second": asyncio.Event()}
    tasks = [script("root"), script("first", "root"), script("second", "root")]
    async with World({"tasks": tasks}, work=work) as world:
        world.start()
        await world.end()
        assert asked[0] == asked[1]


@pytest.mark.parametrize("write", range(1, 9))
async def test_k2_a_crash_between_document_and_status_leaves_a_chain_that_can_be_read(write):
    async with World({**CHAIN, "checkpointEvery": 1}) as world:
        world.start(dies_at=write)
        await world.end(restart=True)
        name, seqs = world.status["cursor"]["checkpoint"], []
        while name is not None:
            found = found_in(world, name)
            checkpoint.snapshot_of(found, found.plan)
            seqs.append(found.seq)
            name = found.previous
        assert sorted(set(seqs)) == sorted({entry["seq"] for entry in world.status["checkpoints"]})
        assert sorted(world.executed) == ["a", "b", "c"]


async def test_without_a_store_nothing_is_taken_and_the_run_goes_on():
    async with World({**CHAIN, "checkpointEvery": 1}, store=False) as world:
        world.work = lambda task, order: asking() if task == "b" else returned(1)
        world.start()
        status = await world.end()
        assert status["phase"] == "Succeeded"
        assert not status["checkpoints"]


async def test_what_is_large_of_a_label_is_in_the_document_alone():
    async with World({"tasks": [script("a")]}) as world:
        world.work = lambda task, order: asking("p" * 1000, much="x" * 2000)
        world.start()
        await world.end()
        [entry, *_] = world.status["checkpoints"]
        assert "metadata" not in entry
        assert len(entry["path"].encode()) <= 200


async def test_a_failed_attempt_takes_its_wish_with_it():
    async with World({"tasks": [script("a")]}) as world:
        world.work = lambda task, order: {
            "outcome": "Failed",
            "error": {"message": "no"},
            "checkpoint": {"path": "x"},
        }
        world.start()
        await world.end()
        assert shown(world) == [("End", None)]


async def test_a_checkpoint_of_another_format_is_refused_by_who_wrote_it():
    async with World({"tasks": [script("a")]}, work=lambda *_: Succeeded({"json": 1})) as world:
        world.start()
        await world.end()
        name = world.status["cursor"]["checkpoint"]
        found = json.loads(zlib.decompress(document(world, name)))
    other = zlib.compress(json.dumps({**found, "format": 9, "version": "7.1"}).encode())
    with pytest.raises(UnreadableCheckpointError, match=r"format 9, written by Graflow 7\.1"):
        checkpoint.unpack(segment_name(3, other), other)


def test_a_damaged_checkpoint_is_named():
    with pytest.raises(UnreadableCheckpointError, match=r"checkpoint 3-0000.* is damaged"):
        checkpoint.unpack(f"3-{'0' * 64}", b"whatever")


@pytest.mark.parametrize("name", ["", "3", f"x-{'0' * 64}", f"../3-{'0' * 64}", None, 7])
def test_what_is_no_name_of_a_checkpoint_is_refused(name):
    with pytest.raises(UnreadableCheckpointError, match="no name of a checkpoint"):
        checkpoint.checked_name(name)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ([], "an object with `path` and `metadata`"),
        ({"path": 7}, "field `path`"),
        ({"path": "x" * 1025}, "at most 1024 chars"),
        ({"metadata": [1]}, "field `metadata` of a checkpoint is an object"),
        ({"metadata": {"a": "x" * 16 * 1024}}, "may take 16384"),
    ],
    ids=["no object", "path of no text", "long path", "metadata of no object", "large metadata"],
)
def test_a_wish_that_is_out_of_bounds_is_refused_by_its_field(body, words):
    with pytest.raises(BadWishError, match=words):
        checkpoint.wish_of(body)
