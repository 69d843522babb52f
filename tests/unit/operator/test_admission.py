"""What the API server is told about objects before it keeps them, and that all say the same."""

import io
import json

import pytest
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import REGISTRY

from graflow.api.errors import InvalidWorkflow
from graflow.api.runnable import runnable
from graflow_operator.keys import MasterKey
from graflow_operator.lease import Candidate, LeaseKeeper
from graflow_operator.notes import Notes
from graflow_operator.parts import Parts
from graflow_operator.server.admission_api import ROUTES
from graflow_operator.server.app import application
from graflow_operator.server.replica import Replica
from graflow_operator.settings import Settings
from support.fakes import FakeCluster
from support.world import World

SCRIPT = {"script": "return 1"}
A = {"name": "a", **SCRIPT}
BUNDLE = {"name": "code-x", "sha256": "0" * 64}


def workflow(spec):
    head = {"apiVersion": "graflow.dev/v1alpha1", "kind": "Workflow", "metadata": {"name": "run"}}
    return {**head, "spec": spec}


def profile(spec):
    head = {"apiVersion": "graflow.dev/v1alpha1", "kind": "RunnerProfile"}
    return {**head, "metadata": {"name": "gpu"}, "spec": spec}


class ApiServer:
    """Asks a replica that does not lead, as the API server does."""

    def __init__(self, client):
        self.client = client

    async def ask(self, found, kind="workflows"):
        review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}
        asked = {**review, "request": {"uid": "u1", "operation": "CREATE", "object": found}}
        answer = await self.client.post(f"/admission/{kind}", json=asked)
        assert answer.status == 200, await answer.text()
        body = await answer.json()
        assert {key: body[key] for key in review} == review
        assert body["response"]["uid"] == "u1"
        return body["response"]


@pytest.fixture
async def api_server():
    cluster = FakeCluster()
    notes = Notes(cluster, "test", lambda: 0.0)
    parts = Parts(cluster, None, MasterKey(b"k" * 32), Settings(), notes)
    keeper = LeaseKeeper(cluster, Candidate("graflow", "lease", "me", "http://me:8090"))
    async with TestClient(TestServer(application(Replica(parts, keeper)))) as client:
        yield ApiServer(client)


NONSENSE = {
    "unknown after": {"tasks": [{**A, "after": ["extrakt"]}, {"name": "extract", **SCRIPT}]},
    "two of one name": {"tasks": [A, A]},
    "every task waits for another": {
        "tasks": [{**A, "after": ["b"]}, {"name": "b", "after": ["a"], **SCRIPT}]
    },
    "no edge": {"tasks": [A, {"name": "b", **SCRIPT}]},
    "unknown start": {"tasks": [A], "start": ["b"]},
    "unknown member": {"tasks": [A], "groups": [{"name": "G", "members": ["a", "x"]}]},
    "too many asked of a group": {
        "tasks": [A],
        "groups": [
            {"name": "G", "members": ["a"], "policy": {"type": "AtLeast", "minimum": 2}},
        ],
    },
    "a critical stranger": {
        "tasks": [A, {"name": "b", "after": ["a"], **SCRIPT}],
        "groups": [
            {"name": "G", "members": ["a"], "policy": {"type": "Critical", "members": ["b"]}}
        ],
    },
    "a group in itself": {"tasks": [A], "groups": [{"name": "G", "members": ["G"]}]},
    "an edge into a group": {
        "tasks": [A, {"name": "m", "after": ["a"], **SCRIPT}],
        "groups": [{"name": "G", "members": ["m"]}],
    },
    "a function and no bundle": {"tasks": [{"name": "a", "function": "f"}]},
    "an edge too many": {"tasks": [A], "edges": [["a", "a"]]},
    "the runner's own variable": {
        "tasks": [{**A, "pod": {"env": [{"name": "GRAFLOW_KEY", "value": "mine"}]}}]
    },
    "an operator's label": {"tasks": [A], "pod": {"labels": {"graflow.dev/run": "other-uid"}}},
    "a variable with two values": {
        "tasks": [A],
        "pod": {"env": [{"name": "A", "value": "1", "valueFrom": {"fieldRef": {}}}]},
    },
    "two images": {"tasks": [{"name": "a", "container": {"image": "i"}, "pod": {"image": "j"}}]},
    "a key that YAML has changed": {"tasks": [A], "input": {"true": 1}},
    "too large": {"tasks": [{**A, "script": "#" * 60_000}, {**A, "name": "b"}], "input": {
        "x": "y" * 100_000}},
    "several at once": {"tasks": [{**A, "after": ["x", "y"]}], "start": ["z"]},
}  # fmt: skip


@pytest.mark.parametrize("spec", NONSENSE.values(), ids=NONSENSE)
async def test_the_sdk_admission_and_the_condition_say_the_same(spec, api_server):
    with pytest.raises(InvalidWorkflow) as caught:
        runnable(workflow(spec))
    words = str(caught.value)
    answer = await api_server.ask(workflow(spec))
    assert answer["allowed"] is False
    assert answer["status"] == {"code": 422, "reason": "Invalid", "message": words}
    async with World(spec) as world:
        world.start()
        status = await world.end()
        accepted = next(c for c in status["conditions"] if c["type"] == "Accepted")
        assert (accepted["status"], accepted["reason"]) == ("False", "Invalid")
        assert accepted["message"] == words
        assert world.made("pods") == []


@pytest.mark.parametrize(
    "spec",
    [
        {"tasks": [A]},
        {"tasks": [{**A, "after": ["a"]}], "start": ["a"]},
        {"bundle": BUNDLE},
        {"bundle": BUNDLE, "tasks": [{"name": "a", "function": "f"}, {"name": "b", **SCRIPT}],
         "start": ["a"]},
    ],
)  # fmt: skip
async def test_what_can_run_is_let_through_without_a_word(spec, api_server):
    assert await api_server.ask(workflow(spec)) == {"uid": "u1", "allowed": True}


async def test_of_a_plan_in_a_bundle_the_rest_of_the_spec_is_looked_at(api_server):
    spec = {"bundle": BUNDLE, "pod": {"labels": {"graflow.dev/run": "x"}}}
    assert "graflow.dev/run" in (await api_server.ask(workflow(spec)))["status"]["message"]
    spec = {"bundle": BUNDLE, "start": ["a"]}
    assert "in the bundle" in (await api_server.ask(workflow(spec)))["status"]["message"]


async def test_a_task_that_never_runs_is_warned_of(api_server):
    tasks = [A, {"name": "b", "after": ["a"], **SCRIPT}, {"name": "forgotten", **SCRIPT}]
    answer = await api_server.ask(workflow({"tasks": tasks}))
    assert answer["allowed"] is True
    [warning] = answer["warnings"]
    assert warning.startswith("spec.tasks[2]: nothing leads to task 'forgotten', so it never runs")


async def test_a_task_that_code_may_jump_to_is_not(api_server):
    tasks = [{"name": "a", "entrypoint": "m:f"}, {"name": "b", "after": ["a"], **SCRIPT}]
    spec = {"tasks": [*tasks, {"name": "later", **SCRIPT}]}
    assert "warnings" not in await api_server.ask(workflow(spec))


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"env": [{"name": "GRAFLOW_API", "value": "http://mine"}]}, "spec.env[0].name"),
        ({"labels": {"graflow.dev/run": "x"}}, "spec.labels"),
        ({"imagepullPolicy": "Always"}, "unknown field 'imagepullPolicy'; did you mean"),
    ],
)
async def test_a_profile_that_no_pod_can_be_made_from_is_refused(spec, words, api_server):
    answer = await api_server.ask(profile(spec), "runnerprofiles")
    assert answer["allowed"] is False
    assert words in answer["status"]["message"]


async def test_a_good_profile_and_a_deletion_are_let_through(api_server):
    good = {"uid": "u1", "allowed": True}
    assert await api_server.ask(profile({"nodeSelector": {"a": "b"}}), "runnerprofiles") == good
    assert await api_server.ask(None) == good


def test_nothing_is_looked_up_for_an_answer():
    assert {route.method for route in ROUTES} == {"POST"}
    assert all("replica" not in route.handler.__code__.co_names for route in ROUTES)


HEAD = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[]", "AdmissionReview"),
        (json.dumps({**HEAD, "kind": "Pod"}), "AdmissionReview"),
        (json.dumps({**HEAD, "apiVersion": "admission.k8s.io/v1beta1"}), "v1"),
        (json.dumps({**HEAD, "request": {}}), "request.uid"),
        (json.dumps({**HEAD, "request": {"uid": "u", "object": []}}), "request.object"),
    ],
)
async def test_what_is_no_review_is_refused_in_words(body, words, api_server):
    answer = await api_server.client.post("/admission/workflows", data=body)
    assert answer.status == 400
    assert words in (await answer.json())["message"]


async def test_a_body_that_is_too_large_is_not_read(api_server):
    answer = await api_server.client.post("/admission/workflows", data=io.BytesIO(b"x" * (5 << 20)))
    assert answer.status == 413


async def test_what_is_asked_is_counted_by_the_answer(api_server):
    def counted():
        return [
            REGISTRY.get_sample_value("graflow_admission_reviews_total", {"answer": answer})
            for answer in ("allowed", "refused", "unreadable")
        ]

    before = counted()
    await api_server.ask(workflow({"tasks": [A]}))
    await api_server.ask(workflow({"tasks": [A, A]}))
    assert (await api_server.client.post("/admission/workflows", data=b"{")).status == 400
    assert [now - then for now, then in zip(counted(), before, strict=True)] == [1, 1, 1]
