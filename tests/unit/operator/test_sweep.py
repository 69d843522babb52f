"""What deleted runs have in the store goes; what any other run has there never does."""

import asyncio
from contextlib import suppress
from dataclasses import replace

import pytest

from graflow.store import StoreRefusedError, StoreUnavailableError
from graflow.store.keys import MARKS, RunKeys
from graflow_operator.cluster import NAMESPACES, WORKFLOWS
from graflow_operator.cluster_errors import ForbiddenError, NotFoundError, UnavailableError
from graflow_operator.engine import Engine
from graflow_operator.keeping import DeletedRuns
from graflow_operator.parts import Parts
from graflow_operator.settings import Settings
from graflow_operator.sweep import Sweep, cluster_id
from support.world import NAME, NAMESPACE, World

SPEC = {"tasks": [{"name": "a", "script": "return 1"}]}
GRACE_S = 30.0
SETTINGS = Settings(operator_namespace="graflow", deleted_runs_s=GRACE_S, resync_s=60.0)


class Swept:
    """A world with a run in it, its objects, and the sweep of an operator of cluster c1."""

    def __init__(self, settings=SETTINGS):
        self.world = World(SPEC, settings=settings)

    async def __aenter__(self):
        await self.world.__aenter__()
        self.world.start()
        self.parts: Parts = self.world.actor.parts
        await self.world.crash()
        self.parts.cluster_id = "c1"
        self.sweep = Sweep(self.parts)
        self.keys = RunKeys(NAMESPACE, self.uid)
        await self.leave(self.keys)
        return self

    async def __aexit__(self, *error):
        await self.world.__aexit__(*error)

    @property
    def uid(self):
        return self.world.workflow["metadata"]["uid"]

    async def leave(self, keys, name=NAME, owner="c1"):
        for key in (keys.blob("0" * 64), keys.segment(1), keys.outcome(1, 1)):
            await self.parts.storage.put(key, b"data")
        await self.parts.storage.put(keys.mark(owner), b'{"name": "%s"}' % name.encode())

    def of(self, keys):
        return list(self.world.store.list(keys.prefix))

    @property
    def marks(self):
        return list(self.world.store.list(MARKS))

    def compare(self, *uids):
        self.sweep.compared(uids)

    async def rounds(self, seconds=GRACE_S):
        """Sweep now, and again after a while, with a comparison in between."""
        self.compare()
        await self.sweep.round(self.parts.storage)
        self.world.now += seconds
        self.compare()
        await self.sweep.round(self.parts.storage)

    def delete_the_run(self):
        self.world.cluster.vanish(WORKFLOWS, NAMESPACE, NAME)


async def test_what_a_deleted_run_has_in_the_store_goes_with_its_mark():
    async with Swept() as swept:
        swept.delete_the_run()
        await swept.rounds()
        assert swept.of(swept.keys) == []
        assert swept.marks == []


async def test_nothing_goes_before_the_run_has_been_gone_for_as_long_as_is_set():
    async with Swept() as swept:
        swept.delete_the_run()
        await swept.rounds(GRACE_S - 1)
        assert len(swept.of(swept.keys)) == 3
        swept.world.now += 1
        await swept.sweep.round(swept.parts.storage)
        assert swept.of(swept.keys) == []


async def test_a_run_that_exists_is_never_swept_though_no_list_has_shown_it():
    async with Swept() as swept:
        await swept.rounds()
        await swept.rounds()
        assert len(swept.of(swept.keys)) == 3
        assert len(swept.marks) == 1


async def test_a_run_that_a_list_has_shown_is_not_even_asked_for():
    async with Swept() as swept:
        asked = []
        get = swept.parts.cluster.get

        async def counted(*words):
            asked.append(words)
            return await get(*words)

        swept.parts.cluster.get = counted
        for _ in range(3):
            swept.compare(swept.uid)
            await swept.sweep.round(swept.parts.storage)
            swept.world.now += GRACE_S
        assert asked == []


async def test_a_run_whose_deletion_was_seen_need_not_wait_for_the_next_comparison():
    async with Swept() as swept:
        uid = swept.uid
        swept.compare(uid)
        swept.delete_the_run()
        swept.sweep.gone(uid)
        await swept.sweep.round(swept.parts.storage)
        swept.world.now += GRACE_S
        await swept.sweep.round(swept.parts.storage)
        assert swept.of(swept.keys) == []


async def test_another_run_of_the_same_name_does_not_save_the_one_before():
    async with Swept() as swept:
        before = RunKeys(NAMESPACE, "an-earlier-uid")
        await swept.leave(before)
        await swept.rounds()
        assert swept.of(before) == []
        assert len(swept.of(swept.keys)) == 3


async def test_what_a_run_that_goes_on_from_it_may_still_copy_stays_until_that_one_has_ended():
    async with Swept() as here:
        resumed = {"name": NAME, "uid": here.uid}
        body = {"metadata": {"name": "again"}, "spec": {**SPEC, "resumeFrom": resumed}}
        await here.parts.cluster.create(WORKFLOWS, NAMESPACE, body)
        here.delete_the_run()
        await here.rounds()
        assert len(here.of(here.keys)) == 3
        again = here.world.cluster.peek(WORKFLOWS, NAMESPACE, "again")
        patch = {"metadata": again["metadata"], "status": {"phase": "Succeeded"}}
        await here.world.cluster.patch_status(WORKFLOWS, NAMESPACE, "again", patch)
        await here.rounds()
        assert here.of(here.keys) == []


async def test_what_a_run_goes_on_from_stays_though_that_one_was_made_while_it_was_listed():
    async with Swept() as swept:
        swept.delete_the_run()
        spec = {**SPEC, "resumeFrom": {"name": NAME, "uid": swept.keys.uid}}
        listed = swept.parts.storage.list

        async def meanwhile(prefix):
            keys = await listed(prefix)
            if prefix == swept.keys.prefix:
                body = {"metadata": {"name": "again"}, "spec": spec}
                await swept.world.cluster.create(WORKFLOWS, NAMESPACE, body)
            return keys

        swept.parts.storage.list = meanwhile
        await swept.rounds()
        assert len(swept.of(swept.keys)) == 3


async def test_the_newest_checkpoint_goes_last_for_somebody_may_go_on_from_the_run_meanwhile():
    async with Swept() as swept:
        run, storage, delete = swept.keys, swept.parts.storage, swept.world.store.delete
        names = [f"{seq}-{digit * 64}" for seq in (3, 12, 7) for digit in "ab"]
        for name in names:
            await storage.put(run.checkpoint(name), b"data")
        newest, left = next(name for name in names if name.startswith("12-")), []

        def watched(key):
            delete(key)
            left.append([one.removeprefix(run.checkpoints) for one in swept.of(run)])

        swept.world.store.delete = watched
        swept.delete_the_run()
        await swept.rounds()
        assert swept.of(run) == []
        assert all(newest in there for there in left if there)


async def test_runs_of_other_clusters_and_installations_and_foreign_objects_stay():
    async with Swept() as swept:
        others = RunKeys(NAMESPACE, "theirs"), RunKeys("elsewhere", "theirs-too")
        await swept.leave(others[0], owner="c2")
        await swept.leave(others[1], owner="c1.other")
        await swept.parts.storage.put(f"{NAMESPACE}/no-mark/blobs/x", b"data")
        await swept.parts.storage.put(f"{MARKS}c1/not/a/mark", b"{}")
        swept.delete_the_run()
        await swept.rounds()
        assert swept.of(swept.keys) == []
        assert [len(swept.of(run)) for run in others] == [3, 3]
        assert len(list(swept.world.store.list(f"{NAMESPACE}/no-mark/"))) == 1


async def test_runs_of_namespaces_that_are_not_served_stay():
    async with Swept(replace(SETTINGS, namespaces=("other",))) as swept:
        swept.delete_the_run()
        await swept.rounds()
        assert len(swept.of(swept.keys)) == 3


async def test_nothing_goes_while_what_exists_is_not_known():
    async with Swept() as swept:
        swept.delete_the_run()
        await swept.sweep.round(swept.parts.storage)
        swept.compare()
        await swept.sweep.round(swept.parts.storage)
        swept.world.now += 4 * SETTINGS.resync_s
        await swept.sweep.round(swept.parts.storage)
        assert len(swept.of(swept.keys)) == 3


@pytest.mark.parametrize("error", [UnavailableError("no answer"), ForbiddenError("no")])
async def test_nothing_goes_when_the_api_server_does_not_say_that_the_run_is_gone(error):
    async with Swept() as swept:
        swept.delete_the_run()

        async def silent(*_):
            raise error

        swept.parts.cluster.get = silent
        with suppress(UnavailableError):
            await swept.rounds()
        assert len(swept.of(swept.keys)) == 3


async def test_a_store_that_fails_half_way_is_swept_again():
    async with Swept() as swept:
        swept.delete_the_run()
        delete, failing = swept.world.store.delete, [True]

        def fails_once(key):
            if "outcomes" in key and failing:
                failing.clear()
                raise StoreUnavailableError("no answer")
            delete(key)

        swept.world.store.delete = fails_once
        with pytest.raises(StoreUnavailableError):
            await swept.rounds()
        assert swept.marks, "the mark goes last"
        await swept.sweep.round(swept.parts.storage)
        assert swept.of(swept.keys) == []
        assert swept.marks == []


async def test_a_run_that_may_not_be_deleted_does_not_keep_those_behind_it():
    async with Swept() as swept:
        other = RunKeys(NAMESPACE, "0")  # before the other one in any list
        await swept.leave(other, name="locked")
        swept.delete_the_run()
        delete = swept.world.store.delete

        def locked(key):
            if key.startswith(other.prefix):
                raise StoreRefusedError("the object is locked")
            delete(key)

        swept.world.store.delete = locked
        await swept.rounds()
        assert swept.of(swept.keys) == []
        assert swept.marks == [other.mark("c1")]


@pytest.mark.parametrize("mark", [b"", b"[]", b"{}", b"1", b"\xff"])
async def test_what_has_a_mark_that_is_none_of_ours_stays(mark):
    async with Swept() as swept:
        await swept.parts.storage.put(swept.keys.mark("c1"), mark)
        swept.delete_the_run()
        await swept.rounds()
        assert len(swept.of(swept.keys)) == 3


@pytest.mark.parametrize("fails", [False, True], ids=["", "store away at first"])
async def test_a_run_that_has_no_mark_gets_one_when_it_is_taken_up(fails):
    async with Swept() as swept:
        swept.world.auto_run = False
        swept.world.start()
        await swept.world.until(lambda: swept.world.status.get("cursor"))
        await swept.world.crash()
        await swept.parts.storage.delete(swept.keys.mark("c1"))
        put, failing = swept.world.store.put, [True] * fails

        def away(key, data):
            if key.startswith(MARKS) and failing:
                failing.clear()
                raise StoreUnavailableError("no answer")
            put(key, data)

        swept.world.store.put = away
        engine = Engine(swept.parts)
        await engine._begin()
        swept.world.actor = engine._actors[swept.uid]
        for _ in range(2000):
            await asyncio.sleep(0.001)
            swept.world.now += 0.1
            if swept.marks:
                break
        await engine.close(grace_s=0.1)
        swept.world.actor = None
        assert swept.marks == [swept.keys.mark("c1")]


async def test_a_run_does_not_begin_before_its_mark_is_there():
    async with Swept() as swept:
        await swept.parts.storage.delete(swept.keys.mark("c1"))
        put, world, others = swept.world.store.put, swept.world, swept.of(swept.keys)

        def full(key, data):
            if key.startswith(MARKS):
                raise StoreUnavailableError("no space left on device")
            put(key, data)

        world.store.put = full
        engine = Engine(swept.parts)
        await engine._begin()
        world.actor = engine._actors[swept.uid]
        await world.until(lambda: world.status.get("reason") == "StoreUnavailable")
        assert world.status.get("cursor") is None
        assert swept.of(swept.keys) == others
        world.store.put = put
        await world.until(lambda: world.status.get("phase") == "Succeeded")
        assert swept.marks == [swept.keys.mark("c1")]
        await engine.close(grace_s=0.1)
        world.actor = None


async def test_with_keep_nothing_is_looked_at():
    async with Swept(replace(SETTINGS, deleted_runs=DeletedRuns.KEEP)) as swept:
        await swept.sweep.run()
        assert len(swept.of(swept.keys)) == 3


async def test_an_operator_that_may_not_know_its_cluster_sweeps_nothing():
    async with Swept() as swept:

        async def no(*_):
            raise ForbiddenError("namespaces is forbidden")

        swept.parts.cluster.get = no
        swept.parts.cluster_id = await cluster_id(swept.parts.cluster)
        assert swept.parts.cluster_id == ""
        await Sweep(swept.parts).run()
        assert len(swept.of(swept.keys)) == 3


async def test_the_clusters_id_is_the_uid_of_a_namespace_that_every_cluster_has():
    async with Swept() as swept:
        with pytest.raises(NotFoundError):
            await cluster_id(swept.parts.cluster)
        body = {"metadata": {"name": "kube-system"}}
        made = await swept.world.cluster.create(NAMESPACES, None, body)
        assert await cluster_id(swept.parts.cluster) == made["metadata"]["uid"]
        swept.parts.settings = replace(SETTINGS, instance="blue")
        swept.parts.cluster_id = "c1"
        assert swept.parts.mark_owner == "c1.blue"
