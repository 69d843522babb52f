"""Questions that a program asks: what may be asked, and what tells questions apart."""

import hashlib
import pickle

import pytest

from graflow.api.feedback import Question as Asked
from graflow.dsl.feedback import (
    AnswerWith,
    Escalate,
    FeedbackResponse,
    FeedbackType,
    answer_of,
    response_of,
    valued,
)
from graflow.dsl.questions import question_of
from graflow.exceptions import FeedbackTimeoutError, QuestionError
from graflow.questions import digest

SHOWN = {"type": "selection", "prompt": "Which?", "options": ["a", "b"]}


def test_the_digest_is_of_what_is_shown_and_of_nothing_else():
    canonical = b'{"options":["a","b"],"prompt":"Which?","type":"selection"}'
    assert digest(SHOWN) == hashlib.sha256(canonical).hexdigest()
    assert digest(SHOWN) == digest({**SHOWN, "metadata": {"by": "me"}, "schema": None})


@pytest.mark.parametrize(
    "changed",
    [
        {"type": "multi_selection"},
        {"prompt": "Which one?"},
        {"options": ["b", "a"]},
        {"payload": {"text": "a is cheaper"}},
        {"schema": {"type": "object"}},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_a_question_in_other_words_has_another_digest(changed):
    assert digest({**SHOWN, **changed}) != digest(SHOWN)


def test_the_digest_bears_the_way_through_an_api_server():
    sent = {"type": "custom", "prompt": "How much?", "schema": {"minimum": 1.0, "maximum": 2.5}}
    back = {"prompt": "How much?", "schema": {"maximum": 2.5, "minimum": 1}, "type": "custom"}
    assert digest(sent) == digest(back)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"feedback_type": "guess"}, "feedback_type is 'guess'; it must be one of approval, text"),
        ({"prompt": " "}, "prompt is ' '; give a text"),
        ({"prompt": "x" * 8193}, "prompt takes 8193 bytes and may take 8192; give payload="),
        ({"options": ["a"]}, "options is .*, and a question of type approval has none"),
        ({"feedback_type": "selection"}, "options is None; give a list of texts"),
        ({"feedback_type": "selection", "options": "ab"}, "options is 'ab'; give a list"),
        ({"feedback_type": "selection", "options": ["a", 1]}, "options has 1; each must be a text"),
        ({"feedback_type": "selection", "options": ["a", "a"]}, "options has 'a' twice"),
        ({"feedback_type": "selection", "options": list("ab") * 51}, "options has 102 and may"),
        ({"schema": {}}, "schema is given, and a question of type approval has none"),
        ({"feedback_type": "custom", "schema": "x"}, "schema is 'x'; give a JSON Schema"),
        ({"metadata": {"a": object()}}, "metadata is no JSON"),
        ({"metadata": {"a": "x" * 4096}}, "metadata takes .* bytes and may take 4096"),
        ({"timeout": 0}, "timeout is 0; give a number of seconds from 0.001"),
        ({"timeout": float("nan")}, "timeout is nan"),
        ({"timeout": True}, "timeout is True"),
        ({"key": "a b"}, "key is 'a b'; give a text of at most 63 letters"),
        ({"assignees": "alice"}, r"assignees is 'alice'; give a list .*\['alice'\]"),
        ({"approvals": 0}, "approvals is 0; give a whole number from 1"),
        ({"approvals": 2, "assignees": ["a"]}, "approvals is 2, and only 1 may answer"),
        ({"feedback_type": "text", "approvals": 2}, "approvals is 2, .* takes one answer"),
        ({"submitter_may_answer": 1}, "submitter_may_answer is 1; give True or False"),
        ({"payload": object()}, "payload is a object and cannot be shown"),
        ({"on_timeout": "explode", "timeout": 1}, "on_timeout is 'explode'; give 'fail', AnswerW"),
        ({"on_timeout": AnswerWith(value=True)}, "on_timeout is .* without a timeout there is no"),
        (
            {"on_timeout": AnswerWith("yes"), "timeout": 1},
            "is no answer for a question of type app",
        ),
        ({"on_timeout": Escalate(seconds=1), "timeout": 1}, "on_timeout is Escalate"),
        ({"prompt": "\ud800"}, "prompt has '.ud800', which is half a character"),
        ({"feedback_type": "selection", "options": ["\ud800"]}, "options has '.ud800', which is"),
        ({"payload": {"markdown": "\ud800"}}, "payload has '.ud800', which is half"),
        ({"payload": ["\ud800"]}, "payload has '.ud800', which is half"),
        ({"assignees": [["a"]]}, r"assignees is \[\['a'\]\]; give a list"),
        (
            {
                "feedback_type": "multi_selection",
                "options": ["a"],
                "on_timeout": AnswerWith([["a"]]),
                "timeout": 1,
            },
            "is no answer from",
        ),
        (
            {"feedback_type": "text", "on_timeout": AnswerWith("\ud800"), "timeout": 1},
            "is no answer for a question of type text",
        ),
        ({"remind_every": 59}, "remind_every is 59; give a number of seconds from 60"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_what_cannot_be_asked_is_refused_with_the_argument_its_value_and_the_way_out(asked, words):
    with pytest.raises(QuestionError, match=words):
        question_of(**{"feedback_type": "approval", "prompt": "Well?", **asked})


def test_a_question_says_to_the_operator_what_it_has_and_no_more():
    plain = question_of("approval", "Well?")
    assert plain.portable() == {"type": "approval", "prompt": "Well?"}
    asked = question_of(
        "selection",
        "Which?",
        options=["a", "b"],
        payload={"markdown": "*a* is cheaper"},
        metadata={"run": 1},
        timeout=60,
        assignees=["alice"],
        groups=["ops"],
        submitter_may_answer=False,
        on_timeout=AnswerWith("a"),
        remind_every=600,
    )
    assert asked.portable() == {
        "type": "selection",
        "prompt": "Which?",
        "options": ["a", "b"],
        "payload": {"markdown": "*a* is cheaper"},
        "metadata": {"run": 1},
        "timeoutSeconds": 60,
        "assignees": {"users": ["alice"], "groups": ["ops"]},
        "submitterMayAnswer": False,
        "onDeadline": {"action": "Default", "default": {"selected": "a"}},
        "remindEverySeconds": 600,
    }
    assert Asked.model_validate(asked.portable()).type is asked.type, "the resource refuses it"


def test_a_large_payload_is_kept_where_values_go_and_is_part_of_the_digest():
    small = question_of("approval", "Well?", payload={"markdown": "x"})
    large = question_of("approval", "Well?", payload={"markdown": "x" * 40_000})
    assert (small.blob, large.blob) == (None, b'"' + b"x" * 40_000 + b'"')
    described = large.portable()["payload"]["blob"]
    assert described["sha256"] == hashlib.sha256(large.blob).hexdigest()
    assert (described["size"], described["mediaType"]) == (40_002, "text/markdown")
    other = question_of("approval", "Well?", payload={"markdown": "y" * 40_000})
    assert other.sha256 != large.sha256


def test_a_payload_of_data_is_shown_as_text_that_people_can_read():
    assert question_of("approval", "Well?", payload={"rows": 2}).payload == {
        "text": '{\n  "rows": 2\n}'
    }


def test_a_custom_answer_is_any_object_unless_a_schema_says_more():
    assert question_of("custom", "Well?").schema == {"type": "object"}


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("approval", False),
        ("text", "words"),
        ("selection", "a"),
        ("multi_selection", ["a"]),
        ("custom", {"n": 1}),
    ],
)
def test_answers_and_responses_say_the_same(kind, value):
    answer = {**valued(FeedbackType(kind), value), "respondedBy": ["ann", "bob"], "reason": "so"}
    found = response_of("id", FeedbackType(kind), {**answer, "respondedAt": "2026-01-01T00:00:00Z"})
    assert (found.value, found.responded_by, found.reason) == (value, "ann, bob", "so")
    again = FeedbackResponse.from_dict({**found.to_dict(), "of_a_later_release": 1})
    assert again == found
    back = answer_of(found)
    assert back == {
        **answer,
        "respondedBy": ["ann, bob"],
        "respondedAt": "2026-01-01T00:00:00Z",
    }


def test_a_timeout_says_what_graflow_says_and_travels():
    error = pickle.loads(pickle.dumps(FeedbackTimeoutError("abc", 60.0)))
    assert str(error) == "Feedback request abc timed out after 60 seconds"
    assert (error.feedback_id, error.timeout) == ("abc", 60.0)
    error = pickle.loads(pickle.dumps(FeedbackTimeoutError("abc", 60.0, "withdrawn by bob")))
    assert str(error) == "Feedback request abc: withdrawn by bob"
