"""K3: a run that goes on from another one: resumed after its end, or forked from a checkpoint."""

import base64
import contextlib
import json
import zlib

import pytest

from graflow.store import StoreUnavailableError
from graflow.store.keys import segment_name
from graflow_operator.bundles import Bundle
from graflow_operator.cluster import WORKFLOWS
from support.channel_pod import ChannelPod
from support.saving import documents
from support.world import HANGS, NAME, NAMESPACE, World, returned, script

FAILED = {"outcome": "Failed", "error": {"message": "the input is wrong", "type": "ValueError"}}
LARGE = "x" * 5000
"""Of a value that is kept in the store."""


CHAIN = {"tasks": [script("a"), script("b", "a"), script("c", "b"), script("d", "c")]}


def counting(world, fails=(), value=None):
    """Return the work of tasks that count themselves in the channel; `fails` do not succeed."""

    async def work(task, order):
        pod = ChannelPod(world, order)
        await pod.add(f"ran:{task}")
        if task in fails and await pod.get("mended") is None:
            return FAILED
        return returned(value or task)

    return work


@contextlib.asynccontextmanager
async def ended(spec=CHAIN, fails=("c",), *, store=True, value=None, **more):
    """Return a world whose run has ended."""
    async with World({**spec, **more}, store=store) as world:
        world.work = counting(world, fails, value)
        world.start()
        await world.end()
        yield world


@contextlib.asynccontextmanager
async def after(world, spec=CHAIN, name="again", work=None, **resume):
    """Return a world beside, with a run that goes on from the first one's."""
    asked = {"name": NAME, **resume}
    async with World({**spec, "resumeFrom": asked}, name=name, beside=world) as again:
        again.work = work or counting(again)
        yield again


def words_of(world):
    [accepted] = [one for one in world.status["conditions"] if one["type"] == "Accepted"]
    return accepted["status"], accepted["reason"], accepted["message"]


async def refused(world):
    """Return the words of a run that may not begin."""
    world.start()
    await world.end()
    status, reason, message = words_of(world)
    assert (status, reason) == ("False", "ResumeRefused")
    assert world.executed == []
    return message


def knowing(world, bundles):
    """Let the operator know bundles: the names of functions by SHA-256."""
    start = world.start

    def started(**faults):
        start(**faults)
        for sha256, functions in bundles.items():
            made = Bundle(sha256, b"zip", "3.11", dict.fromkeys(functions, "3" * 64))
            world.actor.parts.bundles.put(NAMESPACE, made)

    world.start = started


STORES = pytest.mark.parametrize("store", [True, False], ids=["store", "no store"])


@STORES
async def test_k3_a_resumed_run_runs_only_what_had_not_completed(store):
    async with ended(store=store) as world:
        assert world.status["phase"] == "Failed"
        async with after(world, set={"mended": True}) as again:
            again.start()
            status = await again.end()
            assert (status["phase"], status["result"]) == ("Succeeded", {"json": "d"})
            assert again.executed == ["c", "d"]
            assert [order["attempt"] for order in again.orders] == [2, 1]
            of = status["resumedFrom"]
            assert (of["name"], of["uid"]) == (NAME, world.workflow["metadata"]["uid"])
            assert of["changes"] == ["channel key 'mended', which is new, is true"]


async def test_a_key_that_the_channel_did_not_have_is_told_with_the_nearest_that_it_had():
    changes = {"rate": 1, "raet": 2, "mended": True}
    async with ended(input={"rate": 0}) as world, after(world, set=changes) as again:
        again.start()
        assert (await again.end())["resumedFrom"]["changes"] == [
            "channel key 'rate' is 1",
            "channel key 'raet', which is new (did you mean 'rate'?), is 2",
            "channel key 'mended', which is new, is true",
        ]


async def test_k3_the_channel_goes_on_and_tasks_have_counted_once_each():
    async with ended() as world, after(world, set={"mended": True}) as again:
        seen = {}

        async def work(task, order):
            pod = ChannelPod(again, order)
            seen[task] = [await pod.get(f"ran:{name}") for name in "abc"]
            return returned(task)

        again.work = work
        again.start()
        await again.end()
        assert seen == {"c": [1, 1, 1], "d": [1, 1, 1]}


@STORES
async def test_k3_a_cancelled_run_goes_on(store):
    async with World(CHAIN, store=store) as world:
        world.work = lambda task, order: HANGS if task == "b" else returned(task)
        world.start()
        await world.until(lambda: "b" in world.executed)
        workflow = world.workflow
        workflow["spec"]["cancel"] = True
        workflow["metadata"]["generation"] += 1
        workflow["metadata"]["resourceVersion"] = str(next(world.cluster.versions))
        await world.end()
        assert world.status["phase"] == "Cancelled"
        async with after(world) as again:
            again.start()
            assert (await again.end())["phase"] == "Succeeded"
            assert (world.executed, again.executed) == (["a", "b"], ["b", "c", "d"])


async def test_k3_a_fork_goes_on_from_the_checkpoint_that_it_names():
    async with ended(fails=(), checkpointEvery=1) as world:
        seqs = [entry["seq"] for entry in world.status["checkpoints"]]
        async with after(world, checkpoint=seqs[1]) as again:
            again.start()
            await again.end()
            assert again.executed == ["c", "d"]
            assert again.status["resumedFrom"]["checkpoint"] == seqs[1]
        async with after(world, checkpoint=seqs[1], name="twice", results={"b": 7}) as again:
            again.start()
            await again.end()
            assert again.executed == ["c", "d"]
            [sent] = again.orders[0]["sent"]
            assert sent == {"task": "b", "value": {"json": 7}}
            assert "the result of 'b' is 7" in again.status["resumedFrom"]["changes"]


async def test_k3_a_task_of_a_run_that_succeeded_runs_again_when_told_to():
    async with ended(fails=()) as world, after(world, rerun=["c"]) as again:
        again.start()
        assert (await again.end())["phase"] == "Succeeded"
        assert again.executed == ["c", "d"]


async def test_k3_a_run_that_succeeded_and_has_nothing_to_do_stays_as_it_was():
    async with ended(fails=()) as world, after(world) as again:
        again.start()
        status = await again.end()
        assert (status["phase"], status["result"]) == ("Succeeded", {"json": "d"})
        assert again.executed == []


async def test_k3_the_new_run_has_objects_of_its_own_and_the_old_one_may_go():
    async with ended(value=LARGE) as world, after(world, set={"mended": 1}) as again:
        again.work = counting(again, value=LARGE)
        again.auto_run = False
        again.start()
        await again.until(lambda: again.status.get("phase") == "Running")
        old = f"{NAMESPACE}/{world.workflow['metadata']['uid']}/"
        for key in list(world.store.list(old)):
            world.store.delete(key)
        await again.crash()
        again.auto_run = True
        again.start()
        for pod in again.pods:
            if pod["metadata"]["labels"]["graflow.dev/run"] == again.workflow["metadata"]["uid"]:
                again._pod_made(pod)
        assert (await again.end())["phase"] == "Succeeded"
        used = {ref for order in again.orders for ref in blobs(order)}
        kept = set(world.store.list(f"{NAMESPACE}/{again.workflow['metadata']['uid']}/blobs/"))
        assert {key.rpartition("/")[2] for key in kept} >= used != set()


def blobs(order):
    return [one["value"]["blob"]["sha256"] for one in order["sent"] if "blob" in one["value"]]


@pytest.mark.parametrize("times", [1, 2])
async def test_k3_a_crash_while_objects_are_copied_begins_again(times):
    async with ended(value=LARGE) as world, after(world, set={"mended": 1}) as again:
        copied = []
        copy = world.store.copy

        def away(source, target):
            copied.append(target)
            if len(copied) <= times:
                raise StoreUnavailableError("the store is away")
            copy(source, target)

        world.store.copy = away
        again.start()
        await again.until(lambda: again.status.get("reason") == "StoreUnavailable")
        assert not again.status.get("cursor")
        await again.crash()
        again.start()
        assert (await again.end())["phase"] == "Succeeded"
        assert again.executed == ["c", "d"]


@pytest.mark.parametrize("dies_after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("write", range(1, 8))
async def test_k3_a_crash_at_any_write_of_a_resumed_run_runs_nothing_twice(write, dies_after):
    async with ended() as world, after(world, set={"mended": 1}) as again:
        again.start(dies_at=write, dies_after=dies_after)
        assert (await again.end(restart=True))["phase"] == "Succeeded"
        assert again.executed == ["c", "d"]


async def test_k3_a_deleted_run_goes_on_as_long_as_its_objects_are_there():
    async with ended() as world:
        uid = world.workflow["metadata"]["uid"]
        await world.crash()
        await world.cluster.delete(WORKFLOWS, NAMESPACE, NAME, uid=uid)
        async with after(world, uid=uid, set={"mended": 1}) as again:
            again.start()
            await again.end()
            assert again.executed == ["c", "d"]


async def test_a_fork_inside_a_group_runs_the_other_branches_and_not_those_that_ended():
    members = ["m0", "m1", "m2"]
    tasks = [script("a"), *(script(name) for name in members), script("z", "g")]
    groups = [{"name": "g", "members": members, "after": ["a"]}]
    spec = {"tasks": tasks, "groups": groups, "checkpointEvery": 1, "parallelism": 1}
    async with ended(spec, fails=()) as world:
        seq = world.status["checkpoints"][1]["seq"]
        done = world.executed[1]
        async with after(world, spec, checkpoint=seq) as again:
            again.start()
            await again.end()
            assert sorted(again.executed) == sorted({*members, "z"} - {done})


async def test_a_fork_inside_a_fragment_keeps_what_the_task_had_made():
    large = base64.b64encode(b"p" * 5000).decode()
    code = {"group": {"python": {"json": "3.11"}, "code": {"pickle": large}}}
    fragment = {
        "tasks": [{"name": name, "function": name} for name in "xy"],
        "edges": [["x", "y"]],
        "start": ["x"],
        "code": {"x": code, "y": code},
    }
    spec = {"tasks": [script("a"), script("b", "a")], "checkpointEvery": 1}

    def work(task, order):
        if task == "a":
            return returned(1, {"kind": "Spawn", "fragment": fragment})
        return returned(task)

    async with World(spec, work=work) as world:
        world.start()
        await world.end()
        assert world.executed == ["a", "x", "y", "b"]
        seqs = [entry["seq"] for entry in world.status["checkpoints"]]
        async with after(world, spec, work=work, checkpoint=seqs[1]) as again:
            again.start()
            await again.end()
            assert again.executed == ["y", "b"]
            sha256 = again.orders[0]["call"]["code"]["group"]["code"]["blob"]["sha256"]
            uid = again.workflow["metadata"]["uid"]
            assert world.store.get(f"{NAMESPACE}/{uid}/blobs/{sha256}") == b"p" * 5000


async def test_a_run_that_still_runs_is_not_resumed_and_the_way_out_is_said():
    async with World({**CHAIN, "checkpointEvery": 1}) as world:
        world.work = lambda task, order: returned(task)
        world.auto_run = False
        world.start()
        await world.until(lambda: world.status.get("phase") == "Running")
        async with after(world) as again:
            assert "cancel it first, or fork it" in await refused(again)


async def test_a_run_that_is_not_there_is_named_with_the_way_out():
    async with ended() as world, after(world, name="again", uid=None) as again:
        again.workflow["spec"]["resumeFrom"] = {"name": "nobody"}
        message = await refused(again)
        assert "spec.resumeFrom.name" in message
        assert "there is no Workflow 'nobody' in namespace 'team'" in message


async def test_a_run_of_another_namespace_is_not_found_by_its_uid():
    async with ended() as world:
        uid = world.workflow["metadata"]["uid"]
        for key in list(world.store.list(f"{NAMESPACE}/{uid}/")):
            world.store.put(key.replace(f"{NAMESPACE}/", "other/", 1), world.store.get(key))
            world.store.delete(key)
        await world.crash()
        await world.cluster.delete(WORKFLOWS, NAMESPACE, NAME, uid=uid)
        async with after(world, uid=uid) as again:
            assert "nothing of it is in the store" in await refused(again)


async def test_a_checkpoint_that_is_not_there_is_answered_with_the_nearest():
    async with ended(fails=(), checkpointEvery=1) as world:
        seqs = [entry["seq"] for entry in world.status["checkpoints"]]
        async with after(world, checkpoint=999) as again:
            message = await refused(again)
            assert "spec.resumeFrom.checkpoint" in message
            assert "the nearest " in message
            assert str(seqs[-1]) in message


async def test_a_document_that_no_cursor_leads_to_is_none():
    async with ended(fails=()) as world:
        prefix = f"{NAMESPACE}/{world.workflow['metadata']['uid']}/checkpoints/"
        [end] = documents(world)
        found = json.loads(zlib.decompress(world.store.get(f"{prefix}{end}")))
        data = zlib.compress(json.dumps({**found, "seq": 1}).encode())
        world.store.put(f"{prefix}{segment_name(1, data)}", data)
        async with after(world, checkpoint=1) as again:
            assert "has no checkpoint 1" in await refused(again)


async def test_a_crash_right_after_the_first_commit_burns_no_attempt():
    async with ended() as world, after(world, set={"mended": 1}) as again:
        again.start(dies_at=1, dies_after=True)
        await again.end(restart=True)
        assert [order["attempt"] for order in again.orders] == [2, 1]


@pytest.mark.parametrize("known", [True, False], ids=["there", "lost"])
async def test_a_task_that_was_made_of_a_function_of_the_program_needs_it_in_the_new_code(known):
    made = {"tasks": [{"name": "x", "function": "spare"}], "start": ["x"]}
    work = {"a": returned(1, {"kind": "Spawn", "fragment": made})}
    new = ["a", "spare"] if known else ["a"]
    bundles = {"1" * 64: ["a", "spare"], "2" * 64: new}
    old, new = ({"name": "code", "sha256": sha256} for sha256 in bundles)
    spec = {"tasks": [{"name": "a", "function": "a"}], "checkpointEvery": 1}
    async with World({**spec, "bundle": old}) as world:
        knowing(world, bundles)
        world.work = lambda task, order: work.get(task, returned(task))
        world.start()
        await world.end()
        seq = world.status["checkpoints"][0]["seq"]
        forked = {**spec, "bundle": new}
        work.clear()
        async with after(world, forked, work=world.work, checkpoint=seq) as again:
            knowing(again, bundles)
            if known:
                again.start()
                await again.end()
                assert again.executed == ["x"]
                assert "the code is bundle 222" in again.status["resumedFrom"]["changes"][0]
            else:
                assert "'x' was made at run time of function 'spare'" in await refused(again)


async def test_a_damaged_checkpoint_is_named_and_nothing_runs():
    async with ended() as world:
        [end] = documents(world)
        uid = world.workflow["metadata"]["uid"]
        world.store.put(f"{NAMESPACE}/{uid}/checkpoints/{end}", b"something else")
        async with after(world) as again:
            message = await refused(again)
            assert end in message
            assert "is corrupt" in message


async def test_a_cursor_that_leads_elsewhere_is_not_followed():
    async with ended() as world:
        world.workflow["status"]["cursor"]["checkpoint"] = f"../../other/uid/{'0' * 64}"
        async with after(world, checkpoint=3) as again:
            message = await refused(again)
            assert "no name of a checkpoint" in message or "has no checkpoint 3" in message


async def test_a_value_that_is_gone_is_named_and_nothing_runs():
    async with ended(value=LARGE) as world:
        uid = world.workflow["metadata"]["uid"]
        for key in list(world.store.list(f"{NAMESPACE}/{uid}/blobs/")):
            world.store.delete(key)
        async with after(world) as again:
            assert "is gone" in await refused(again)


async def test_a_large_result_that_a_fork_gives_is_not_looked_for_in_the_old_run():
    changed = {"set": {"mended": 1}, "results": {"b": LARGE}}
    async with ended() as world, after(world, **changed) as again:
        again.start()
        await again.end()
        assert again.executed == ["c", "d"]


async def test_a_task_that_is_alive_and_no_more_in_the_workflow_is_refused():
    other = {"tasks": [script("a"), script("b", "a"), script("d", "b")]}
    async with ended() as world, after(world, other) as again:
        message = await refused(again)
        assert "'c' was alive at the checkpoint" in message


async def test_changed_tasks_apply_where_nothing_stands_and_are_told():
    more = {"tasks": [*CHAIN["tasks"], script("e", "d")]}
    async with ended() as world, after(world, more, set={"mended": 1}) as again:
        again.start()
        await again.end()
        assert again.executed == ["c", "d", "e"]
        changes = again.status["resumedFrom"]["changes"]
        assert "tasks or edges of the workflow are others" in changes


async def test_to_run_again_what_is_under_way_or_has_not_begun_is_told_as_what_it_comes_to():
    async with ended(fails=(), checkpointEvery=1) as world:
        seq = world.status["checkpoints"][1]["seq"]
        async with after(world, checkpoint=seq, rerun=["c", "a"]) as again:
            again.start()
            await again.end()
            changes = again.status["resumedFrom"]["changes"]
            assert changes == ["'c' was under way and goes on", "'a' runs again"]
    async with ended() as world, after(world, rerun=["c"], set={"mended": 1}) as again:
        again.start()
        await again.end()
        assert "'c' runs again" in again.status["resumedFrom"]["changes"]
    async with ended(suspend=True, cancel=True) as world, after(world, rerun=["a"]) as again:
        again.start()
        await again.end()
        told = "'a' runs as all others do, for the run had not begun"
        assert again.status["resumedFrom"]["changes"] == [told]


async def test_a_run_that_goes_on_from_one_that_has_succeeded_says_that_nothing_was_run():
    more = {"tasks": [*CHAIN["tasks"], script("e", "d")]}
    async with ended(fails=()) as world, after(world, more) as again:
        again.start()
        status = await again.end()
        assert (status["phase"], again.executed) == ("Succeeded", [])
        assert "nothing was run: 'run' has succeeded" in status["message"]


async def test_input_is_not_applied_again_to_a_channel_that_has_gone_on():
    spec = {**CHAIN, "input": {"n": 1}}

    async def work(task, order):
        pod = ChannelPod(current[0], order)
        if task == "a":
            await pod.set("n", 5)
        seen[task] = await pod.get("n")
        return FAILED if task == "c" and current[0].name == NAME else returned(task)

    seen, current = {}, []
    async with World(spec, work=work) as world:
        current.append(world)
        world.start()
        await world.end()
        async with after(world, spec, work=work) as again:
            current[0] = again
            again.start()
            await again.end()
            assert seen["d"] == 5


async def test_a_lock_that_was_held_at_the_checkpoint_is_free_in_the_new_run():
    async def work(task, order):
        pod = ChannelPod(current[0], order)
        await pod.lock("gate")
        return FAILED if task == "c" and current[0].name == NAME else returned(task)

    current = []
    async with World({**CHAIN, "checkpointEvery": 1}, work=work) as world:
        current.append(world)
        world.start()
        await world.end()
        async with after(
            world, work=work, checkpoint=world.status["checkpoints"][0]["seq"]
        ) as again:
            current[0] = again
            again.start()
            assert (await again.end())["phase"] == "Succeeded"


async def test_where_a_run_has_come_from_stays_in_its_status():
    async with ended() as world, after(world, set={"mended": 1}) as again:
        again.start()
        await again.until(lambda: again.status.get("resumedFrom"))
        first = again.status["resumedFrom"]
        await again.end()
        assert again.status["resumedFrom"] == first


@pytest.mark.parametrize("most", [1, 3])
async def test_k3_a_fork_with_another_retry_policy_tries_a_failed_task_as_often_as_that_says(most):
    def chain(attempts):
        retry = {"maxAttempts": attempts, "initialSeconds": 0, "jitter": False}
        return {"tasks": [script("a"), script("b", "a", retry=retry)]}

    work = lambda task, order: FAILED if task == "b" else returned(task)  # noqa: E731
    async with World(chain(2), work=work) as world:
        world.start()
        await world.end()
        assert world.executed == ["a", "b", "b"]
        async with after(world, chain(most), work=work) as again:
            again.start()
            status = await again.end()
            assert (status["phase"], status["reason"]) == ("Failed", "TaskFailed")
            assert again.executed == ["b"] * most
            assert [order["attempt"] for order in again.orders] == list(range(3, 3 + most))
            told = status["resumedFrom"]["changes"]
            assert told == ["tasks or edges of the workflow are others"]


@pytest.mark.parametrize(
    ("asked", "reason", "words"),
    [
        ({"name": "runn"}, "ResumeRefused",
         ("spec.resumeFrom.name: there is no Workflow 'runn' in namespace 'team'; name one that is"
         " there, or give the uid of the deleted one too")),
        ({"name": NAME, "uid": "another"}, "ResumeRefused",
         ("spec.resumeFrom.uid: there is no Workflow 'run' with uid 'another' in namespace 'team',"
         " and nothing of it is in the store; give a run that is there")),
        ({"name": NAME, "checkpoint": 10_000}, "ResumeRefused",
         "spec.resumeFrom.checkpoint: run 'run' has no checkpoint 10000; the nearest are "),
        ({"name": NAME, "checkpoint": "last"}, "Invalid",
         'spec.resumeFrom.checkpoint: must be a whole number; this is "last"'),
        ({"name": NAME, "rerun": ["bb"]}, "Invalid",
         "spec.resumeFrom.rerun[0]: task 'bb' is not in the workflow; did you mean 'b'?"),
        ({"name": NAME, "results": {"bb": 1}}, "Invalid",
         "spec.resumeFrom.results.bb: task 'bb' is not in the workflow; did you mean 'b'?"),
        ({"name": NAME, "results": {"d": 1}}, "ResumeRefused",
         "spec.resumeFrom: 'd' has no result to replace; there are results of 'a', 'b'"),
        ({"name": NAME, "reruns": ["b"]}, "Invalid",
         "spec.resumeFrom: unknown field 'reruns'; did you mean 'rerun'?"),
    ],
    ids=["name", "uid", "checkpoint", "no number", "rerun", "result", "no result yet", "field"],
)  # fmt: skip
async def test_what_somebody_wrote_that_cannot_be_names_the_field_the_value_and_the_way_out(
    asked, reason, words
):
    async with ended(checkpointEvery=1) as world, after(world) as again:
        again.workflow["spec"]["resumeFrom"] = asked
        again.start()
        await again.end()
        status, why, message = words_of(again)
        assert (status, why, again.executed) == ("False", reason, [])
        assert words in message


async def test_a_run_that_has_not_begun_is_nothing_to_go_on_from_and_the_way_out_is_said():
    async with ended() as world, World(CHAIN, name="idle", beside=world), after(world) as again:
        again.workflow["spec"]["resumeFrom"] = {"name": "idle"}
        message = await refused(again)
        assert "Workflow 'idle' has not begun, so there is nothing to go on from" in message
        assert message.endswith("create it anew")


async def test_without_a_store_a_checkpoint_is_refused_with_what_to_configure():
    async with ended(store=False) as world, after(world, checkpoint=3) as again:
        message = await refused(again)
        assert "spec.resumeFrom.checkpoint: checkpoints are in a store" in message
        assert "GRAFLOW_STORE_BUCKET" in message


async def test_a_checkpoint_of_a_run_that_has_none_is_answered_with_the_way_to_its_end():
    async with ended() as world:
        for name in documents(world):
            uid = world.workflow["metadata"]["uid"]
            world.store.delete(f"{NAMESPACE}/{uid}/checkpoints/{name}")
        async with after(world, checkpoint=3) as again:
            message = await refused(again)
            assert "run 'run' has no checkpoints; leave the field out to go on from its" in message
