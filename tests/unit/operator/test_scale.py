"""What a task costs when ten thousand have finished: bytes and objects, not seconds."""

import json

import pytest

from graflow.machine.directives import Iterate
from graflow.machine.events import AttemptClaimed, AttemptSucceeded, RunStarted
from graflow.machine.reducer import fold
from graflow.machine.state import State
from graflow.store.keys import RunKeys
from graflow.store.memory import MemoryStore
from graflow_operator import program
from graflow_operator.cluster import BUNDLES, WORKFLOWS
from graflow_operator.journal import TRAIL_CHARS, Journal
from graflow_operator.snapshot import Snapshot
from support import large
from support.world import NAMESPACE, World, returned

STATUS_BYTES = 64 * 1024


class Counted:
    """A store whose calls are awaited and counted."""

    def __init__(self):
        self.store, self.puts, self.bytes = MemoryStore(), 0, 0

    async def get(self, key):
        return self.store.get(key)

    async def put(self, key, data):
        self.puts, self.bytes = self.puts + 1, self.bytes + len(data)
        self.store.put(key, data)


def plan_of(shape, number):
    plan = large.SHAPES[shape](number)
    _, sha256 = large.bundle(plan)
    workflow = {
        "apiVersion": "graflow.dev/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": "run"},
        "spec": large.spec(sha256),
    }
    return program.read(workflow, plan).plan


def finish(plan, state, shape):
    """Let the next task of a run be claimed and succeed."""
    number = next(iter(state.starting))
    again = (Iterate(None, "more"),) if shape == "loop" else ()
    fold(plan, state, AttemptClaimed(number, 1, "uid/nonce", 2.0))
    fold(plan, state, AttemptSucceeded(number, 1, {"json": {"n": number}}, 3.0, again))


@pytest.mark.parametrize("shape", ["chain", "fan", "loop"])
async def test_bytes_that_are_put_for_a_task_do_not_grow_with_those_that_have_finished(shape):
    tasks, at_once = 8000, 10
    plan, storage = plan_of(shape, tasks), Counted()
    writer, state = Journal(storage, RunKeys("team", "u1")), State()
    fold(plan, state, RunStarted(1.0))
    before, by_thousand = Snapshot(), []
    for number in range(tasks - 1):
        finish(plan, state, shape)
        if number % at_once == 0:
            after = Snapshot(state)
            kept = await writer.place(before, after, 0)
            writer.committed(kept)
            before, state = after, state.copy()
            assert len(json.dumps(kept.cursor)) < TRAIL_CHARS * 3 + 4096
        if number % 1000 == 999:
            by_thousand.append((storage.puts, storage.bytes))
    halfway, end = by_thousand[3], by_thousand[-1]
    first, second = halfway[1] / 4, (end[1] - halfway[1]) / (len(by_thousand) - 4)
    assert second < max(first * 1.5, 400_000), (first, second)
    assert end[0] < tasks / at_once / 4, "most commits put nothing into the store"
    read = await Journal(storage, RunKeys("team", "u1")).read(plan, kept.cursor)
    assert read.state.completed == before.state.completed


@pytest.mark.parametrize("shape", ["chain", "loop"])
async def test_a_status_has_room_for_any_run_and_an_ordinary_commit_puts_nothing(shape):
    plan, total, finished = large.SHAPES[shape](10_000), 10_000, 9_900
    body, sha256 = large.bundle(plan)
    done = []

    def work(task, order):
        done.append(task)
        again = [{"kind": "Iteration", "reason": "more"}] if shape == "loop" else []
        return returned({"n": len(done)}, *again)

    async with World(large.spec(sha256), work=work) as world:
        await world.cluster.create(BUNDLES, NAMESPACE, body)
        found, state = plan_of(shape, total), State()
        fold(found, state, RunStarted(world.now))
        for _ in range(finished):
            finish(found, state, shape)
        keys = RunKeys(NAMESPACE, world.workflow["metadata"]["uid"])
        kept = await Journal(world.storage, keys).place(Snapshot(), Snapshot(state), 0)
        status = {"phase": "Running", "cursor": kept.cursor}
        world.cluster.set_status(WORKFLOWS, NAMESPACE, "run", status)
        before = set(world.store._objects)
        sizes = []
        write = world.cluster.patch_status

        async def patch(kind, namespace, name, body):
            sizes.append(len(json.dumps(body)))
            return await write(kind, namespace, name, body)

        world.cluster.patch_status = patch
        world.start()
        await world.until(lambda: len(done) >= 10)
        new = {key for key in set(world.store._objects) - before if "/history/" not in key}
        assert max(sizes) < STATUS_BYTES
        assert new == set(), "the state of ten thousand was written for one"
        assert world.status["counts"]["succeeded"] >= finished
