"""What the runner signs and leaves behind, read by the operator's own code."""

import json

import pytest

from graflow.values import EncodedValue
from graflow_operator import keys, outcomes
from graflow_operator.refs import AttemptRef
from graflow_operator.verdicts import Failed
from graflow_runner import failure
from graflow_runner.calls import Signer
from graflow_runner.outcome import Leaf, Outcome, message, success

RUN_KEY = bytes(range(32))
ATTEMPT = AttemptRef(12, 3)
CLAIM = "uid/00ff"
KEY = keys.of_attempt(RUN_KEY, 12, 3, CLAIM)
SIGNER = Signer(KEY.hex(), run="run", activation=12, attempt=3, claim=CLAIM)


def read(data):
    return outcomes.read(data, run_key=RUN_KEY, attempt=ATTEMPT, claim=CLAIM)


def test_the_operator_verifies_a_call():
    headers = SIGNER.headers("POST", "/runner/v1/report", b"{}", 7)
    call = keys.Call("POST", "/runner/v1/report", CLAIM, "7", b"{}")
    assert headers["X-Graflow-Mac"] == keys.mac_of_call(KEY, call)


@pytest.mark.parametrize(
    ("value", "ref"),
    [
        (
            EncodedValue("json", '{"a":"\u20ac","b":[1.5,null]}'.encode()),
            {"json": {"a": "\u20ac", "b": [1.5, None]}},
        ),
        (EncodedValue("pickle", b"abc"), {"pickle": "YWJj"}),
    ],
)
def test_the_operator_reads_a_termination_message_with_a_value(value, ref):
    text = message(success(value), SIGNER)
    assert read(text) == outcomes.Outcome(outcomes.Returned(ref))


def test_the_operator_reads_a_termination_message_of_a_large_value():
    outcome = success(EncodedValue("json", b'"' + b"v" * 5_000 + b'"'))
    said = outcome.value.description
    assert message(outcome, SIGNER) is None
    found = read(message(outcome, SIGNER, elsewhere=True))
    assert found.value == outcomes.Stored(said["sha256"], said["size"], "json")
    outcome.value.is_stored = True
    found = read(message(outcome, SIGNER))
    assert found == outcomes.Outcome(outcomes.Returned({"blob": said}))


def test_the_operator_reads_what_a_task_has_decided_wherever_its_value_is():
    jump = {"kind": "Jump", "target": "b", "reason": ""}
    again = {"kind": "Iteration", "again": {"data": Leaf(EncodedValue("json", b"7"))}}
    told = [jump, {"kind": "Iteration", "again": {"data": {"json": 7}}}]
    outcome = success(EncodedValue("json", b'"' + b"v" * 2_000 + b'"'), [jump, again])
    for text in (message(outcome, SIGNER), message(outcome, SIGNER, elsewhere=True)):
        assert read(text).report.directives == told
    assert outcomes.report_of(json.loads(outcome.inline())).directives == told


def test_what_a_task_has_decided_is_in_the_termination_message_only_if_it_fits_whole():
    jumps = [{"kind": "Jump", "target": f"{n:0100}", "reason": ""} for n in range(40)]
    assert message(success(EncodedValue("json", b"1"), jumps), SIGNER) is None


def test_the_operator_reads_a_termination_message_of_a_failure():
    report = failure.failed(
        "TaskFailed", "ValueError", "no rows", text="Traceback", retryable=False
    )
    found = read(message(Outcome(report), SIGNER)).report
    assert isinstance(found, Failed)
    assert found.error.reason == "TaskFailed"
    assert found.error.message == "ValueError: no rows"
    assert found.error.retryable is False


def test_the_operator_believes_nothing_that_was_changed():
    text = message(success(EncodedValue("json", b"1")), SIGNER)
    changed = json.loads(text)
    changed["report"]["value"] = {"json": 2}
    assert read(json.dumps(changed)) is None
