"""What the operator does when the API server goes on saying no: it says so, and asks less often."""

from graflow_operator.cluster import PODS, WORKFLOWS
from graflow_operator.cluster_errors import ForbiddenError
from support.world import HANGS, NAME, NAMESPACE, World

WIDE = {
    "tasks": [{"name": "a", "script": "return 1"}]
    + [{"name": f"b{i}", "after": ["a"], "script": "return 1"} for i in range(20)],
}


def refusals(number, verb, plural):
    return [(verb, plural, "before", ForbiddenError("not allowed")) for _ in range(number)]


def secrets_asked_for(world):
    """Count the requests for a Secret, those that found one there already included."""
    asked = []
    create = world.cluster.create

    async def counted(kind, namespace, body):
        if kind.plural == "secrets":
            asked.append(body["metadata"]["name"])
        return await create(kind, namespace, body)

    world.cluster.create = counted
    return asked


async def test_tasks_that_start_at_once_ask_for_the_runs_secret_once():
    wide = {**WIDE, "start": [f"b{i}" for i in range(20)]}
    wide["tasks"] = [{**task, "after": []} for task in WIDE["tasks"][1:]]
    async with World(wide) as world:
        asked = secrets_asked_for(world)
        world.start()
        await world.end()
        assert len(asked) == 1


async def test_a_run_whose_secret_is_refused_says_so_and_goes_on_when_it_is_not():
    async with World({"tasks": [{"name": "a", "script": "return 1"}]}) as world:
        world.start()
        world.client.faults += refusals(3, "create", "secrets")
        await world.until(
            lambda: "PodRefused" in [wait["reason"] for wait in world.status.get("waiting", ())]
        )
        [waiting] = world.status["waiting"]
        assert "Secret" in waiting["message"]
        assert "not allowed" in waiting["message"]
        assert (await world.end())["phase"] == "Succeeded"


async def test_deleting_a_pod_is_tried_less_and_less_often_while_it_is_refused():
    async with World(
        {"tasks": [{"name": "a", "script": "return 1"}]}, work=lambda *_: HANGS
    ) as world:
        world.start()
        await world.until(lambda: world.executed)
        world.client.faults += refusals(5, "delete", "pods")
        began = world.now
        world.cluster.edit_spec(WORKFLOWS, NAMESPACE, NAME, cancel=True)
        await world.until(lambda: not world.pods)
        assert world.now - began >= 0.5 + 1 + 2 + 4 + 8
        assert world.cluster.all(PODS) == []
