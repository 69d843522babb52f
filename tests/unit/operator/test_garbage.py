"""What nothing refers to in the store is found, deleted when asked for, and nothing else is."""

import asyncio
import hashlib
import json
import zlib
from contextlib import asynccontextmanager

import pytest
from aiohttp.test_utils import TestClient, TestServer

from graflow.ledger.state import Clear
from graflow.store import StoreUnavailableError
from graflow.store.keys import RunKeys
from graflow_operator import channel_log, checkpoint, checkpoint_list
from graflow_operator.cluster import ACCESS_REVIEWS, WORKFLOWS
from graflow_operator.garbage import Wish, collect
from graflow_operator.keeping import PodPolicy
from graflow_operator.lease import Candidate, LeaseKeeper
from graflow_operator.server.app import application
from graflow_operator.server.replica import Replica
from graflow_operator.settings import Settings
from graflow_operator.verdicts import Succeeded
from support.world import HANGS, NAME, NAMESPACE, World, returned

SPEC = {"checkpointEvery": 1, "tasks": [{"name": "a", "script": "x", "maxIterations": 50},
        {"name": "b", "after": ["a"], "script": "x"}]}  # fmt: skip
OTHER = "5b5b5b5b-0000-4000-8000-000000000000"
GARBAGE = f"/user/v1/namespaces/{NAMESPACE}/garbage"
TOKEN = {"X-Graflow-Token": "t"}


def sha(text):
    return hashlib.sha256(text.encode()).hexdigest()


def passing():
    """Two passes of `a`, the values large enough for the store; then `b`."""
    left = ["again", None]

    def run(task, order):
        del order
        directives = [{"kind": "Iteration"}] if task == "a" and left.pop(0) else []
        return returned([task * 2000, len(left)], *directives)

    return run


class Kept:
    """A run that has ended, with all kinds of objects in the store."""

    def __init__(self, world):
        self.world = world
        self.parts = world.actor.parts
        self.parts.cluster_id = "c1"
        self.run = RunKeys(NAMESPACE, world.workflow["metadata"]["uid"])

    @property
    def all(self):
        return set(self.world.store.list(""))

    @property
    def mine(self):
        return set(self.world.store.list(self.run.prefix))

    def put(self, *keys):
        for key in keys:
            self.world.store.put(key, b"123")
        return set(keys)

    async def collect(self, **wish):
        storage = self.world.storage
        return [one async for one in collect(self.parts, storage, Wish(NAMESPACE, **wish))]

    def change_status(self, **changes):
        """Write into the status as somebody may who has the rights."""
        found = self.world.cluster.objects["workflows", NAMESPACE, NAME]
        found["status"]["cursor"] |= changes


@asynccontextmanager
async def ended(work=None, **settings):
    given = Settings(operator_namespace="graflow", **settings)
    async with World(SPEC, work=work or passing(), settings=given) as world:
        world.start()
        await world.end()
        await world.until(lambda: world.actor.done)
        yield Kept(world)


@pytest.fixture
def small(monkeypatch):
    """Everything that can be in the store is there."""
    monkeypatch.setattr("graflow_operator.journal.INLINE_CHARS", 0)


def orphans(run):
    """Return keys of what crashes leave: of each kind one."""
    name = f"7-{sha('nobody')}"
    return (
        run.blob(sha("nobody")),
        run.state(7, sha("nobody")),
        run.changes(name),
        run.checkpoint(name),
        run.history(name),
        run.segment(0),
        run.channel(0, sha("nobody")),
        run.outcome(1, 1),
        run.outcome_value(1, 1),
    )


async def test_of_an_ended_run_goes_what_nothing_refers_to_and_no_more(small):
    async with ended() as kept:
        before = kept.mine
        assert {key.removeprefix(kept.run.prefix).split("/")[0] for key in before} >= {
            "blobs",
            "state",
            "checkpoints",
            "history",
        }
        added = kept.put(*orphans(kept.run))
        found, last = await kept.collect()
        assert found == {
            "uid": kept.run.uid,
            "name": NAME,
            "why": "Unreferenced",
            "objects": 9,
            "bytes": 27,
            "folders": {"blobs": 1, "changes": 1, "channel": 2, "checkpoints": 1, "history": 1,
                        "outcomes": 2, "state": 1},
            "deleted": False,
        }  # fmt: skip
        assert last == {"done": True, "goingOn": 0}
        assert kept.mine == before | added
        assert (await kept.collect(delete=True))[0] == {**found, "deleted": True}
        assert kept.mine == before
        assert await kept.collect() == [last]


async def test_a_value_that_only_an_older_checkpoint_names_stays(small):
    async with ended() as kept:
        value = sha("old")
        added = kept.put(kept.run.blob(value))
        newest = kept.world.status["cursor"]["checkpoint"]
        document = checkpoint.document_in(newest, kept.world.store.get(kept.run.checkpoint(newest)))
        older = zlib.compress(json.dumps({**document, "spec": {"input": {"blob": value}}}).encode())
        name = f"1-{hashlib.sha256(older).hexdigest()}"
        kept.world.store.put(kept.run.checkpoint(name), older)
        last = zlib.compress(json.dumps({**document, "previous": name}).encode())
        newest = f"{kept.world.status['cursor']['seq']}-{hashlib.sha256(last).hexdigest()}"
        kept.world.store.put(kept.run.checkpoint(newest), last)
        kept.change_status(checkpoint=newest)
        await kept.collect(delete=True)
        assert added | {kept.run.checkpoint(one) for one in (name, newest)} <= kept.mine
        kept.change_status(checkpoint=None)
        await kept.collect(delete=True)
        assert not added & kept.mine
        assert not [key for key in kept.mine if "/checkpoints/" in key]


async def test_fences_of_the_channel_stay_as_long_as_their_run():
    """An operator that was replaced without knowing it must not get their numbers."""
    async with ended() as kept:
        channel = {"seq": 3, "epoch": "e", "state": channel_log.text_of(channel_log.initial({}))}
        kept.change_status(channel=channel)
        said = channel_log.segment("e", 1.0, [channel_log.Record(Clear())])
        kept.world.store.put(kept.run.segment(1), said)
        kept.world.store.put(kept.run.segment(2), channel_log.fence("e", 1.0))
        before = kept.mine
        await kept.collect(delete=True)
        assert before - kept.mine == {kept.run.segment(1)}
        kept.world.cluster.vanish(WORKFLOWS, NAMESPACE, NAME)
        await kept.collect(delete=True, unmarked=True)
        assert not kept.mine


async def test_of_a_run_that_goes_on_nothing_is_touched():
    async with World(SPEC, work=lambda *_: HANGS) as world:
        world.start()
        await world.until(lambda: world.executed)
        kept = Kept(world)
        kept.put(*orphans(kept.run))
        before = kept.all
        assert await kept.collect(delete=True, unmarked=True) == [{"done": True, "goingOn": 1}]
        assert kept.all == before


@pytest.mark.parametrize("keep", [True, False], ids=["kept", "not kept"])
async def test_logs_of_an_ended_run_stay_as_long_as_logs_are_kept(keep):
    async with ended() as kept:
        kept.parts.settings = Settings(
            operator_namespace="graflow",
            pods=PodPolicy(keep_logs=keep),
        )
        log = kept.run.log(1, 1)
        kept.put(log)
        await kept.collect(delete=True)
        assert (log in kept.mine) is keep


async def test_what_another_version_has_put_there_stays():
    async with ended() as kept:
        added = kept.put(f"{kept.run.prefix}things/1")
        await kept.collect(delete=True)
        assert added <= kept.mine


async def test_a_run_that_is_gone_goes_with_its_mark():
    async with ended() as kept:
        kept.put(kept.run.mark("c1"))
        kept.world.cluster.vanish(WORKFLOWS, NAMESPACE, NAME)
        [found, _] = await kept.collect()
        assert (found["why"], found["objects"]) == ("Gone", len(kept.mine))
        assert kept.mine
        await kept.collect(delete=True)
        assert kept.all == set()


async def test_what_no_mark_says_the_owner_of_goes_only_when_that_is_asked_for():
    async with ended() as kept:
        stray = RunKeys(NAMESPACE, OTHER)
        kept.put(stray.blob(sha("x")))
        [found, _] = await kept.collect(delete=True)
        assert (found["uid"], found["why"], found["deleted"]) == (OTHER, "Unmarked", False)
        [found, _] = await kept.collect(delete=True, unmarked=True)
        assert found["deleted"]
        assert list(kept.world.store.list(stray.prefix)) == []


@pytest.mark.parametrize("mark", ["c2", "c1.blue"])
async def test_what_another_installation_has_marked_is_left_alone_and_told(mark):
    async with ended() as kept:
        stray = RunKeys(NAMESPACE, OTHER)
        added = kept.put(stray.blob(sha("x")), stray.mark(mark))
        [found, _] = await kept.collect(delete=True, unmarked=True)
        assert "marked as a run of another installation" in found["left"]
        assert added <= kept.all


async def test_what_this_installation_has_marked_is_its_own_whoever_else_has():
    async with ended() as kept:
        stray = RunKeys(NAMESPACE, OTHER)
        kept.put(stray.blob(sha("x")), *(stray.mark(owner) for owner in ("c1", "c2")))
        [found, _] = await kept.collect(delete=True)
        assert (found["why"], found["deleted"]) == ("Gone", True)


async def test_an_operator_that_cannot_tell_clusters_apart_takes_no_mark_for_its_own():
    async with ended() as kept:
        kept.parts.cluster_id = ""
        stray = RunKeys(NAMESPACE, OTHER)
        added = kept.put(stray.blob(sha("x")), stray.mark("blue"))
        kept.parts.settings = Settings(operator_namespace="graflow", instance="blue")
        [found, _] = await kept.collect(delete=True, unmarked=True)
        assert "another installation" in found["left"]
        assert added <= kept.all


async def test_what_a_run_goes_on_from_stays_until_that_has_ended():
    async with ended() as kept:
        source = RunKeys(NAMESPACE, OTHER)
        added = kept.put(source.blob(sha("x")), source.mark("c1"))
        body = {
            "metadata": {"name": "again"},
            "spec": {**SPEC, "resumeFrom": {"name": "old", "uid": OTHER}},
        }
        await kept.world.cluster.create(WORKFLOWS, NAMESPACE, body)
        [found, _] = await kept.collect(delete=True)
        assert found["left"] == "workflow 'again' goes on from it and has not ended"
        assert added <= kept.all
        kept.world.cluster.objects["workflows", NAMESPACE, "again"]["status"] = {"phase": "Failed"}
        [found, _] = await kept.collect(delete=True)
        assert found["deleted"]


async def test_what_a_run_goes_on_from_stays_though_that_one_was_made_while_others_were_deleted():
    async with ended() as kept:
        first, source = (RunKeys(NAMESPACE, uid) for uid in (OTHER.replace("5b", "0b"), OTHER))
        kept.put(first.blob(sha("x")), first.mark("c1"))
        added = kept.put(source.blob(sha("x")), source.mark("c1"))
        delete, loop, waits = kept.world.store.delete, asyncio.get_running_loop(), []
        spec = {**SPEC, "resumeFrom": {"name": "old", "uid": OTHER}}
        body = {"metadata": {"name": "again"}, "spec": spec}

        def meanwhile(key):
            if not waits:
                waits.append(key)
                creating = kept.world.cluster.create(WORKFLOWS, NAMESPACE, body)
                asyncio.run_coroutine_threadsafe(creating, loop).result()
            delete(key)

        kept.world.store.delete = meanwhile
        gone, found, _ = await kept.collect(delete=True)
        assert waits[0].startswith(first.prefix)
        assert gone["deleted"]
        assert found["left"] == "workflow 'again' goes on from it and has not ended"
        assert added <= kept.all


async def test_a_run_that_begins_while_the_store_is_listed_keeps_all_that_it_has():
    async with ended() as kept:
        find = kept.parts.cluster.find
        new = RunKeys(NAMESPACE, OTHER)

        async def late(*args, **how):
            kept.put(new.blob(sha("x")))
            return await find(*args, **how)

        kept.parts.cluster.find = late
        assert await kept.collect(delete=True, unmarked=True) == [{"done": True, "goingOn": 0}]
        assert [*kept.world.store.list(new.prefix)]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"key": "other/uid/state/1-x", "state": None}, "'other/uid/state/1-x' is no key of this"),
        ({"checkpoint": f"3-{sha('gone')}"}, "is named and is not there"),
        ({"checkpoint": "../../x"}, "is no name of a checkpoint"),
        ({"history": "../../x"}, "is no segment of this run"),
        ({"segments": ["../../x"]}, "is no segment of this run"),
        ({"segments": [f"1-{'0' * 64}"]}, "is named and is not there"),
        ({"state": "bm9uc2Vuc2U=", "key": None}, "cannot be read"),
    ],
)
async def test_a_run_of_which_something_cannot_be_read_is_left_alone(changes, words):
    async with ended() as kept:
        kept.put(*orphans(kept.run))
        kept.change_status(**changes)
        before = kept.mine
        [found, _] = await kept.collect(delete=True)
        assert words in found["left"]
        assert not found["deleted"]
        assert kept.mine == before


async def test_a_damaged_checkpoint_leaves_its_run_alone():
    async with ended() as kept:
        kept.put(*orphans(kept.run))
        name = kept.world.status["cursor"]["checkpoint"]
        kept.world.store.put(kept.run.checkpoint(name), b"damaged")
        [found, _] = await kept.collect(delete=True)
        assert "is corrupt" in found["left"]
        assert set(orphans(kept.run)) <= kept.mine


@asynccontextmanager
async def asked(kept):
    keeper = LeaseKeeper(kept.world.client, Candidate("graflow", "lease", "me", "http://me:8090"))
    kept.world.cluster.users = {"t": "alice"}
    async with TestClient(TestServer(application(Replica(kept.parts, keeper)))) as client:
        yield client


def allow(kept, *verbs):
    """Let everybody do these things, and see what is asked."""
    create, seen = kept.parts.cluster.create, []

    async def answered(kind, namespace, body):
        if kind is ACCESS_REVIEWS:
            attributes = body["spec"]["resourceAttributes"]
            seen.append((attributes["verb"], attributes["namespace"], attributes["name"]))
            return {**body, "status": {"allowed": attributes["verb"] in verbs}}
        return await create(kind, namespace, body)

    kept.parts.cluster.create = answered
    return seen


async def lines(answer):
    assert answer.status == 200, await answer.text()
    return [json.loads(line) for line in (await answer.text()).splitlines()]


async def test_who_may_list_workflows_may_look_and_who_may_delete_them_may_delete():
    async with ended() as kept, asked(kept) as client:
        added = kept.put(*orphans(kept.run))
        seen = allow(kept, "list")
        told = await lines(await client.get(GARBAGE, headers=TOKEN))
        assert [one.get("objects") for one in told] == [9, None]
        refused = await client.delete(GARBAGE, headers=TOKEN)
        assert refused.status == 403
        assert (await refused.json())["message"] == f"alice may not delete workflows in {NAMESPACE}"
        assert added <= kept.mine
        seen += allow(kept, "delete")
        assert (await lines(await client.delete(GARBAGE, headers=TOKEN)))[0]["deleted"]
        assert not added & kept.mine
        assert (await client.get(GARBAGE, headers=TOKEN)).status == 403
        assert set(seen) == {("list", NAMESPACE, ""), ("delete", NAMESPACE, "")}


async def test_a_namespace_that_is_none_or_is_not_served_is_refused():
    async with ended() as kept, asked(kept) as client:
        allow(kept, "list")
        kept.parts.settings = Settings(operator_namespace="graflow", namespaces=("other",))
        assert (await client.get(GARBAGE, headers=TOKEN)).status == 404
        assert (await client.get("/user/v1/namespaces/.graflow/garbage")).status == 400


async def test_a_store_that_fails_halfway_is_told_in_the_last_line():
    async with ended() as kept, asked(kept) as client:
        allow(kept, "delete")
        kept.put(RunKeys(NAMESPACE, "0a").blob(sha("x")), *orphans(kept.run))
        get = kept.world.storage.get

        async def away(key):
            raise StoreUnavailableError("no answer")

        kept.world.storage.get = away
        told = await lines(await client.delete(GARBAGE, headers=TOKEN))
        assert [min(one) for one in told] == ["bytes", "error"]
        assert told[-1] == {"error": "no answer"}
        kept.world.storage.get = get


async def test_all_checkpoints_are_told_from_their_documents_page_by_page(monkeypatch):
    monkeypatch.setattr(checkpoint_list, "PAGE", 2)
    async with ended() as kept, asked(kept) as client:
        allow(kept, "get")
        path = f"/user/v1/namespaces/{NAMESPACE}/workflows/{NAME}/checkpoints"
        told, previous = [], ""
        while previous is not None:
            answer = await client.get(f"{path}/{previous}" if previous else path, headers=TOKEN)
            body = await answer.json()
            assert answer.status == 200, body
            told += body["checkpoints"]
            assert len(body["checkpoints"]) <= 2
            previous = body["previous"]
        shown = kept.world.status["checkpoints"]
        assert [one["seq"] for one in told] == sorted({one["seq"] for one in shown}, reverse=True)
        assert told[0]["reason"] in {"End", "Every"}
        assert all(one["time"] for one in told)
        missing = await client.get(f"{path}/1-{sha('x')}", headers=TOKEN)
        assert missing.status == 404
        assert (await client.get(f"{path}/nonsense", headers=TOKEN)).status == 400


async def test_all_that_a_checkpoint_was_taken_for_is_told_as_the_status_tells_it():
    asked = {**returned(1), "checkpoint": {"path": "last", "metadata": {"n": 1}}}
    async with World(SPEC, work=lambda *_: asked) as world:
        world.start()
        await world.end()
        keys = RunKeys(NAMESPACE, world.workflow["metadata"]["uid"])
        newest = world.status["cursor"]["checkpoint"]
        told, _ = await checkpoint_list.page(world.storage, keys, newest)
        assert [one["reason"] for one in told[:2]] == ["End", "Asked"]
        assert [*reversed(told)] == world.status["checkpoints"]


async def test_a_run_without_checkpoints_has_an_empty_list():
    plain = {"tasks": SPEC["tasks"][:1]}
    async with World(plain, store=False, work=lambda *_: Succeeded({"json": 1})) as world:
        world.start()
        await world.end()
        kept = Kept(world)
        async with asked(kept) as client:
            allow(kept, "get")
            path = f"/user/v1/namespaces/{NAMESPACE}/workflows/{NAME}/checkpoints"
            answer = await client.get(path, headers=TOKEN)
            assert await answer.json() == {"checkpoints": [], "previous": None}
