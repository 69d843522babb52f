"""A turn that is tried again happens when it was tried first: it writes the same once more."""

import asyncio
import re
from collections import defaultdict

from graflow.store.memory import MemoryStore
from graflow_operator import checkpoint
from graflow_operator.cluster_errors import UnavailableError
from graflow_operator.letters import ProfileFound
from graflow_operator.moments import Moments
from graflow_operator.refs import AttemptRef
from support.channel_pod import ChannelPod
from support.saving import SavingPod, document, documents
from support.world import World, returned

TRIES = 4
NAMED = re.compile(r"/(checkpoints|history|state|changes|channel)/(\d+)-[0-9a-f]{64}")
WORDS = " ".join(f"{n:x}" for n in range(90_000, 100_000))
CHAIN = {
    "tasks": [
        {"name": "a", "script": "return 1", "maxIterations": 9},
        {"name": "b", "script": "return 1", "after": ["a"]},
    ],
    "checkpointEvery": 1,
}


class Watched(MemoryStore):
    """Remembers the keys of all that was ever put."""

    def __init__(self):
        super().__init__()
        self.put_keys = set()

    def put(self, key, data):
        self.put_keys.add(key)
        super().put(key, data)


def refusing(world, tries):
    """Have each write of a status fail so many times before it is made."""
    failed = defaultdict(int)
    inner = world.client._cluster.patch_status

    async def patch_status(kind, namespace, name, patch):
        at = (patch["status"].get("cursor") or {}).get("seq")
        failed[at] += 1
        if failed[at] <= tries:
            raise UnavailableError("no answer")
        return await inner(kind, namespace, name, patch)

    world.client.patch_status = patch_status
    return failed


def chain(world):
    """Return the names of the checkpoints that the cursor leads to."""
    found, name = [], world.status["cursor"]["checkpoint"]
    while name is not None:
        found.append(name)
        name = checkpoint.unpack(name, document(world, name)).previous
    return found


async def working(world, task, order):
    left = world.left.pop() if task == "a" else 0
    await ChannelPod(world, order).set(f"k{left}", WORDS[:20_000])
    again = {"kind": "Iteration", "reason": "more"}
    return returned([left], *([again] if left else []))


async def test_a_commit_that_is_tried_again_writes_the_same_objects():
    async with World(CHAIN, work=lambda task, order: working(world, task, order)) as world:
        world.left = list(range(4))
        store = world.store = world.storage._store = Watched()
        world.start()
        failed = refusing(world, TRIES)
        await world.end()
        found = defaultdict(set)
        for key in store.put_keys:
            if match := NAMED.search(key):
                found[match.groups()].add(key)
    assert {folder for folder, _ in found} >= {"checkpoints", "history", "channel"}
    assert max(failed.values()) > TRIES
    assert {at: keys for at, keys in found.items() if len(keys) > 1} == {}


async def test_a_checkpoint_of_a_commit_that_became_another_one_is_removed():
    async def work(task, order):
        if task != "root":
            pod = SavingPod(world, order)
            if task == "c":
                await tried.wait()
            asked.append(task)
            await pod.save(path=task)
        return returned(1)

    async def patch_status(kind, namespace, name, patch):
        if asked == ["b"]:
            tried.set()
            raise UnavailableError("no answer")
        return await take(kind, namespace, name, patch)

    asked, tried = [], asyncio.Event()
    names = {"root": [], "b": ["root"], "c": ["root"]}
    tasks = [{"name": name, "script": "return 1", "after": names[name]} for name in names]
    async with World({"tasks": tasks}, work=work) as world:
        store = world.store = world.storage._store = Watched()
        world.start()
        take, world.client.patch_status = world.client._cluster.patch_status, patch_status
        await world.end()
        await world.until(lambda: world.actor.done)
        put = [key for key in store.put_keys if "/checkpoints/" in key]
        assert len(put) > len(chain(world))
        assert sorted(documents(world)) == sorted(chain(world))


def test_a_turn_with_more_letters_happens_when_they_have_come():
    now = [1.0]
    moments = Moments(lambda: now[0])
    first = ProfileFound(AttemptRef(1, 1))
    second = ProfileFound(AttemptRef(2, 1))
    assert moments.of([first]) == 1.0
    now[0] = 2.0
    assert moments.of([first]) == 1.0
    assert moments.of([first, second]) == 2.0
    moments.over()
    now[0] = 3.0
    assert moments.of([first, second]) == 3.0
