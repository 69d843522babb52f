"""Questions of a run to people: asked, made objects, answered; pods go while they wait."""

import asyncio
import json
from dataclasses import replace

import pytest

from graflow import questions
from graflow.api import crd, names
from graflow.machine.state import Question
from graflow_operator.asking import is_same
from graflow_operator.cluster import FEEDBACK_REQUESTS, PODS
from graflow_operator.engine import Engine
from graflow_operator.letters import Answered, ChangedQuestionError
from graflow_operator.objects import seconds
from graflow_operator.refs import AttemptRef
from graflow_operator.responding import Person, Reply, respond
from graflow_operator.verdicts import Parked, Succeeded
from support.patience import until
from support.world import NAMESPACE, World, script

DAY_S = 86_400.0
ASKED = {"type": "approval", "prompt": "Deploy?", "timeoutSeconds": 60}


def question(key="q1", **more):
    asked = {**ASKED, **more}
    return Question(key, questions.digest(asked), {"json": asked})


def requests(world):
    return world.cluster.all(FEEDBACK_REQUESTS)


def attempt_of(order):
    return AttemptRef(order["activation"], order["attempt"])


def pods_of(world, task):
    pods = world.cluster.all(PODS)
    return [pod for pod in pods if pod["metadata"]["labels"]["graflow.dev/task"] == task]


async def ask(world, order, asked, within_s=0.0):
    attempt, claim = attempt_of(order), order["claim"]
    return await world._ask(lambda a: a.questions.ask(attempt, claim, asked, within_s))


def asking(world, *asked):
    """Return work that asks one after the other, and parks where there is no answer."""

    async def work(_, order):
        told = []
        for one in asked:
            known = order["questions"].get(one.key, {}).get("answer")
            known = known or (await ask(world, order, one))["answer"]
            if known is None:
                return Parked()
            told.append(known["json"])
        return Succeeded({"json": told})

    return work


def answer(world, request, given, **changes):
    spec, metadata = request["spec"], request["metadata"]
    which = (spec["activation"], spec["key"], spec["sha256"])
    letter = Answered(*which, given, metadata["namespace"], metadata["name"])
    world.actor.questions.answered(replace(letter, **changes))


def world_of(*tasks, **more):
    return World({"tasks": list(tasks)}, **more)


async def test_a_question_becomes_an_object_and_its_answer_begins_the_next_attempt():
    async with world_of(script("a"), script("b", "a")) as world:
        world.work = asking(world, question())
        world.start()
        await world.until(lambda: requests(world))
        [request] = requests(world)
        assert request["spec"]["prompt"] == "Deploy?"
        assert request["spec"]["deadline"] > "1970-01-12T13:47"
        assert request["metadata"]["ownerReferences"][0]["uid"] == world.workflow["metadata"]["uid"]
        answer(world, request, {"approved": True})
        await world.until(lambda: "b" in world.executed)
        first, second = (o for o in world.orders if o["task"]["id"] == "a")
        assert (first["attempt"], second["attempt"], second["task"]["failures"]) == (1, 2, 0)
        assert second["questions"]["q1"]["answer"] == {"json": {"approved": True}}


async def test_whoever_waits_for_a_person_has_no_pod_and_no_place():
    spec = {"tasks": [script("a"), script("b")], "start": ["a", "b"], "parallelism": 1}
    async with World(spec) as world:

        async def work(task, order):
            return (
                await asking(world, question())(task, order)
                if task == "a"
                else Succeeded({"json": 1})
            )

        world.work = work
        world.start()
        await world.until(lambda: "b" in world.executed)
        await world.until(lambda: pods_of(world, "a") == [])
        assert world.status["phase"] == "Running"


async def test_no_time_limit_no_reaper_and_no_retry_hits_a_task_that_waits_for_a_day():
    async with world_of(script("a", timeoutSeconds=5, retry={"maxAttempts": 1})) as world:
        asked = question(timeoutSeconds=7 * DAY_S)
        world.work = asking(world, asked)
        world.start()
        await world.until(lambda: requests(world) and pods_of(world, "a") == [])
        began = world.now
        world.now += DAY_S
        await world.until(lambda: world.now > began + DAY_S + 100)
        assert (world.status["phase"], len(world.orders)) == ("Running", 1)
        answer(world, requests(world)[0], {"approved": True})
        assert (await world.end())["phase"] == "Succeeded"
        assert [order["task"]["failures"] for order in world.orders] == [0, 0]


async def test_the_deadline_of_people_and_the_time_limit_of_a_task_are_two_clocks():
    async with world_of(script("a", timeoutSeconds=5)) as world:
        world.work = asking(world, question(timeoutSeconds=DAY_S), question("q2"))
        limits = []
        world.cluster.on_pod, made = (
            lambda pod: (limits.append(pod["spec"]["activeDeadlineSeconds"]), made(pod)),
            world.cluster.on_pod,
        )
        world.start()
        await world.until(lambda: requests(world) and pods_of(world, "a") == [])
        first = requests(world)[0]["spec"]["deadline"]
        world.now += DAY_S / 2
        answer(world, requests(world)[0], {"approved": True})
        await world.until(lambda: len(requests(world)) == 2)
        deadlines = {one["spec"]["key"]: one["spec"]["deadline"] for one in requests(world)}
        assert (limits, deadlines["q1"]) == ([5, 5], first)
        assert seconds(deadlines["q2"]) == pytest.approx(world.now + 60, abs=30)


async def test_a_run_that_waits_for_a_person_says_so_and_names_the_question():
    async with world_of(script("a")) as world:
        world.work = asking(world, question())
        world.start()
        await world.until(lambda: requests(world) and world.status.get("waiting"))
        [waits] = world.status["waiting"]
        assert (waits["task"], waits["reason"]) == ("a", "WaitingForPerson")
        assert requests(world)[0]["metadata"]["name"] in waits["message"]
    columns = crd.workflow_crd()["spec"]["versions"][0]["additionalPrinterColumns"]
    assert ".status.waiting[0].reason" in {column["jsonPath"] for column in columns}


async def test_a_burst_of_answers_starts_no_more_pods_than_may_run_at_once():
    members = [f"m{n}" for n in range(12)]
    spec = {
        "tasks": [script(name) for name in members],
        "groups": [{"name": "G", "members": members}],
        "parallelism": 3,
    }
    async with World(spec) as world:
        together = []

        async def work(task, order):
            together.append(len(alive(world)))
            return await asking(world, question())(task, order)

        world.work = work
        world.start()
        await world.until(lambda: len(requests(world)) == len(members) and not alive(world))
        for request in requests(world):
            answer(world, request, {"approved": True})
        assert (await world.end())["phase"] == "Succeeded"
        assert len(together) == 2 * len(members)
        assert max(together) == 3


def alive(world):
    """Return the pods that may do something."""
    phases = ("Succeeded", "Failed")
    return [pod for pod in world.pods if pod.get("status", {}).get("phase") not in phases]


async def test_a_quick_answer_is_told_to_the_pod_that_waits():
    async with world_of(script("a")) as world:

        async def work(_, order):
            found = await ask(world, order, question(), within_s=1000.0)
            return Succeeded(found["answer"])

        world.work = work
        world.start()
        await world.until(lambda: requests(world))
        answer(world, requests(world)[0], {"approved": False})
        status = await world.end()
        assert (status["phase"], len(world.orders)) == ("Succeeded", 1)


async def test_an_operator_that_was_killed_anywhere_asks_once_and_goes_on():
    async with world_of(script("a")) as world:
        world.work = asking(world, question())
        world.start()
        await world.until(lambda: requests(world))
        await world.crash()
        world.start()
        await world.until(lambda: not world.cluster.all(PODS))
        assert len(requests(world)) == 1
        answer(world, requests(world)[0], {"approved": True})
        assert (await world.end())["phase"] == "Succeeded"


async def test_an_object_that_somebody_deleted_is_made_anew_while_its_question_is_open():
    async with world_of(script("a")) as world:
        world.work = asking(world, question())
        world.start()
        await world.until(lambda: requests(world))
        [request] = requests(world)
        name, uid = request["metadata"]["name"], request["metadata"]["uid"]
        await world.cluster.delete(FEEDBACK_REQUESTS, NAMESPACE, name, uid=uid)
        world.actor.questions.gone(1, "q1")
        await world.until(lambda: requests(world))
        assert requests(world)[0]["spec"] == request["spec"]


async def test_an_object_that_is_being_deleted_is_not_the_one_that_is_made_anew():
    async with world_of(script("a")) as world:
        world.work = asking(world, question())
        world.start()
        await world.until(lambda: requests(world) and pods_of(world, "a") == [])
        [leaving] = requests(world)
        leaving["metadata"] |= {"finalizers": ["foregroundDeletion"], "deletionTimestamp": "now"}
        world.actor.questions.gone(1, "q1")
        for _ in range(100):
            await asyncio.sleep(0)
        world.cluster.vanish(FEEDBACK_REQUESTS, NAMESPACE, leaving["metadata"]["name"])
        await world.until(lambda: requests(world))
        assert "deletionTimestamp" not in requests(world)[0]["metadata"]


async def test_a_question_that_is_asked_in_other_words_gets_no_answer():
    async with world_of(script("a")) as world:
        said = []

        async def work(_, order):
            await ask(world, order, question())
            with pytest.raises(ChangedQuestionError) as refused:
                await ask(world, order, question(prompt="Delete?"))
            said.append(str(refused.value))
            return Succeeded({"json": 1})

        world.work = work
        world.start()
        await world.end()
        assert said[0].startswith("question 'q1' was asked in other words before")


@pytest.mark.parametrize("changes", [{"sha256": "of something else"}, {"name": "another"}])
async def test_an_answer_to_other_words_or_in_another_object_is_not_taken(changes):
    async with world_of(script("a")) as world:
        world.work = asking(world, question())
        world.start()
        await world.until(lambda: requests(world))
        answer(world, requests(world)[0], {"approved": True}, **changes)
        await world.until(lambda: not world.cluster.all(PODS))
        assert world.actor.questions.is_open(1, "q1")


async def test_questions_of_branches_are_objects_of_their_own():
    spec = {
        "tasks": [script("a"), script("b")],
        "groups": [{"name": "G", "members": ["a", "b"]}],
    }
    async with World(spec) as world:
        world.work = asking(world, question())
        world.start()
        await world.until(lambda: len(requests(world)) == 2)
        paths = {request["spec"]["path"] for request in requests(world)}
        assert paths == {"G/a", "G/b"}


async def test_what_a_task_keeps_is_in_the_order_of_its_next_attempt():
    async with world_of(script("a")) as world:

        async def work(_, order):
            if "draft" in order["kept"]:
                return await asking(world, question())(_, order)
            attempt, claim = attempt_of(order), order["claim"]
            value = {"json": {"n": 1}}
            await world._ask(lambda a: a.questions.keep(attempt, claim, "draft", value))
            return await asking(world, question())(_, order)

        world.work = work
        world.start()
        await world.until(lambda: requests(world))
        answer(world, requests(world)[0], {"approved": True})
        await world.end()
        assert json.loads(json.dumps(world.orders[-1]["kept"])) == {"draft": {"json": {"n": 1}}}


async def test_an_answer_while_the_runner_leaves_is_not_kept_waiting_for_another_question():
    first, second = question(), question("q2")
    seen = []

    async def work(_, order):
        known = {key: one["answer"] for key, one in order["questions"].items()}
        seen.append(known)
        if not known:
            for one in (first, second):
                await ask(world, order, one)
            answer(world, requests(world)[0], {"approved": True})
        return Parked(("q1", "q2") if not known else ("q2",))

    async with world_of(script("a")) as world:
        world.work = work
        world.start()
        await world.until(lambda: len(seen) == 2 and pods_of(world, "a") == [])
    assert seen[0] == {}
    assert [key for key, given in seen[1].items() if given] == ["q1"]


async def test_k2_a_checkpoint_is_taken_before_a_wait_for_a_person():
    async with world_of(script("a")) as world:
        world.work = asking(world, question())
        world.start()
        await world.until(lambda: pods_of(world, "a") == [] and requests(world))
        assert [(one["reason"], one["task"]) for one in world.status["checkpoints"]] == [
            ("Person", "a")
        ]


async def test_a_fork_asks_again_what_was_answered_and_so_does_a_resumed_run_of_other_code():
    async with world_of(script("a")) as world:
        failing = {"outcome": "Failed", "error": {"message": "no", "type": "ValueError"}}

        async def fails(_, order):
            told = await asking(world, question())(_, order)
            return told if isinstance(told, Parked) else failing

        world.work = fails
        world.start()
        await world.until(lambda: requests(world))
        answer(world, requests(world)[0], {"approved": True})
        await world.end()
        asked = {"name": world.name}
        same, other_task = script("a"), {"name": "a", "script": "return 'something else'"}
        for name, task, more, runs in (
            ("again", same, {}, 1),
            ("fork", same, {"checkpoint": last(world)}, 2),
            ("changed", other_task, {}, 2),
        ):
            spec = {"tasks": [task], "resumeFrom": asked | more}
            async with World(spec, name=name, beside=world) as other:
                other.work = asking(other, question())
                other.start()
                if runs > 1:
                    await other.until(lambda: requests_of(other))
                    answer(other, requests_of(other)[0], {"approved": False})
                await other.end()
                assert len(other.orders) == runs


async def test_a_resumed_run_asks_again_what_was_withdrawn_or_not_answered_in_time():
    async with world_of(script("a")) as world:

        async def fails_unanswered(_, order):
            return timed_out if order["questions"] else await asking(world, question())(_, order)

        error = {"message": "nobody", "reason": "FeedbackTimeout", "retryable": False}
        timed_out = {"outcome": "Failed", "error": error}
        world.work = fails_unanswered
        world.start()
        await world.until(lambda: requests(world))
        answer(world, requests(world)[0], {"expired": True, "reason": "withdrawn by bob" * 99})
        await world.end()
        spec = {"tasks": [script("a")], "resumeFrom": {"name": world.name}}
        async with World(spec, name="again", beside=world) as again:
            again.work = asking(again, question())
            again.start()
            await again.until(lambda: requests_of(again))
            answer(again, requests_of(again)[0], {"approved": True})
            status = await again.end()
            assert status["result"] == {"json": [{"approved": True}]}


def last(world):
    return world.status["checkpoints"][-1]["seq"]


def requests_of(world):
    uid = world.workflow["metadata"]["uid"]
    return [one for one in requests(world) if one["spec"]["workflow"]["uid"] == uid]


async def test_only_what_is_known_to_have_ended_is_over():
    async with world_of(script("a"), script("b", "a")) as world:
        world.work = _asking_in(world, "b")
        world.start()
        over = world.actor.questions.is_over
        assert not over(1)  # nothing is read yet
        await world.until(lambda: requests(world))
        assert (over(1), over(2), over(3)) == (True, False, False)


def _asking_in(world, which):
    """Return work in which one task asks."""

    async def work(task, order):
        if task == which:
            return await asking(world, question())(task, order)
        return Succeeded({"json": 1})

    return work


async def test_an_answer_that_is_told_before_the_run_is_read_is_heard():
    async with world_of(script("a")) as world:
        world.work = asking(world, question())
        world.start()
        await world.until(lambda: requests(world))
        [request] = requests(world)
        await world.until(lambda: not pods_of(world, "a"))
        await world.crash()
        world.start()
        answer(world, request, {"approved": True})
        assert (await world.end())["phase"] == "Succeeded"


async def test_what_people_answer_reaches_the_run_by_way_of_the_engine():
    async with world_of(script("a")) as world:
        world.work = asking(world, question())
        world.start()
        await world.until(lambda: requests(world))
        await world.crash()
        engine = Engine(_parts_of(world))
        driving = asyncio.create_task(engine.run())
        await until(lambda: engine._actors)
        [world.actor] = engine._actors.values()
        reply = Reply(Person("alice"), "API", {"approved": True})
        name = requests(world)[0]["metadata"]["name"]
        answered = await respond(engine.parts, NAMESPACE, name, reply)
        engine.people.seen("ADDED", _elsewhere(answered))
        engine.people.seen("MODIFIED", answered)
        assert (await world.end())["phase"] == "Succeeded"
        assert world.orders[-1]["questions"]["q1"]["answer"]["json"]["respondedBy"] == ["alice"]
        driving.cancel()
        await engine.close(grace_s=0.1)
        world.actor = None


def _elsewhere(request):
    """Return what somebody makes of an answer in a namespace where they may make anything."""
    metadata = {**request["metadata"], "uid": "another", "namespace": "elsewhere"}
    status = {**request["status"], "answer": {"approved": True, "respondedBy": ["eve"]}}
    return {**request, "metadata": metadata, "status": status}


def _parts_of(world):
    """Return parts of a process that is alive."""
    world.start()
    parts, driving = world.actor.parts, world.driving
    driving.cancel()
    world.actor = world.driving = None
    return parts


async def test_an_object_that_lets_others_answer_is_not_taken_for_the_question():
    async with world_of(script("a")) as world:
        world.work = asking(world, question(approvals=2))
        world.start()
        await world.until(lambda: requests(world))
    [made] = requests(world)
    assert is_same(made, made)
    for changed in ({"approvals": 1}, {"submitterMayAnswer": False}, {"operator": "x"}):
        assert not is_same({**made, "spec": made["spec"] | changed}, made)
    of_nobody = {**made, "metadata": {"name": made["metadata"]["name"]}}
    assert not is_same(of_nobody, made)


async def test_an_object_of_that_name_that_somebody_else_made_is_not_taken_for_the_question():
    async with world_of(script("a")) as world:

        async def work(_, order):
            uid = world.workflow["metadata"]["uid"]
            name = names.feedback_name(world.name, "a", uid=uid, activation=1, key="q1")
            planted = {"metadata": {"name": name}, "spec": {"sha256": question().digest}}
            await world.cluster.create(FEEDBACK_REQUESTS, NAMESPACE, planted)
            return await asking(world, question())(_, order)

        world.work = work
        world.start()
        await world.until(lambda: requests(world) and pods_of(world, "a") == [])
        [planted] = requests(world)
        assert "ownerReferences" not in planted["metadata"]
        name, uid = planted["metadata"]["name"], planted["metadata"]["uid"]
        await world.cluster.delete(FEEDBACK_REQUESTS, NAMESPACE, name, uid=uid)
        await world.until(lambda: requests(world))
        assert requests(world)[0]["metadata"]["ownerReferences"]


async def test_the_object_says_who_submitted_the_run():
    spec = {"tasks": [script("a")], "submitter": "ann"}
    async with World(spec) as world:
        world.work = asking(world, question())
        world.start()
        await world.until(lambda: requests(world))
        assert requests(world)[0]["spec"]["submitter"] == "ann"
