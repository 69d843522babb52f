"""A store that fails at any one call: the run waits, goes on, and is as without a fault."""

import json
import re
import zlib

import pytest

from graflow.store import StoreUnavailableError
from graflow_operator.parts import Parts
from graflow_operator.refs import RunRef
from support.channel_pod import ChannelPod
from support.world import World, returned

LARGE = "x" * 5_000
SPEC = {
    "tasks": [
        {"name": "a", "script": "return 1"},
        {"name": "b", "script": "return 1", "after": ["a"]},
        {"name": "c", "script": "return 1", "after": ["b"]},
    ],
    "checkpointEvery": 1,
}
BLOB = re.compile(r'"blob": {"sha256": "([0-9a-f]{64})"')
CALLS = ("get", "put", "put_if_absent", "size", "copy", "list", "delete")
MOST = 14
"""More calls of the store than this program ever makes."""


class FailingOnce:
    """A store of which one call fails: before it is made, or when it is."""

    def __init__(self, store, number, *, after):
        self._store, self._number, self._after = store, number, after
        self.calls = []
        self.failed = False

    def __getattr__(self, name):
        call = getattr(self._store, name)
        if name not in CALLS:
            return call

        def made(*arguments):
            self.calls.append((name, arguments[0]))
            fails = len(self.calls) == self._number
            self.failed = self.failed or fails
            if fails and not self._after:
                raise StoreUnavailableError(f"{name} {arguments[0]}: no answer")
            found = call(*arguments)
            if fails:
                raise StoreUnavailableError(f"{name} {arguments[0]}: the answer was lost")
            return list(found) if name == "list" else found

        return made


async def drive(number, *, after):
    """Run the program over a store that fails once; return what there is in the end."""
    async with World(SPEC) as world:
        store = world.storage._store = FailingOnce(world.store, number, after=after)

        async def work(task, order):
            pod = ChannelPod(world, order)
            await pod.append("l", task)
            return returned([task, LARGE])

        world.work = work
        world.start()
        status = await world.end()
        await world.crash()
        world.storage._store = world.store
        await whole(world, status)
        return status["phase"], status["result"], world.executed, store


async def whole(world, status):
    """All that is committed is there, and is what its name says."""
    cursor, run = status["cursor"], Parts.store_keys(RunRef.of(world.workflow))
    wanted = [run.changes(name) for name in cursor.get("segments", ())]
    wanted += [run.blob(sha256) for sha256 in set(BLOB.findall(json.dumps(status["tasks"])))]
    wanted += [key for key in (cursor.get("key"), cursor["channel"].get("key")) if key]
    if segment := cursor.get("history"):
        wanted.append(run.history(segment))
    newest = cursor["checkpoint"]
    while newest:
        data = await world.storage.get(run.checkpoint(newest))
        document = json.loads(zlib.decompress(data))
        newest = document["previous"]
    assert len(wanted) >= 3, status
    for key in wanted:
        await world.storage.get(key)


async def test_a_run_calls_the_store_no_more_often_than_calls_are_made_to_fail_below():
    _, _, _, store = await drive(0, after=False)
    assert 8 <= len(store.calls) < MOST


@pytest.mark.parametrize("after", [False, True], ids=["before it is made", "its answer is lost"])
@pytest.mark.parametrize("number", range(1, MOST))
async def test_one_failing_call_of_the_store_changes_nothing(number, after):
    phase, result, executed, _ = await drive(number, after=after)
    assert (phase, executed) == ("Succeeded", ["a", "b", "c"])
    assert "blob" in result
