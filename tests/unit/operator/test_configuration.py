"""Tasks that wait for what somebody has to mend: they say so, go on when it is, and do not spin.

Neither the task's retries nor its losses are spent, however long that takes.
"""

import asyncio
import hashlib
import json
from contextlib import contextmanager

import pytest

from graflow.store import ObjectMissingError, StoreUnavailableError
from graflow_operator.cluster import PODS, SECRETS
from graflow_operator.cluster_errors import ForbiddenError, InvalidError, UnavailableError
from graflow_operator.parts import Parts
from graflow_operator.refs import AttemptRef, RunRef
from graflow_operator.settings import Settings
from graflow_operator.verdicts import Succeeded
from support.statuses import waiting
from support.world import NAMESPACE, World

BOOT = 1_767_225_600.0
"""When pods of the world in memory are made: 2026-01-01."""

PATIENCE_S = 60.0

TASK = {"name": "a", "script": "return 1", "retry": {"maxAttempts": 3}}
QUOTA = ForbiddenError(
    'pods "run-a" is forbidden: exceeded quota: none, requested: pods=1, used: pods=0,'
    " limited: pods=0"
)
USED = ForbiddenError(
    'pods "run-a" is forbidden: exceeded quota: ten, requested: pods=1, used: pods=10,'
    " limited: pods=10"
)
SECRET = waiting("CreateContainerConfigError", 'secret "db" not found', startTime=None)


def world_of(task=TASK, *, patience_s=PATIENCE_S, **options):
    settings = Settings(operator_namespace="graflow", configuration_s=patience_s)
    return World({"tasks": [task]}, settings=settings, **options)


def refuse(world, error, *, times=10_000):
    """Let the API server say no to pods, and return how often it was asked."""
    asked = []
    create = world.cluster.create

    async def answer(kind, namespace, body):
        if kind is PODS:
            asked.append(world.now)
            if len(asked) <= times and error is not None:
                raise error
        return await create(kind, namespace, body)

    world.cluster.create = answer
    return asked


def waits(world):
    return {wait["task"]: wait["reason"] for wait in world.status.get("waiting", ())}


def attempts_spent(world):
    """Return what an ended task has spent, as far as the machine counts it."""
    failure = world.actor._snapshot.state.failure
    return failure.failures, failure.attempt


async def end_without_its_pod(world, name):
    """Let the world end whose pod the operator gives up."""
    uid = world.pods[0]["metadata"]["uid"]
    await world.until(lambda: not world.pods)
    assert ("delete", "pods", name) in world.cluster.writes
    world.actor.book.gone(AttemptRef(1, 1), uid)
    return await world.end()


async def stand_still(world, status):
    """Let the pod of the world be stuck, and the operator know of it."""
    await world.until(lambda: world.pods)
    world.now = max(world.now, BOOT)
    name = world.pods[0]["metadata"]["name"]
    world.seen(world.cluster.set_status(PODS, NAMESPACE, name, status))
    return name


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (QUOTA, "QuotaExceeded"),
        (ForbiddenError('admission webhook "v" denied the request: no'), "AdmissionDenied"),
        (ForbiddenError('pods "x" is forbidden: violates PodSecurity "restricted"'), "PodSecurity"),
        (InvalidError("ValidatingAdmissionPolicy 'p' denied request: no"), "AdmissionDenied"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_f2_a_pod_that_may_not_be_is_waited_for_and_then_fails_with_the_true_reason(
    error, reason
):
    async with world_of() as world:
        asked = refuse(world, error)
        world.start()
        await world.until(lambda: waits(world) == {"a": reason})
        [wait] = world.status["waiting"]
        assert str(error) in wait["message"]
        assert "until" in wait
        began = world.now
        status = await world.end()
        assert (status["phase"], status["reason"]) == ("Failed", reason)
        assert str(error) in status["message"]
        assert PATIENCE_S - 5 <= world.now - began <= PATIENCE_S + 20
        assert attempts_spent(world) == (0, 1)
        assert len(asked) <= 5


async def test_a_pod_that_may_not_be_is_made_as_soon_as_it_may():
    async with world_of() as world:
        asked = refuse(world, QUOTA, times=3)
        world.start()
        await world.until(lambda: waits(world) == {"a": "QuotaExceeded"})
        assert (await world.end())["phase"] == "Succeeded"
        assert len(asked) == 4
        assert len(world.made("pods")) == 1


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (USED, "QuotaUsed"),
        (ForbiddenError('User "graflow" cannot create resource "pods"'), "Forbidden"),
    ],
    ids=["quota", "rights"],
)
async def test_what_is_no_fault_of_the_tasks_is_waited_for_without_end(error, reason):
    async with world_of() as world:
        refuse(world, error, times=6)
        world.start()
        await world.until(lambda: waits(world) == {"a": reason})
        assert "until" not in world.status["waiting"][0]
        began = world.now
        assert (await world.end())["phase"] == "Succeeded"
        assert world.now - began > 2 * PATIENCE_S


async def test_a_used_up_quota_that_is_taken_away_then_fails_only_after_the_whole_time():
    async with world_of() as world:
        errors = [USED] * 5 + [QUOTA] * 100
        asked = refuse(world, None)
        create = world.cluster.create

        async def answer(kind, namespace, body):
            if kind is PODS and errors:
                asked.append(world.now)
                raise errors.pop(0)
            return await create(kind, namespace, body)

        world.cluster.create = answer
        world.start()
        await world.until(lambda: waits(world) == {"a": "QuotaExceeded"})
        began = world.now
        assert (await world.end())["reason"] == "QuotaExceeded"
        assert world.now - began >= PATIENCE_S - 5


async def test_how_long_a_pod_was_refused_outlives_the_operator():
    async with world_of() as world:
        refuse(world, QUOTA)
        world.start()
        await world.until(lambda: waits(world) == {"a": "QuotaExceeded"})
        began = world.now
        for _ in range(4):
            until = world.now + 12
            await world.until(lambda until=until: world.now >= until)
            await world.crash()
            world.start()
        status = await world.end()
        assert status["reason"] == "QuotaExceeded"
        assert world.now - began <= PATIENCE_S + 25


async def test_a_webhook_that_does_not_answer_is_named_and_waited_for_without_end():
    async with world_of() as world:
        words = 'Internal error occurred: failed calling webhook "v": connection refused'
        refuse(world, UnavailableError(words), times=6)
        world.start()
        await world.until(lambda: waits(world) == {"a": "WebhookUnavailable"})
        began = world.now
        assert (await world.end())["phase"] == "Succeeded"
        assert world.now - began > 2 * PATIENCE_S


async def test_a_webhook_that_lets_no_secret_in_is_named_too():
    async with world_of() as world:
        words = 'Internal error occurred: failed calling webhook "v": connection refused'
        fault = ("create", "secrets", "before", UnavailableError(words))
        world.start()
        world.client.faults += [fault] * 3
        await world.until(lambda: waits(world) == {"a": "WebhookUnavailable"})
        assert "Secret" in world.status["waiting"][0]["message"]
        assert (await world.end())["phase"] == "Succeeded"


@contextmanager
def values_that(world, error):
    """Have the store answer questions for values with an error."""
    get = world.store.get

    def answer(key):
        if "/blobs/" in key:
            raise error
        return get(key)

    world.store.get = answer
    yield
    world.store.get = get


INPUT = {"name": "b", "after": ["a"], "container": {"image": "busybox"}}
LARGE = "x" * 5000
"""Of what is handed over by the store, and fits into an environment variable."""


async def test_an_input_that_a_store_does_not_give_is_waited_for_and_that_is_said():
    spec = {"tasks": [TASK, INPUT]}
    async with World(spec, work=lambda task, order: Succeeded(large(world))) as world:
        with values_that(world, StoreUnavailableError("the store is away")):
            world.start()
            await world.until(lambda: waits(world) == {"b": "StoreUnavailable"})
        await world.until(lambda: len(world.made("pods")) == 2)


async def test_an_input_that_is_in_the_store_no_more_fails_its_task():
    spec = {"tasks": [TASK, INPUT]}
    async with World(spec, work=lambda task, order: Succeeded(large(world))) as world:
        with values_that(world, ObjectMissingError("k")):
            world.start()
            status = await world.end()
        assert (status["phase"], status["reason"]) == ("Failed", "InputUnusable")


async def test_an_input_that_was_changed_in_the_store_fails_its_task_and_is_named():
    spec = {"tasks": [TASK, INPUT]}

    async with World(spec) as world:

        def changed(task, order):
            value = large(world)
            key = Parts.store_keys(RunRef.of(world.workflow)).blob(value["blob"]["sha256"])
            world.store.put(key, b'"another"')
            world.key = key
            return Succeeded(value)

        world.work = changed
        world.start()
        status = await world.end()
        assert (status["phase"], status["reason"]) == ("Failed", "ObjectCorrupt")
        assert world.key in status["message"]


def large(world):
    """Return a value that is in the store."""
    data = json.dumps(LARGE).encode()
    sha256 = hashlib.sha256(data).hexdigest()
    world.store.put(Parts.store_keys(RunRef.of(world.workflow)).blob(sha256), data)
    return {"blob": {"sha256": sha256, "size": len(data), "encoding": "json"}}


async def test_a_refusal_after_a_try_of_unknown_end_looks_for_a_pod_and_uses_no_name_twice():
    async with world_of() as world:
        world.start()
        world.client.faults += [
            ("create", "pods", "after", UnavailableError("no answer")),
            ("create", "pods", "before", QUOTA),
        ]
        status = await world.end()
        assert status["phase"] == "Succeeded"
        assert len(world.made("pods")) == len(set(world.made("pods"))) == 1


async def test_what_is_no_pod_fails_at_once_unless_a_profile_can_be_mended():
    async with world_of() as world:
        refuse(world, InvalidError("spec.containers[0].resources: bad"))
        world.start()
        began = world.now
        status = await world.end()
        assert (status["phase"], status["reason"]) == ("Failed", "PodInvalid")
        assert world.now - began < PATIENCE_S / 2
        assert attempts_spent(world) == (0, 1)


async def test_a_profile_that_never_comes_fails_its_task_after_a_time():
    async with world_of({**TASK, "profile": "gpu"}) as world:
        world.start()
        await world.until(lambda: waits(world) == {"a": "ProfileMissing"})
        assert "until" in world.status["waiting"][0]
        status = await world.end()
        assert (status["phase"], status["reason"]) == ("Failed", "ProfileMissing")
        assert attempts_spent(world) == (0, 1)


@pytest.mark.parametrize(
    ("word", "message", "reason"),
    [
        ("CreateContainerConfigError", 'secret "db" not found', "ConfigMissing"),
        ("ImagePullBackOff", 'Back-off pulling image "nope:1"', "ImagePull"),
        ("CreateContainerError", "not a directory", "CreateContainerError"),
    ],
)
async def test_f2_a_pod_that_cannot_start_is_waited_for_and_then_fails_with_the_true_reason(
    word, message, reason
):
    async with world_of() as world:
        world.auto_run = False
        world.start()
        name = await stand_still(world, waiting(word, message, startTime=None))
        await world.until(lambda: waits(world) == {"a": reason})
        assert message in world.status["waiting"][0]["message"]
        status = await end_without_its_pod(world, name)
        assert (status["phase"], status["reason"]) == ("Failed", reason)
        assert message in status["message"]
        assert PATIENCE_S <= world.now - BOOT <= PATIENCE_S + 20
        assert attempts_spent(world) == (0, 1)
        assert world.made("pods") == [name]


async def test_a_pod_goes_on_by_itself_when_its_secret_appears():
    async with world_of() as world:
        world.auto_run = False
        world.start()
        await stand_still(world, SECRET)
        await world.until(lambda: waits(world) == {"a": "ConfigMissing"})
        run_its_pod(world)
        assert (await world.end())["phase"] == "Succeeded"
        assert len(world.made("pods")) == 1


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_runs_secret_that_somebody_deleted_is_made_again_once(restarted):
    async with world_of() as world:
        world.auto_run = False
        world.start()
        await world.until(lambda: world.made("secrets"))
        [secret] = world.made("secrets")
        found = await world.cluster.get(SECRETS, NAMESPACE, secret)
        await world.cluster.delete(SECRETS, NAMESPACE, secret, uid=found["metadata"]["uid"])
        if restarted:
            await world.crash()
            world.start()
        asked, create = [], world.cluster.create

        async def counted(kind, namespace, body):
            asked.append(kind)
            return await create(kind, namespace, body)

        world.cluster.create = counted
        missing = f'secret "{secret}" not found'
        await stand_still(world, waiting("CreateContainerConfigError", missing, startTime=None))
        await world.until(lambda: len(world.made("secrets")) == 2)
        assert await world.cluster.get(SECRETS, NAMESPACE, secret)
        began = world.now
        await world.until(lambda: world.now > began + 30)
        assert asked.count(SECRETS) == 1


async def test_how_long_a_pod_could_not_start_outlives_the_operator():
    async with world_of() as world:
        world.auto_run = False
        world.start()
        name = await stand_still(world, SECRET)
        await world.until(lambda: world.now >= BOOT + 50)
        await world.crash()
        world.start()
        assert (await end_without_its_pod(world, name))["reason"] == "ConfigMissing"
        assert world.now <= BOOT + PATIENCE_S + 20


async def test_a_runner_that_came_up_in_the_last_moment_is_not_taken_for_one_that_never_did():
    async with world_of() as world:
        world.auto_run = False
        world.start()
        name = await stand_still(world, SECRET)
        world.now = BOOT + 59.9
        claimed = asyncio.Event()

        async def slowly(*_):
            await claim(world)
            claimed.set()
            return b""

        world.cluster.log = slowly
        await world.until(claimed.is_set)
        await go_on(world)
        run_its_pod(world)
        assert (await world.end())["phase"] == "Succeeded"
        assert world.made("pods") == [name]


async def test_a_leader_that_slept_does_not_take_away_the_pod_that_its_successor_gave_a_task():
    async with world_of() as world:
        world.auto_run = False
        world.start()
        name = await stand_still(world, SECRET)
        await world.until(lambda: waits(world) == {"a": "ConfigMissing"})
        old, driving = world.actor, world.driving
        world.start()
        await claim(world)
        world.now = BOOT + PATIENCE_S + 1
        old.ring()
        for _ in range(3):
            await world.until(lambda: not old._bell.is_set())
            await go_on(world)
        assert world.cluster.peek(PODS, NAMESPACE, name)
        old.stop()
        await driving
        run_its_pod(world)
        assert (await world.end())["phase"] == "Succeeded"
        assert world.made("pods") == [name]


async def test_a_pod_that_is_given_up_goes_only_after_the_commit_that_says_so():
    async with world_of() as world:
        world.auto_run = False
        world.start()
        name = await stand_still(world, SECRET)
        seen = []
        delete = world.cluster.delete

        async def told(*args, **options):
            seen.append(world.status["phase"])
            await delete(*args, **options)

        world.cluster.delete = told
        await end_without_its_pod(world, name)
        assert seen == ["Failed"]


async def claim(world):
    """Let the runner in the world's pod ask for its task."""
    pod = world.pods[0]
    nonce = pod["metadata"]["uid"].rjust(32, "0")
    await world._ask(lambda actor: actor.claim(pod, nonce, "3.11.2"))


def run_its_pod(world):
    """Let the runner in the world's pod come up."""
    world.auto_run = True
    world._pod_made(world.pods[0])


async def go_on(world):
    """Let some time pass."""
    until = world.now + 5
    await world.until(lambda: world.now >= until)


@pytest.mark.parametrize("reason", ["Unschedulable", "SchedulingGated"])
async def test_a_full_cluster_and_a_queue_are_waited_for_without_end(reason):
    async with world_of() as world:
        world.auto_run = False
        world.start()
        condition = {"type": "PodScheduled", "status": "False", "reason": reason, "message": "full"}
        await stand_still(world, {"phase": "Pending", "conditions": [condition]})
        await world.until(lambda: waits(world) == {"a": reason})
        world.now += 10 * PATIENCE_S
        until = world.now + 20
        await world.until(lambda: world.now >= until)
        assert waits(world) == {"a": reason}
        assert world.status["phase"] == "Running"
