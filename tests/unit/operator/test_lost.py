"""Attempts that are lost: another one runs, no retry is spent, and what is lost commits no more."""

import asyncio

import pytest

from graflow.api import names
from graflow.machine import faults
from graflow.machine.faults import FaultKind
from graflow.machine.state import Error
from graflow.store import StoreUnavailableError
from graflow_operator.cluster import NODES, PODS, WORKFLOWS
from graflow_operator.letters import FencedError, Judged
from graflow_operator.lookout import Lookout
from graflow_operator.outcomes import TOMBSTONE
from graflow_operator.refs import AttemptRef
from graflow_operator.settings import Settings
from graflow_operator.verdicts import Failed, Succeeded, gone
from support.statuses import disrupted, terminated
from support.world import HANGS, NAME, NAMESPACE, World

ONCE = {"tasks": [{"name": "a", "script": "return 1", "retry": {"maxAttempts": 1}}]}
TWO = {"tasks": [{"name": name, "script": "return 1"} for name in "ab"], "start": ["a", "b"]}
FIRST, SECOND = AttemptRef(1, 1), AttemptRef(1, 2)


def first_hangs(task, order):
    return HANGS if order["attempt"] == 1 else Succeeded({"json": "second"})


def told_of(world, name, status=None, **metadata):
    """Let the operator see the world's pod in another state."""
    pod = world.cluster.peek(PODS, NAMESPACE, name)
    pod["metadata"] |= metadata
    world.seen(world.cluster.set_status(PODS, NAMESPACE, name, status or pod.get("status", {})))


DELETED = {"deletionTimestamp": "2026-01-01T00:00:40Z", "deletionGracePeriodSeconds": 30}


def delete(world, name):
    told_of(world, name, **DELETED)
    world.end_pod(name, 143, reason="Error")


def force_delete(world, name):
    uid = world.pod_of("a")["metadata"]["uid"]
    world.cluster.vanish(PODS, NAMESPACE, name)
    world.actor.book.gone(FIRST, uid)


def evict(world, name):
    gone = disrupted("EvictionByEvictionAPI", "Eviction API: evicting")
    told_of(world, name, gone, **DELETED)
    world.end_pod(name, 143, reason="Error", **gone)


def lose_node(world, name):
    world.actor.node_lost(FIRST, "node n1 has not been ready for 300 s")


LOSSES = {
    "PodDeleted": delete,
    "PodLost": force_delete,
    "Evicted": evict,
    "NodeLost": lose_node,
}
losses = pytest.mark.parametrize("reason", LOSSES)


async def begun(world):
    """Let the first attempt run, and return its pod's name and its claim."""
    world.start()
    await world.until(lambda: world.executed == ["a"])
    metadata = world.pod_of("a")["metadata"]
    return metadata["name"], f"{metadata['uid']}/{metadata['uid'].rjust(32, '0')}"


def outcome_key(world, attempt=FIRST):
    uid = world.workflow["metadata"]["uid"]
    return f"{NAMESPACE}/{uid}/outcomes/{attempt.activation}/{attempt.attempt}"


@losses
async def test_f2_what_is_lost_runs_again_and_spends_no_retry(reason):
    async with World(ONCE, work=first_hangs) as world:
        name, _ = await begun(world)
        LOSSES[reason](world, name)
        await world.until(lambda: world.actor._snapshot.state.activations[1].attempt == 2)
        task = world.actor._snapshot.state.activations[1]
        assert (task.error.reason, task.failures, task.losses) == (reason, 0, 1)
        status = await world.end()
        assert (status["phase"], status["result"]) == ("Succeeded", {"json": "second"})


async def test_an_attempt_whose_end_the_store_keeps_back_says_what_it_waits_for():
    async with World(ONCE, work=first_hangs) as world:
        name, _ = await begun(world)
        mark = world.store.put_if_absent

        def full(key, data):
            raise StoreUnavailableError("no space left on device")

        world.store.put_if_absent = full
        delete(world, name)
        await world.until(lambda: world.status.get("reason") == "StoreUnavailable")
        [wait] = world.status["waiting"]
        assert (wait["reason"], wait["message"]) == ("StoreUnavailable", "no space left on device")
        assert world.actor.standing()[0].held == "StoreUnavailable"
        world.store.put_if_absent = mark
        status = await world.end()
        assert (status["phase"], status["waiting"]) == ("Succeeded", [])


async def test_a_run_says_that_the_store_fails_a_runner_until_it_does_no_more():
    async with World(TWO, work=lambda *_: HANGS) as world:
        world.start()
        await world.until(lambda: sorted(world.executed) == ["a", "b"])
        with pytest.raises(StoreUnavailableError), world.actor.withheld.asking(FIRST):
            raise StoreUnavailableError("slow down")
        await world.until(lambda: world.status.get("reason") == "StoreUnavailable")
        # Another task's end, which needs nothing of the store, says nothing of it.
        pod = world.pod_of("b")["metadata"]
        claim = f"{pod['uid']}/{pod['uid'].rjust(32, '0')}"
        await world._ask(lambda a: a.report(AttemptRef(2, 1), claim, Succeeded({"json": 1})))
        assert world.status["counts"]["succeeded"] == 1
        assert world.status["reason"] == "StoreUnavailable"
        with world.actor.withheld.asking(FIRST):
            pass
        await world.until(lambda: world.status.get("reason") != "StoreUnavailable")


@losses
@pytest.mark.parametrize("crash", [False, True], ids=["", "operator dies"])
async def test_what_is_lost_can_commit_nothing_once_its_successor_may_run(reason, crash):
    async with World(ONCE, work=first_hangs) as world:
        name, claim = await begun(world)
        LOSSES[reason](world, name)
        await world.until(lambda: world.executed == ["a", "a"])
        if crash:
            await world.crash()
            world.start()
        late = world.outcome(FIRST, claim, {"outcome": "Succeeded", "value": {"json": "first"}})
        assert not world.store.put_if_absent(outcome_key(world), late.encode())
        with pytest.raises(FencedError):
            await world._ask(lambda a: a.report(FIRST, claim, Succeeded({"json": "first"})))
        assert (await world.end())["result"] == {"json": "second"}


@losses
async def test_the_tombstone_is_in_the_store_before_the_loss_is_committed(reason):
    async with World(ONCE, work=first_hangs) as world:
        name, _ = await begun(world)
        found = []
        patch = world.cluster.patch_status

        async def watched(kind, namespace, what, change):
            [task] = change["status"]["tasks"]
            if kind is WORKFLOWS and task["attempt"] == 2:
                found.append(world.store.get(outcome_key(world)))
            return await patch(kind, namespace, what, change)

        world.cluster.patch_status = watched
        LOSSES[reason](world, name)
        await world.end()
        assert found[0] == TOMBSTONE


@losses
async def test_an_outcome_that_was_there_first_wins(reason):
    async with World(ONCE, work=first_hangs) as world:
        name, claim = await begun(world)
        done = world.outcome(FIRST, claim, {"outcome": "Succeeded", "value": {"json": "first"}})
        assert world.store.put_if_absent(outcome_key(world), done.encode())
        LOSSES[reason](world, name)
        assert (await world.end())["result"] == {"json": "first"}
        assert world.executed == ["a"]


async def test_a_runner_on_a_silent_node_that_reports_after_all_is_told_that_it_is_over():
    async with World(ONCE, work=first_hangs, store=False) as world:
        name, claim = await begun(world)
        lose_node(world, name)
        await world.until(lambda: world.executed == ["a", "a"])
        with pytest.raises(FencedError):
            await world._ask(lambda a: a.report(FIRST, claim, Succeeded({"json": "first"})))
        assert (await world.end())["result"] == {"json": "second"}


async def test_a_pod_that_was_lost_before_its_runner_asked_gets_no_order_any_more():
    async with World(ONCE) as world:
        world.auto_run = False
        world.start()
        await world.until(lambda: world.pods)
        pod = world.pods[0]
        force_delete(world, pod["metadata"]["name"])
        world.auto_run = True
        await world.until(lambda: world.executed == ["a"])
        with pytest.raises(FencedError):
            await world._ask(lambda a: a.claim(pod, "0" * 32, "3.11.2"))
        assert (await world.end())["phase"] == "Succeeded"


async def test_a_pod_that_its_operator_did_not_live_to_make_is_not_said_to_have_gone_away():
    async with World(ONCE) as world:
        create, died = world.cluster.create, asyncio.Event()

        async def dies(kind, *rest, **options):
            if kind is not PODS:
                return await create(kind, *rest, **options)
            died.set()
            return await asyncio.Event().wait()

        world.cluster.create = dies
        world.start()
        await world.until(died.is_set)
        await world.crash()
        world.cluster.create = create
        world.start()
        await world.until(lambda: world.status["counts"].get("waiting"))
        [task] = world.status["tasks"]
        assert "there is no pod " in task["message"]
        assert "went away" not in task["message"]
        assert (await world.end())["phase"] == "Succeeded"


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ({}, "PodDeleted"),
        (disrupted("PreemptionByScheduler", "preempting"), "Preempted"),
        (disrupted("EvictionByEvictionAPI", "Eviction API: evicting"), "Evicted"),
    ],
    ids=["deleted", "preempted", "evicted"],
)
async def test_a_runner_that_was_told_to_stop_is_told_by_who_stopped_it(status, reason):
    async with World(ONCE, work=first_hangs) as world:
        name, claim = await begun(world)
        told_of(world, name, status, **DELETED)
        told = Failed(Error("Interrupted", "SIGTERM"))
        await world._ask(lambda a: a.report(FIRST, claim, told))
        task = world.actor._snapshot.state.activations[1]
        assert (task.error.reason, task.failures, task.losses) == (reason, 0, 1)
        world.end_pod(name, 0)
        assert (await world.end())["result"] == {"json": "second"}


@pytest.mark.parametrize(("retryable", "spent"), [(True, (0, 1)), (False, (1, 0))])
async def test_trouble_of_the_runners_own_is_a_loss_unless_another_attempt_cannot_help(
    retryable, spent
):
    trouble = Failed(Error("RunnerFailed", "could not fetch a value", retryable=retryable))
    async with World(ONCE, work=first_hangs) as world:
        _, claim = await begun(world)
        await world._ask(lambda a: a.report(FIRST, claim, trouble))
        task = world.actor._snapshot.state.activations.get(1)
        state = world.actor._snapshot.state
        assert ((task.failures, task.losses) if task else (state.failure.failures, 0)) == spent


@pytest.mark.parametrize(("away_s", "lost"), [(29, False), (31, True)])
async def test_what_runs_on_a_node_that_does_not_answer_is_lost_after_a_time(away_s, lost):
    settings = Settings(operator_namespace="graflow", node_lost_s=30.0)
    async with World(ONCE, work=first_hangs, settings=settings) as world:
        name, _ = await begun(world)
        away = {"type": "Ready", "status": "Unknown", "lastTransitionTime": "2026-01-01T00:00:00Z"}
        node = {"metadata": {"name": "n1"}, "status": {"conditions": [away]}}
        await world.cluster.create(NODES, None, node)
        world.cluster.peek(PODS, NAMESPACE, name)["spec"]["nodeName"] = "n1"
        silent = {"type": "Ready", "status": "False"}
        running = [{"name": names.TASK_CONTAINER, "state": {"running": {}}}]
        told_of(world, name, {"conditions": [silent], "containerStatuses": running})
        world.now = 1_767_225_600.0 + away_s
        await Lookout(world.actor.parts, lambda: [world.actor]).look()
        until = world.now + 5
        await world.until(lambda: world.now >= until or len(world.executed) > 1)
        assert (len(world.executed) > 1) is lost


async def test_f2_too_many_losses_fail_the_task_with_the_reason_of_the_last_one():
    async with World(ONCE, work=lambda *_: HANGS) as world:
        world.start()
        for attempt in range(1, 7):
            await world.until(lambda n=attempt: len(world.executed) == n)
            uid = world.pod_of("a")["metadata"]["uid"]
            world.cluster.vanish(PODS, NAMESPACE, world.pod_of("a")["metadata"]["name"])
            world.actor.book.gone(AttemptRef(1, attempt), uid)
        status = await world.end()
        assert (status["phase"], status["reason"]) == ("Failed", "PodLost")
        failure = world.actor._snapshot.state.failure
        assert (failure.failures, failure.attempt) == (0, 6)


async def test_pods_that_are_taken_before_their_runners_ask_do_not_make_the_operator_spin():
    async with World(ONCE) as world:
        world.auto_run = False
        world.start()
        began = world.now
        for attempt in range(1, 8):
            await world.until(lambda: world.pods)
            pod = world.pods[0]
            world.cluster.vanish(PODS, NAMESPACE, pod["metadata"]["name"])
            world.actor.book.gone(AttemptRef(1, attempt), pod["metadata"]["uid"])
            await world.until(
                lambda n=attempt: world.actor._snapshot.state.activations[1].attempt > n
            )
        task = world.actor._snapshot.state.activations[1]
        assert (task.failures, task.losses) == (0, 0)
        assert world.now - began >= 1 + 2 + 4 + 8 + 16 + 30
        assert world.cluster.peek(WORKFLOWS, NAMESPACE, NAME)["status"]["phase"] == "Running"


async def test_f2_a_runner_that_never_asks_for_its_task_is_lost_after_a_time():
    async with World(ONCE) as world:
        world.auto_run = False
        world.start()
        await world.until(lambda: world.pods)
        metadata = world.pods[0]["metadata"]
        state = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
        containers = [{"name": names.TASK_CONTAINER, "state": state}]
        told_of(world, metadata["name"], {"phase": "Running", "containerStatuses": containers})
        world.now = 1_767_225_600.0 + 890
        await world.until(lambda: not world.pods)
        assert world.now >= 1_767_225_600.0 + 900
        world.auto_run = True
        world.actor.book.gone(FIRST, metadata["uid"])
        await world.until(lambda: world.actor._snapshot.state.activations[1].attempt == 2)
        task = world.actor._snapshot.state.activations[1]
        assert (task.error.reason, task.failures, task.losses) == ("RunnerFailed", 0, 1)
        assert (await world.end())["phase"] == "Succeeded"


async def test_a_runner_that_works_for_long_is_let_work():
    async with World(ONCE, work=lambda *_: HANGS) as world:
        name, _ = await begun(world)
        state = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
        containers = [{"name": names.TASK_CONTAINER, "state": state}]
        told_of(world, name, {"phase": "Running", "containerStatuses": containers})
        world.now = 1_767_225_600.0 + 890
        until = world.now + 20
        await world.until(lambda: world.now >= until)
        assert world.pods


def interrupted(world, claim):
    """Let the first runner say that it was told to stop."""
    told = Failed(Error("Interrupted", "SIGTERM"))
    return world._ask(lambda actor: actor.report(FIRST, claim, told))


OUT_OF_DISK = {
    "reason": "Evicted",
    "message": 'Container task exceeded its local ephemeral storage limit "8Mi". ',
}


async def test_who_stopped_a_runner_may_say_so_after_it_has_told():
    async with World(ONCE, work=first_hangs) as world:
        name, claim = await begun(world)
        telling = asyncio.create_task(interrupted(world, claim))
        until = world.now + 2
        await world.until(lambda: world.now >= until)
        assert not telling.done()
        told_of(world, name, {**terminated(137), **OUT_OF_DISK})
        status = await world.end()
        assert (status["phase"], status["reason"]) == ("Failed", "EphemeralStorageExceeded")
        telling.cancel()


async def test_a_runner_that_nobody_says_why_he_stopped_it_is_lost_after_a_while():
    async with World(ONCE, work=first_hangs) as world:
        _, claim = await begun(world)
        began = world.now
        telling = asyncio.create_task(interrupted(world, claim))
        await world.until(telling.done)
        assert world.now - began >= 10
        task = world.actor._snapshot.state.activations[1]
        assert (task.error.reason, task.failures, task.losses) == ("Interrupted", 0, 1)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ({}, "Interrupted"),
        (OUT_OF_DISK, "EphemeralStorageExceeded"),
        ({"reason": "DeadlineExceeded"}, "DeadlineExceeded"),
        (disrupted("EvictionByEvictionAPI", "Eviction API: evicting"), "Evicted"),
    ],
    ids=["nobody", "disk", "deadline", "eviction"],
)
async def test_f2_what_a_stopped_runner_left_in_the_store_is_told_by_who_stopped_it(status, reason):
    async with World(ONCE, work=first_hangs) as world:
        name, claim = await begun(world)
        error = {"reason": "Interrupted", "message": "SIGTERM"}
        left = world.outcome(FIRST, claim, {"outcome": "Failed", "error": error})
        world.store.put(outcome_key(world), left.encode())
        told_of(world, name, {**terminated(0), **status})
        ended = await world.end()
        if faults.of(reason).kind is FaultKind.USER:
            assert (ended["phase"], ended["reason"]) == ("Failed", reason)
        else:
            assert ended["result"] == {"json": "second"}


async def test_what_was_found_out_before_a_runner_had_the_attempt_does_not_count_once_one_has():
    async with World(ONCE, work=lambda task, order: HANGS) as world:
        world.start()
        await world.until(lambda: world.executed)
        world.actor._desk.deliver(Judged(FIRST, gone("a", claimed=False)))
        await world.until(lambda: not len(world.actor._desk))
        [task] = world.status["tasks"]
        assert (task["phase"], task["attempt"]) == ("Running", 1)
        assert len(world.pods) == 1
