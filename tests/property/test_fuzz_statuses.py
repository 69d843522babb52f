"""What whoever may write statuses can write there: read or refused in words, never a crash loop."""

import asyncio
import base64
import copy
import json
import zlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graflow.ledger import wire
from graflow.machine import reasons
from graflow.machine.state import Error
from graflow_operator import program, snapshot
from graflow_operator.cluster import WORKFLOWS
from graflow_operator.snapshot import UnreadableSnapshotError
from graflow_operator.statuses import previous
from graflow_operator.trail import Trail
from support.fuzz import few, json_values, mutated
from support.world import HANGS, NAME, NAMESPACE, World, returned

SPEC = {
    "tasks": [
        {"name": "a", "script": "return 1"},
        {"name": "b", "after": ["a"], "script": "return 1", "retry": {"maxAttempts": 3}},
        {"name": "c", "after": ["a"], "script": "return 1"},
    ],
    "groups": [{"name": "G", "members": ["b", "c"], "after": ["a"]}],
    "parallelism": 1,
}
SPEC["tasks"][1]["after"] = SPEC["tasks"][2]["after"] = []


async def _begun():
    """Return the status of a run in which one task has ended, one runs and one waits."""

    def work(task, _):
        return returned(1) if task == "a" else HANGS

    async with World(SPEC, store=False, work=work) as world:
        world.start()
        await world.until(lambda: len(world.executed) == 2)
        await world.until(lambda: world.status.get("counts", {}).get("running"))
        return copy.deepcopy(world.status)


STATUS = asyncio.run(_begun())
DOCUMENT = json.loads(zlib.decompress(base64.b64decode(STATUS["cursor"]["state"])))
CHANNEL = {
    "format": 1,
    "clock": 3.0,
    "entries": [["k", {"json": 1}, "int", None], ["l", {"json": [1, 2]}, "list", 9.0]],
    "locks": [["x", [[1, 1, 2, 3]]]],
    "seen": [[1, 1, 2, 3, {"answer": {"json": 1}}]],
}

CHANGES = {
    "machine": {
        "run": {"seq": STATUS["cursor"]["seq"]},
        "activations": [{"number": 2, "phase": "Running", "claim": "uid/nonce", "since": 3.0}],
        "activationsGone": [3],
        "starting": [[2], [3]],
        "scopes": {"0": {"counts": {"b": 1}, "results": [["a", 0, [1, 2.0, {"json": 1}]]]}},
    }
}
segments = (
    st.sampled_from([f"3-{'0' * 64}", f"3-{'0' * 64}.jsonl", "../../other/run", ""]) | st.text()
)


def packed(document):
    return zlib.compress(json.dumps(document).encode(errors="surrogatepass"))


@given(mutated(DOCUMENT) | json_values)
def test_a_damaged_state_is_read_or_refused(document):
    plan = program.read({"apiVersion": "graflow.dev/v1alpha1", "kind": "Workflow",
                         "metadata": {"name": NAME}, "spec": SPEC}).plan  # fmt: skip
    with suppress(UnreadableSnapshotError):
        snapshot.pack(snapshot.unpack(plan, packed(document)))


@given(mutated(CHANGES) | json_values)
def test_damaged_changes_are_read_or_refused(made):
    plan = program.read({"apiVersion": "graflow.dev/v1alpha1", "kind": "Workflow",
                         "metadata": {"name": NAME}, "spec": SPEC}).plan  # fmt: skip
    line = json.dumps(made).encode(errors="surrogatepass") + b"\n"
    with suppress(UnreadableSnapshotError):
        snapshot.pack(snapshot.unpack(plan, packed(DOCUMENT), [Trail.of([line]).whole]))


@pytest.mark.parametrize("data", [b"", b"x", packed(0)[:-3], zlib.compress(b"[" * 100_000)])
def test_bytes_that_are_no_state_are_refused(data):
    with pytest.raises(UnreadableSnapshotError):
        snapshot.unpack(None, data)
    with pytest.raises(ValueError, match=r"."):
        wire.unpack(data)


@given(mutated(CHANNEL) | json_values)
def test_a_damaged_channel_is_read_or_refused(document):
    with suppress(ValueError):
        wire.pack(wire.unpack(packed(document)))


def is_kept(status):
    """Whether an API server keeps such a status: the CRD says what type each field has."""
    return isinstance(status, dict) and previous({"status": status}) is not None


@st.composite
def statuses(draw):
    """A status that somebody has edited: what people read, the cursor, or the state in it."""
    match draw(st.integers(0, 5)):
        case 0:
            return draw(mutated(STATUS).filter(is_kept))
        case 1:
            cursor = mutated(STATUS["cursor"]).map(lambda found: {**STATUS, "cursor": found})
            return draw(cursor.filter(is_kept))
        case 2:
            line = json.dumps(draw(mutated(CHANGES) | json_values)).encode() + b"\n"
            cursor = {**STATUS["cursor"], "changes": Trail.of([line]).text}
            return {**STATUS, "cursor": cursor}
        case 3:
            cursor = {**STATUS["cursor"], "segments": draw(st.lists(segments, max_size=3))}
            return draw(st.just({**STATUS, "cursor": cursor}).filter(is_kept))
        case _:
            text = base64.b64encode(packed(draw(mutated(DOCUMENT)))).decode()
            return {**STATUS, "cursor": {**STATUS["cursor"], "state": text}}


@given(statuses())
@few
def test_an_edited_status_stops_one_run_at_most_and_the_operator_says_so(status):
    asyncio.run(_survives(status))


async def _survives(status):
    async with World(SPEC, store=False) as world:
        world.auto_run = False
        world.cluster.set_status(WORKFLOWS, NAMESPACE, NAME, status)
        world.start()
        for _ in range(60):
            await asyncio.sleep(0)
        if world.driving.done() and world.driving.exception():
            world.driving = None  # the engine says so, and begins it again
            await world.actor.say(Error(reasons.OPERATOR_FAILED, "its log says why"))
            assert world.status["reason"] == reasons.OPERATOR_FAILED
