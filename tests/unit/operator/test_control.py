"""Runs that are held up, let go on, ended from outside, or out of time, at whatever moment."""

import pytest

from graflow.machine.state import Error
from graflow_operator.cluster import PODS, WORKFLOWS
from graflow_operator.facts import of_pod
from graflow_operator.letters import FencedError
from graflow_operator.verdicts import Failed, Succeeded
from support.world import HANGS, NAME, NAMESPACE, World, script

BACK_OFF_S = 60


CHAIN = {"tasks": [script("a"), script("b", "a")]}
FLAKY = {
    "tasks": [script("a", retry={"maxAttempts": 2, "initialSeconds": BACK_OFF_S, "maxSeconds": 60})]
}
CONTAINER = {"tasks": [{"name": "a", "container": {"image": "busybox"}}]}
IN_THE_BUNDLE = {"bundle": {"name": "code", "sha256": "0" * 64}}


def edit(world, **spec):
    """Change the spec, as whoever may does, and let the operator see it."""
    world.cluster.edit_spec(WORKFLOWS, NAMESPACE, NAME, **spec)
    world.actor.workflow_seen(world.workflow)


def waits(world):
    """Return what tasks wait for."""
    found = world.status.get("waiting", ())
    return [wait["reason"] for wait in found if wait.get("task")]


def fails_once():
    tries = []

    def work(task, order):
        tries.append(task)
        if len(tries) == 1:
            return Failed(Error("TaskFailed", "no"))
        return Succeeded({"json": len(tries)})

    return work


async def test_what_runs_when_a_run_is_suspended_ends_and_what_it_gives_is_recorded():
    async with World(CHAIN) as world:
        world.auto_run = False
        world.start()
        await world.until(lambda: world.pods)
        edit(world, suspend=True)
        world.auto_run = True
        world._pod_made(world.pods[0])
        await world.until(lambda: world.status.get("progress") == "1/2")
        await world.until(lambda: "Suspended" in waits(world))
        assert world.executed == ["a"]
        edit(world, suspend=False)
        status = await world.end()
        assert (status["phase"], world.executed) == ("Succeeded", ["a", "b"])


async def test_a_suspended_run_stays_so_whoever_leads():
    async with World({**CHAIN, "suspend": True}) as world:
        world.start()
        await world.until(lambda: world.status.get("reason") == "Suspended")
        await world.crash()
        world.start()
        until = world.now + 30
        await world.until(lambda: world.now > until)
        assert world.executed == []
        edit(world, suspend=False)
        assert (await world.end())["phase"] == "Succeeded"


async def test_a_back_off_goes_on_while_a_run_is_suspended_and_its_attempt_waits_after_it():
    async with World(FLAKY, work=fails_once()) as world:
        world.start()
        await world.until(lambda: waits(world) == ["BackOff"])
        edit(world, suspend=True)
        await world.until(lambda: waits(world) == ["Suspended"])
        assert len(world.executed) == 1
        suspended_until = world.now
        edit(world, suspend=False)
        status = await world.end()
        assert status["phase"] == "Succeeded"
        assert world.now - suspended_until < BACK_OFF_S


async def test_the_deadline_of_a_run_goes_on_counting_while_it_is_suspended():
    async with World({**CHAIN, "activeDeadlineSeconds": 100}, work=lambda *_: HANGS) as world:
        world.start()
        await world.until(lambda: world.executed)
        edit(world, suspend=True)
        began = world.now
        status = await world.end()
        assert (status["phase"], status["reason"]) == ("Failed", "DeadlineExceeded")
        assert 90 < world.now - began < 120
        await world.until(lambda: not world.pods)


async def test_a_run_that_is_suspended_from_the_beginning_has_not_begun_to_count():
    async with World({**CHAIN, "activeDeadlineSeconds": 10, "suspend": True}) as world:
        world.start()
        await world.until(lambda: world.status.get("reason") == "Suspended")
        until = world.now + 60
        await world.until(lambda: world.now > until)
        edit(world, suspend=False)
        assert (await world.end())["phase"] == "Succeeded"


async def test_a_deadline_that_is_moved_while_the_run_goes_on_counts():
    async with World({**CHAIN, "activeDeadlineSeconds": 1000}, work=lambda *_: HANGS) as world:
        world.start()
        await world.until(lambda: world.executed)
        edit(world, activeDeadlineSeconds=5)
        began = world.now
        status = await world.end()
        assert status["reason"] == "DeadlineExceeded"
        assert world.now - began < 60


@pytest.mark.parametrize("reason", [None, "wrong input"])
async def test_a_cancelled_run_says_why_it_was_if_that_was_given(reason):
    async with World(CHAIN, work=lambda *_: HANGS) as world:
        world.start()
        await world.until(lambda: world.executed)
        edit(world, cancel=True, **({"cancelReason": reason} if reason else {}))
        status = await world.end()
        assert (status["phase"], status["reason"]) == ("Cancelled", "Cancelled")
        assert status["message"] == (reason or "spec.cancel was set")
        await world.until(lambda: not world.pods)


async def test_a_runner_that_asks_for_its_task_after_the_cancellation_runs_no_user_code():
    async with World(CHAIN) as world:
        world.auto_run = False
        world.start()
        await world.until(lambda: world.pods)
        pod = world.pods[0]
        edit(world, cancel=True)
        await world.end()
        with pytest.raises(FencedError):
            await world.actor.claim(pod, "n" * 32, "3.11.2")
        await world.until(lambda: not world.pods)
        assert world.executed == []


async def test_what_a_task_reports_after_the_cancellation_changes_nothing():
    async with World(CHAIN, work=lambda *_: HANGS) as world:
        world.start()
        await world.until(lambda: world.executed)
        [pod] = world.pods
        uid = pod["metadata"]["uid"]
        edit(world, cancel=True)
        status = dict(await world.end())
        claim = f"{uid}/{uid.rjust(32, '0')}"
        with pytest.raises(FencedError):
            await world.actor.report(of_pod(pod).attempt, claim, Succeeded({"json": 1}))
        assert world.status == status


async def test_a_run_can_be_cancelled_while_it_backs_off():
    async with World(FLAKY, work=fails_once()) as world:
        world.start()
        await world.until(lambda: waits(world) == ["BackOff"])
        edit(world, cancel=True)
        assert (await world.end())["phase"] == "Cancelled"
        assert len(world.made("pods")) == 1


@pytest.mark.parametrize("begun", [True, False], ids=["after it began", "before it began"])
async def test_a_suspended_run_can_be_cancelled(begun):
    async with World({**CHAIN, "suspend": not begun}, work=lambda *_: HANGS) as world:
        world.start()
        if begun:
            await world.until(lambda: world.executed)
            edit(world, suspend=True)
        await world.until(lambda: world.status.get("reason") == "Suspended")
        edit(world, cancel=True)
        assert (await world.end())["phase"] == "Cancelled"
        await world.until(lambda: not world.pods)


async def test_a_run_whose_code_never_comes_can_be_cancelled():
    async with World(IN_THE_BUNDLE) as world:
        world.start()
        await world.until(lambda: world.status.get("reason") == "BundleMissing")
        edit(world, cancel=True, cancelReason="never mind")
        status = await world.end()
        assert (status["phase"], status["message"]) == ("Cancelled", "never mind")


async def test_cancelling_again_changes_nothing():
    async with World(CHAIN, work=lambda *_: HANGS) as world:
        world.start()
        await world.until(lambda: world.executed)
        edit(world, cancel=True)
        status = dict(await world.end())
        await world.until(world.driving.done)
        world.cluster.edit_spec(WORKFLOWS, NAMESPACE, NAME, cancelReason="again")
        await world.crash()
        world.start()
        await world.until(world.driving.done)
        assert world.status == status


async def test_the_pod_of_a_container_task_is_stopped_and_let_go_of_when_its_run_is_cancelled():
    async with World(CONTAINER) as world:
        world.start()
        await world.until(lambda: world.pods)
        assert world.pods[0]["metadata"]["finalizers"]
        edit(world, cancel=True)
        await world.end()
        await world.until(lambda: not world.pods)
        deletes = [verb for verb, plural, _ in world.cluster.writes if plural == PODS.plural]
        assert deletes == ["create", "delete", "patch_json"]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_crash_at_any_write_of_a_cancellation_leaves_no_pod_running(after):
    for number in range(1, 6):
        async with World(CHAIN, work=lambda *_: HANGS) as world:
            world.start()
            await world.until(lambda: world.executed)
            await world.crash()
            world.start(dies_at=number, dies_after=after)
            edit(world, cancel=True)
            status = await world.end(restart=True)
            assert status["phase"] == "Cancelled", number
            await world.until(lambda: not world.pods, restart=True)
