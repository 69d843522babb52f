"""K3: from whichever checkpoint a run is forked, it ends as it did, and repeats no success."""

import base64
import collections

import pytest

from graflow_operator import checkpoint
from support.saving import document, documents
from support.world import NAME, World, returned, script

CODE = {
    "group": {
        "python": {"json": "3.11"},
        "code": {"pickle": base64.b64encode(b"p" * 3000).decode()},
    }
}


def fragment(*names, exits=()):
    tasks = [{"name": name, "function": name} for name in names]
    edges = [list(edge) for edge in zip((*names, *exits), (*names, *exits)[1:], strict=False)]
    made = {"tasks": tasks, "edges": edges, "exits": list(exits), "start": [names[0]]}
    return {"kind": "Spawn", "fragment": {**made, "code": dict.fromkeys(names, CODE)}}


MEMBERS = ["x", "y", "z"]
GROUP = {"name": "g", "members": MEMBERS, "after": ["a"]}
NESTED = [{**GROUP, "members": ["x", "h"]}, {"name": "h", "members": ["y", "z"]}]
WITHIN = [script("a"), *(script(name) for name in MEMBERS), script("end", "g")]

PROGRAMS = {
    "diamond": (
        [script("a"), script("b", "a"), script("c", "a"), script("d", "b", "c")],
        [],
        {},
    ),
    "group": (WITHIN, [GROUP], {}),
    "nested": (WITHIN, NESTED, {}),
    "policy": (WITHIN, [{**GROUP, "policy": {"type": "AtLeast", "minimum": 2}}], {"x": ["fails"]}),
    "passes": (
        [script("a"), script("b", "a")],
        [],
        {"a": [{"kind": "Iteration", "again": {"data": {"json": n}}} for n in range(3)]},
    ),
    "fragment": ([script("a"), script("b", "a")], [], {"a": [fragment("f1", "f2", "f3")]}),
    "fragment that leaves": (
        [script("a"), script("b", "a"), script("spare"), script("c", "b")],
        [],
        {"a": [fragment("f1", "f2", exits=["spare"])]},
    ),
    "jump back": (
        [script("a"), script("b", "a"), script("c", "b")],
        [],
        {"b": [{"kind": "Jump", "target": "a"}]},
    ),
}


def working(decides, done=()):
    """Return the work of tasks that decide what they do at their first, second, … success."""
    count = collections.Counter(done)

    def work(task, order):
        n = order["task"]["iteration"] - 1
        count[task] += 1
        wanted = decides.get(task, [])
        if wanted == ["fails"]:
            return {"outcome": "Failed", "error": {"message": "no"}}
        return returned([task, "v" * 1500], *wanted[n : n + 1])

    return work


def succeeded(world, name):
    """Return how often each task had succeeded at a checkpoint, and the number of all."""
    found = checkpoint.unpack(name, document(world, name))
    return checkpoint.snapshot_of(found, found.plan).state.completed


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda name: name.replace(" ", "-"))
async def test_k3_a_fork_from_any_checkpoint_ends_as_the_run_did(program):
    tasks, groups, decides = PROGRAMS[program]
    spec = {"tasks": tasks, "groups": groups, "checkpointEvery": 1, "start": ["a"]}
    async with World(spec, work=working(decides)) as world:
        world.start()
        first = await world.end()
        assert first["phase"] == "Succeeded", first
        names = documents(world)
        assert len(names) >= 3
        for number, name in enumerate(names):
            seq, done = checkpoint.seq_of(name), succeeded(world, name)
            forked = {**spec, "resumeFrom": {"name": NAME, "checkpoint": seq}}
            forking = World(forked, name=f"fork-{number}", beside=world, work=working(decides))
            async with forking as again:
                again.start()
                status = await again.end()
                assert (status["phase"], status["result"]) == (first["phase"], first["result"])
                failing = sum(wanted == ["fails"] for wanted in decides.values())
                left = len(again.executed) - again.executed.count("x") * failing
                assert done + left == first["counts"]["succeeded"], (name, again.executed)
