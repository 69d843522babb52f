"""What a task asks and keeps by way of its runner, over HTTP: what is taken, what is refused."""

import json

import pytest

from graflow import questions
from graflow_operator.cluster import FEEDBACK_REQUESTS
from support.served import Served

SPEC = {"tasks": [{"name": "a", "script": "return 1"}]}
ASKED = {"type": "approval", "prompt": "Deploy?"}


@pytest.fixture
def served():
    with Served(SPEC) as found:
        yield found


def ask(served, key="q1", asked=ASKED, **changes):
    body = {"key": key, "sha256": questions.digest(asked), "question": asked, **changes}
    return call(served, "ask", body)


def call(served, name, body):
    return served.call(f"/runner/v1/{name}", json.dumps(body).encode())


def asked_of(served):
    return [one["spec"]["key"] for one in served.world.cluster.all(FEEDBACK_REQUESTS)]


def test_a_question_is_committed_and_nobody_has_answered_it_yet(served):
    status, told = ask(served)
    assert (status, told["answer"], told["holdSeconds"]) == (200, None, 10)
    assert ask(served) == (200, told)


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({"key": "-"}, 400, "BadRequest"),
        ({"question": "Deploy?"}, 400, "BadRequest"),
        ({"sha256": "0" * 64}, 400, "BadRequest"),
        ({"waitSeconds": -1}, 400, "BadRequest"),
        ({"asked": {**ASKED, "prompt": ""}}, 422, "Invalid"),
        ({"asked": {**ASKED, "metadata": {"x": "y" * 5000}}}, 422, "Invalid"),
    ],
)
def test_what_is_no_question_is_refused_and_nobody_is_asked(served, changes, status, reason):
    found, refusal = ask(served, **changes)
    assert (found, refusal["reason"]) == (status, reason)
    assert asked_of(served) == []


def test_other_words_under_a_key_that_was_asked_are_refused(served):
    ask(served)
    found, refusal = ask(served, asked={**ASKED, "prompt": "Delete?"})
    assert (found, refusal["reason"]) == (409, "QuestionChanged")


def test_a_task_asks_so_many_questions_and_no_more(served, monkeypatch):
    monkeypatch.setattr(questions, "MAX_QUESTIONS", 2)
    assert [ask(served, key)[0] for key in ("one", "two", "three", "two")] == [200, 200, 422, 200]


def test_a_task_keeps_so_many_steps_and_no_more(served, monkeypatch):
    monkeypatch.setattr(questions, "MAX_STEPS", 2)
    found = [
        call(served, "keep", {"key": key, "value": {"json": 1}})
        for key in ("one", "two", "three", "two")
    ]
    assert [status for status, _ in found] == [200, 200, 422, 200]
    assert "has kept 2 steps, and may keep 2; keep a list" in found[2][1]["message"]


def test_what_is_kept_is_a_value_of_a_known_form(served):
    assert call(served, "keep", {"key": "draft", "value": {"json": 1}}) == (
        200,
        {"committed": True},
    )
    assert call(served, "keep", {"key": "draft", "value": {"yaml": 1}})[0] == 400
