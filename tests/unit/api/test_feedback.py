"""What a FeedbackRequest holds, as the API server keeps it and as parts of the product read it."""

import pytest

from graflow.api.errors import InvalidWorkflow
from graflow.api.parse import parse_feedback_request

SPEC = {
    "workflow": {"name": "w", "uid": "u"},
    "task": "approve",
    "activation": 7,
    "key": "q1",
    "type": "custom",
    "prompt": "How much?",
    "schema": {"type": "object", "properties": {"x": {"type": "number"}}},
    "sha256": "0" * 64,
    "timeoutSeconds": 60.0,
    "deadline": "2026-11-30T16:00:00Z",
}
RESPONSE = {"by": "ann", "at": "2026-11-30T15:59:59.250Z", "how": "API", "sha256": "0" * 64}


def request(status=None, **spec):
    head = {"apiVersion": "graflow.dev/v1alpha1", "kind": "FeedbackRequest"}
    return {
        **head,
        "metadata": {"name": "w-approve-x"},
        "spec": {**SPEC, **spec},
        **({"status": status} if status else {}),
    }


def test_what_was_read_is_written_back_as_it_was():
    read = parse_feedback_request(request())
    assert read.spec.json_schema == SPEC["schema"]
    assert read.manifest()["spec"] == SPEC


def test_a_choice_of_nothing_is_kept_apart_from_no_choice():
    status = {"phase": "Pending", "responses": [{**RESPONSE, "selectedMultiple": []}]}
    read = parse_feedback_request(request(status))
    assert read.status is not None
    assert read.status.manifest()["responses"] == status["responses"]


def test_what_a_newer_operator_wrote_into_the_status_is_passed_over():
    status = {
        "phase": "Pending",
        "weather": "fine",
        "responses": [{**RESPONSE, "custom": {"x": 1}, "mood": "good"}],
        "answer": {"custom": {"x": 1}, "mood": "good"},
    }
    assert parse_feedback_request(request(status)).status is not None


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("type", "aproval", "did you mean 'approval'?"),
        ("deadline", "2026-11-30T16:00:00+01:00", "spec.deadline"),
        ("key", "-", "spec.key"),
        ("approvals", 51, "spec.approvals"),
        ("onDeadline", {"action": "Default", "default": {"aproved": True}}, "unknown field"),
    ],
)
def test_a_mistake_is_named_with_its_field_and_the_way_out(field, value, words):
    with pytest.raises(InvalidWorkflow) as caught:
        parse_feedback_request(request(**{field: value}))
    assert words in str(caught.value)
