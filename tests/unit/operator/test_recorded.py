"""Runs that an earlier version left in the middle go on under this one, and end as they should."""

from pathlib import Path

import pytest

from graflow_operator.cluster import PODS, WORKFLOWS
from support import recorded
from support.world import NAME, NAMESPACE, World

FOLDER = Path(__file__).parents[2] / "recorded"
RECORDED = sorted(FOLDER.glob("*/*.json"))


def test_states_in_the_object_and_in_the_store_and_a_channel_are_recorded():
    assert {path.stem for path in RECORDED} == {"inline", "in-the-store", "channel"}


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: f"{path.parent.name} {path.stem}")
async def test_a_run_of_an_earlier_version_goes_on_where_it_stood(path):
    async with World(recorded.spec()) as world:
        uses_channel = path.stem == "channel"
        world.work = recorded.work(world, failing="", hanging="", uses_channel=uses_channel)
        recorded.load(world, path)
        cursor = world.cluster.peek(WORKFLOWS, NAMESPACE, NAME)["status"]["cursor"]
        assert ("key" in cursor) == (path.stem == "in-the-store")
        before = {pod["metadata"]["name"] for pod in world.cluster.all(PODS)}
        world.start()
        status = await world.end()
    assert (status["phase"], status["progress"].split("/")[0]) == (
        "Succeeded",
        status["progress"].split("/")[1],
    )
    # What runs goes on, what has failed begins anew, and what follows; nothing else runs again.
    assert sorted(world.executed) == sorted([recorded.FAILS, recorded.RUNS, "last"])
    made = {name for name in world.made("pods") if name not in before}
    assert len(made) == 2
    if uses_channel:
        assert status["result"] == {"json": 1 + len(recorded.MEMBERS)}
