"""C2, C5: the channel of a run on a cluster, whatever fails in between."""

import asyncio
import itertools
import random

import pytest

from graflow.ledger.state import Answer
from graflow.machine.state import Error
from graflow.store import StoreUnavailableError
from graflow_operator import channel as service
from graflow_operator import channel_calls
from graflow_operator.cluster import PODS, WORKFLOWS
from graflow_operator.cluster_errors import ForbiddenError, UnavailableError
from graflow_operator.letters import FencedError
from graflow_operator.verdicts import Failed, Succeeded
from support.channel_pod import ChannelPod
from support.world import HANGS, NAME, NAMESPACE, World, returned, script

HOSTS = pytest.mark.parametrize("store", [True, False], ids=["store", "no store"])


def five(**spec):
    members = [f"m{n}" for n in range(5)]
    tasks = [script(name) for name in members] + [script("total", "g")]
    return {"tasks": tasks, "groups": [{"name": "g", "members": members}], **spec}


def channel_of(world):
    return (world.status.get("cursor") or {}).get("channel")


def objects(world):
    return [key for key in world.store.list("") if "/channel/" in key]


def segments(world):
    """Return the numbers of the channel's segments, in order."""
    names = (key.rsplit("/", 1)[1] for key in objects(world))
    return sorted(int(name) for name in names if name.isdigit())


def adding(world, times):
    """Return the work of tasks that count up together; the last one says how far."""

    async def work(task, order):
        pod = ChannelPod(world, order)
        if task == "total":
            return Succeeded({"json": await pod.get("n")})
        for _ in range(times):
            await pod.add("n")
        return Succeeded({"json": None})

    return work


@HOSTS
async def test_c2_increments_from_five_pods_at_once_all_count(store):
    times = 100 if store else 10
    async with World(five(), store=store) as world:
        world.work = adding(world, times)
        world.start()
        assert (await world.end())["result"] == {"json": 5 * times}


async def test_c2_with_a_store_the_cluster_sees_nothing_of_operations():
    async with World(five()) as world:
        world.work = lambda task, order: Succeeded({"json": None})
        world.start()
        await world.end()
        without = len(world.cluster.writes)
    async with World(five()) as world:
        world.work = adding(world, 20)
        world.start()
        await world.end()
        # One commit says that the channel is used; with five pods at work it may have company.
        assert len(world.cluster.writes) <= without + 2


async def test_c2_without_a_store_there_is_at_most_one_commit_a_second_for_operations():
    async with World({"tasks": [script("a")]}, store=False) as world:
        times = []

        async def work(task, order):
            pod = ChannelPod(world, order)
            for _ in range(5):
                await pod.add("n")
                times.append(world.now)
            return Succeeded({"json": await pod.get("n")})

        world.work = work
        world.start()
        assert (await world.end())["result"] == {"json": 5}
        assert all(later - before >= 1.0 for before, later in itertools.pairwise(times))


@HOSTS
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_c2_a_crash_at_any_write_of_the_cluster_loses_and_doubles_nothing(store, after):
    for number in range(1, 16):
        async with World(five(), store=store) as world:
            world.work = adding(world, 3)
            world.start(dies_at=number, dies_after=after)
            status = await world.end(restart=True)
            assert status["result"] == {"json": 15}, number


class Dying:
    """A store whose process dies at one of its writes of the channel."""

    def __init__(self, world, at, *, after):
        self.store, self.world, self.at, self.after, self.count = world.store, world, at, after, 0

    def __getattr__(self, name):
        return getattr(self.store, name)

    def put_if_absent(self, key, data):
        self.count += "/channel/" in key
        dying = self.count == self.at and not self.world.client.dead.is_set()
        if dying and not self.after:
            self._die()
        written = self.store.put_if_absent(key, data)
        if dying:
            self._die()
        return written

    def _die(self):
        self.world.client.dead.set()
        raise StoreUnavailableError("the process is gone")


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_c2_a_crash_at_any_segment_loses_and_doubles_nothing(after):
    for number in range(1, 12):
        async with World(five()) as world:
            world.storage._store = Dying(world, number, after=after)
            world.work = adding(world, 3)
            world.start()
            status = await world.end(restart=True)
            assert status["result"] == {"json": 15}, number


@HOSTS
@pytest.mark.parametrize("seed", range(8))
async def test_c2_crashes_again_and_again_lose_and_double_nothing(store, seed):
    rng = random.Random(seed)

    def faults():
        return {"dies_at": rng.randint(1, 7), "dies_after": rng.random() < 0.5}

    async with World(five(), store=store) as world:
        world.work = adding(world, 4)
        world.start(**faults())
        status = await world.end(restart=faults)
        assert status["result"] == {"json": 20}


async def test_c2_a_store_that_is_away_for_a_while_loses_and_doubles_nothing():
    class Away(Dying):
        def put_if_absent(self, key, data):
            self.count += "/channel/" in key
            if self.count % 3 == 1:
                raise StoreUnavailableError("away")
            written = self.store.put_if_absent(key, data)
            if self.count % 3 == 2:
                raise StoreUnavailableError("its answer was lost")
            return written

    async with World(five()) as world:
        world.storage._store = Away(world, 0, after=False)
        world.work = adding(world, 5)
        world.start()
        assert (await world.end())["result"] == {"json": 25}


async def test_a_store_that_takes_no_operation_of_the_channel_is_said_on_the_run():
    async with World({"tasks": [script("a")]}) as world:
        put_if_absent = world.store.put_if_absent

        def away(key, data):
            if "/channel/" in key:
                raise StoreUnavailableError(f"object {key!r}: no answer")
            return put_if_absent(key, data)

        async def work(task, order):
            world.store.put_if_absent = away
            return returned(await ChannelPod(world, order).append("l", "x"))

        world.work = work
        world.start()
        await world.until(lambda: world.status.get("reason") == "StoreUnavailable")
        assert "/channel/" in world.status["message"]
        world.store.put_if_absent = put_if_absent
        assert (await world.end())["result"] == {"json": 1}


async def test_c2_a_repeated_call_gets_the_answer_of_the_first_also_from_a_successor():
    async with World({"tasks": [script("a")]}) as world:

        async def work(task, order):
            pod = ChannelPod(world, order)
            assert await pod.append("l", "x") == 1
            assert await pod.append("l", "x", number=1) == 1
            await world.crash()
            world.start()
            assert await pod.append("l", "x", number=1) == 1
            assert await pod.append("l", "y") == 2
            stale = await pod.append("l", "x", number=1)
            assert isinstance(stale, Answer)
            assert stale.error == "StaleCall"
            other = ChannelPod(world, order, stream=7)
            assert await other.append("l", "z") == 3
            return Succeeded({"json": await pod.get("l")})

        world.work = work
        world.start()
        assert (await world.end())["result"] == {"json": ["x", "y", "z"]}


async def test_c2_an_old_leader_answers_nothing_that_the_new_one_does_not_know():
    async with World({"tasks": [script("a")]}) as world:

        async def work(task, order):
            pod = ChannelPod(world, order)
            await pod.add("n")
            old = world.actor
            world.start()  # the old one still thinks that it leads
            new = world.actor
            await world.until(lambda: new.channel._serving)
            old._read = asyncio.Event().wait  # nor does it come to look again
            asked = asyncio.create_task(pod.add("n", actor=old))
            await world.until(lambda: asked.done() or not old.channel._serving)
            assert not asked.done()
            assert await pod.get("n", actor=new) == 1
            assert await pod.add("n", actor=new, number=2) == 2
            asked.cancel()
            return Succeeded({"json": await pod.get("n")})

        world.work = work
        world.start()
        first = world.driving
        assert (await world.end())["result"] == {"json": 2}
        first.cancel()


async def test_c2_an_old_leader_gets_no_number_again_when_the_chain_has_begun_anew(monkeypatch):
    """Nothing else keeps it from answering: it may believe that it leads for long."""
    monkeypatch.setattr(service, "LONG_CHAIN", 3)
    async with World({"tasks": [script("a")]}) as world:

        async def work(task, order):
            pod = ChannelPod(world, order)
            await pod.add("n")
            old, driving = world.actor, world.driving
            asleep = old.channel._log.seq
            world.start()
            new = world.actor
            await world.until(lambda: new.channel._serving)
            for number in range(2, 12):
                await pod.add("n", actor=new, number=number)
            await world.until(lambda: channel_of(world)["seq"] > asleep + 1)
            await world.until(lambda: asleep + 2 not in segments(world))
            old._read = asyncio.Event().wait
            asked = asyncio.create_task(pod.add("n", actor=old, number=12))
            await world.until(lambda: asked.done() or not old.channel._serving)
            assert not asked.done(), "the new one knows nothing of it"
            asked.cancel()
            driving.cancel()
            return Succeeded({"json": await pod.add("n", actor=new, number=12)})

        world.work = work
        world.start()
        assert (await world.end())["result"] == {"json": 12}
        await world.until(lambda: world.actor.done)
        assert len(segments(world)) == 1, "nor does it get the number after the end of the run"


async def test_c2_what_a_former_leader_could_not_write_is_done_once_when_it_leads_again():
    async with World({"tasks": [script("a")]}) as world:

        async def work(task, order):
            pod = ChannelPod(world, order)
            await pod.add("n")
            old, driving = world.actor, world.driving
            world.start()
            await world.until(lambda: world.actor.channel._serving)
            world.actor.stop()
            world.actor, world.driving = old, driving
            asked = asyncio.create_task(pod.add("n", actor=old))
            await world.until(asked.done)
            return Succeeded({"json": [asked.result(), await pod.get("n")]})

        world.work = work
        world.start()
        assert (await world.end())["result"] == {"json": [2, 2]}


async def test_c2_without_a_store_a_commit_that_is_refused_for_a_while_loses_and_doubles_nothing():
    async with World(five(), store=False) as world:
        world.work = adding(world, 3)
        world.start()
        await world.until(lambda: channel_of(world))
        for _ in range(3):
            fault = ("patch_status", "workflows", "before", ForbiddenError("not now"))
            world.client.faults.append(fault)
        assert (await world.end())["result"] == {"json": 15}


async def test_c2_two_operators_at_once_lose_and_double_nothing():
    async with World(five()) as world:
        world.work = adding(world, 10)
        world.start()
        first, driving = world.actor, world.driving
        await world.until(lambda: channel_of(world))
        world.start()
        second = world.actor
        rng = random.Random(1)

        async def whoever():
            while world.actor is not None:
                world.actor = rng.choice([first, second])
                await asyncio.sleep(0)

        switching = asyncio.create_task(whoever())
        assert (await world.end())["result"] == {"json": 50}
        switching.cancel()
        first.stop()
        driving.cancel()


async def test_c5_operations_of_an_attempt_that_is_over_are_refused():
    pods = []
    async with World({"tasks": [script("a", retry={"maxAttempts": 2, "initialSeconds": 0}),
                                script("b", "a")]}) as world:  # fmt: skip

        async def work(task, order):
            pods.append(ChannelPod(world, order))
            await pods[-1].add("n")
            if task == "b":
                for old in pods[:-1]:
                    with pytest.raises(FencedError):
                        await old.add("n")
                    with pytest.raises(FencedError):
                        await old.get("n")
                return Succeeded({"json": await pods[-1].get("n")})
            return Failed(Error("TaskFailed", "no")) if len(pods) == 1 else Succeeded({"json": 1})

        world.work = work
        world.start()
        assert (await world.end())["result"] == {"json": 3}, (
            "what was written before it ended stays"
        )
        with pytest.raises(FencedError):
            await pods[-1].add("n", actor=world.actor)


async def test_c5_what_an_attempt_asks_for_while_its_end_is_committed_is_refused():
    refused = []
    async with World({"tasks": [script("a"), script("b", "a")]}) as world:

        async def work(task, order):
            pod = ChannelPod(world, order)
            if task == "b":
                return Succeeded({"json": await pod.get("n")})
            await pod.add("n")
            turn = world.actor.channel.turn
            await turn.acquire()
            report = world.actor.report(pod.attempt, pod.claim, Succeeded({"json": None}))
            ending = asyncio.create_task(report)
            await world.until(lambda: turn._waiters)
            asked = asyncio.create_task(pod.add("n"))
            await world.until(lambda: world.actor.channel._calls)
            turn.release()
            await ending
            with pytest.raises(FencedError):
                await asked
            refused.append(task)
            return Succeeded({"json": None})

        world.work = work
        world.start()
        assert (await world.end())["result"] == {"json": 1}
        assert refused == ["a"]


@HOSTS
async def test_c2_a_lock_is_held_by_one_pod_at_a_time_in_order_of_arrival(store):
    inside, order_of_arrival = [], []
    async with World(five(), store=store) as world:

        async def work(task, order):
            pod = ChannelPod(world, order)
            if task == "total":
                return Succeeded({"json": inside})
            ticket = await pod.lock("l")
            inside.append((task, "in"))
            seen = await pod.get("n") or 0
            await pod.set("n", seen + 1)
            inside.append((task, "out"))
            await pod.unlock("l", ticket)
            return Succeeded({"json": None})

        world.work = work
        world.start()
        await world.end()
        assert [who for who, _ in inside[::2]] == [who for who, _ in inside[1::2]]
        assert {what for _, what in inside[::2]} == {"in"}
        assert len(inside) == 10
        assert not order_of_arrival


@HOSTS
@pytest.mark.parametrize("ending", ["success", "failure", "death", "crash of the operator"])
async def test_c2_a_lock_ends_with_its_holder(store, ending):
    spec = {"tasks": [script("a", retry={"maxAttempts": 1}), script("b"), script("c", "a", "b")]}
    spec["tasks"] = spec["tasks"][:2]
    spec["groups"] = [{"name": "g", "members": ["a", "b"], "policy": {"type": "BestEffort"}}]
    got = []
    async with World(spec, store=store) as world:

        async def work(task, order):
            pod = ChannelPod(world, order)
            if task == "a":
                await pod.lock("l")
                await world.until(lambda: waiting(world))
                if ending == "crash of the operator":
                    await world.crash()
                    world.start()
                if ending == "death":
                    return None
                failed = Failed(Error("TaskFailed", "no"))
                return failed if ending == "failure" else Succeeded({"json": 1})
            await world.until(lambda: world.actor and world.actor.channel._state.locks)
            got.append(await pod.lock("l"))
            return Succeeded({"json": 1})

        def waiting(world):
            return len(world.actor.channel._state.locks.get("l", ())) == 2 if world.actor else False

        world.work = work
        world.start()
        await world.end()
        assert got


async def test_c2_a_key_is_gone_when_its_time_has_passed_also_for_a_successor():
    async with World({"tasks": [script("a")]}) as world:

        async def work(task, order):
            pod = ChannelPod(world, order)
            await pod.set("k", 1, ttl=10)
            before = await pod.get("k")
            await world.crash()
            world.start()
            kept = await pod.get("k")
            world.now += 10
            return Succeeded({"json": [before, kept, await pod.get("k")]})

        world.work = work
        world.start()
        assert (await world.end())["result"] == {"json": [1, 1, None]}


@HOSTS
async def test_c1_initial_keys_can_be_read_changed_and_asked_for_by_name(store):
    seen = {}
    spec = {"tasks": [script("a"), script("b", "a", params=["n", "l", "gone", "a.__result__"])],
            "input": {"n": 2**60, "l": [1], "gone": "x"}}  # fmt: skip
    async with World(spec, store=store) as world:

        async def work(task, order):
            pod = ChannelPod(world, order)
            if task == "a":
                seen["total"] = await pod.add("n", 2**70)
                await pod.append("l", {"k": 2})
                await pod.change("delete", "gone")
                return Succeeded({"json": "of a"})
            seen["names"] = order["names"]
            return Succeeded({"json": None})

        world.work = work
        world.start()
        await world.end()
        assert seen["total"] == 2**60 + 2**70
        assert seen["names"] == {
            "n": {"channel": {"json": 2**60 + 2**70}},
            "l": {"channel": {"json": [1, {"k": 2}]}},
            "gone": None,
            "a.__result__": {"channel": {"json": "of a"}},
        }


async def test_c2_a_long_chain_begins_anew_and_what_is_left_over_is_removed(monkeypatch):
    monkeypatch.setattr(service, "LONG_CHAIN", 4)
    async with World({"tasks": [script("a")]}) as world:

        async def work(task, order):
            pod = ChannelPod(world, order)
            for n in range(30):
                await pod.append("l", n, "x" * 1000)
                if n == 20:
                    await world.crash()
                    world.start()
            await world.until(lambda: channel_of(world)["seq"] >= 24)
            assert len(objects(world)) <= 12
            return Succeeded({"json": len(await pod.get("l"))})

        world.work = work
        world.start()
        assert (await world.end())["result"] == {"json": 60}
        await world.until(lambda: world.actor.done)
        assert len(segments(world)) == len(objects(world)) == 1, "the second operator's fence"


@HOSTS
async def test_the_end_of_a_run_keeps_its_keys_and_nothing_else(store):
    async with World({"tasks": [script("a")]}, store=store) as world:

        async def work(task, order):
            pod = ChannelPod(world, order)
            await pod.set("k", [1])
            await pod.lock("l")
            return Succeeded({"json": None})

        world.work = work
        world.start()
        await world.end()
        kept = await service.channel_log.kept(channel_of(world), world.storage)
        assert kept.keys(world.now) == ["k"]
        assert (kept.locks, kept.seen) == ({}, {})
        if store:
            await world.until(lambda: not objects(world))


async def test_a_channel_that_outgrows_the_object_ends_the_run_with_what_to_do():
    async with World({"tasks": [script("a")]}, store=False) as world:

        async def work(task, order):
            rng = random.Random(0)
            text = "".join(chr(rng.randint(40, 120)) for _ in range(70_000))
            await ChannelPod(world, order).set("k", text)
            return HANGS

        world.work = work
        world.start()
        status = await world.end()
        assert (status["phase"], status["reason"]) == ("Failed", "StoreRequired")
        assert "its channel" in status["message"]
        assert "configure a store" in status["message"]


async def test_a_run_whose_channel_is_in_a_store_waits_for_an_operator_that_has_one():
    async with World({"tasks": [script("a")]}) as world:

        async def work(task, order):
            pod = ChannelPod(world, order)
            await pod.add("n")
            await world.crash()
            store, world.storage = world.storage, None
            world.start()
            await world.until(lambda: world.status.get("reason") == "StoreRequired")
            await world.crash()
            world.storage = store
            world.start()
            return Succeeded({"json": await pod.add("n")})

        world.work = work
        world.start()
        assert (await world.end())["result"] == {"json": 2}


async def test_a_store_that_an_operator_gets_later_goes_on_with_the_channel():
    async with World({"tasks": [script("a")]}) as world:

        async def work(task, order):
            pod = ChannelPod(world, order)
            await pod.add("n")
            await world.crash()
            world.storage = store
            world.start()
            await pod.add("n")
            assert channel_of(world)["chain"]
            return Succeeded({"json": await pod.add("n")})

        store, world.storage = world.storage, None
        world.work = work
        world.start()
        assert (await world.end())["result"] == {"json": 3}


async def test_a_run_that_never_asks_for_its_channel_pays_nothing_for_it():
    async with World(five()) as world:
        world.start()
        await world.end()
        assert channel_of(world) is None
        assert not objects(world)


async def test_a_channel_has_bounds(monkeypatch):
    monkeypatch.setattr(channel_calls, "MOST_BYTES", 300)
    monkeypatch.setattr(channel_calls, "MOST_LOCKS", 1)
    async with World({"tasks": [script("a")]}) as world:

        async def work(task, order):
            pod = ChannelPod(world, order)
            await pod.set("k", "x" * 50)
            full = await pod.set("l", "x" * 50)
            assert (full.error, await pod.get("l")) == ("ChannelFull", None)
            await pod.change("delete", "k")
            await pod.lock("one")
            many = await pod.change("lock", "other")
            assert (many.error, many.message) == (
                "ChannelFull",
                "the run holds 1 locks, and may hold 1",
            )
            return Succeeded({"json": await pod.set("l", "x" * 50)})

        world.work = work
        world.start()
        assert (await world.end())["result"] == {"json": None}


@pytest.mark.parametrize("when", ["before", "after"])
@HOSTS
async def test_c2_a_lost_answer_to_any_commit_loses_and_doubles_nothing(store, when):
    for skipped in range(5):
        async with World(five(), store=store) as world:
            world.work = adding(world, 3)
            world.start()
            await world.until(lambda: len(world.executed) >= min(skipped, 3))  # noqa: B023
            fault = ("patch_status", "workflows", when, UnavailableError("no answer"))
            world.client.faults.append(fault)
            assert (await world.end())["result"] == {"json": 15}


async def test_somebody_who_changes_the_spec_meanwhile_is_no_news_for_the_channel():
    async with World(five()) as world:
        world.work = adding(world, 5)
        world.start()
        await world.until(lambda: channel_of(world))
        world.cluster.edit_spec(WORKFLOWS, NAMESPACE, NAME, parallelism=2)
        assert (await world.end())["result"] == {"json": 25}
        assert len(world.cluster.all(PODS)) >= 0
