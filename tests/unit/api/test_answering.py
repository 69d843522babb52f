"""Who may answer, what is an answer, and in which words people are refused."""

import pytest

from graflow.api.answering import check_response, closed, decide, may_answer
from graflow.api.errors import words
from graflow.api.feedback_status import Escalation
from graflow.api.settling import settled, withdrawn
from support.questions import ANSWER_OF, AT, DEADLINE, response, spec, status

NOW = 1_796_050_800.0
"""AT."""


@pytest.mark.parametrize("kind", ANSWER_OF)
def test_a_good_answer_to_each_type_decides(kind):
    asked = spec(kind)
    decision = decide(asked, [response(asked)])
    assert decision is not None
    said = decision.answer.model_dump(by_alias=True, exclude_none=True, mode="json")
    assert said == {**ANSWER_OF[kind], "respondedBy": ["ann"]}


def test_a_decision_says_in_a_sentence_who_made_it_and_why():
    asked = spec(approvals=3)
    three = [response(asked, by, approved=True) for by in ("ann", "bob", "cleo")]
    approved = decide(asked, three)
    assert approved is not None
    assert approved.message == "approved by ann, bob and cleo"
    rejected = decide(asked, [three[0], response(asked, "bob", approved=False, reason="too dear")])
    assert rejected is not None
    assert rejected.message == "rejected by bob: too dear"
    assert rejected.answer.responded_by == ("bob",)


@pytest.mark.parametrize(
    ("kind", "said", "told"),
    [
        ("approval", {"text": "yes"}, "text: is no answer to a question of type approval; that is"),
        (
            "approval",
            {"reason": "why"},
            "approved: is missing; the answer to this question is true",
        ),
        ("text", {"text": ""}, 'text: is ""; an answer has words'),
        ("text", {"text": "ä" * 16385}, "text: has 32770 bytes and may have 32768; say it shorter"),
        ("selection", {"selected": "green"}, "'green' is none of the options, which are 'red', 'b"),
        ("multi_selection", {"selectedMultiple": ["red", "red"]}, "'red' is there twice"),
        ("multi_selection", {"selectedMultiple": ["x"]}, "selectedMultiple: 'x' is none of the"),
        ("custom", {"custom": {"n": "one"}}, "custom.n: 'one' is not of type 'integer'"),
        ("custom", {"custom": {"n": 1, "x": "y" * 40_000}}, "custom: has 40"),
    ],
)
def test_what_is_no_answer_is_refused_with_field_value_and_way_out(kind, said, told):
    asked = spec(kind)
    given = response(asked, **said)
    assert told in words(check_response(asked, given))
    assert decide(asked, [given]) is None


def test_an_answer_to_what_was_not_shown_does_not_count():
    asked, other = spec(), spec(prompt="Really?")
    given = response(other)
    assert "read it again" in words(check_response(asked, given))
    assert decide(asked, [given]) is None


def test_nobody_named_is_everybody_with_the_right_to_respond():
    assert may_answer(spec(), status(), "zoe", ()) is None


def test_only_those_who_are_asked_may_answer_by_name_or_by_group():
    asked = spec(assignees={"users": ["ann"], "groups": ["ops"]})
    assert may_answer(asked, status(), "ann", ()) is None
    assert may_answer(asked, status(), "bob", ("dev", "ops")) is None
    refused = may_answer(asked, status(), "bob", ("dev",))
    assert refused == "bob is not among those who are asked: users ann; groups ops"


def test_after_an_escalation_others_are_asked_and_those_of_before_no_more():
    then = {"action": "Escalate", "to": {"users": ["boss"]}}
    asked = spec(
        assignees={"users": ["ann"]}, timeoutSeconds=60, deadline=DEADLINE, onDeadline=then
    )
    before, after = status(), status(escalated=Escalation(at=AT))
    assert may_answer(asked, before, "ann", ()) is None
    assert may_answer(asked, before, "boss", ()) is not None
    assert may_answer(asked, after, "boss", ()) is None
    assert may_answer(asked, after, "ann", ()) is not None


def test_who_submitted_the_run_may_be_kept_from_answering():
    asked = spec(submitter="ann", submitterMayAnswer=False)
    refused = may_answer(asked, status(), "ann", ())
    assert refused == "ann has submitted the run, and somebody else has to answer its question"
    assert may_answer(asked, status(), "bob", ()) is None
    assert decide(asked, [response(asked, "ann")]) is None
    assert may_answer(spec(submitter="ann"), status(), "ann", ()) is None


def test_who_has_approved_is_told_that_it_takes_somebody_else():
    asked = spec(approvals=2)
    given = status(response(asked, "ann"))
    refused = may_answer(asked, given, "ann", ())
    assert refused == f"ann has approved this at {AT}; it takes 2 different people"
    assert may_answer(asked, given, "bob", ()) is None


def test_whose_answer_did_not_count_may_answer_again():
    asked = spec("custom")
    assert may_answer(asked, status(response(asked, custom={"n": "x"})), "ann", ()) is None


def test_whoever_comes_second_is_told_who_was_first_and_when():
    asked = spec()
    seen = status(response(asked, "ann"))
    told = "this question is Answered: approved by ann"
    assert closed(asked, status(), NOW) is None
    refused = closed(asked, seen, NOW)
    assert refused is not None
    assert refused.startswith(told + ";")
    known = settled(asked, seen, NOW)
    assert known is not None
    assert (closed(asked, known, NOW) or "").startswith(f"{told}, at {known.decided_at};")


def test_what_was_withdrawn_cannot_be_answered():
    gone = withdrawn(status(), NOW, "the run was cancelled")
    assert gone is not None
    assert "is Withdrawn: the run was cancelled, at 2026-11-30T15" in (
        closed(spec(), gone, NOW) or ""
    )
    assert withdrawn(gone, NOW, "again") is None


def test_what_came_too_late_is_refused_by_the_clock_alone():
    asked = spec(timeoutSeconds=3600, deadline=DEADLINE)
    assert closed(asked, status(), NOW + 3599) is None
    assert "is Expired: the deadline has passed" in (closed(asked, status(), NOW + 3600) or "")


def test_who_is_asked_after_the_deadline_has_the_time_that_is_theirs():
    later = Escalation(at=AT, deadline="2026-11-30T17:10:00.000Z")
    asked, escalated = spec(deadline=DEADLINE), status(escalated=later)
    assert closed(asked, escalated, NOW + 7799) is None
    assert "the deadline has passed" in (closed(asked, escalated, NOW + 7800) or "")


def test_words_may_take_just_as_much_as_they_may():
    asked = spec("text")
    assert check_response(asked, response(asked, text="x" * 32768)) == ()
