"""Pods are tried before a run begins: nonsense in their settings is said at once."""

import asyncio

import pytest

from graflow_operator.cluster import PROFILES
from graflow_operator.cluster_errors import (
    ForbiddenError,
    InvalidError,
    NotFoundError,
    UnavailableError,
)
from support.world import NAMESPACE, World

PLAIN = {"name": "a", "script": "return 1"}
ODD = {"tolerations": [{"operator": "Sometimes"}]}
LATE = {"tasks": [PLAIN, {"name": "b", "after": ["a"], "script": "return 2", "pod": ODD}]}


def refuses(error, field="tolerations"):
    """Refuse pods that say something in this field."""
    return lambda body: error if field in body["spec"] else None


async def test_a_later_task_whose_pod_the_api_server_would_not_take_keeps_the_run_from_starting():
    async with World(LATE) as world:
        world.cluster.on_trial = refuses(InvalidError("tolerations[0].operator: not supported"))
        world.start()
        status = await world.end()
        assert (status["phase"], status["reason"]) == ("Failed", "Invalid")
        accepted = next(c for c in status["conditions"] if c["type"] == "Accepted")
        assert accepted["status"] == "False"
        assert accepted["message"] == (
            "spec.tasks[1].pod: the API server finds the pod of task 'b' invalid:"
            " tolerations[0].operator: not supported"
        )
        assert world.made("pods") == []


async def test_what_is_tried_has_no_name_that_a_pod_of_the_run_could_have_and_is_not_kept():
    async with World(LATE) as world:
        world.start()
        assert (await world.end())["phase"] == "Succeeded"
        [tried] = world.cluster.tried
        assert "name" not in tried["metadata"]
        assert tried["metadata"]["generateName"] == "graflow-trial-"
        assert len(world.made("pods")) == 2


async def test_a_run_that_says_nothing_of_pods_asks_nothing():
    async with World({"tasks": [PLAIN, {"name": "b", "after": ["a"], "script": "return 1"}]}) as w:
        w.start()
        await w.end()
        assert w.cluster.tried == []


async def test_each_of_the_different_settings_is_tried_once_and_at_most_ten():
    def tasks(number, of):
        said = [{"nodeSelector": {"zone": str(n % of)}} for n in range(number)]
        return [{**PLAIN, "name": f"t{n}", "pod": pod} for n, pod in enumerate(said)]

    start = [f"t{n}" for n in range(60)]
    for of, expected in ((3, 3), (60, 10)):
        async with World({"tasks": tasks(60, of), "start": start}) as world:
            world.start()
            await world.end()
            assert len(world.cluster.tried) == expected


async def test_containers_that_differ_in_their_arguments_alone_are_tried_as_one():
    def container(number):
        return {"image": "i", "args": [f"$(inputs.x{number})", "b"]}

    tasks = [{"name": f"t{n}", "container": container(n)} for n in range(4)]
    spec = {"tasks": tasks, "start": [f"t{n}" for n in range(4)], "input": {"x0": 1}}
    async with World(spec) as world:
        world.start()
        await world.until(lambda: world.status.get("phase"))
        assert len(world.cluster.tried) == 1


async def test_a_pod_is_tried_with_its_profile_which_is_named():
    spec = {"tasks": [{**PLAIN, "profile": "gpu"}]}
    async with World(spec) as world:
        profile = {"apiVersion": "graflow.dev/v1alpha1", "kind": "RunnerProfile", "spec": ODD}
        body = {**profile, "metadata": {"name": "gpu"}}
        await world.cluster.create(PROFILES, NAMESPACE, body)
        world.cluster.on_trial = refuses(InvalidError("no"))
        world.start()
        assert "made from the profile 'gpu', invalid: no" in (await world.end())["message"]


async def test_a_profile_that_is_missing_is_waited_for_as_ever():
    async with World({"tasks": [{**PLAIN, "profile": "gpu"}]}) as world:
        world.start()
        reasons = lambda: [wait["reason"] for wait in world.status.get("waiting", ())]  # noqa: E731
        await world.until(lambda: "ProfileMissing" in reasons())
        assert world.cluster.tried == []


@pytest.mark.parametrize(
    "error",
    [
        ForbiddenError("exceeded quota"),
        NotFoundError("no such namespace"),
        UnavailableError("502"),
        InvalidError('admission webhook "x" does not support dry run'),
    ],
    ids=str,
)
async def test_what_may_be_otherwise_later_does_not_keep_a_run_from_starting(error):
    async with World(LATE) as world:
        world.cluster.on_trial = refuses(error)
        world.start()
        assert (await world.end())["phase"] == "Succeeded"


async def test_an_api_server_that_does_not_answer_holds_a_run_up_for_a_moment_only(monkeypatch):
    monkeypatch.setattr("graflow_operator.trials.PATIENCE_S", 0.01)
    async with World(LATE) as world:
        world.start()

        async def silent(*_):
            await asyncio.Event().wait()

        world.cluster.try_create = silent
        assert (await world.end())["phase"] == "Succeeded"


async def test_a_run_that_has_begun_is_not_tried_again_by_the_next_operator():
    async with World(LATE) as world:
        world.start()
        await world.until(lambda: world.executed)
        await world.crash()
        world.cluster.on_trial = refuses(InvalidError("no"))
        world.start()
        assert (await world.end())["phase"] == "Succeeded"
        assert len(world.cluster.tried) == 1
