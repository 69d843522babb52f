"""Questions to people, looked after by whoever leads: written once, told at least once."""

import asyncio
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from graflow_operator import questions
from graflow_operator.cluster import FEEDBACK_REQUESTS
from graflow_operator.cluster_errors import ConflictError, ForbiddenError, UnavailableError
from graflow_operator.handlers.watching import watch_settings
from graflow_operator.people import RUN_OVER, TASK_OVER, selector
from graflow_operator.questions import NotOpenError
from graflow_operator.responding import Person, Reply, respond
from graflow_operator.targets import Target
from support.asking import BEGAN, NAMESPACE, RUN, Town, at, response

OPS = Target("ops", "webhook")
DESK = Target("desk", "slack", namespaces=("other",))


def told(town, name="q"):
    return [
        (one["target"], one["event"], one["phase"], one["attempts"])
        for one in town.status(name).get("notifications", ())
    ]


async def test_a_question_is_noted_with_one_write_and_costs_nothing_while_it_waits():
    async with Town() as town:
        await town.ask(deadline=at(7200))
        assert (town.status()["phase"], len(town.writes)) == ("Pending", 1)
        for _ in range(100):
            await town.pass_by(60)
            town.tell()
        assert len(town.writes) == 1


async def test_a_thousand_questions_that_wait_have_one_timer_between_them():
    async with Town(resync_s=1e9) as town:
        for number in range(1000):
            await town.ask(f"q{number}", rests=False, deadline=at(3600 + number))
        await town.rest(3000)
        asked = []
        town.people._deliveries.send = asked.append
        before = len(asyncio.all_tasks())
        await town.pass_by(3599)
        assert not asked
        assert len(asyncio.all_tasks()) == before < 10
        await town.pass_by(1)
        assert [town.status(f"q{n}")["phase"] for n in range(2)] == ["Expired", "Pending"]


async def test_of_questions_that_wait_there_is_in_memory_only_what_is_needed():
    async with Town() as town:
        await town.ask(payload={"text": "long"})
        town.request()["metadata"]["managedFields"] = [{"manager": "kubectl"}]
        town.patch(responses=[])
        [known] = town.people._known.values()
        assert "payload" not in known["spec"]
        assert "managedFields" not in known["metadata"]


async def test_at_its_deadline_a_question_expires_and_its_run_hears_of_it():
    async with Town() as town:
        await town.ask(deadline=at(60))
        await town.pass_by(59)
        assert not town.runs.heard
        await town.pass_by(1)
        assert town.status()["phase"] == "Expired"
        [(run, letter)] = town.runs.heard
        assert (run, letter.activation, letter.key) == (RUN["uid"], 7, "q1")
        assert letter.sha256 == town.request()["spec"]["sha256"]
        assert letter.answer["expired"]


async def test_a_response_that_was_patched_in_decides_and_its_run_hears_of_it():
    async with Town() as town:
        await town.ask()
        town.patch(responses=[response(how="Patch", approved=True)])
        await town.rest()
        assert town.status()["message"] == "approved by alice"
        assert [answer["approved"] for answer in town.runs.answers] == [True]


async def test_an_answer_that_is_there_before_anybody_has_seen_the_question_is_heard():
    async with Town() as town:
        await town.crash()
        await town.ask()
        town.patch(responses=[response(how="Patch", approved=True)])
        town.start()
        await town.rest()
        assert [answer["approved"] for answer in town.runs.answers] == [True]


async def test_a_run_hears_of_an_answer_again_with_each_comparison_and_after_a_crash():
    async with Town() as town:
        await town.ask()
        town.patch(responses=[response(how="Patch", approved=True)])
        await town.rest()
        assert len(town.runs.heard) == 1
        await town.pass_by(80)
        assert len(town.runs.heard) == 2
        await town.crash()
        town.start()
        await town.rest()
        assert [answer["approved"] for answer in town.runs.answers] == [True]


async def test_who_writes_first_wins_and_the_deadline_reads_again():
    async with Town() as town:
        await town.ask(deadline=at(60))
        town.client.faults.append(("patch_status", "feedbackrequests", "before", ConflictError()))
        status = {**town.status(), "responses": [response(how="Patch", approved=True)]}
        town.cluster.set_status(FEEDBACK_REQUESTS, NAMESPACE, "q", status)  # no watch tells of it
        await town.pass_by(60)
        assert (town.status()["phase"], town.status()["message"]) == (
            "Answered",
            "approved by alice",
        )
        assert [answer.get("expired") for answer in town.runs.answers] == [None]


async def test_a_write_whose_answer_was_lost_is_not_made_twice():
    async with Town(OPS) as town:
        town.client.faults.append(
            ("patch_status", "feedbackrequests", "after", UnavailableError("no answer"))
        )
        await town.ask()
        await town.pass_by(2)
        assert told(town) == [("ops", "Asked", "Delivered", 1)]
        assert town.courier.tried == [("ops", "Asked")]


async def test_an_api_server_that_is_away_is_asked_again():
    async with Town() as town:
        for _ in range(3):
            town.client.faults.append(
                ("patch_status", "feedbackrequests", "before", UnavailableError("away"))
            )
        await town.ask(deadline=at(60))
        assert not town.status()
        for pause_s in (1, 2, 4):
            await town.pass_by(pause_s)
        assert town.status()["phase"] == "Pending"


async def test_what_the_api_server_never_takes_is_tried_ever_more_seldom():
    async with Town() as town:
        refusal = ("patch_status", "feedbackrequests", "before", UnavailableError("too large"))
        town.client.faults += [refusal] * 400
        await town.ask(deadline=at(60))
        for _ in range(300):
            await town.pass_by(1)
        assert 5 < 400 - len(town.client.faults) < 15


async def test_a_run_that_has_ended_asks_nobody_any_more():
    async with Town() as town:
        await town.ask()
        town.people.run_ended(RUN["uid"])
        await town.rest()
        assert (town.status()["phase"], town.status()["message"]) == ("Withdrawn", RUN_OVER)


async def test_that_a_run_has_ended_is_found_out_though_no_watch_tells_of_it():
    async with Town() as town:
        await town.make_run(phase="Cancelled")
        await town.ask()
        await town.pass_by(80)
        assert town.status()["phase"] == "Pending"  # it is driven, and hands over by itself
        town.runs.driven.clear()
        await town.pass_by(80)
        assert town.status()["phase"] == "Withdrawn"


async def test_a_task_that_has_ended_asks_nobody_any_more_while_its_run_goes_on():
    async with Town() as town:
        await town.ask("q")
        await town.ask("r", activation=8)
        town.runs.over.add((RUN["uid"], 7))
        await town.pass_by(80)
        found = [(town.status(name)["phase"], town.status(name)["message"]) for name in "qr"]
        assert found[0] == ("Withdrawn", TASK_OVER)
        assert found[1][0] == "Pending"


async def test_a_question_whose_object_is_deleted_is_asked_anew_by_a_run_that_waits():
    async with Town() as town:
        await town.ask()
        town.people.seen("DELETED", town.cluster.vanish(FEEDBACK_REQUESTS, NAMESPACE, "q"))
        assert town.runs.lost == [(RUN["uid"], 7, "q1")]


async def test_a_run_that_goes_on_elsewhere_keeps_its_questions():
    async with Town() as town:
        await town.make_run(phase="Running")
        await town.ask()
        town.runs.driven.clear()
        await town.pass_by(160)
        assert town.status()["phase"] == "Pending"


async def test_questions_of_another_installation_are_left_alone():
    async with Town() as town:
        await town.ask(operator="other")
        await town.pass_by(80)
        assert not town.writes
    assert selector("") == "!graflow.dev/operator"
    assert selector("eu") == "graflow.dev/operator=eu"
    found = watch_settings("eu").watching.label_selectors["feedbackrequests"]
    assert found == "graflow.dev/operator=eu"


async def test_a_question_that_is_gone_is_forgotten_whether_a_watch_tells_of_it_or_not():
    async with Town() as town:
        for name in ("q", "r"):
            await town.ask(name, deadline=at(600))
        gone = town.cluster.vanish(FEEDBACK_REQUESTS, NAMESPACE, "q")
        town.people.seen("DELETED", gone)
        town.cluster.vanish(FEEDBACK_REQUESTS, NAMESPACE, "r")
        await town.pass_by(80)
        left = (town.people._known, town.people._phases, town.people._of_run, town.people._agenda)
        assert [len(one) for one in left] == [0, 0, 0, 0]


async def test_news_that_are_older_than_what_is_known_change_nothing():
    async with Town() as town:
        await town.ask()
        old = dict(town.request())
        town.patch(responses=[response(how="Patch", approved=True)])
        await town.rest()
        before = len(town.writes)
        town.people.seen("MODIFIED", old)
        await town.rest()
        assert len(town.writes) == before


async def test_one_namespace_that_is_shut_does_not_stand_in_the_way_of_the_others():
    async with Town(namespaces=("gone", NAMESPACE)) as town:
        find = town.cluster.find

        async def guarded(kind, namespace, *rest, **more):
            if namespace == "gone":
                raise ForbiddenError("no")
            return await find(kind, namespace, *rest, **more)

        town.cluster.find = guarded
        await town.ask()
        town.patch(responses=[response(how="Patch", approved=True)])
        await town.pass_by(80)
        assert town.runs.heard


async def test_a_watch_that_tells_nothing_of_what_lists_show_is_dead():
    async with Town() as town:
        await town.ask("first")
        for number in range(4):
            body = dict(town.request("first"), metadata={"name": f"q{number}", "labels": {}})
            await town.cluster.create(FEEDBACK_REQUESTS, NAMESPACE, body)
            await town.pass_by(80)
        assert "feedbackrequests" in town.people.deaf


# -- notifications --------------------------------------------------------------------------------


async def test_targets_are_told_of_what_they_want_to_know_and_it_is_recorded():
    async with Town(OPS, DESK) as town:
        await town.ask(remindEverySeconds=100)
        await town.pass_by(100)
        town.patch(responses=[response(how="Patch", approved=True)])
        await town.rest()
        events = [("ops", event) for event in ("Asked", "Reminder", "Answered")]
        assert town.courier.tried == events
        assert told(town) == [(*event, "Delivered", 1) for event in events]


async def test_what_is_to_be_told_is_recorded_before_anybody_tries():
    async with Town(OPS) as town:
        seen = []
        town.courier.refusal = lambda *_: seen.append(told(town)) or ""
        await town.ask()
        assert seen == [[("ops", "Asked", "Pending", 0)]]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("effect", range(1, 4))
async def test_no_crash_at_any_write_loses_a_notification_or_doubles_it_but_for_the_last_try(
    effect, after
):
    town = Town(OPS)
    town.start(dies_at=effect, dies_after=after)
    await town.ask()
    await town.crash()
    town.start()
    await town.rest()
    assert told(town)[0][:3] == ("ops", "Asked", "Delivered")
    assert 1 <= len(town.courier.tried) <= 2
    await town.pass_by(200)
    assert len(town.courier.tried) <= 2
    await town.crash()


async def test_what_could_not_be_delivered_is_tried_later_and_later_and_given_up_after_a_day():
    async with Town(OPS) as town:
        town.courier.refusal = lambda *_: "it answered 500"
        await town.ask()
        assert told(town) == [("ops", "Asked", "Pending", 1)]
        assert town.status()["notifications"][0]["message"] == "it answered 500"
        for pause, tries in ((1, 2), (2, 3), (3, 3), (1, 4)):
            await town.pass_by(pause)
            assert len(town.courier.tried) == tries
        writes = len(town.writes)
        for _ in range(300):
            await town.pass_by(300)
            if told(town)[0][2] == "GivenUp":
                break
        assert told(town)[0][2] == "GivenUp"
        assert len(town.courier.tried) > 250
        assert len(town.writes) == writes + 1


async def test_a_target_that_is_back_gets_what_it_has_missed():
    async with Town(OPS) as town:
        town.courier.refusal = lambda *_: "" if town.now > BEGAN + 20 else "away"
        await town.ask()
        for _ in range(40):
            await town.pass_by(1)
        assert told(town)[0][:3] == ("ops", "Asked", "Delivered")


async def test_a_target_that_is_configured_no_more_is_given_up_at_once():
    async with Town(OPS) as town:
        town.courier.refusal = lambda *_: "away"
        await town.ask()
        await town.crash()
        town.settings = Town().settings
        town.start()
        await town.rest()
        assert told(town)[0][2] == "GivenUp"


async def test_an_error_of_a_courier_shows_no_address(caplog):
    def fails(*_):
        raise ValueError("https://hooks.example.com/secret")

    async with Town(OPS) as town:
        town.courier.refusal = fails
        with caplog.at_level(logging.DEBUG):
            await town.ask()
        assert "secret" not in caplog.text + str(town.status())
        assert town.status()["notifications"][0]["message"].endswith("ValueError")


async def test_a_target_that_hangs_does_not_keep_an_answer_from_a_run():
    async with Town(OPS) as town:

        async def hangs(*_):
            await asyncio.Event().wait()

        town.courier.deliver = hangs
        for number in range(40):
            await town.ask(f"q{number}")
        town.patch("q39", responses=[response(how="Patch", approved=True)])
        await town.rest()
        assert [answer["approved"] for answer in town.runs.answers] == [True]


async def test_a_target_that_hangs_keeps_no_other_target_waiting():
    async with Town(OPS, Target("room", "slack")) as town:
        delivered = []

        async def deliver(target, request, _):
            if target.name == "ops":
                await asyncio.Event().wait()
            delivered.append(request["metadata"]["name"])
            return ""

        town.courier.deliver = deliver
        asked = [f"q{number}" for number in range(40)]
        for name in asked:
            await town.ask(name)
        await town.rest()
        assert sorted(delivered) == sorted(asked)


# -- together -------------------------------------------------------------------------------------


def sample(name, **labels):
    return REGISTRY.get_sample_value(name, labels)


async def test_prometheus_is_told_how_the_questions_stand_by_whoever_leads():
    async with Town(OPS) as town:
        town.courier.refusal = lambda *_: "away"
        await town.ask("q")
        await town.ask("r", deadline=at(30))
        await town.pass_by(31)
        town.people.publish()
        assert sample("graflow_feedback_requests", phase="Pending") == 1
        assert sample("graflow_feedback_requests", phase="Expired") == 1
        assert sample("graflow_feedback_requests", phase="Withdrawn") == 0
        assert sample("graflow_feedback_oldest_seconds", deadline="none") == 31
        assert sample("graflow_feedback_oldest_seconds", deadline="set") == 0
        assert sample("graflow_notifications_pending") == 3
    town.people.publish()
    assert sample("graflow_feedback_requests", phase="Pending") is None
    assert sample("graflow_notifications_pending") == 0
    assert sample("graflow_notifications_total", outcome="given_up") is not None


async def test_a_question_that_waits_for_ever_and_was_called_to_mind_can_be_told_from_others():
    async with Town() as town:
        await town.ask("forgotten", remindEverySeconds=3600)
        await town.ask("timely", remindEverySeconds=3600, deadline=at(9000))
        await town.ask("patient")
        await town.pass_by(3601)
        town.people.publish()
        assert sample("graflow_feedback_reminded", deadline="none") == 1
        assert sample("graflow_feedback_reminded", deadline="set") == 1
        town.patch("forgotten", responses=[response(seconds=3602, approved=True)])
        await town.rest()
        town.people.publish()
        assert sample("graflow_feedback_reminded", deadline="none") == 0
    town.people.publish()
    assert sample("graflow_feedback_reminded", deadline="none") is None


steps = st.lists(
    st.one_of(
        st.tuples(st.just("time"), st.sampled_from([1, 30, 59, 60])),
        st.tuples(st.just("turns"), st.integers(1, 6)),
        st.tuples(st.just("respond"), st.sampled_from(["alice", "bob"])),
        st.tuples(st.just("patch"), st.sampled_from(["alice", "bob"])),
        st.tuples(st.just("crash"), st.just(0)),
        st.tuples(st.just("ends"), st.just(0)),
    ),
    max_size=10,
)


async def answer(town, by, outcomes):
    """Answer as the HTTP API does."""
    reply = Reply(Person(by), "API", {"approved": by == "alice"})
    try:
        after = await respond(town.parts, NAMESPACE, "q", reply)
    except NotOpenError as error:
        outcomes.append((by, str(error)))
    else:
        outcomes.append((by, None))
        town.people.seen("MODIFIED", after)


def takes_patches(request):
    """Whether the API server lets a response be patched in."""
    return questions.is_open(request) and not (request.get("status") or {}).get("responses")


@given(steps)
@settings(deadline=None)
def test_in_any_interleaving_one_writer_wins_and_every_other_one_is_told(what):
    asyncio.run(interleaved(what))


async def interleaved(what):
    outcomes, tasks = [], []
    async with Town(OPS) as town:
        await town.ask(deadline=at(60))
        for move, detail in what:
            match move:
                case "time":
                    town.now += detail
                case "turns":
                    await town.rest(detail)
                case "respond":
                    tasks.append(asyncio.create_task(answer(town, detail, outcomes)))
                case "patch" if takes_patches(town.request()):
                    said = response(by=detail, how="Patch", approved=detail == "alice")
                    responses = [*town.status().get("responses", ()), said]
                    town.patch(responses=responses)
                case "crash":
                    await asyncio.gather(*tasks)
                    await town.crash()
                    town.start()
                case "ends":
                    town.people.run_ended(RUN["uid"])
        await asyncio.gather(*tasks)
        await town.rest()
        await town.pass_by(120)
        status = town.status()
        assert status["phase"] in ("Answered", "Expired", "Withdrawn")
        won = [by for by, refusal in outcomes if refusal is None]
        if won and status["phase"] == "Answered" and not any("patch" in m for m, _ in what):
            assert set(won) == set(status["answer"]["respondedBy"])
        assert all(status["message"] in refusal for _, refusal in outcomes if refusal)
        assert len({str(answer) for answer in town.runs.answers}) == 1
        assert told(town)[-1][2] == "Delivered"
