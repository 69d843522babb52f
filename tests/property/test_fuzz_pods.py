"""What pods and peers say: pods as the API server shows them, and answers that a runner hears."""

import io
import json
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from graflow.api import names
from graflow_operator import outcomes, verdicts
from graflow_operator.facts import PodFact, of_pod
from graflow_operator.refs import AttemptRef, RunRef, is_pod_of, pod_name
from graflow_runner.wire import Answer, _answer
from support.fuzz import WORDS, json_values, mutated

RUN = RunRef("team", "run", "uid-run")
ATTEMPT = AttemptRef(1, 1)
words = st.sampled_from(
    ["", "OOMKilled", "Error", "Evicted", "ErrImagePull", "ContainerCreating", "DisruptionTarget",
     "PodScheduled", "Unschedulable", "SchedulingGated", "True", "False", "ContainerStatusUnknown",
     "NodeNotReady", "StartError", "x" * 5000, "\x00", "é"]
)  # fmt: skip
times = st.sampled_from(["2026-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
texts = {"reason": words, "message": words}
states = st.fixed_dictionaries(
    {},
    optional={
        "waiting": st.fixed_dictionaries({}, optional=texts),
        "running": st.just({}),
        "terminated": st.fixed_dictionaries(
            {"exitCode": st.integers(-(2**31), 2**31 - 1)},
            optional={**texts, "signal": st.integers(0, 64), "finishedAt": times},
        ),
    },
)
containers = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from(["task", "sidecar", ""])},
        optional={"state": states, "lastState": states, "restartCount": st.integers(0, 9)},
    ),
    max_size=3,
)
conditions = st.lists(
    st.fixed_dictionaries(
        {"type": words, "status": words}, optional={**texts, "lastTransitionTime": times}
    ),
    max_size=4,
)
statuses = st.fixed_dictionaries(
    {},
    optional={
        **texts,
        "phase": st.sampled_from(["Pending", "Running", "Succeeded", "Failed", "Unknown"]),
        "startTime": times,
        "containerStatuses": containers,
        "initContainerStatuses": containers,
        "conditions": conditions,
    },
)


def pod(status, **metadata):
    return {
        "metadata": {
            "name": pod_name(RUN, "a", ATTEMPT),
            "namespace": "team",
            "uid": "uid-pod",
            "resourceVersion": "7",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {
                names.LABEL_RUN: RUN.uid,
                names.LABEL_ACTIVATION: "1",
                names.LABEL_ATTEMPT: "1",
            },
            "ownerReferences": [RUN.owner],
            **metadata,
        },
        "spec": {"nodeName": "n"},
        "status": status,
    }


@given(statuses)
@example({})
def test_whatever_a_pods_status_says_it_can_be_read_and_judged(status):
    fact = of_pod(pod(status))
    assert isinstance(fact, PodFact)
    if fact.ended is not None:
        assert verdicts.of_container(fact.name, fact.ended)
        for claimed in (True, False):
            assert verdicts.of_runner(fact.name, fact.ended, claimed=claimed)


@given(
    st.dictionaries(
        st.sampled_from([names.LABEL_RUN, names.LABEL_ACTIVATION, names.LABEL_ATTEMPT]),
        st.sampled_from([*WORDS, "9" * 63, "01"]),
    ),
    st.sampled_from(["", "7", "x", "9" * 30]),
)
def test_a_pod_with_the_labels_of_another_is_none_of_ours(labels, version):
    fake = pod({}, labels=labels, resourceVersion=version)
    assert of_pod(fake) is None or of_pod(fake).attempt == ATTEMPT
    assert not is_pod_of(fake, RUN, "b", ATTEMPT)


OUTCOME = {
    "v": 1,
    "activation": 1,
    "attempt": 1,
    "claim": "c",
    "report": {"outcome": "Succeeded", "value": {"json": 1}, "directives": []},
    "outcomeValue": {"sha256": "0" * 64, "size": 3, "encoding": "json"},
    "mac": "0" * 64,
}


@given(st.binary(max_size=50) | mutated(OUTCOME) | json_values)
def test_whatever_a_termination_message_says_is_an_outcome_or_none(said):
    data = said if isinstance(said, bytes) else json.dumps(said)
    assert outcomes.read(data, run_key=b"k" * 32, attempt=ATTEMPT, claim="c") is None
    with suppress(outcomes.BadReportError):
        outcomes.report_of(said["report"] if isinstance(said, dict) and "report" in said else said)


HEAD = b"HTTP/1.1 200 OK\r\n"
lines = st.sampled_from(
    [b"Content-Length: 3\r\n", b"Content-Length: -1\r\n", b"Content-Length: 9e9\r\n", b"\r\n",
     b"Content-Length: 99999999999999999999\r\n", b"Transfer-Encoding: chunked\r\n",
     b"3\r\nabc\r\n",
     b"-5\r\n", b"0\r\n\r\n", b"ffffffffffffffffff\r\n", b": \r\n", b"x" * 100,
     b"Retry-After: 9\r\n",
     b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 \xff\r\n", b"abc"]
)  # fmt: skip


@given(st.lists(lines | st.binary(max_size=9), max_size=8), st.booleans())
def test_whatever_answers_a_runner_hears_a_whole_answer_or_none(pieces, begins_well):
    data = (HEAD if begins_well else b"") + b"".join(pieces)
    with suppress(ValueError):
        found = _answer(io.BytesIO(data))
        assert isinstance(found, Answer)
        assert found.retry_after_s >= 0
        assert isinstance(found.passing, bool)


@pytest.mark.parametrize("size", [b"-1", b"99999999999999999999"])
def test_an_answer_of_a_size_that_cannot_be_is_none(size):
    with pytest.raises(ValueError, match="claims"):
        _answer(io.BytesIO(HEAD + b"Content-Length: " + size + b"\r\n\r\nabc"))
