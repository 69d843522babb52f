"""Pods that do not get on: their nodes are looked at, and what kubelets say of them is told."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from graflow_operator.cluster import EVENTS, NODES, PODS
from graflow_operator.cluster_errors import ForbiddenError
from graflow_operator.lookout import Lookout
from graflow_operator.settings import Settings
from support.statuses import waiting
from support.world import HANGS, NAMESPACE, World

BOOT = 1_767_225_600.0
TASK = {"name": "a", "script": "return 1", "retry": {"maxAttempts": 1}}


def world_of(**options):
    settings = Settings(operator_namespace="graflow", configuration_s=60.0)
    return World({"tasks": [TASK]}, settings=settings, **options)


def lookout_of(world):
    return Lookout(world.actor.parts, lambda: [world.actor])


async def on_node(world, status, *, well=True):
    """Let the world's pod be on a node, in a state that the operator knows of."""
    await world.until(lambda: world.pods)
    if well and not world.cluster.all(NODES):
        ready = {"conditions": [{"type": "Ready", "status": "True"}]}
        await world.cluster.create(NODES, None, {"metadata": {"name": "n1"}, "status": ready})
    world.now = max(world.now, BOOT)
    pod = world.pods[0]
    pod["spec"]["nodeName"] = "n1"
    world.seen(world.cluster.set_status(PODS, NAMESPACE, pod["metadata"]["name"], status))
    return pod


async def tell(world, pod, reason, message, *, at):
    time = datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")
    body = {
        "metadata": {"name": f"e-{reason}-{at}"},
        "involvedObject": {"uid": pod["metadata"]["uid"]},
        "reason": reason,
        "message": message,
        "lastTimestamp": time,
    }
    await world.cluster.create(EVENTS, NAMESPACE, body)


def waits(world):
    return [(wait["reason"], wait.get("message")) for wait in world.status.get("waiting", ())]


CREATING = waiting("ContainerCreating", startTime="2026-01-01T00:00:01Z")
ABSENT = 'MountVolume.SetUp failed for volume "data" : secret "nope" not found'


@pytest.mark.parametrize(
    ("word", "message", "reason"),
    [
        ("FailedMount", ABSENT, "ConfigMissing"),
        ("FailedMount", "MountVolume.SetUp failed: timed out", "CreateContainerError"),
        ("FailedCreatePodSandBox", 'no runtime for "kata" is configured', "CreateContainerError"),
    ],
)
async def test_what_only_events_tell_of_a_pod_is_told_and_ends_the_task_after_a_time(
    word, message, reason
):
    async with world_of() as world:
        world.auto_run = False
        world.start()
        pod = await on_node(world, CREATING)
        world.now += 12
        await tell(world, pod, word, message, at=world.now)
        await lookout_of(world).look()
        await world.until(lambda: waits(world) == [(reason, f"{word}: {message}")])
        await world.until(lambda: not world.pods)
        [(attempt, uid)] = [(a, f.uid) for a, f in world.actor.book.facts.items()]
        world.actor.book.gone(attempt, uid)
        status = await world.end()
        assert (status["reason"], message in status["message"]) == (reason, True)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("FailedCreatePodSandBox", 'plugin type="calico" failed: node "n1" not found'),
        ("NetworkNotReady", "network is not ready: cni plugin not initialized"),
    ],
)
async def test_a_node_that_cannot_run_pods_loses_the_attempt_and_is_nobodys_misconfiguration(
    word, message
):
    async with world_of() as world:
        world.auto_run = False
        world.settings = replace(world.settings, node_lost_s=20.0, configuration_s=9999.0)
        world.start()
        pod = await on_node(world, CREATING)
        world.now += 12
        await tell(world, pod, word, message, at=world.now)
        await lookout_of(world).look()
        await world.until(lambda: waits(world) == [("SandboxFailed", f"{word}: {message}")])
        await world.until(lambda: not world.pods)
        [(attempt, uid)] = [(a, f.uid) for a, f in world.actor.book.facts.items()]
        world.actor.book.gone(attempt, uid)
        await world.until(lambda: world.status["counts"].get("waiting"))
        [task] = world.status["tasks"]
        assert "could not start in 20 s" in task["message"]
        await world.until(lambda: world.pods)
        assert world.pods[0]["metadata"]["name"] != pod["metadata"]["name"]


async def test_a_volume_that_comes_after_all_is_forgotten_and_its_pod_waited_for():
    async with world_of() as world:
        world.auto_run = False
        world.start()
        pod = await on_node(world, CREATING)
        world.now += 12
        await tell(world, pod, "FailedMount", ABSENT, at=world.now)
        lookout = lookout_of(world)
        await lookout.look()
        await world.until(lambda: [w[0] for w in waits(world)] == ["ConfigMissing"])
        await tell(world, pod, "Pulling", "Pulling image", at=world.now + 1)
        world.now += 11
        await lookout.look()
        await world.until(lambda: [w[0] for w in waits(world)] == ["PodPending"])
        world.now += 300
        until = world.now + 20
        await world.until(lambda: world.now >= until)
        assert world.pods


async def test_news_of_a_pod_that_say_nothing_do_not_hide_what_its_events_said():
    async with world_of() as world:
        world.auto_run = False
        world.start()
        pod = await on_node(world, CREATING)
        world.now += 12
        await tell(world, pod, "FailedMount", ABSENT, at=world.now)
        await lookout_of(world).look()
        await on_node(world, CREATING)
        assert [f.pending.reason for f in world.actor.book.facts.values()] == ["ConfigMissing"]


async def test_an_operator_that_may_not_read_events_goes_on_without():
    async with world_of() as world:
        world.auto_run = False
        world.start()
        await on_node(world, CREATING)
        world.now += 12
        world.client.faults.append(("find", "events", "before", ForbiddenError("no")))
        await lookout_of(world).look()
        assert [f.pending.reason for f in world.actor.book.facts.values()] == ["PodPending"]


async def test_pods_that_get_on_cost_no_question():
    async with world_of(work=lambda *_: HANGS) as world:
        world.start()
        await world.until(lambda: world.executed)
        running = [{"name": "task", "state": {"running": {}}}]
        await on_node(world, {"phase": "Running", "containerStatuses": running})
        world.client.faults += [
            ("get", "nodes", "before", AssertionError("asked")),
            ("find", "events", "before", AssertionError("asked")),
        ]
        await lookout_of(world).look()


@pytest.mark.parametrize("status", [{}, CREATING], ids=["nothing", "creating"])
async def test_a_pod_that_waits_on_a_node_that_is_gone_is_lost_and_another_one_made(status):
    async with world_of() as world:
        world.auto_run = False
        world.start()
        await on_node(world, status, well=False)
        world.auto_run = True
        await lookout_of(world).look()
        assert (await world.end())["phase"] == "Succeeded"
        assert len(world.made("pods")) == 2


async def test_a_pod_that_waits_on_a_node_that_is_well_is_waited_for():
    async with world_of() as world:
        world.auto_run = False
        world.start()
        await on_node(world, CREATING)
        await lookout_of(world).look()
        until = world.now + 5
        await world.until(lambda: world.now >= until)
        assert len(world.made("pods")) == 1
