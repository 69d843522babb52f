"""Requests as anybody may send them: answered, or refused with words; never an error of ours."""

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from property.test_fuzz_resources import PROFILE, WORKFLOW
from support.fuzz import bodies, few, json_values, mutated
from support.served import Served

SPEC = {
    "tasks": [
        {"name": "a", "script": "return 1", "maxIterations": 5},
        {"name": "b", "after": ["a"], "params": ["a", "n"], "script": "return a"},
        {"name": "spare", "script": "return 1"},
    ],
    "start": ["a"],
    "input": {"n": 3},
}
VALUE = {"json": {"a": [1, 2.5, "x"]}}
SHA = "0" * 64
RESULTS = {"names": ["a", "n", "b"], "from": "visible"}
BLOB = {"sha256": SHA, "size": 300_000}
OPERATIONS = (
    {"op": "get", "key": "n"},
    {"op": "exists", "key": "a.__result__"},
    {"op": "keys"},
    {"op": "wait", "key": "l", "stream": 1, "ticket": 1, "within": 0.0},
    {"op": "set", "key": "k", "stream": 1, "n": 1, "value": VALUE, "ttl": 3.0, "type": "dict"},
    {
        "op": "append",
        "key": "k",
        "stream": 1,
        "n": 2,
        "items": {"list": [{"n": 2, "of": {"json": [1, 2]}}]},
    },
    {"op": "prepend", "key": "l", "stream": 1, "n": 3, "items": {"json": ["x"]}, "ttl": 1.0},
    {"op": "add", "key": "c", "stream": 1, "n": 4, "amount": {"json": 1}},
    {"op": "lock", "key": "l", "stream": 1, "n": 5},
    {"op": "unlock", "key": "l", "stream": 1, "n": 6, "ticket": 5, "unlessHeld": False},
    {"op": "delete", "key": "k", "stream": 1, "n": 7},
    {"op": "clear", "stream": 1, "n": 8},
)
CHECKPOINT = {"stream": 1, "n": 1, "path": "half", "metadata": {"epoch": 7, "why": ["x", None]}}
TASK = {"name": "t", "script": "return 1", "params": ["x"], "bound": {"x": VALUE}}
REPORTS = (
    {"outcome": "Succeeded", "value": VALUE, "directives": []},
    {"outcome": "Succeeded", "value": {"blob": {"sha256": SHA, "size": 9, "encoding": "json"}}},
    {"outcome": "Succeeded", "value": {"pickle": "AAAA"}},
    {"outcome": "Succeeded", "value": VALUE, "checkpoint": {"path": "x", "metadata": {"n": 1}}},
    {"outcome": "Succeeded", "value": VALUE, "directives": [
        {"type": "Jump", "task": "spare"}, {"type": "Iterate", "again": {"data": VALUE}},
        {"type": "Terminate", "message": "done"}, {"type": "Cancel", "message": "no"}]},
    {"outcome": "Succeeded", "value": VALUE, "directives": [
        {"type": "Spawn", "fragment": {"tasks": [TASK, {**TASK, "name": "u", "after": ["t"]}],
         "groups": [], "start": ["t"], "code": {"t": {"pickle": "AAAA"}}}}]},
    {"outcome": "Failed", "error": {"reason": "TaskFailed", "message": "m", "type": "ValueError",
                                    "traceback": "t", "retryable": True}},
)  # fmt: skip
REVIEW = {
    "apiVersion": "admission.k8s.io/v1",
    "kind": "AdmissionReview",
    "request": {"uid": "u", "operation": "CREATE", "object": WORKFLOW, "oldObject": None},
}
HEADERS = st.sampled_from(
    ["X-Graflow-Run", "X-Graflow-Activation", "X-Graflow-Attempt", "X-Graflow-Claim",
     "X-Graflow-Number", "X-Graflow-Mac", "Authorization", "Content-Type", "X-Graflow-Ran"]
)  # fmt: skip
HEADER_VALUES = st.sampled_from(["", "0", "-1", "9" * 5000, "1e3", "\xb2", "a/b", "Bearer é", "{"])


@pytest.fixture(scope="module")
def served():
    with Served(SPEC) as found:
        yield found


@pytest.fixture(scope="module")
def served_anew():
    """Return a server whose runner still holds its attempt."""
    kept = []

    def current():
        if kept and kept[0].over:
            kept.pop().__exit__()
        if not kept:
            kept.append(Served(SPEC).__enter__())
        return kept[0]

    yield current
    kept[0].__exit__()


def check(answer):
    """An answer is no error of ours, and a refusal has a word for programs and one for people."""
    status, said = answer
    assert status != 500, said
    if status >= 400:
        assert said["reason"].strip()
        assert said["message"].strip()
    return answer


def test_the_requests_that_are_damaged_here_are_answered(served, served_anew):
    asked = (
        ("results", RESULTS),
        ("blob", BLOB),
        ("address", BLOB),
        ("checkpoint", CHECKPOINT),
        ("renewal", None),
    )
    for path, body in (*asked, *(("channel", o) for o in OPERATIONS)):
        status, said = check(served.call(f"/runner/v1/{path}", json.dumps(body).encode()))
        assert status < 400, (body, said)
    for body in REPORTS:
        status, said = check(served_anew().call("/runner/v1/report", json.dumps(body).encode()))
        assert status < 400 or "blob" in str(body), (body, said)


@given(st.data())
@few
def test_a_claim_is_answered_or_refused_in_words(served, data):
    check(served.ask("POST", "/runner/v1/claim", data.draw(bodies(served.claim)), served.bearer))


@given(bodies(RESULTS))
@few
def test_a_question_for_results_is_answered_or_refused_in_words(served, body):
    check(served.call("/runner/v1/results", body))


@given(bodies(BLOB))
@few
def test_a_question_for_room_is_answered_or_refused_in_words(served, body):
    check(served.call("/runner/v1/blob", body))


@given(bodies(BLOB))
@few
def test_a_wish_for_other_addresses_is_answered_whatever_comes_with_it(served, body):
    assert check(served.call("/runner/v1/renewal", body))[0] in (200, 413)


@given(bodies(CHECKPOINT))
@few
def test_a_wish_for_a_checkpoint_is_answered_or_refused_in_words(served, body):
    check(served.call("/runner/v1/checkpoint", body))


@given(st.sampled_from(OPERATIONS).flatmap(bodies))
@few
def test_an_operation_on_the_channel_is_answered_or_refused_in_words(served, body):
    check(served.call("/runner/v1/channel", body))


@given(st.sampled_from(REPORTS).flatmap(bodies))
@few
def test_a_report_is_answered_or_refused_in_words(served_anew, body):
    found = served_anew()
    check(found.call("/runner/v1/report", body))
    assert not found.world.driving.done() or found.world.driving.exception() is None


@given(st.dictionaries(HEADERS, HEADER_VALUES, max_size=2), st.sampled_from(["results", "claim"]))
@few
def test_a_caller_that_says_nonsense_of_itself_is_refused_in_words(served, headers, call):
    check(served.call(f"/runner/v1/{call}", json.dumps(RESULTS).encode(), **headers))


@given(st.text(max_size=20) | st.sampled_from(["../..", "%00", SHA, f"1-{SHA}", "9" * 25 + SHA]),
       st.sampled_from(["values", "history", "channel", "state"]),
       st.sampled_from(["", "token", "é" * 9]))  # fmt: skip
@few
def test_a_question_of_a_user_is_answered_or_refused_in_words(served, name, what, token):
    served.world.cluster.users = {"token": "ann"}
    served.world.cluster.readers = {("ann", "team", "run")}
    path = f"/user/v1/namespaces/team/workflows/run/{what}/{name}"
    check(served.ask("GET", path, headers={"X-Graflow-Token": token}))
    check(served.call(f"/runner/v1/bundle/{name}", method="GET"))


@given(bodies(REVIEW), st.sampled_from(["workflows", "runnerprofiles", "others"]))
@few
def test_a_review_is_answered_or_refused_in_words(served, body, what):
    status, said = check(served.ask("POST", f"/admission/{what}", body))
    if status == 200 and not said["response"]["allowed"]:
        assert said["response"]["status"]["message"].strip()


@given(mutated(WORKFLOW) | mutated(PROFILE) | json_values)
@few
def test_any_object_is_admitted_or_refused_in_words(served, found):
    review = copy.deepcopy(REVIEW)
    review["request"]["object"] = found
    body = json.dumps(review).encode(errors="surrogatepass")
    for what in ("workflows", "runnerprofiles"):
        status, said = check(served.ask("POST", f"/admission/{what}", body))
        if status == 200 and not said["response"]["allowed"]:
            assert said["response"]["status"]["message"].strip()
