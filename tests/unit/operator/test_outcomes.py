"""Outcomes that came another way: believed only with the signature of the attempt's key."""

import json

import pytest

from graflow_operator import keys, outcomes
from graflow_operator.outcomes import BadReportError, Returned, Stored, report_of
from graflow_operator.refs import AttemptRef
from graflow_operator.verdicts import Failed, Parked

RUN_KEY, CLAIM, ATTEMPT = b"r" * 32, "uid/nonce", AttemptRef(3, 2)


def document(report, **changes):
    body = {"v": 1, "activation": 3, "attempt": 2, "claim": CLAIM, "report": report, **changes}
    key = keys.of_attempt(RUN_KEY, 3, 2, CLAIM)
    return body | {"mac": keys.mac_of_document(key, body)}


def read(body, claim=CLAIM):
    return outcomes.read(json.dumps(body), run_key=RUN_KEY, attempt=ATTEMPT, claim=claim)


SUCCESS = {"outcome": "Succeeded", "value": {"json": 1}}


def test_a_signed_outcome_is_read():
    assert read(document(SUCCESS)).report == Returned({"json": 1})


def test_a_value_that_is_elsewhere_is_named():
    stored = {"sha256": "0" * 64, "size": 9, "encoding": "json"}
    found = read(document({"outcome": "Succeeded", "outcomeValue": stored}))
    assert found.value == Stored("0" * 64, 9, "json")
    found = read(document({"outcome": "Succeeded"}, outcomeValue=stored))
    assert found.value == Stored("0" * 64, 9, "json")


@pytest.mark.parametrize(
    "change",
    [{"activation": 4}, {"claim": "other/nonce"}, {"report": {"outcome": "Failed"}}, {"mac": "0"}],
    ids=["activation", "claim", "report", "mac"],
)
def test_an_outcome_that_was_changed_is_not_believed(change):
    assert read(document(SUCCESS) | change) is None


def test_an_outcome_of_another_attempt_with_its_own_right_signature_is_not_believed():
    assert read(document(SUCCESS, attempt=1)) is None


@pytest.mark.parametrize("text", ["", "not json", "[]", "3", outcomes.TOMBSTONE.decode()])
def test_what_is_no_outcome_is_none(text):
    assert outcomes.read(text, run_key=RUN_KEY, attempt=ATTEMPT, claim=CLAIM) is None


def test_nobody_who_never_claimed_has_an_outcome():
    assert read(document(SUCCESS), claim="") is None


def test_a_failure_keeps_type_message_and_the_end_of_the_traceback():
    error = {"type": "ValueError", "message": "no", "traceback": "x" * 9000 + "end"}
    found = report_of({"outcome": "Failed", "error": error})
    assert isinstance(found, Failed)
    assert found.error.message == "ValueError: no"
    assert found.error.detail["traceback"].endswith("end")
    assert len(found.error.detail["traceback"]) == outcomes.TRACEBACK_CHARS
    assert found.error.retryable is True


def test_a_failure_that_another_attempt_cannot_help_says_so():
    error = {"reason": "ArgumentsMissing", "message": "no", "retryable": False}
    assert report_of({"outcome": "Failed", "error": error}).error.retryable is False


def test_a_report_of_parking_says_which_questions_it_waits_for():
    assert report_of({"outcome": "Parked", "waitsFor": ["q1"]}) == Parked(("q1",))
    assert report_of({"outcome": "Parked"}) == Parked()


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        {"outcome": "Done"},
        {"outcome": "Failed"},
        {"outcome": "Parked", "waitsFor": "q1"},
        {"outcome": "Parked", "waitsFor": [1]},
    ],
)
def test_what_is_no_report_is_refused(body):
    with pytest.raises(BadReportError):
        report_of(body)
