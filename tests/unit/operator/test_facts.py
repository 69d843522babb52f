"""From what Kubernetes says of a pod to the verdict on its attempt."""

import pytest

from graflow.api import names
from graflow.machine import reasons
from graflow_operator import nodes, verdicts
from graflow_operator.facts import Ended, of_pod
from graflow_operator.refs import AttemptRef
from graflow_operator.verdicts import Succeeded
from support.statuses import pod


def test_a_pod_that_is_not_ours_is_none():
    assert of_pod(pod(labels={"app": "web"})) is None


@pytest.mark.parametrize(
    "borrowed",
    [
        {"ownerReferences": []},
        {"ownerReferences": [{"kind": "Workflow", "uid": "uid-1", "controller": False}]},
        {"ownerReferences": [{"kind": "Job", "uid": "uid-2", "controller": True}]},
        {"name": "somebody"},
        {"name": names.pod_name("etl", "load", uid="uid-1", activation=3, attempt=1)},
    ],
    ids=["no owner", "no controller", "another owner", "another name", "another attempt's name"],
)
def test_a_pod_that_only_carries_the_labels_of_an_attempt_is_none_of_ours(borrowed):
    assert of_pod(pod(**borrowed)) is None


def test_the_attempt_is_read_from_the_labels():
    fact = of_pod(pod())
    assert (fact.run, fact.attempt, fact.version) == ("uid-1", AttemptRef(3, 2), 7)


def test_the_end_is_that_of_the_task_container_whatever_sidecars_do():
    statuses = [
        {"name": "mesh", "state": {"running": {}}},
        {"name": "task", "state": {"terminated": {"exitCode": 3, "reason": "Error"}}},
    ]
    fact = of_pod(pod({"phase": "Running", "containerStatuses": statuses}))
    assert fact.ended == Ended(exit_code=3, container_reason="Error")


@pytest.mark.parametrize(
    ("message", "value"),
    [("", None), ('{"a": [1]}', {"a": [1]}), ("plain words", "plain words"), ("3", 3)],
)
def test_a_containers_result_is_its_termination_message_as_json_or_text(message, value):
    assert verdicts.of_container("p", Ended(0, message=message)) == Succeeded({"json": value})


def test_a_result_that_fills_the_message_is_not_believed():
    verdict = verdicts.of_container("p", Ended(0, message="x" * 4096))
    assert verdict.error.reason == reasons.RESULT_TRUNCATED


def test_a_container_says_why_it_failed():
    verdict = verdicts.of_container("p", Ended(7, message="because"))
    assert verdict.error.reason == reasons.EXIT_CODE
    assert "code 7: because" in verdict.error.message


def node(status, since, *taints):
    ready = {"type": "Ready", "status": status, "lastTransitionTime": since}
    return {
        "spec": {"taints": [{"key": key} for key in taints]},
        "status": {"conditions": [ready]},
    }


@pytest.mark.parametrize(
    ("found", "lost"),
    [
        (None, True),
        (node("True", "1970-01-01T00:00:00Z"), False),
        (node("Unknown", "1970-01-01T00:15:01Z"), False),
        (node("Unknown", "1970-01-01T00:10:00Z"), True),
        (node("True", "1970-01-01T00:00:00Z", nodes.OUT_OF_SERVICE), True),
    ],
    ids=["gone", "ready", "away for a while", "away for long", "out of service"],
)
def test_a_node_is_lost_when_it_is_gone_or_away_for_long(found, lost):
    assert bool(nodes.lost("n1", found, now=1000.0, patience_s=300.0)) is lost
