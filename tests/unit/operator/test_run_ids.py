"""`runId`: work that one run has done is not done again by another one."""

import contextlib
import hashlib
import json
import threading
from functools import partial

import pytest

from graflow.store import StoreUnavailableError
from graflow.store.keys import IDS, IdKeys
from graflow_operator.cluster import WORKFLOWS
from graflow_operator.refs import RunRef
from graflow_operator.run_ids import RunIds
from support.world import NAME, NAMESPACE, World, returned, script

ID = "nightly-2026-01-01"
LARGE = "x" * 5000
FAILED = {"outcome": "Failed", "error": {"message": "the input is wrong", "type": "ValueError"}}


SPEC = {"tasks": [script("a"), script("b", "a")], "runId": ID}


@contextlib.asynccontextmanager
async def deleted(work=None, spec=SPEC):
    """Return a world whose run has ended and was deleted, with all that it had in the store."""
    async with World(spec) as world:
        world.work = work or (lambda task, order: returned(LARGE))
        world.start()
        await world.end()
        await vanished(world)
        yield world


async def test_a_run_that_was_done_and_deleted_is_adopted_when_it_is_applied_again():
    async with deleted() as world, World(SPEC, name=NAME, beside=world) as again:
        again.start()
        status = await again.end()
        assert (status["phase"], status["reason"]) == ("Succeeded", "Adopted")
        assert f"Workflow '{NAME}'" in status["message"]
        assert "nothing was run again" in status["message"]
        assert again.executed == []
        assert len(world.made("pods")) == 2
        uid, sha256 = again.workflow["metadata"]["uid"], status["result"]["blob"]["sha256"]
        assert LARGE in world.store.get(f"{NAMESPACE}/{uid}/blobs/{sha256}").decode()


async def test_a_failure_is_adopted_too_and_says_why():
    failing = deleted(work=lambda task, order: FAILED)
    async with failing as world, World(SPEC, beside=world) as again:
        again.start()
        status = await again.end()
        assert (status["phase"], status["reason"]) == ("Failed", "Adopted")
        assert "TaskFailed: ValueError: the input is wrong" in status["message"]
        assert again.executed == []


async def test_another_spec_under_the_same_id_is_adopted_and_said():
    other = {**SPEC, "tasks": [script("other")]}
    async with deleted() as world, World(other, beside=world) as again:
        again.start()
        status = await again.end()
        assert (status["phase"], status["reason"]) == ("Succeeded", "Adopted")
        assert "its spec was another one" in status["message"]


async def test_what_may_be_changed_in_a_running_workflow_is_no_other_spec():
    same = {**SPEC, "ttlSecondsAfterFinished": 5}
    async with deleted() as world, World(same, beside=world) as again:
        again.start()
        assert "another one" not in (await again.end())["message"]


async def test_another_id_runs():
    async with deleted() as world, World({**SPEC, "runId": "other"}, beside=world) as again:
        again.start()
        await again.end()
        assert again.executed == ["a", "b"]


async def test_without_a_store_an_id_is_no_more_than_a_name():
    async with World(SPEC, store=False) as world:
        world.start()
        assert (await world.end())["phase"] == "Succeeded"


async def test_a_failure_that_was_resumed_is_mended_under_the_same_id():
    async with World(SPEC, work=lambda task, order: FAILED) as world:
        world.start()
        await world.end()
        resumed = {**SPEC, "resumeFrom": {"name": NAME}}
        async with World(resumed, name="again", beside=world) as again:
            again.start()
            assert (await again.end())["phase"] == "Succeeded"
            assert again.executed == ["a", "b"]
            async with World(SPEC, name="third", beside=again) as third:
                third.start()
                status = await third.end()
                assert (status["phase"], status["reason"]) == ("Succeeded", "Adopted")
                assert "Workflow 'again'" in status["message"]


async def test_a_second_run_with_the_id_of_a_live_one_is_refused_in_words():
    async with World(SPEC) as world:
        world.auto_run = False
        world.start()
        await world.until(lambda: world.status.get("phase") == "Running")
        async with World(SPEC, name="again", beside=world) as again:
            again.start()
            status = await again.end()
            assert (status["phase"], status["reason"]) == ("Failed", "RunIdTaken")
            assert f"is what Workflow '{NAME}' does, which has not ended" in status["message"]
            assert again.executed == []


async def vanished(world):
    """Delete a world's run and all that it had in the store, as nobody drives it any more."""
    uid = world.workflow["metadata"]["uid"]
    await world.crash()
    await world.cluster.delete(WORKFLOWS, NAMESPACE, world.name, uid=uid)
    for key in list(world.store.list(f"{NAMESPACE}/{uid}/")):
        world.store.delete(key)


@pytest.mark.parametrize("is_deleted", [False, True], ids=["there", "deleted"])
@pytest.mark.parametrize("dies_after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("write", range(1, 9))
async def test_a_crash_at_any_write_leaves_one_end_that_is_adopted(write, dies_after, is_deleted):
    async with World(SPEC) as world:
        world.start(dies_at=write, dies_after=dies_after)
        assert (await world.end(restart=True))["phase"] == "Succeeded"
        assert world.executed == ["a", "b"]
        await (vanished(world) if is_deleted else world.crash())
        async with World(SPEC, name="again", beside=world) as again:
            again.start()
            status = await again.end()
            assert (status["phase"], status["reason"]) == ("Succeeded", "Adopted")
            assert again.executed == []
        assert IdKeys(NAMESPACE, ID).completion in world.store.list(IDS)


async def asleep_before_its_end_is_written(world):
    """Play a run until its leader is about to write how it ends; return that, and what wakes it."""
    asleep, awake = threading.Event(), threading.Event()
    writes = {name: getattr(world.store, name) for name in ("put", "put_if_absent")}

    def written(name, key, data):
        if key.startswith(IDS) and not asleep.is_set():
            asleep.set()
            awake.wait()
        return writes[name](key, data)

    for name in writes:
        setattr(world.store, name, partial(written, name))
    world.start()
    await world.until(asleep.is_set)
    leader, world.driving, world.actor = world.driving, None, None
    return leader, awake


async def test_a_leader_that_was_replaced_in_its_sleep_changes_no_recorded_end(caplog):
    async with World(SPEC) as world:
        leader, awake = await asleep_before_its_end_is_written(world)
        world.cluster.edit_spec(WORKFLOWS, NAMESPACE, NAME, cancel=True)
        world.start()
        try:
            assert (await world.end())["phase"] == "Cancelled"
        finally:
            awake.set()
        await world.until(lambda: IdKeys(NAMESPACE, ID).completion in world.store.list(IDS))
        await world.crash()
        await world.until(lambda: "committed by somebody else" in caplog.text)
        leader.cancel()
        await vanished(world)
        async with World(SPEC, beside=world) as again:
            again.start()
            status = await again.end()
            assert (status["phase"], status["reason"]) == ("Cancelled", "Adopted")


def left_behind(world, *phases, name=NAME):
    """Leave ends of a run in the store that nobody lived to record; return their hashes."""
    ids, shas = IdKeys(NAMESPACE, ID), []
    document = json.loads(world.store.get(ids.completion))
    run = {"name": name, "uid": world.cluster.peek(WORKFLOWS, NAMESPACE, name)["metadata"]["uid"]}
    for later_s, phase in enumerate(phases):
        ended_at = document["endedAt"] + later_s
        end = {**document, "run": run, "phase": phase, "endedAt": ended_at}
        data = json.dumps(end).encode()
        shas.append(hashlib.sha256(data).hexdigest())
        world.store.put(ids.end(run["uid"], shas[-1]), data)
    return shas


@pytest.mark.parametrize(
    ("phases", "counts"),
    [
        (["Succeeded"], True),
        (["Succeeded", "Succeeded"], True),
        (["Succeeded", "Cancelled"], False),
    ],
    ids=["alone", "told twice", "contradicted"],
)
async def test_an_end_that_nobody_recorded_counts_if_no_other_contradicts_it(phases, counts):
    async with World(SPEC) as world:
        world.start()
        await world.end()
        completion = IdKeys(NAMESPACE, ID).completion
        await world.until(lambda: completion in world.store.list(IDS))
        left_behind(world, *phases)
        world.store.delete(completion)
        await vanished(world)
        async with World(SPEC, beside=world) as again:
            again.start()
            status = await again.end()
            assert (status.get("reason") == "Adopted") == counts
            assert again.executed == ([] if counts else ["a", "b"])


async def test_of_two_ends_the_one_that_the_cursor_names_is_true():
    async with World(SPEC) as world:
        world.start()
        await world.end()
        completion = IdKeys(NAMESPACE, ID).completion
        await world.until(lambda: completion in world.store.list(IDS))
        left_behind(world, "Cancelled", "Failed")
        world.store.delete(completion)
        await world.crash()
        async with World(SPEC, name="again", beside=world) as again:
            again.start()
            status = await again.end()
            assert (status["phase"], status["reason"]) == ("Succeeded", "Adopted")


async def test_nobody_is_told_that_a_run_has_ended_before_that_is_recorded():
    async with World(SPEC) as world:
        put = world.store.put

        def away(key, data):
            if key.startswith(IDS):
                raise StoreUnavailableError("the store is away")
            return put(key, data)

        world.store.put = away
        world.start()
        await world.until(lambda: world.status.get("reason") == "StoreUnavailable")
        assert not world.status.get("completionTime")
        world.store.put = put
        assert (await world.end())["phase"] == "Succeeded"


async def test_a_record_that_cannot_be_read_is_named_and_nothing_runs():
    async with deleted() as world:
        world.store.put(IdKeys(NAMESPACE, ID).completion, b"{}")
        async with World(SPEC, beside=world) as again:
            again.start()
            await again.until(lambda: again.status.get("reason") == "StateUnreadable")
            assert IdKeys(NAMESPACE, ID).completion in again.status["message"]
            assert again.executed == []


def workflow(name, uid, created="2026-01-01T00:00:00Z", **status):
    metadata = {"namespace": "n", "name": name, "uid": uid, "creationTimestamp": created}
    return {"metadata": metadata, "spec": {"runId": ID}, "status": status}


def test_of_two_runs_with_one_id_the_one_under_way_is_the_first_then_the_older_one():
    found = RunIds()
    runs = [
        workflow("new", "1", created="2026-01-02T00:00:00Z"),
        workflow("old", "2"),
        workflow("begun", "3", created="2026-01-03T00:00:00Z", cursor={"seq": 1}),
        workflow("ended", "0", completionTime="2026-01-01T00:00:00Z"),
    ]
    for one in runs:
        found.enter(one)
    refs = {one["metadata"]["name"]: RunRef.of(one) for one in runs}
    assert found.earlier(refs["begun"], ID) is None
    assert found.earlier(refs["old"], ID) == "begun"
    found.leave(refs["begun"])
    assert found.earlier(refs["old"], ID) is None
    assert found.earlier(refs["new"], ID) == "old"
    assert found.earlier(refs["new"], None) is None
