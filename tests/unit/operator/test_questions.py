"""What becomes of a question by the object alone."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graflow_operator import outbox, questions
from graflow_operator.questions import NotAskedError, NotOpenError, NotTakenError
from graflow_operator.targets import Target
from support.asking import BEGAN, NAMESPACE, at, question, response

OPS = Target("ops", "webhook")


def request(status=None, **spec):
    metadata = {
        "name": "q",
        "namespace": NAMESPACE,
        "uid": "u",
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }
    return {"metadata": metadata, "spec": question(**spec), "status": status or {}}


def stepped(found, seconds, targets=()):
    """Return a request after its step at a time, and when the next one is due."""
    step = questions.step(found, BEGAN + seconds, targets)
    after = found if step.status is None else {**found, "status": step.status}
    return after, None if step.next_at is None else step.next_at - BEGAN


def respond(found, seconds, targets=(), **said):
    given_ = response(seconds=seconds, spec=found["spec"], **said)
    return {**found, "status": questions.answered(found, given_, BEGAN + seconds, targets=targets)}


def test_a_question_without_a_deadline_says_that_it_waits_for_ever():
    found, next_at = stepped(request(assignees={"users": ["bob"], "groups": ["ops"]}), 0)
    assert found["status"]["message"] == "waits for bob, group ops for ever: it has no deadline"
    assert next_at is None


def test_a_step_that_was_written_is_not_written_again():
    found, _ = stepped(request(deadline=at(90), remindEverySeconds=60), 61, [OPS])
    assert questions.step(found, BEGAN + 62, [OPS]).status is None


def test_until_its_deadline_a_question_waits_and_then_it_has_expired():
    found, next_at = stepped(request(deadline=at(60)), 59.9)
    assert (found["status"]["phase"], next_at) == ("Pending", 60)
    found, next_at = stepped(found, 60)
    assert found["status"]["phase"] == "Expired"
    assert found["status"]["answer"] == {"expired": True, "respondedBy": [], "respondedAt": at(60)}
    assert next_at is None


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Tokyo"])
def test_a_deadline_is_a_moment_whatever_zone_the_machine_is_in(zone, monkeypatch):
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        found, next_at = stepped(request(deadline="2026-03-29T01:30:00Z"), 0)
        assert next_at == 87 * 86400 + 5400
        found, _ = stepped(found, next_at)
        assert found["status"]["decidedAt"] == "2026-03-29T01:30:00.000Z"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_at_the_deadline_a_default_counts_and_says_that_nobody_gave_it():
    end = {"action": "Default", "default": {"approved": False, "reason": "nobody looked"}}
    found, _ = stepped(request(deadline=at(60), onDeadline=end), 61)
    assert found["status"]["answer"] == {
        "approved": False,
        "reason": "nobody looked",
        "default": True,
        "respondedBy": ["default"],
        "respondedAt": at(61),
    }


def test_at_the_deadline_a_jump_names_its_task():
    end = {"action": "Goto", "task": "cleanup"}
    found, _ = stepped(request(deadline=at(60), onDeadline=end), 60)
    assert found["status"]["answer"]["goto"] == "cleanup"


def test_an_escalation_asks_others_for_a_further_time_and_then_it_has_expired():
    end = {"action": "Escalate", "to": {"users": ["boss"]}, "seconds": 30}
    found = request(deadline=at(60), onDeadline=end, assignees={"users": ["bob"]})
    found, next_at = stepped(found, 65, [OPS])
    assert (found["status"]["phase"], next_at) == ("Pending", 95)
    assert found["status"]["escalated"] == {"at": at(65), "deadline": at(95)}
    assert found["status"]["message"] == f"waits for boss until {at(95)}"
    assert [one["event"] for one in found["status"]["notifications"]] == ["Asked", "Escalated"]
    assert questions.step(found, BEGAN + 94, [OPS]).status is None
    assert stepped(found, 95)[0]["status"]["phase"] == "Expired"


def test_reminders_that_were_missed_are_one():
    found, next_at = stepped(request(remindEverySeconds=60), 59, [OPS])
    assert (found["status"].get("reminders"), next_at) == (None, 60)
    found, next_at = stepped(found, 290, [OPS])
    assert (found["status"]["reminders"], next_at) == (4, 300)
    events = [one["event"] for one in found["status"]["notifications"]]
    assert events == ["Asked", "Reminder"]


def test_a_response_that_was_patched_in_is_judged():
    found = request({"responses": [response(how="Patch", approved=False, reason="too dear")]})
    found, _ = stepped(found, 5)
    assert found["status"]["phase"] == "Answered"
    assert found["status"]["message"] == "rejected by alice: too dear"
    assert found["status"]["answer"]["respondedBy"] == ["alice"]


def test_when_a_patch_was_made_is_for_the_operator_to_say():
    found, _ = stepped(request({"responses": [response(how="Patch", approved=True)]}), 5)
    assert found["status"]["responses"][0]["at"] != at(5)
    assert found["status"]["answer"]["respondedAt"] == at(5)


def test_a_response_that_was_written_before_the_expiry_counts_even_when_seen_after_it():
    found = request({"responses": [response(approved=True)]}, deadline=at(60))
    assert stepped(found, 90)[0]["status"]["phase"] == "Answered"


def test_half_of_several_approvals_decides_nothing_and_the_same_person_is_no_second_one():
    found = respond(request(approvals=2), 1, by="alice", approved=True)
    with pytest.raises(NotOpenError, match="2 different people"):
        respond(found, 2, by="alice", approved=True, reason="yes, really")
    assert found["status"]["phase"] == "Pending"
    assert found["status"]["message"].startswith("1 of 2 approvals, ")
    found = respond(found, 3, by="bob", approved=True)
    assert found["status"]["phase"] == "Answered"
    assert found["status"]["answer"]["respondedBy"] == ["alice", "bob"]


def test_half_of_several_approvals_at_the_deadline_is_none():
    found = respond(request(approvals=2, deadline=at(60)), 1, by="alice", approved=True)
    found, _ = stepped(found, 60)
    assert (found["status"]["phase"], found["status"]["answer"].get("approved")) == (
        "Expired",
        None,
    )


def test_whoever_comes_second_is_told_who_was_first_and_when():
    found = respond(request(), 1, by="alice", approved=True)
    with pytest.raises(NotOpenError, match=f"Answered: approved by alice, at {at(1)}"):
        respond(found, 2, by="bob", approved=False)
    assert found["status"]["answer"]["approved"] is True


def test_the_same_answer_again_is_no_second_one():
    found = respond(request(), 1, by="alice", approved=True)
    assert respond(found, 2, by="alice", approved=True) == found


def test_who_takes_an_answer_back_that_has_counted_is_told_that_it_has():
    found = respond(request(), 1, by="alice", approved=True)
    with pytest.raises(NotOpenError, match="approved by alice"):
        respond(found, 2, by="alice", approved=False)


def test_an_answer_after_the_deadline_is_late_even_if_nobody_has_noted_that_it_passed():
    with pytest.raises(NotOpenError, match="nobody has answered in time"):
        respond(request(deadline=at(60)), 60, approved=True)


def test_an_answer_after_the_run_was_cancelled_is_refused_in_words():
    found = request()
    found["status"] = questions.withdrawn(found, BEGAN + 5, "the run has ended")
    with pytest.raises(NotOpenError, match=f"Withdrawn: the run has ended, at {at(5)}"):
        respond(found, 6, approved=True)
    with pytest.raises(NotOpenError, match="the run has ended"):
        questions.withdrawn(found, BEGAN + 7, "again")


def test_what_is_no_answer_is_refused_and_changes_nothing():
    found = request(kind="selection", options=["a", "b"])
    with pytest.raises(NotTakenError, match="selected"):
        respond(found, 1, selected="c")


def test_a_run_hears_of_a_withdrawal_as_of_a_deadline():
    found = request()
    assert questions.heard(found) is None
    found["status"] = questions.withdrawn(found, BEGAN + 5, "withdrawn by bob")
    assert questions.heard(found) == {
        "expired": True,
        "reason": "withdrawn by bob",
        "respondedBy": [],
        "respondedAt": at(5),
    }


def test_responses_have_a_bound():
    found = request(kind="custom", schema={"type": "object", "required": ["n"]})
    said = [response(how="Patch", spec=found["spec"], custom={}) for _ in range(50)]
    found["status"] = {"phase": "Pending", "responses": said}
    with pytest.raises(NotTakenError, match="50 responses"):
        respond(found, 51, by="late", custom={"n": 1})


def test_notifications_have_a_bound_and_what_is_to_be_delivered_stays():
    status = {}
    for number in range(30):
        status = outbox.noted(status, "Asked", [f"t{number}"], at(number))
        if number < 15:
            status["notifications"][-1]["phase"] = "Delivered"
    told = [one["target"] for one in status["notifications"]]
    assert len(told) == outbox.MOST
    assert told[-15:] == [f"t{number}" for number in range(15, 30)]


def test_what_is_not_delivered_is_tried_later_and_later_and_for_a_day():
    entry = outbox.Entry("ops", "Asked", at(0))
    pauses = []
    for attempt in range(1, 12):
        tried = outbox.after_try(entry, attempt, BEGAN, "no")
        pauses.append(tried.next_at - BEGAN)
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    assert outbox.after_try(entry, 300, BEGAN + 86399, "no").phase == "Pending"
    assert outbox.after_try(entry, 300, BEGAN + 86400, "no").phase == "GivenUp"


moves = st.lists(
    st.one_of(
        st.tuples(st.just("time"), st.sampled_from([1, 10, 59, 60, 61, 100])),
        st.tuples(st.just("look"), st.just(0)),
        st.tuples(st.just("answer"), st.sampled_from(["alice", "bob", "carol"])),
        st.tuples(st.just("reject"), st.sampled_from(["alice", "bob", "carol"])),
        st.tuples(st.just("withdraw"), st.just(0)),
    ),
    max_size=12,
)


@given(moves, st.integers(1, 3), st.booleans())
def test_whatever_comes_in_whatever_order_one_thing_decides_and_stays(what, approvals, escalates):
    end = {"action": "Escalate", "to": {"users": ["boss"]}, "seconds": 30}
    more = {"onDeadline": end} if escalates else {}
    found, seconds, decided = request(deadline=at(60), approvals=approvals, **more), 0, None
    for move, detail in what:
        before = found["status"]
        try:
            match move:
                case "time":
                    seconds += detail
                case "look":
                    found, _ = stepped(found, seconds, [OPS])
                case "withdraw":
                    now = BEGAN + seconds
                    found = {**found, "status": questions.withdrawn(found, now, "no more")}
                case _:
                    yes = {"approved": move == "answer"}
                    found = respond(found, seconds, [OPS], by=detail, **yes)
        except (NotOpenError, NotAskedError):
            assert found["status"] == before
        if decided is not None:
            assert found["status"] == decided
        if not questions.is_open(found):
            decided = found["status"]
            assert decided["decidedAt"]
            assert questions.heard(found)
