"""What stays of runs that have ended, for how long, and what becomes of pods without a run."""

import asyncio
import copy
from dataclasses import replace
from itertools import pairwise

from graflow.store import StoreUnavailableError
from graflow_operator.cluster import PODS, WORKFLOWS
from graflow_operator.cluster_errors import UnavailableError
from graflow_operator.engine import Engine
from graflow_operator.facts import of_pod
from graflow_operator.keeping import Keep, PodPolicy
from graflow_operator.refs import RunRef
from graflow_operator.retention import AT_ONCE, EndedRun
from graflow_operator.settings import Settings
from graflow_operator.verdicts import Succeeded
from support.channel_pod import ChannelPod
from support.patience import until
from support.world import HANGS, NAME, NAMESPACE, World

SPEC = {
    "tasks": [
        {"name": "good", "script": "return 1"},
        {"name": "bad", "script": "raise ValueError", "after": ["good"]},
    ]
}
CONTAINER = {"tasks": [{"name": "a", "container": {"image": "busybox"}}]}
HOLD = "graflow.dev/outcome"


def settings(keep, **times):
    return Settings(operator_namespace="graflow", pods=PodPolicy(Keep(keep), **times))


def work(task, order):
    return None if task == "bad" else Succeeded({"json": task})


class Driven:
    """A world whose runs an engine drives, in place of one actor alone."""

    def __init__(self, spec, keep="KeepFailed", work=work, **times):
        self.world = World(spec, settings=settings(keep, **times), work=work)
        self.engine = None

    async def __aenter__(self):
        await self.world.__aenter__()
        self.world.start()
        self.parts = self.world.actor.parts
        await self.world.crash()
        await self.restart()
        return self

    async def __aexit__(self, *error):
        await self.engine.close(grace_s=0.1)
        self.world.actor = None
        await self.world.__aexit__(*error)

    async def restart(self):
        if self.engine is not None:
            await self.engine.close(grace_s=0.1)
        self.engine = Engine(self.parts)
        await self.engine._begin()
        uid = self.world.workflow["metadata"]["uid"] if self.world.workflow else ""
        self.world.actor = self.engine._actors.get(uid)

    async def end(self):
        await until(lambda: self.world.status.get("completionTime"))
        await until(lambda: not self.engine._actors and not self.engine._errands)
        self.world.actor = None

    @property
    def tasks(self):
        labels = (pod["metadata"]["labels"] for pod in self.world.pods)
        return sorted(label["graflow.dev/task"] for label in labels)

    def tell(self, kind, plural, thing):
        (self.engine.pod_seen if plural is PODS else self.engine.workflow_seen)(kind, thing)


def test_pods_that_failed_stay_longer_than_those_that_did_not():
    policy = PodPolicy(Keep.KEEP_FAILED, failed_s=100.0, succeeded_s=10.0)
    assert policy.goes_at(1000.0, failed=False) == 1010.0
    assert policy.goes_at(1000.0, failed=True) == 1100.0
    assert policy.next_at(1000.0, 1005.0) == 1010.0
    assert policy.next_at(1000.0, 1050.0) == 1100.0
    assert policy.next_at(1000.0, 1101.0) is None


async def test_with_keep_failed_pods_that_succeeded_go_first_and_the_others_stay():
    async with Driven(SPEC, succeeded_s=0.0) as driven:
        await driven.end()
        await until(lambda: "good" not in driven.tasks)
        await driven.engine._compare()
        assert set(driven.tasks) == {"bad"}


async def test_with_keep_failed_all_pods_go_when_their_time_is_over_whoever_leads_by_then():
    async with Driven(SPEC, failed_s=50.0, succeeded_s=20.0) as driven:
        await driven.end()
        assert set(driven.tasks) == {"good", "bad"}
        driven.world.now += 21
        await driven.restart()
        await until(lambda: "good" not in driven.tasks)
        assert set(driven.tasks) == {"bad"}
        driven.world.now += 30
        await driven.restart()
        await until(lambda: not driven.tasks)


async def test_with_keep_all_pods_stay():
    async with Driven(SPEC, "Keep", failed_s=0.0, succeeded_s=0.0) as driven:
        await driven.end()
        await driven.engine._compare()
        await driven.restart()
        assert set(driven.tasks) == {"good", "bad"}


async def test_with_on_commit_a_pod_goes_as_soon_as_its_outcome_is_recorded():
    async def slow(task, order):
        if task == "bad":
            await asyncio.Event().wait()
        return Succeeded({"json": task})

    async with Driven(SPEC, "OnCommit", work=slow) as driven:
        await until(lambda: driven.tasks == ["bad"])
        assert driven.world.status["phase"] == "Running"


async def test_with_on_commit_a_task_costs_no_more_writes_than_its_budget():
    chain = [{"name": f"t{n}", "script": "return 1"} for n in range(4)]
    for before, task in pairwise(chain):
        task["after"] = [before["name"]]
    async with Driven({"tasks": chain}, "OnCommit") as driven:
        await driven.end()
        await until(lambda: not driven.tasks)
        written = [(verb, plural) for verb, plural, _ in driven.world.cluster.writes]
        assert written.count(("create", "pods")) == 4
        assert written.count(("delete", "pods")) == 4
        assert written.count(("patch_status", "workflows")) <= 2 * 4 + 1


async def test_a_pod_that_could_not_be_deleted_is_deleted_by_the_next_comparison():
    async with Driven({"tasks": SPEC["tasks"][:1]}, succeeded_s=0.0) as driven:
        no_answer = UnavailableError("no answer")
        driven.world.client.faults.append(("delete", "pods", "before", no_answer))
        await driven.end()
        await until(lambda: not driven.engine._errands)
        assert driven.tasks == ["good"]
        await driven.engine._compare()
        await until(lambda: not driven.tasks)


async def test_pods_that_somebody_else_made_stay_though_they_have_the_runs_labels():
    async with Driven({"tasks": SPEC["tasks"][:1]}, succeeded_s=5.0) as driven:
        await driven.end()
        labels = driven.world.pod_of("good")["metadata"]["labels"]
        foreign = {"metadata": {"name": "foreign", "labels": {**labels}}, "spec": {}}
        await driven.world.cluster.create(PODS, NAMESPACE, foreign)
        driven.world.now += 6
        await driven.engine._compare()
        await until(lambda: len(driven.world.pods) == 1)
        assert driven.world.pods[0]["metadata"]["name"] == "foreign"


async def test_a_ttl_that_is_set_changed_or_taken_back_after_the_end_counts():
    async with Driven({"tasks": SPEC["tasks"][:1]}) as driven:
        await driven.end()
        world, engine = driven.world, driven.engine

        def change(**spec):
            changed = world.cluster.edit_spec(WORKFLOWS, NAMESPACE, NAME, **spec)
            engine.workflow_seen("MODIFIED", changed)

        change(ttlSecondsAfterFinished=1)
        change(ttlSecondsAfterFinished=None)
        world.now += 2
        await engine._compare()
        assert world.workflow is not None
        change(ttlSecondsAfterFinished=1)
        await until(lambda: world.workflow is None)


async def test_an_operator_that_slept_deletes_no_run_that_was_given_more_time_meanwhile():
    async with Driven({**SPEC, "ttlSecondsAfterFinished": 60}) as driven:
        await driven.end()
        world, engine = driven.world, driven.engine
        known = copy.deepcopy(world.workflow)
        changed = world.cluster.edit_spec(WORKFLOWS, NAMESPACE, NAME, ttlSecondsAfterFinished=900)
        world.now += 61
        engine.workflow_seen("MODIFIED", known)
        await until(lambda: (known["metadata"]["uid"], "ttl") not in engine._retention._timers)
        await until(lambda: not engine._errands)
        assert world.workflow is not None
        engine.workflow_seen("MODIFIED", changed)
        world.now += 900
        await engine._compare()
        await until(lambda: world.workflow is None)


async def test_a_ttl_that_ran_out_while_no_operator_was_there_counts():
    async with Driven({**SPEC, "ttlSecondsAfterFinished": 60}) as driven:
        await driven.end()
        await driven.engine._compare()
        assert driven.world.workflow is not None
        driven.world.now += 61
        await driven.restart()
        await until(lambda: driven.world.workflow is None)


def channel_of(driven):
    """Return what the cursor says of the channel, and what of it is in the store."""
    cursor = driven.world.status["cursor"]["channel"]
    return cursor, [key for key in driven.world.store.list("") if "/channel/" in key]


def counting(driven):
    """Return the work of a task that uses the channel."""

    async def work(task, order):
        pod = ChannelPod(driven.world, order)
        for _ in range(3):
            await pod.add("n")
        return Succeeded({"json": task})

    return work


async def test_what_the_channel_of_an_ended_run_leaves_goes_and_that_is_said_by_one_commit():
    async with Driven({"tasks": SPEC["tasks"][:1]}) as driven:
        driven.world.work = counting(driven)
        await driven.end()
        cursor, objects = channel_of(driven)
        assert objects == []
        assert "chain" not in cursor
        assert driven.world.status["phase"] == "Succeeded"
        writes, listed = len(driven.world.cluster.writes), []
        driven.world.store.list = listed.append
        await driven.engine._compare()
        await driven.restart()
        await until(lambda: not driven.engine._errands)
        assert len(driven.world.cluster.writes) == writes
        assert listed == []


async def test_what_a_crash_at_the_end_has_left_of_the_channel_goes_when_an_operator_begins():
    async with Driven({"tasks": SPEC["tasks"][:1]}) as driven:
        driven.world.work = counting(driven)
        delete = driven.world.store.delete

        def away(key):
            raise StoreUnavailableError(key)

        driven.world.store.delete = away
        await until(lambda: driven.world.status.get("completionTime"))
        await driven.engine.close(grace_s=0.1)
        driven.world.store.delete = delete
        cursor, objects = channel_of(driven)
        assert cursor["chain"]
        assert len(objects) == 3
        await driven.restart()
        assert not driven.engine._actors
        await until(lambda: "chain" not in channel_of(driven)[0])
        assert channel_of(driven)[1] == []


async def test_what_the_store_does_not_let_go_of_at_the_end_goes_after_the_next_comparison():
    async with Driven({"tasks": SPEC["tasks"][:1]}) as driven:
        driven.world.work = counting(driven)
        delete = driven.world.store.delete

        def away(key):
            raise StoreUnavailableError(key)

        def later():
            driven.world.now += 1
            return driven.world.status.get("completionTime") and not driven.engine._actors

        driven.world.store.delete = away
        await until(later)
        await driven.end()
        assert channel_of(driven)[0]["chain"]
        driven.world.store.delete = delete
        await driven.engine._compare()
        await until(lambda: "chain" not in channel_of(driven)[0])
        assert channel_of(driven)[1] == []


async def held_pod(driven):
    """Wait for the pod of a container task, which our finalizer keeps."""
    await until(lambda: driven.world.pods)
    [pod] = driven.world.pods
    assert pod["metadata"]["finalizers"] == [HOLD]
    name = pod["metadata"]["name"]
    actor = driven.engine._actors[driven.world.workflow["metadata"]["uid"]]
    await until(lambda: actor.book.facts)
    return name


async def test_a_run_deleted_while_its_container_runs_lets_go_of_the_pod_at_once():
    async with Driven(CONTAINER) as driven:
        await held_pod(driven)
        gone = driven.world.cluster.vanish(WORKFLOWS, NAMESPACE, NAME)
        driven.tell("DELETED", WORKFLOWS, gone)
        await until(lambda: not driven.world.pods)


async def test_a_run_on_its_way_out_that_a_foreign_finalizer_keeps_lets_go_of_its_pods():
    both = [*CONTAINER["tasks"], {"name": "b", "script": "return 1"}]
    spec = {"tasks": both, "start": ["a", "b"]}
    async with Driven(spec, work=lambda *_: HANGS) as driven:
        await until(lambda: len(driven.world.pods) == 2)
        driven.world.workflow["metadata"]["finalizers"] = ["example.org/keep"]
        uid = driven.world.workflow["metadata"]["uid"]
        await until(lambda: len(driven.engine._actors[uid].book.facts) == 2)
        await driven.world.cluster.delete(WORKFLOWS, NAMESPACE, NAME, uid=uid)
        driven.tell("MODIFIED", WORKFLOWS, driven.world.workflow)
        await until(lambda: not driven.world.pods)


async def test_a_run_that_is_on_its_way_out_when_an_operator_begins_lets_go_of_its_pods():
    async with Driven(CONTAINER) as driven:
        await held_pod(driven)
        await driven.engine.close(grace_s=0.1)
        driven.world.workflow["metadata"]["finalizers"] = ["example.org/keep"]
        uid = driven.world.workflow["metadata"]["uid"]
        await driven.world.cluster.delete(WORKFLOWS, NAMESPACE, NAME, uid=uid)
        assert driven.world.pods
        await driven.restart()
        await until(lambda: not driven.world.pods)


async def test_a_run_whose_name_another_one_has_by_now_lets_go_of_its_pods():
    async with Driven(CONTAINER) as driven:
        name = await held_pod(driven)
        gone = driven.world.cluster.vanish(WORKFLOWS, NAMESPACE, NAME)
        body = {**gone, "metadata": {"name": NAME}, "status": {}}
        made = await driven.world.cluster.create(WORKFLOWS, NAMESPACE, body)
        driven.tell("DELETED", WORKFLOWS, gone)
        await until(lambda: driven.world.cluster.peek(PODS, NAMESPACE, name) is None)
        await until(lambda: driven.world.pods)
        [pod] = driven.world.pods
        assert pod["metadata"]["labels"]["graflow.dev/run"] == made["metadata"]["uid"]


async def test_a_pod_without_a_run_that_is_seen_on_its_way_out_is_let_go_without_waiting():
    async with Driven(CONTAINER) as driven:
        name = await held_pod(driven)
        await driven.engine.close(grace_s=0.1)
        driven.world.cluster.vanish(WORKFLOWS, NAMESPACE, NAME)
        driven.engine = Engine(driven.parts)
        await driven.engine._begin()
        uid = driven.world.pods[0]["metadata"]["uid"]
        await driven.world.cluster.delete(PODS, NAMESPACE, name, uid=uid)
        driven.tell("MODIFIED", PODS, driven.world.cluster.peek(PODS, NAMESPACE, name))
        await until(lambda: not driven.world.pods)


async def test_pods_that_went_with_their_run_while_no_operator_was_there_are_let_go_at_its_start():
    async with Driven(CONTAINER) as driven:
        name = await held_pod(driven)
        await driven.engine.close(grace_s=0.1)
        driven.world.cluster.vanish(WORKFLOWS, NAMESPACE, NAME)
        uid = driven.world.pods[0]["metadata"]["uid"]
        await driven.world.cluster.delete(PODS, NAMESPACE, name, uid=uid)
        assert driven.world.pods
        await driven.restart()
        await until(lambda: not driven.world.pods)


async def test_a_pod_that_has_lost_its_owner_is_let_go_when_it_is_deleted():
    async with Driven(CONTAINER) as driven:
        name = await held_pod(driven)
        await driven.engine.close(grace_s=0.1)
        driven.world.cluster.vanish(WORKFLOWS, NAMESPACE, NAME)
        [pod] = driven.world.pods
        pod["metadata"]["ownerReferences"] = []
        await driven.restart()
        assert driven.world.pods
        await driven.world.cluster.delete(PODS, NAMESPACE, name, uid=pod["metadata"]["uid"])
        await driven.engine._compare()
        await until(lambda: not driven.world.pods)


async def test_a_pod_on_its_way_out_whose_run_goes_on_is_kept_until_its_end_is_recorded():
    async with Driven(CONTAINER) as driven:
        name = await held_pod(driven)
        uid = driven.world.pods[0]["metadata"]["uid"]
        await driven.world.cluster.delete(PODS, NAMESPACE, name, uid=uid)
        pod = driven.world.cluster.peek(PODS, NAMESPACE, name)
        driven.engine._leftovers.seen(replace(of_pod(pod), workflow=NAME))
        await until(lambda: not driven.engine._errands)
        assert driven.world.pods


async def test_a_run_deleted_while_it_waits_for_the_bundle_with_its_plan_is_let_go():
    spec = {"bundle": {"name": "code", "sha256": "0" * 64}}
    async with Driven(spec) as driven:
        uid = driven.world.workflow["metadata"]["uid"]
        await until(lambda: driven.world.status.get("reason") == "BundleMissing")
        gone = driven.world.cluster.vanish(WORKFLOWS, NAMESPACE, NAME)
        driven.tell("DELETED", WORKFLOWS, gone)
        driven.world.now += 60
        await until(lambda: uid not in driven.engine._actors)


async def test_of_many_runs_whose_time_is_over_few_are_looked_after_together():
    """As after a night without an operator: the API server has runs to serve."""
    async with Driven(SPEC) as driven:
        await driven.end()
        begun, slow = [], asyncio.Event()

        async def found(*_, **__):
            begun.append(None)
            await slow.wait()
            return []

        driven.world.cluster.find = found
        for number in range(100):
            ended = copy.deepcopy(driven.world.workflow)
            ended["metadata"]["uid"] = f"uid-of-{number}"
            run = EndedRun(RunRef.of(ended), 1.0, frozenset())
            driven.engine._errand(driven.engine._retention._clear(run))
        await until(lambda: len(begun) >= AT_ONCE)
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(begun) == AT_ONCE
        slow.set()
        await until(lambda: len(begun) == 100)
