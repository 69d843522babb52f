"""Runs as a version of the operator left them in the middle, for later ones to go on with.

    PYTHONPATH=tests python -m support.recorded tests/recorded/VERSION

writes those of the version at hand: the objects of the cluster and of the store, when the operator
has died with results committed, user code running, and a failed attempt waiting for the next one.
"""

import asyncio
import base64
import itertools
import json
import random
import sys
from pathlib import Path

from graflow.machine.state import Error
from graflow_operator.facts import of_pod
from graflow_operator.verdicts import Failed, Succeeded
from support.channel_pod import ChannelPod
from support.world import HANGS, World

MEMBERS = [f"m{n}" for n in range(4)]
DONE, FAILS, RUNS = MEMBERS[:2], MEMBERS[2], MEMBERS[3]
MANY = 40
"""Results that together are too large for a status."""


def spec(wide=0):
    """Return a task, a group of tasks, and a task that is given what all of them have returned."""
    members = [*MEMBERS, *(f"w{n}" for n in range(wide))]
    retry = {"maxAttempts": 2, "initialSeconds": 1000}
    tasks = [{"name": "first", "script": "return 1"}]
    tasks += [{"name": name, "script": "return 1", "retry": retry} for name in members]
    tasks += [{"name": "last", "script": "return 1", "after": ["g"]}]
    groups = [{"name": "g", "members": members, "after": ["first"]}]
    return {"tasks": tasks, "groups": groups}


def work(world, *, failing, hanging, uses_channel):
    """Return what tasks do: one fails, one never ends, unless this is the second life."""

    async def done(task, order):
        if uses_channel:
            pod = ChannelPod(world, order)
            if task == "last":
                return Succeeded({"json": await pod.get("n")})
            if task not in (failing, hanging):
                await pod.add("n")
        if task == failing:
            return Failed(Error("TaskFailed", "it was busy"))
        if task == hanging:
            return HANGS
        text = random.Random(task).randbytes(450).hex() if task.startswith("w") else task
        return Succeeded({"json": text})

    return done


async def recorded(*, wide=0, uses_channel=False):
    """Return a run in the middle, as JSON."""
    async with World(spec(wide)) as world:
        world.work = work(world, failing=FAILS, hanging=RUNS, uses_channel=uses_channel)
        world.start()
        wanted = 1 + len(DONE) + wide

        def stands():
            counts = world.status.get("counts", {})
            told = counts.get("succeeded"), counts.get("running"), counts.get("waiting")
            return told == (wanted, 1, 1)

        await world.until(stands)
        await world.crash()
        return {
            "now": world.now,
            "objects": [[*key, body] for key, body in world.cluster.objects.items()],
            "store": {
                key: base64.b64encode(world.store.get(key)).decode() for key in world.store.list("")
            },
        }


def load(world, path):
    """Put a run that was recorded in the place of a world's own, its runners with it."""
    found = json.loads(path.read_text())
    world.now = found["now"]
    objects = {tuple(key): body for *key, body in found["objects"]}
    world.cluster.objects = objects
    newest = max(int(body["metadata"].get("resourceVersion", 0)) for body in objects.values())
    world.cluster.versions = itertools.count(newest + len(objects) + 1)
    for key, data in found["store"].items():
        world.store.put(key, base64.b64decode(data))
    for pod in world.pods:
        if not of_pod(pod).ended:
            world.cluster.on_pod(pod)


def main(folder):
    """Write all that is recorded of this version."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, options in {
        "inline": {},
        "in-the-store": {"wide": MANY},
        "channel": {"uses_channel": True},
    }.items():
        text = json.dumps(asyncio.run(recorded(**options)), separators=(",", ":"))
        (folder / f"{name}.json").write_text(text + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
