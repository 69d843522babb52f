"""What becomes of a question at its deadline."""

import pytest

from graflow.api.feedback_status import FeedbackPhase
from graflow.api.settling import at_deadline
from support.questions import DEADLINE, response, spec, status

ENDS = 1_796_054_400.0
"""DEADLINE."""


def asked(then=None, **more):
    timed = {"timeoutSeconds": 3600, "deadline": DEADLINE}
    return spec(**timed, **({"onDeadline": then} if then else {}), **more)


def test_nothing_happens_before_the_deadline_or_without_one():
    assert at_deadline(asked(), status(), ENDS - 0.001) is None
    assert at_deadline(spec(), status(), ENDS * 2) is None


@pytest.mark.parametrize(
    ("then", "answer", "message"),
    [
        (None, {"expired": True}, "nobody has answered in time"),
        ({"action": "Fail"}, {"expired": True}, "nobody has answered in time"),
        (
            {"action": "Default", "default": {"approved": False, "reason": "late"}},
            {"approved": False, "reason": "late", "default": True, "respondedBy": ["default"]},
            "nobody has answered in time; the default counts",
        ),
        (
            {"action": "Goto", "task": "remind"},
            {"goto": "remind"},
            "nobody has answered in time; the task goes to 'remind'",
        ),
    ],
    ids=["none", "fail", "default", "goto"],
)
def test_at_the_deadline_what_the_program_said_happens(then, answer, message):
    after = at_deadline(asked(then), status(), ENDS)
    assert after is not None
    assert after.phase is FeedbackPhase.EXPIRED
    assert after.answer is not None
    told = after.answer.model_dump(by_alias=True, exclude_none=True, exclude_defaults=True)
    assert {**told, "respondedBy": list(told.get("respondedBy", ()))} == {
        "respondedBy": [],
        **answer,
        "respondedAt": "2026-11-30T16:00:00.000Z",
    }
    assert after.message == message
    assert after.decided_at == "2026-11-30T16:00:00.000Z"
    assert at_deadline(asked(then), after, ENDS * 2) is None


def test_others_are_asked_for_as_long_and_then_it_fails():
    question = asked({"action": "Escalate", "to": {"users": ["boss"], "groups": ["board"]}})
    late = ENDS + 600  # the operator was down
    after = at_deadline(question, status(), late)
    assert after is not None
    assert after.phase is FeedbackPhase.PENDING
    assert after.escalated is not None
    assert after.escalated.deadline == "2026-11-30T17:10:00.000Z"
    assert after.message == "nobody has answered in time; asked now: boss, board"
    assert at_deadline(question, after, late + 3599) is None
    last = at_deadline(question, after, late + 3600)
    assert last is not None
    assert last.phase is FeedbackPhase.EXPIRED
    assert last.answer is not None
    assert last.answer.expired is True


def test_those_who_are_asked_next_have_the_time_that_was_said():
    then = {"action": "Escalate", "to": {"users": ["boss"]}, "seconds": 60}
    after = at_deadline(asked(then), status(), ENDS)
    assert after is not None
    assert after.escalated is not None
    assert after.escalated.deadline == "2026-11-30T16:01:00.000Z"


def test_an_answer_that_is_there_has_come_in_time():
    question = asked()
    after = at_deadline(question, status(response(question)), ENDS + 5)
    assert after is not None
    assert after.phase is FeedbackPhase.ANSWERED


def test_half_of_the_approvals_are_none():
    question = asked(approvals=2)
    after = at_deadline(question, status(response(question)), ENDS)
    assert after is not None
    assert after.phase is FeedbackPhase.EXPIRED
    assert after.answer is not None
    assert after.answer.approved is None
