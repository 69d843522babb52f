"""The actor: whatever fails in between, every task runs once and the run ends as it should."""

import json
import random
from itertools import pairwise

import pytest

from graflow.machine.state import Error
from graflow.store import StoreUnavailableError
from graflow_operator.cluster import PODS, WORKFLOWS
from graflow_operator.cluster_errors import (
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    TooManyError,
    UnavailableError,
)
from graflow_operator.facts import of_pod
from graflow_operator.letters import FencedError
from graflow_operator.refs import AttemptRef
from graflow_operator.verdicts import Failed, Succeeded
from support.world import HANGS, NAME, NAMESPACE, World, script

DIAMOND = {
    "tasks": [script("a"), script("b", "a"), script("c", "a"), script("d", "b", "c")],
}


async def test_a_diamond_runs_each_task_once_and_ends_with_the_value_of_its_sink():
    async with World(DIAMOND) as world:
        world.start()
        status = await world.end()
        assert status["phase"] == "Succeeded"
        assert status["result"] == {"json": "d"}
        assert world.executed[0] == "a"
        assert sorted(world.executed) == ["a", "b", "c", "d"]
        assert world.executed[-1] == "d"


async def test_a_task_costs_a_pod_and_two_status_writes():
    async with World({"tasks": [script("a"), script("b", "a"), script("c", "b")]}) as world:
        world.start()
        await world.end()
        verbs = [(verb, kind) for verb, kind, _ in world.cluster.writes]
        assert verbs.count(("create", "pods")) == 3
        assert verbs.count(("create", "secrets")) == 1
        assert verbs.count(("patch_status", "workflows")) == 1 + 2 * 3


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_crash_at_any_write_changes_neither_the_end_nor_how_often_tasks_run(after):
    for number in range(1, 15):
        async with World(DIAMOND) as world:
            world.start(dies_at=number, dies_after=after)
            status = await world.end(restart=True)
            assert status["phase"] == "Succeeded", number
            assert status["result"] == {"json": "d"}, number
            assert sorted(world.executed) == ["a", "b", "c", "d"], number
            names = world.made("pods")
            assert len(names) == len(set(names)), number


NESTED = {
    "tasks": [script("a"), script("b"), script("c", "b"), script("d"), script("e", "g")],
    "groups": [{"name": "g", "after": ["a"], "members": ["b", "d"]}],
    "parallelism": 1,
}


@pytest.mark.parametrize("seed", range(25))
async def test_crashes_again_and_again_change_neither_the_end_nor_how_often_tasks_run(seed):
    rng = random.Random(seed)

    def faults():
        return {"dies_at": rng.randint(1, 6), "dies_after": rng.random() < 0.5}

    async with World(rng.choice([DIAMOND, NESTED]), store=rng.random() < 0.5) as world:
        world.start(**faults())
        status = await world.end(restart=faults)
        assert status["phase"] == "Succeeded"
        assert sorted(world.executed) == sorted(t["name"] for t in world.spec["tasks"])
        names = world.made("pods")
        assert len(names) == len(set(names))


@pytest.mark.parametrize("verb", ["patch_status", "create"])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_lost_answer_to_any_write_changes_nothing(verb, when):
    plural = "workflows" if verb == "patch_status" else "pods"
    for skipped in range(5):
        async with World(DIAMOND) as world:
            world.start()
            fault = (verb, plural, when, UnavailableError("no answer"))
            await world.until(lambda: len(world.executed) >= min(skipped, 3))  # noqa: B023
            world.client.faults.append(fault)
            status = await world.end()
            assert status["phase"] == "Succeeded"
            assert sorted(world.executed) == ["a", "b", "c", "d"]


async def test_a_conflict_with_somebody_who_changed_the_spec_is_overcome():
    async with World(DIAMOND) as world:
        world.start()
        await world.until(lambda: world.status.get("phase") == "Running")
        world.cluster.edit_spec(WORKFLOWS, NAMESPACE, NAME, parallelism=1)
        status = await world.end()
        assert status["phase"] == "Succeeded"
        assert sorted(world.executed) == ["a", "b", "c", "d"]


async def test_a_server_that_reads_and_takes_no_write_is_not_asked_without_a_pause():
    """As one whose etcd is full: each try costs it two requests, and there may be many runs."""
    async with World(DIAMOND) as world:
        world.start()
        began, no_space = world.now, UnavailableError("etcdserver: mvcc: database space exceeded")
        world.client.faults += [("patch_status", "workflows", "before", no_space)] * 6
        status = await world.end()
        assert status["phase"] == "Succeeded"
        assert sorted(world.executed) == ["a", "b", "c", "d"]
        assert world.now - began > 0.5 + 1 + 2 + 4 + 8 + 16


async def test_two_operators_at_once_run_each_task_once():
    async with World(DIAMOND) as world:
        world.start()
        first, driving = world.actor, world.driving
        await world.until(lambda: "a" in world.executed)
        world.start()
        second = world.actor
        assert first is not second
        status = await world.end()
        driving.cancel()
        assert status["phase"] == "Succeeded"
        assert sorted(set(world.executed)) == ["a", "b", "c", "d"]
        names = world.made("pods")
        assert len(names) == len(set(names))


async def test_an_operator_that_another_one_has_followed_leaves_the_pods_of_that_one_alone():
    """It may see them before it sees that the run has gone on without it."""
    async with World({"tasks": [script("a"), script("b", "a"), script("c", "b")]}) as world:
        world.start()
        first, driving = world.actor, world.driving
        await world.until(lambda: "a" in world.executed)
        world.start()
        await world.until(lambda: len(world.pods) == 3)
        first.book.seen(of_pod(world.pods[2]))
        await world.end()
        driving.cancel()
        assert [write for write in world.cluster.writes if write[0] == "delete"] == []


async def test_a_pod_that_exists_already_is_adopted_when_it_is_ours():
    async with World({"tasks": [script("a")]}) as world:
        world.start()
        world.client.faults.append(("create", "pods", "after", UnavailableError("no answer")))
        status = await world.end()
        assert status["phase"] == "Succeeded"
        assert world.executed == ["a"]
        assert len(world.made("pods")) == 1


async def test_a_foreign_pod_of_that_name_is_left_alone_and_the_number_is_burnt():
    async with World({"tasks": [script("a")]}) as world:
        world.auto_run = False
        world.start()
        await world.until(lambda: world.pods)
        foreign = world.pods[0]["metadata"]["name"]
        await world.crash()
        world.workflow["status"] = {}
        world.pods[0]["metadata"]["ownerReferences"] = []
        world.auto_run = True
        world.start()
        status = await world.end()
        assert status["phase"] == "Succeeded"
        assert world.made("pods")[0] == foreign
        assert len(world.made("pods")) == 2
        assert ("delete", "pods", foreign) not in world.cluster.writes


async def test_f2_a_pod_that_vanished_is_lost_and_its_number_is_never_used_again():
    async with World({"tasks": [script("a")]}) as world:
        world.auto_run = False
        world.start()
        await world.until(lambda: world.pods)
        [pod] = world.pods
        world.cluster.vanish(PODS, NAMESPACE, pod["metadata"]["name"])
        world.auto_run = True
        world.actor.book.gone(AttemptRef(1, 1), pod["metadata"]["uid"])
        status = await world.end()
        assert status["phase"] == "Succeeded"
        assert world.executed == ["a"]
        assert len(set(world.made("pods"))) == 2


async def test_a_deletion_that_a_watch_only_imagined_changes_nothing():
    async with World({"tasks": [script("a")]}) as world:
        world.auto_run = False
        world.start()
        await world.until(lambda: world.pods)
        [pod] = world.pods
        world.actor.book.gone(AttemptRef(1, 1), pod["metadata"]["uid"])
        world.auto_run = True
        world._pod_made(pod)
        status = await world.end()
        assert status["phase"] == "Succeeded"
        assert len(world.made("pods")) == 1


async def test_a_late_report_of_a_lost_attempt_is_fenced_and_the_next_attempt_counts():
    async with World({"tasks": [script("a")]}) as world:
        world.work = lambda task, order: HANGS
        world.start()
        await world.until(lambda: world.executed == ["a"])
        pod = world.pods[0]
        uid = pod["metadata"]["uid"]
        claim = f"{uid}/{uid.rjust(32, '0')}"
        world.cluster.vanish(PODS, NAMESPACE, pod["metadata"]["name"])
        world.actor.book.gone(AttemptRef(1, 1), uid)
        await world.until(lambda: world.executed == ["a", "a"])
        with pytest.raises(FencedError):
            await world.actor.report(AttemptRef(1, 1), claim, Failed(Error("TaskFailed", "late")))


async def test_an_outcome_that_was_left_in_the_store_wins_over_the_loss_of_its_pod():
    async with World({"tasks": [script("a")]}) as world:
        world.work = lambda task, order: HANGS
        world.start()
        await world.until(lambda: world.executed == ["a"])
        pod = world.pods[0]
        uid = pod["metadata"]["uid"]
        claim = f"{uid}/{uid.rjust(32, '0')}"
        report = {"outcome": "Succeeded", "value": {"json": "kept"}}
        key = f"{NAMESPACE}/{world.workflow['metadata']['uid']}/outcomes/1/1"
        world.store.put(key, world.outcome(AttemptRef(1, 1), claim, report).encode())
        world.cluster.vanish(PODS, NAMESPACE, pod["metadata"]["name"])
        world.actor.book.gone(AttemptRef(1, 1), uid)
        status = await world.end()
        assert status["result"] == {"json": "kept"}
        assert world.executed == ["a"]


async def test_a_forged_outcome_does_not_count():
    async with World({"tasks": [script("a")]}) as world:
        world.work = lambda task, order: None
        world.start()
        await world.until(lambda: world.executed == ["a"])
        key = f"{NAMESPACE}/{world.workflow['metadata']['uid']}/outcomes/1/1"
        report = {"outcome": "Succeeded", "value": {"json": "forged"}}
        world.store.put(key, world.outcome(AttemptRef(1, 1), "other/claim", report).encode())
        status = await world.end()
        assert status["phase"] == "Failed"
        assert status["reason"] == "NoReport"


async def test_the_termination_message_counts_when_there_is_nothing_else():
    async with World({"tasks": [script("a")]}, store=False) as world:
        world.auto_run = False
        world.start()
        await world.until(lambda: world.pods)
        pod = world.pods[0]
        uid, nonce = pod["metadata"]["uid"], "0" * 32
        await world.actor.claim(pod, nonce, "3.11")
        report = {"outcome": "Succeeded", "value": {"json": "said"}}
        said = world.outcome(AttemptRef(1, 1), f"{uid}/{nonce}", report)
        world.end_pod(pod["metadata"]["name"], 0, message=said)
        status = await world.end()
        assert status["result"] == {"json": "said"}


async def test_a_second_claim_with_the_same_nonce_gets_the_same_order_and_another_none():
    async with World({"tasks": [script("a")]}) as world:
        world.auto_run = False
        world.start()
        await world.until(lambda: world.pods)
        pod = world.pods[0]
        first = await world.actor.claim(pod, "0" * 32, "3.11")
        assert await world.actor.claim(pod, "0" * 32, "3.11") == first
        with pytest.raises(FencedError, match="another runner"):
            await world.actor.claim(pod, "1" * 32, "3.11")


async def test_a_repeated_report_is_answered_as_the_first_also_by_the_next_operator():
    async with World({"tasks": [script("a"), script("b", "a")]}) as world:
        world.work = lambda task, order: None if task == "b" else Failed(Error("X", "x"))
        world.auto_run = False
        world.start()
        await world.until(lambda: world.pods)
        pod = world.pods[0]
        claim = f"{pod['metadata']['uid']}/{'0' * 32}"
        await world.actor.claim(pod, "0" * 32, "3.11")
        told = (AttemptRef(1, 1), claim, Succeeded({"json": 1}))
        assert await world.actor.report(*told) == {"committed": True}
        assert await world.actor.report(*told) == {"committed": True}
        await world.crash()
        world.start()
        assert await world._ask(lambda actor: actor.report(*told)) == {"committed": True}
        await world.until(lambda: len(world.pods) == 2)


async def test_parallelism_lets_no_more_start_and_says_so():
    tasks = [script("a"), *(script(f"b{n}", "a") for n in range(4))]
    async with World({"tasks": tasks, "parallelism": 2}) as world:
        world.work = lambda task, order: HANGS if task.startswith("b") else Succeeded({"json": 1})
        world.auto_run = True
        world.start()
        await world.until(lambda: len(world.pods) == 3)
        waiting = {w["task"]: w["reason"] for w in world.status["waiting"]}
        assert waiting["b2"] == waiting["b3"] == "Parallelism"


async def test_nothing_starts_while_a_run_is_suspended():
    async with World({"tasks": [script("a"), script("b", "a")], "suspend": True}) as world:
        world.start()
        await world.until(lambda: world.status.get("reason") == "Suspended")
        assert world.pods == []
        world.cluster.edit_spec(WORKFLOWS, NAMESPACE, NAME, suspend=False)
        status = await world.end()
        assert status["phase"] == "Succeeded"
        assert "reason" not in status


async def test_a_cancelled_run_stops_its_pods():
    async with World({"tasks": [script("a")]}) as world:
        world.auto_run = False
        world.start()
        await world.until(lambda: world.pods)
        world.cluster.edit_spec(WORKFLOWS, NAMESPACE, NAME, cancel=True)
        status = await world.end()
        assert status["phase"] == "Cancelled"
        await world.until(world.driving.done)
        assert world.pods == []


async def test_f3_a_run_that_takes_too_long_fails_and_its_pods_are_stopped():
    async with World({"tasks": [script("a")], "activeDeadlineSeconds": 5}) as world:
        world.auto_run = False
        world.start()
        status = await world.end()
        assert (status["phase"], status["reason"]) == ("Failed", "DeadlineExceeded")
        await world.until(world.driving.done)
        assert world.pods == []


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"tasks": [script("a", "b")]}, "'b'"),
        ({"tasks": [script("a"), script("a")]}, "'a'"),
        ({"tasks": [script("a", "b"), script("b", "a")]}, "start"),
    ],
    ids=["unknown task", "two of one name", "cycle without a root"],
)
async def test_a_spec_that_makes_no_sense_is_refused_in_words_and_makes_no_pod(spec, words):
    async with World(spec) as world:
        world.start()
        status = await world.end()
        accepted = next(c for c in status["conditions"] if c["type"] == "Accepted")
        assert accepted["status"] == "False"
        assert words in accepted["message"]
        assert (status["phase"], status["reason"]) == ("Failed", "Invalid")
        assert world.pods == []


async def test_a_quota_is_waited_for_and_named():
    async with World({"tasks": [script("a")]}) as world:
        world.start()
        world.client.faults += [
            ("create", "pods", "before", ForbiddenError("exceeded quota: small"))
        ] * 2
        await world.until(lambda: "QuotaExceeded" in str(world.status.get("waiting")))
        [waiting] = world.status["waiting"]
        assert "exceeded quota: small" in waiting["message"]
        status = await world.end()
        assert status["phase"] == "Succeeded"
        assert len(world.made("pods")) == 1


async def test_a_busy_api_server_delays_a_pod_and_nothing_else():
    async with World({"tasks": [script("a")]}) as world:
        world.start()
        world.client.faults.append(("create", "pods", "before", TooManyError("busy", 3.0)))
        assert (await world.end())["phase"] == "Succeeded"


async def test_a_pod_that_no_api_server_would_take_fails_its_task_at_once():
    async with World({"tasks": [script("a", retry={"maxAttempts": 5})]}) as world:
        world.start()
        world.client.faults.append(("create", "pods", "before", InvalidError("cpu: bad quantity")))
        status = await world.end()
        assert status["reason"] == "PodInvalid"
        assert "cpu: bad quantity" in status["message"]


async def test_a_state_that_outgrows_the_object_without_a_store_ends_with_what_to_set():
    rng = random.Random(1)
    noise = lambda: "".join(rng.choice("0123456789abcdef") for _ in range(200_000))  # noqa: E731
    async with World(
        {"tasks": [script("a"), script("b", "a")]},
        store=False,
        work=lambda task, order: Succeeded({"json": noise()}),
    ) as world:
        world.start()
        status = await world.end()
        assert (status["phase"], status["reason"]) == ("Failed", "StoreRequired")
        assert "GRAFLOW_STORE_BUCKET" in status["message"]


async def test_a_state_too_large_for_the_status_is_read_from_the_store_after_a_crash():
    rng = random.Random(1)
    noise = "".join(rng.choice("0123456789abcdef") for _ in range(90_000))
    spec = {"tasks": [script("a"), script("b", "a")]}
    async with World(spec, work=lambda task, order: Succeeded({"json": noise})) as world:
        world.start()
        await world.until(lambda: "key" in world.status.get("cursor", {}))
        await world.crash()
        world.start()
        status = await world.end()
        assert status["phase"] == "Succeeded"
        assert sorted(world.executed) == ["a", "b"]


async def test_a_conflict_with_another_writer_of_the_state_means_reading_again():
    async with World(DIAMOND) as world:
        world.start()
        await world.until(lambda: "a" in world.executed)
        world.client.faults.append(("patch_status", "workflows", "before", ConflictError("old")))
        assert (await world.end())["phase"] == "Succeeded"
        assert sorted(world.executed) == ["a", "b", "c", "d"]


async def test_a_run_waits_for_a_store_that_is_away_says_so_and_goes_on():
    rng = random.Random(1)
    noise = "".join(rng.choice("0123456789abcdef") for _ in range(90_000))
    spec = {"tasks": [script("a"), script("b", "a")]}
    async with World(spec, work=lambda task, order: Succeeded({"json": noise})) as world:
        put = world.store.put

        def away(key, data):
            raise StoreUnavailableError("the store is away")

        world.store.put = away
        world.start()
        await world.until(lambda: world.status.get("reason") == "StoreUnavailable")
        assert world.status["message"] == "the store is away"
        world.store.put = put
        status = await world.end()
        assert status["phase"] == "Succeeded"
        assert sorted(world.executed) == ["a", "b"]


async def test_f2_f3_an_interrupted_task_is_lost_and_one_whose_time_is_up_has_failed():
    told = Failed(Error("Interrupted", "SIGTERM"))
    calls = []

    def work(task, order):
        calls.append(order["attempt"])
        return told if len(calls) == 1 else Succeeded({"json": 1})

    async with World({"tasks": [script("a")]}, work=work) as world:
        world.start()
        assert (await world.end())["phase"] == "Succeeded"
        assert calls == [1, 2]
    async with World({"tasks": [script("a", timeoutSeconds=1)]}) as world:
        world.auto_run = False
        world.start()
        await world.until(lambda: world.pods)
        pod = world.pods[0]
        await world.actor.claim(pod, "0" * 32, "3.11")
        world.now += 2
        claim = f"{pod['metadata']['uid']}/{'0' * 32}"
        await world.actor.report(AttemptRef(1, 1), claim, told)
        assert (await world.end())["reason"] == "DeadlineExceeded"


async def test_what_ran_on_a_lost_node_runs_again_and_its_late_report_is_fenced():
    async with World({"tasks": [script("a")]}) as world:
        world.work = lambda task, order: HANGS
        world.start()
        await world.until(lambda: world.executed == ["a"])
        uid = world.pods[0]["metadata"]["uid"]
        world.work = lambda task, order: Succeeded({"json": 2})
        world.actor.node_lost(AttemptRef(1, 1), "node n1 is gone")
        status = await world.end()
        assert status["result"] == {"json": 2}
        claim = f"{uid}/{uid.rjust(32, '0')}"
        with pytest.raises(FencedError):
            await world.actor.report(AttemptRef(1, 1), claim, Succeeded({"json": 1}))


async def test_a_container_task_runs_with_its_inputs_and_its_pod_is_let_go_after_the_commit():
    container = {"image": "alpine:3", "args": ["$(inputs.a)"]}
    tasks = [script("a"), {"name": "b", "after": ["a"], "container": container}]
    async with World({"tasks": tasks}) as world:
        world.start()
        await world.until(lambda: len(world.pods) == 2)
        pod = world.pod_of("b")
        assert pod["spec"]["containers"][0]["args"] == ["a"]
        assert pod["metadata"]["finalizers"] == ["graflow.dev/outcome"]
        world.end_pod(pod["metadata"]["name"], 0, message='{"rows": 3}')
        status = await world.end()
        assert status["result"] == {"json": {"rows": 3}}
        await world.until(world.driving.done)
        assert world.pod_of("b")["metadata"]["finalizers"] == []


async def test_a_pod_that_is_gone_without_news_is_let_go_of_once():
    async with World({"tasks": [{"name": "a", "container": {"image": "alpine:3"}}]}) as world:
        asked = []

        async def patch_json(kind, namespace, name, operations):
            asked.append(name)
            world.cluster.objects.pop(("pods", namespace, name), None)
            raise NotFoundError(f"pods {name!r} not found")

        world.cluster.patch_json = patch_json
        world.start()
        await world.until(lambda: len(world.pods) == 1)
        name = world.pods[0]["metadata"]["name"]
        world.end_pod(name, 0, message="1")
        await world.end()
        await world.until(world.driving.done)
        assert asked == [name]


async def test_a_finalizer_that_cannot_be_taken_off_is_tried_ever_more_rarely():
    async with World({"tasks": [{"name": "a", "container": {"image": "alpine:3"}}]}) as world:
        asked, patch_json = [], world.cluster.patch_json

        async def refuse_thrice(kind, namespace, name, operations):
            asked.append(world.now)
            if len(asked) <= 3:
                raise InvalidError("no")
            return await patch_json(kind, namespace, name, operations)

        world.cluster.patch_json = refuse_thrice
        world.start()
        await world.until(lambda: len(world.pods) == 1)
        world.end_pod(world.pods[0]["metadata"]["name"], 0, message="1")
        await world.end()
        await world.until(world.driving.done)
        pauses = [later - before for before, later in pairwise(asked)]
        assert pauses == pytest.approx([0.5, 1.0, 2.0], abs=0.1)


async def test_an_input_that_no_environment_can_hold_fails_its_task_in_words():
    container = {"image": "alpine:3"}
    tasks = [script("a"), {"name": "b", "after": ["a"], "container": container}]
    work = lambda task, order: Succeeded({"json": "x" * 40_000})  # noqa: E731
    async with World({"tasks": tasks}, store=False, work=work) as world:
        world.start()
        status = await world.end()
        assert status["reason"] == "InputUnusable"
        assert "40000 bytes" in status["message"]


async def test_a_status_that_the_api_server_refuses_is_written_shorter():
    async with World({"tasks": [script("a")]}) as world:
        world.start()
        fault = ("patch_status", "workflows", "before", InvalidError("status.tasks: too long"))
        world.client.faults.append(fault)
        await world.until(lambda: "status.tasks: too long" in world.status.get("message", ""))
        assert (await world.end())["phase"] == "Succeeded"


@pytest.mark.parametrize(
    "named",
    [
        {"key": "other/uid-9/state/7-x", "sha256": "0" * 64, "size": 1},
        {"key": "team/uid-9/state/7-x", "sha256": "0" * 64, "size": 1},
        {"key": "team/{uid}/../../other/uid-9/state/7-x", "sha256": "0" * 64, "size": 1},
        {"channel": {"seq": 1, "key": "other/uid-9/channel/1-x"}},
        {"history": "../../../other/uid-9/history/1-x"},
    ],
    ids=["other namespace", "other run", "dots", "channel", "history"],
)
async def test_a_status_that_somebody_wrote_makes_the_operator_read_and_remove_nothing_of_others(
    named,
):
    async with World({"tasks": [script("a")]}) as world:
        for key in ("other/uid-9/state/7-x", "team/uid-9/state/7-x", "other/uid-9/channel/1-x"):
            world.store.put(key, b"theirs")
        uid = world.workflow["metadata"]["uid"]
        cursor = json.loads(json.dumps({"seq": 7, **named}).replace("{uid}", uid))
        world.cluster.set_status(WORKFLOWS, NAMESPACE, NAME, {"phase": "Running", "cursor": cursor})
        asked = []
        get = world.store.get
        world.store.get = lambda key: asked.append(key) or get(key)
        world.start()
        await world.until(lambda: world.status.get("reason") == "StateUnreadable")
        assert "of this run" in world.status["message"]
        assert asked == []
        assert len([*world.store.list("other/"), *world.store.list("team/uid-9/")]) == 3
