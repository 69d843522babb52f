"""What the operator does when the API server goes on saying no: it says so, and asks less often."""

import asyncio

import pytest

from graflow.machine.state import Error
from graflow_operator.cluster import PODS, WORKFLOWS
from graflow_operator.cluster_errors import ForbiddenError, UnavailableError
from graflow_operator.gate import Gate
from graflow_operator.refs import AttemptRef
from graflow_operator.refusals import Refusals
from graflow_operator.verdicts import Succeeded
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


MANY = {
    "tasks": [{"name": f"t{i:02}", "script": "return 1"} for i in range(20)],
    "start": [f"t{i:02}" for i in range(20)],
    "parallelism": 4,
}
NO_RIGHT = ForbiddenError('pods is forbidden: User "graflow" cannot create resource "pods"')
USED = ForbiddenError(
    'pods "x" is forbidden: exceeded quota: q, requested: cpu=1, used: cpu=8, limited: cpu=8'
)
NO_WEBHOOK = UnavailableError('failed calling webhook "v": connection refused')
GOING = ForbiddenError('pods "x" is forbidden: namespace team is being terminated')


def refuse(world, why):
    """Let the API server refuse pods, by what `why` says of each; return when it was asked."""
    asked = []
    create = world.cluster.create

    async def answer(kind, namespace, body):
        if kind is PODS:
            asked.append(world.now)
            if error := why(body["metadata"]["labels"]["graflow.dev/task"]):
                raise error
        return await create(kind, namespace, body)

    world.cluster.create = answer
    return asked


def waits_for(world):
    return {wait["reason"] for wait in world.status.get("waiting", ())}


async def pass_by(world, seconds):
    until = world.now + seconds
    await world.until(lambda: world.now >= until)


@pytest.mark.parametrize("error", [NO_RIGHT, USED, NO_WEBHOOK, GOING], ids=lambda e: str(e)[:40])
async def test_what_is_refused_to_all_of_a_run_is_asked_for_by_one_task_in_each_pause(error):
    """Of 20 tasks four at a time: four ask together, and then one after 5, 10, 20, 40 and 60 s."""
    mended = []
    async with World(MANY) as world:
        asked = refuse(world, lambda task: None if mended else error)
        world.start()
        await world.until(lambda: asked)
        await pass_by(world, 100)
        assert len(asked) <= 4 + 4
        waiting = world.status["waiting"]
        assert len({(wait["reason"], wait["message"]) for wait in waiting}) == 1
        assert world.status["waitingCount"] == 20
        mended.append(True)
        began = world.now
        assert (await world.end())["phase"] == "Succeeded"
        assert world.now - began <= 60 + 60


async def test_a_refused_secret_is_asked_for_by_one_task_in_each_pause_too():
    async with World(MANY) as world:
        asked = secrets_asked_for(world)
        world.start()
        world.client.faults += refusals(1000, "create", "secrets")
        await world.until(lambda: waits_for(world))
        await pass_by(world, 100)
        assert 1000 - len(world.client.faults) <= 4 + 4
        world.client.faults.clear()
        assert (await world.end())["phase"] == "Succeeded"
        assert len(asked) == 1


async def test_a_task_that_asks_for_more_than_a_quota_has_left_does_not_keep_the_others_from_it():
    async with World({**MANY, "parallelism": 1}) as world:
        refuse(world, lambda task: USED if task == "t00" else None)
        world.start()
        await world.until(lambda: world.status.get("counts", {}).get("succeeded") == 19)


async def test_the_end_of_a_runs_own_pod_has_its_quota_tried_again_soon():
    """Though it was refused for long: what is waited for is 1 s, and not a minute."""
    ends = asyncio.Event()

    async def work(task, order):
        if task == "t00":
            await ends.wait()
        return Succeeded({"json": task})

    async with World({**MANY, "parallelism": 2}, work=work) as world:
        refuse(world, lambda task: USED if task != "t00" and not ends.is_set() else None)
        world.start()
        await world.until(lambda: waits_for(world) == {"QuotaUsed"})
        await pass_by(world, 80)
        began = world.now
        ends.set()
        await world.until(lambda: len(world.executed) > 1)
        assert world.now - began <= 10


async def test_a_refusal_of_one_pod_leaves_the_others_alone():
    denied = ForbiddenError('admission webhook "v" denied the request: no')
    async with World(MANY) as world:
        refuse(world, lambda task: denied if task < "t04" else None)
        world.start()
        began = world.now
        await world.until(lambda: len(world.executed) == 16)
        assert world.now - began < 60


ONE, TWO, THREE, FOUR = (AttemptRef(n, 1) for n in range(1, 5))


def shut_gate():
    gate = Gate()
    assert gate.shut(100.0, 0.0) == 5.0
    return gate


def test_a_gate_lets_one_through_after_the_pause_and_then_twice_as_many_as_were_made():
    gate = shut_gate()
    assert [gate.room(now) for now in (104.9, 105.0)] == [0, 1]
    gate.passed({ONE}, 50)
    gate.look({ONE})
    assert gate.room(106.0) == 0
    gate.look(set())
    assert gate.room(106.0) == 2
    gate.passed({TWO, THREE}, 49)
    gate.look(set())
    assert gate.room(106.0) == 4


def test_a_gate_opens_when_no_more_wait_than_it_lets_through():
    gate = shut_gate()
    gate.passed({ONE}, 1)
    assert not gate.is_open
    gate.look(set())
    gate.passed({TWO, THREE}, 2)
    assert gate.is_open
    assert gate.room(106.0) is None


def test_refusals_of_what_was_asked_for_together_are_one_and_a_pause_is_longer_than_the_last():
    gate = shut_gate()
    assert gate.shut(101.0, 0.0) == 4.0
    assert gate.shut(105.0, 0.0) == 10.0
    assert gate.shut(115.0, 90.0) == 90.0


def test_a_pause_is_short_again_when_a_pod_was_made_or_one_of_the_run_has_ended():
    gate = shut_gate()
    gate.shut(105.0, 0.0)
    gate.passed({ONE}, 9)
    gate.look(set())
    assert gate.shut(115.0, 0.0) == 5.0
    gate.shut(120.0, 0.0)
    gate.hasten(121.0)
    assert gate.shut(121.0, 0.0) == 5.0


def test_what_is_refused_for_a_reason_of_its_own_does_not_count_as_made():
    refused = Refusals(3600.0)
    refused.add(TWO, Error("QuotaUsed", "used up"), 100.0)
    refused.passed({ONE}, 9)
    refused.add(ONE, Error("PodSecurity", "no"), 105.0)
    refused.gate.look(set())
    assert refused.gate.room(105.0) == 1
