"""The runner API over HTTP: what one attempt may do, and what everybody else hears."""

import asyncio
import hashlib
import io
import json
import threading

import pytest
from aiohttp.test_utils import TestClient, TestServer

from graflow.store import StoreUnavailableError
from graflow_operator import keys
from graflow_operator.cluster import PODS, WORKFLOWS
from graflow_operator.keys import MasterKey, Replaced
from graflow_operator.refs import AttemptRef
from graflow_operator.server.app import application
from support.served import leading
from support.world import NAMESPACE, World

SPEC = {
    "tasks": [
        {"name": "a", "script": "return 1"},
        {"name": "b", "after": ["a"], "params": ["a", "n", "c", "x"], "script": "return a"},
        {"name": "c", "after": ["b"], "script": "return 1"},
    ],
    "input": {"n": 3},
}
NONCE = "0123456789abcdef" * 2


class Api:
    """A server over a run in memory, and a runner that knows the protocol."""

    def __init__(self, world, client, replica):
        self.world = world
        self.client = client
        self.replica = replica
        self.number = 0

    @property
    def uid(self):
        return self.world.workflow["metadata"]["uid"]

    def key(self, uid=None):
        return MasterKey(b"k" * 32).of_run(uid or self.uid).hex()

    async def pod(self, task="a"):
        def made():
            return [
                p for p in self.world.pods if p["metadata"]["labels"]["graflow.dev/task"] == task
            ]

        await self.world.until(made)
        [pod] = made()
        status = {"phase": "Running", "podIP": "127.0.0.1"}
        return self.world.cluster.set_status(PODS, NAMESPACE, pod["metadata"]["name"], status)

    def claim_body(self, pod_, **changes):
        identity = {"name": pod_["metadata"]["name"], "uid": pod_["metadata"]["uid"]}
        body = {"run": self.uid, "namespace": NAMESPACE, "pod": identity, "nonce": NONCE}
        return {**body, "python": "3.11.2", **changes}

    async def claim(self, pod_, key=None, **changes):
        headers = {"Authorization": f"Bearer {key or self.key()}"}
        body = self.claim_body(pod_, **changes)
        return await self.client.post("/runner/v1/claim", json=body, headers=headers)

    async def call(  # noqa: PLR0913 - what a call is made of
        self, order, pod, path, body=None, *, method="POST", key=None, claim=None
    ):
        self.number += 1
        claim = claim or f"{pod['metadata']['uid']}/{NONCE}"
        data = b"" if body is None else json.dumps(body).encode()
        signed = keys.Call(method, path, claim, str(self.number), data)
        headers = {
            "X-Graflow-Run": self.uid,
            "X-Graflow-Activation": str(order["activation"]),
            "X-Graflow-Attempt": str(order["attempt"]),
            "X-Graflow-Claim": claim,
            "X-Graflow-Number": str(self.number),
            "X-Graflow-Mac": keys.mac_of_call(bytes.fromhex(key or order["attemptKey"]), signed),
        }
        return await self.client.request(method, path, data=io.BytesIO(data), headers=headers)


@pytest.fixture
async def api():
    async with World(SPEC) as world:
        replica = await leading(world)
        async with TestClient(TestServer(application(replica))) as client:
            yield Api(world, client, replica)


async def refusal(answer, status, reason):
    body = await answer.json()
    assert (answer.status, body["reason"]) == (status, reason), body
    return body["message"]


async def test_a_claim_gives_the_order_and_the_key_of_the_attempt(api):
    pod = await api.pod()
    answer = await api.claim(pod)
    assert answer.status == 200
    order = await answer.json()
    claim = f"{pod['metadata']['uid']}/{NONCE}"
    assert order["attemptKey"] == keys.of_attempt(bytes.fromhex(api.key()), 1, 1, claim).hex()
    assert order["call"] == {"script": "return 1", "params": []}
    assert (order["sent"], order["senders"], order["names"]) == ([], [], {})
    assert (await (await api.claim(pod)).json()) == order


async def test_a_pod_made_before_a_rotation_of_the_master_key_claims_and_reports(api):
    pod = await api.pod()
    api.replica.parts.master = MasterKey(b"n" * 32, (Replaced(b"k" * 32, 0.0),))
    order = await (await api.claim(pod)).json()
    done = {"outcome": "Succeeded", "value": {"json": 1}, "directives": []}
    assert (await api.call(order, pod, "/runner/v1/report", done)).status == 200


async def test_keys_of_a_master_key_that_is_forgotten_open_nothing(api):
    pod = await api.pod()
    order = await (await api.claim(pod)).json()
    api.replica.parts.master = MasterKey(b"n" * 32)
    await refusal(await api.claim(pod), 403, "BadKey")
    done = {"outcome": "Succeeded", "value": {"json": 1}, "directives": []}
    await refusal(await api.call(order, pod, "/runner/v1/report", done), 403, "BadKey")


async def test_the_claim_is_committed_before_the_order_is_given(api):
    pod = await api.pod()
    await api.claim(pod)
    [task] = api.world.status["tasks"]
    assert task["phase"] == "Running"


@pytest.mark.parametrize("key", ["", "00" * 32, "another run's"])
async def test_a_claim_without_the_runs_key_is_refused_and_changes_nothing(api, key):
    pod = await api.pod()
    before = api.world.workflow
    shown = api.key("another-uid") if key.startswith("another") else key or "nothing"
    await refusal(await api.claim(pod, key=shown), 403, "BadKey")
    assert api.world.workflow == before


async def test_a_claim_from_another_address_is_asked_to_come_again(api):
    pod = await api.pod()
    pod = api.world.cluster.set_status(
        PODS, NAMESPACE, pod["metadata"]["name"], {"podIP": "10.9.9.9"}
    )
    answer = await api.claim(pod)
    assert answer.headers["Retry-After"] == "1"
    assert "10.9.9.9" in await refusal(answer, 503, "NotYet")


async def test_a_claim_that_comes_before_the_pods_address_is_known_waits_for_it(api):
    name = (await api.pod())["metadata"]["name"]
    pod = api.world.cluster.set_status(PODS, NAMESPACE, name, {"podIP": None})
    claim = asyncio.create_task(api.claim(pod))
    await api.world.until(lambda: api.world.actor.claimants._waiting)
    api.world.actor.claimants.seen({**pod, "status": {"podIP": "127.0.0.1"}})
    assert (await claim).status == 200


async def test_a_pod_that_was_shown_with_its_address_is_not_asked_for(api):
    pod = await api.pod()
    api.world.actor.claimants.seen(pod)
    api.world.cluster.set_status(PODS, NAMESPACE, pod["metadata"]["name"], {"podIP": "10.9.9.9"})
    assert (await api.claim(pod)).status == 200


async def test_a_claim_of_a_pod_that_is_another_one_now_is_fenced(api):
    pod = await api.pod()
    identity = {"name": pod["metadata"]["name"], "uid": "older"}
    assert "another one" in await refusal(await api.claim(pod, pod=identity), 409, "Fenced")


async def test_a_second_runner_in_the_same_pod_is_fenced(api):
    pod = await api.pod()
    await api.claim(pod)
    await refusal(await api.claim(pod, nonce="f" * 32), 409, "Fenced")


async def test_a_claim_while_what_exists_is_being_read_is_asked_to_come_again(api):
    pod = await api.pod()
    api.replica.engine._actors.clear()
    api.replica.engine.synced = False
    await refusal(await api.claim(pod), 503, "NotYet")


async def test_a_claim_of_a_run_that_is_gone_is_fenced(api):
    pod = await api.pod()
    api.replica.engine._actors.clear()
    await refusal(await api.claim(pod), 409, "Fenced")


async def test_a_replica_that_does_not_lead_sends_on_to_the_one_that_does(api):
    pod = await api.pod()
    api.replica.engine = None
    api.replica.keeper.leader = "http://leader:8090"
    headers = {"Authorization": f"Bearer {api.key()}"}
    answer = await api.client.post(
        "/runner/v1/claim", json=api.claim_body(pod), headers=headers, allow_redirects=False
    )
    assert answer.headers["Location"] == "http://leader:8090/runner/v1/claim"
    await refusal(answer, 307, "NotLeader")


async def test_without_a_leader_runners_are_asked_to_come_again(api):
    pod = await api.pod()
    api.replica.engine = None
    api.replica.keeper.leader = ""
    await refusal(await api.claim(pod), 503, "NotYet")


@pytest.mark.parametrize(
    "changes",
    [{"nonce": "short"}, {"pod": "name"}, {"run": ""}, {"namespace": 3}],
    ids=["nonce", "pod", "run", "namespace"],
)
async def test_a_claim_that_makes_no_sense_names_the_field(api, changes):
    pod = await api.pod()
    message = await refusal(await api.claim(pod, **changes), 400, "BadRequest")
    assert f"`{next(iter(changes))}`" in message


async def test_a_report_is_answered_when_it_is_committed_and_may_be_repeated(api):
    pod = await api.pod()
    order = await (await api.claim(pod)).json()
    report = {"outcome": "Succeeded", "value": {"json": {"rows": [1]}}}
    for _ in range(2):
        answer = await api.call(order, pod, "/runner/v1/report", report)
        assert await answer.json() == {"committed": True}
    assert api.world.status["progress"] == "1/3"


async def test_what_came_with_the_token_and_what_names_stand_for_are_in_the_next_order(api):
    pod = await api.pod()
    order = await (await api.claim(pod)).json()
    report = {"outcome": "Succeeded", "value": {"json": [1]}}
    await api.call(order, pod, "/runner/v1/report", report)
    order = await (await api.claim(await api.pod("b"))).json()
    assert order["sent"] == [{"task": "a", "value": {"json": [1]}}]
    assert order["senders"] == ["a"]
    assert order["names"] == {
        "a": {"result": {"json": [1]}},
        "n": {"channel": {"json": 3}},
        "c": {"task": True},
        "x": None,
    }


async def test_results_are_asked_by_name(api):
    pod = await api.pod()
    order = await (await api.claim(pod)).json()
    asked = {"names": ["n", "b", "none"], "from": "names"}
    answer = await api.call(order, pod, "/runner/v1/results", asked)
    found = {"n": {"channel": {"json": 3}}, "b": {"task": True}, "none": None}
    assert await answer.json() == {"names": found}
    asked = {"names": ["n", "b"], "from": "results"}
    answer = await api.call(order, pod, "/runner/v1/results", asked)
    assert await answer.json() == {"names": {"n": None, "b": None}}


async def test_a2_an_attempt_may_ask_which_names_there_are(api):
    pod = await api.pod()
    order = await (await api.claim(pod)).json()
    await api.call(order, pod, "/runner/v1/report", {"outcome": "Succeeded", "value": {"json": 1}})
    pod = await api.pod("b")
    order = await (await api.claim(pod)).json()
    answer = await api.call(order, pod, "/runner/v1/results", {"names": [], "from": "visible"})
    assert await answer.json() == {"names": {}, "visible": {"results": ["a"], "channel": ["n"]}}


async def test_a_large_value_is_moved_to_the_store_before_it_is_committed(api):
    pod = await api.pod()
    order = await (await api.claim(pod)).json()
    value = "x" * 5000
    sha256 = hashlib.sha256(json.dumps(value).encode()).hexdigest()
    report = {"outcome": "Succeeded", "value": {"json": value}}
    await api.call(order, pod, "/runner/v1/report", report)
    stored = api.world.store.get(f"{NAMESPACE}/{api.uid}/blobs/{sha256}")
    assert json.loads(stored) == value
    order = await (await api.claim(await api.pod("b"))).json()
    blob = {"sha256": sha256, "size": len(stored), "encoding": "json"}
    assert order["sent"] == [{"task": "a", "value": {"blob": blob}}]


async def test_a_value_that_the_store_does_not_take_has_the_run_say_so(api):
    def away(key):
        raise StoreUnavailableError(f"object {key!r} at http://s3.example: no answer")

    pod = await api.pod()
    order = await (await api.claim(pod)).json()
    api.world.store.size = away
    body = {"sha256": "0" * 64, "size": 300_000}
    answer = await api.call(order, pod, "/runner/v1/blob", body)
    assert "s3.example" in await refusal(answer, 503, "Unavailable")
    await api.world.until(lambda: api.world.status.get("reason") == "StoreUnavailable")
    assert "s3.example" in api.world.status["message"]


async def test_a_report_of_a_blob_that_was_not_uploaded_is_refused(api):
    pod = await api.pod()
    order = await (await api.claim(pod)).json()
    blob = {"sha256": "0" * 64, "size": 3, "encoding": "json"}
    report = {"outcome": "Succeeded", "value": {"blob": blob}}
    answer = await api.call(order, pod, "/runner/v1/report", report)
    assert "upload it before" in await refusal(answer, 400, "BadRequest")


@pytest.mark.parametrize(
    "report",
    [
        [],
        {},
        {"outcome": "Succeeded"},
        {"outcome": "Succeeded", "value": 3},
        {"outcome": "Succeeded", "value": {"json": 1, "pickle": ""}},
        {"outcome": "Succeeded", "value": {"pickle": "not base64!"}},
        {"outcome": "Failed"},
        {"outcome": "Maybe"},
    ],
)
async def test_a_report_that_is_none_is_refused_and_changes_nothing(api, report):
    pod = await api.pod()
    order = await (await api.claim(pod)).json()
    before = api.world.workflow
    answer = await api.call(order, pod, "/runner/v1/report", report)
    await refusal(answer, 400, "BadRequest")
    assert api.world.workflow == before


async def test_a_call_signed_with_another_key_is_refused(api):
    pod = await api.pod()
    order = await (await api.claim(pod)).json()
    report = {"outcome": "Succeeded", "value": {"json": 1}}
    answer = await api.call(order, pod, "/runner/v1/report", report, key="00" * 32)
    await refusal(answer, 403, "BadKey")
    answer = await api.call(order, pod, "/runner/v1/report", report, key=api.key())
    await refusal(answer, 403, "BadKey")


async def test_a_pod_that_holds_the_runs_key_cannot_report_for_an_attempt_it_did_not_claim(api):
    pod = await api.pod()
    order = await (await api.claim(pod)).json()
    forged = keys.of_attempt(bytes.fromhex(api.key()), 1, 1, "thief/0").hex()
    report = {"outcome": "Succeeded", "value": {"json": "stolen"}}
    answer = await api.call(order, pod, "/runner/v1/report", report, key=forged, claim="thief/0")
    await refusal(answer, 409, "Fenced")


async def test_a_call_for_an_attempt_that_is_over_is_fenced(api):
    pod = await api.pod()
    order = await (await api.claim(pod)).json()
    report = {"outcome": "Failed", "error": {"reason": "TaskFailed", "message": "no"}}
    await api.call(order, pod, "/runner/v1/report", report)
    answer = await api.call(order, pod, "/runner/v1/results", {"names": [], "from": "names"})
    await refusal(answer, 409, "Fenced")


async def test_a_failure_is_told_with_its_traceback(api):
    pod = await api.pod()
    order = await (await api.claim(pod)).json()
    error = {
        "reason": "TaskFailed",
        "type": "ValueError",
        "message": "no such thing",
        "traceback": "Traceback: line 1",
        "retryable": True,
    }
    await api.call(order, pod, "/runner/v1/report", {"outcome": "Failed", "error": error})
    status = api.world.status
    assert status["message"] == "task 'a' failed: ValueError: no such thing"
    succeeded = next(c for c in status["conditions"] if c["type"] == "Succeeded")
    assert "Traceback: line 1" in succeeded["message"]


@pytest.mark.parametrize("size", [5_000_000, 70_000_000])
async def test_a_body_over_the_limit_is_refused_with_the_way_out(api, size):
    pod = await api.pod()
    order = await (await api.claim(pod)).json()
    report = {"outcome": "Succeeded", "value": {"json": "x" * size}}
    answer = await api.call(order, pod, "/runner/v1/report", report)
    assert "store" in await refusal(answer, 413, "BodyTooLarge")


async def test_what_is_not_served_is_said_in_the_same_form(api):
    await refusal(await api.client.get("/runner/v1/nothing"), 404, "NotServed")


async def test_every_replica_is_ready_and_says_whether_it_leads(api):
    assert await (await api.client.get("/readyz")).json() == {"status": "ok", "leader": True}
    api.replica.engine = None
    assert await (await api.client.get("/readyz")).json() == {"status": "ok", "leader": False}


async def test_a_process_whose_watches_hear_nothing_is_not_healthy(api):
    assert (await api.client.get("/healthz")).status == 200
    api.replica.healthy = False
    assert (await api.client.get("/healthz")).status == 503


async def test_many_claims_at_once_are_committed_together(api):
    pod = await api.pod()
    answers = await asyncio.gather(*(api.claim(pod) for _ in range(10)))
    assert {answer.status for answer in answers} == {200}


VALUE = b'"a value"'
VALUE_SHA = hashlib.sha256(VALUE).hexdigest()


async def value(api, token="alices", name="run", sha256=VALUE_SHA):
    api.world.store.put(f"{NAMESPACE}/{api.uid}/blobs/{VALUE_SHA}", VALUE)
    api.world.cluster.users = {"alices": "alice", "bobs": "bob"}
    api.world.cluster.readers = {("alice", NAMESPACE, "run"), ("alice", NAMESPACE, "none")}
    path = f"/user/v1/namespaces/{NAMESPACE}/workflows/{name}/values/{sha256}"
    headers = {"X-Graflow-Token": token} if token else {}
    return await api.client.get(path, headers=headers)


async def test_who_may_get_a_workflow_may_read_its_values(api):
    answer = await value(api)
    assert (answer.status, await answer.read()) == (200, VALUE)


async def test_who_may_not_is_told_so_before_anything_is_looked_at(api):
    await refusal(await value(api, token=""), 401, "NoToken")
    await refusal(await value(api, token="nobodys"), 401, "BadToken")
    assert "bob" in await refusal(await value(api, token="bobs"), 403, "Forbidden")
    assert "bob" in await refusal(await value(api, token="bobs", name="none"), 403, "Forbidden")


async def test_a_replica_that_does_not_lead_hands_out_values_too(api):
    api.replica.engine = None
    assert (await value(api)).status == 200


async def test_what_is_in_another_installations_store_is_said_to_be_there(api):
    missing = "0" * 64
    alone = await refusal(await value(api, sha256=missing), 404, "NotFound")
    assert "GRAFLOW_SERVICE" not in alone
    api.world.cluster.peek(WORKFLOWS, NAMESPACE, "run")["spec"]["operator"] = "theirs"
    words = await refusal(await value(api, sha256=missing), 404, "NotFound")
    assert "driven by operator 'theirs', and this is ''" in words
    assert "GRAFLOW_SERVICE" in words


SEGMENT = f"12-{'c' * 64}"


@pytest.mark.parametrize("part", ["history", "state"])
async def test_who_may_get_a_workflow_may_read_its_history_and_its_state(api, part):
    ending = ".jsonl" if part == "history" else ""
    api.world.store.put(f"{NAMESPACE}/{api.uid}/{part}/{SEGMENT}{ending}", b"{}\n")
    api.world.cluster.users = {"alices": "alice", "bobs": "bob"}
    api.world.cluster.readers = {("alice", NAMESPACE, "run")}
    path = f"/user/v1/namespaces/{NAMESPACE}/workflows/run/{part}"
    answers = {
        token: await api.client.get(f"{path}/{SEGMENT}", headers={"X-Graflow-Token": token})
        for token in ("alices", "bobs")
    }
    assert await answers["alices"].read() == b"{}\n"
    await refusal(answers["bobs"], 403, "Forbidden")
    headers = {"X-Graflow-Token": "alices"}
    missing = await api.client.get(f"{path}/13-{'c' * 64}", headers=headers)
    await refusal(missing, 404, "NotFound")
    await refusal(await api.client.get(f"{path}/..%2fx", headers=headers), 400, "BadRequest")


async def test_a_value_that_is_not_there_is_named(api):
    await refusal(await value(api, name="none"), 404, "NotFound")
    await refusal(await value(api, sha256="0" * 64), 404, "NotFound")
    await refusal(await value(api, sha256="..%2f..%2fother"), 400, "BadRequest")


async def test_a_number_that_json_does_not_have_is_refused(api):
    pod = await api.pod()
    order = await (await api.claim(pod)).json()
    report = {"outcome": "Succeeded", "value": {"json": float("nan")}}
    answer = await api.call(order, pod, "/runner/v1/report", report)
    assert "NaN" in await refusal(answer, 400, "BadRequest")


def addressed(api, monkeypatch):
    """Let the store have addresses, each signed as another one than before."""
    signed = []

    def presign(method, key, *, expires_s, only_if_absent=False):
        signed.append((method, key, expires_s, only_if_absent))
        return f"https://store/{key}?n={len(signed)}"

    monkeypatch.setattr(api.world.store, "presign", presign)
    return signed


async def test_an_order_says_how_long_its_addresses_live_and_a_renewal_gives_others(
    api, monkeypatch
):
    signed = addressed(api, monkeypatch)
    pod = await api.pod()
    order = await (await api.claim(pod)).json()
    assert order["outcome"]["expiresSeconds"] == 7 * 24 * 3600
    before = api.world.workflow
    answer = await api.call(order, pod, "/runner/v1/renewal")
    renewed = (await answer.json())["outcome"]
    assert renewed["url"].partition("?")[0] == order["outcome"]["url"].partition("?")[0]
    assert not {renewed["url"], renewed["valueUrl"]} & set(map(str, order["outcome"].values()))
    assert renewed["expiresSeconds"] == order["outcome"]["expiresSeconds"]
    assert {(m, s, absent) for m, _, s, absent in signed} == {("PUT", 7 * 24 * 3600, True)}
    assert api.world.workflow == before


async def test_a_pod_that_is_lost_while_its_orders_addresses_are_signed_gets_no_order(
    api, monkeypatch
):
    asked, goes = threading.Event(), threading.Event()

    def presign(*_, **__):
        asked.set()
        goes.wait(30)
        return "https://store/place"

    monkeypatch.setattr(api.world.store, "presign", presign)
    pod = await api.pod()
    claim = asyncio.create_task(api.claim(pod))
    await asyncio.to_thread(asked.wait, 30)
    api.world.cluster.vanish(PODS, NAMESPACE, pod["metadata"]["name"])
    api.world.actor.book.gone(AttemptRef(1, 1), pod["metadata"]["uid"])
    await api.world.until(lambda: len(api.world.made("pods")) == 2)
    goes.set()
    await refusal(await claim, 409, "Fenced")


async def test_where_a_value_is_read_is_told_anew_for_as_long_as_its_attempt_lasts(
    api, monkeypatch
):
    signed = addressed(api, monkeypatch)
    pod = await api.pod()
    order = await (await api.claim(pod)).json()
    signed.clear()
    answer = await api.call(order, pod, "/runner/v1/address", {"sha256": "a" * 64})
    key = f"{NAMESPACE}/{api.uid}/blobs/{'a' * 64}"
    assert await answer.json() == {"url": f"https://store/{key}?n=1"}
    assert signed == [("GET", key, 3600, False)]
    wrong = await api.call(order, pod, "/runner/v1/address", {"sha256": "../other"})
    await refusal(wrong, 400, "BadRequest")
    done = {"outcome": "Succeeded", "value": {"json": 1}, "directives": []}
    await api.call(order, pod, "/runner/v1/report", done)
    late = await api.call(order, pod, "/runner/v1/address", {"sha256": "a" * 64})
    await refusal(late, 409, "Fenced")


async def test_addresses_live_no_longer_than_the_credentials_that_signed_them(api, monkeypatch):
    addressed(api, monkeypatch)
    monkeypatch.setattr(api.world.store, "credentials_last_s", lambda: 900.7)
    order = await (await api.claim(await api.pod())).json()
    assert order["outcome"]["expiresSeconds"] == 900


async def test_credentials_that_are_nearly_over_have_nobody_ask_all_the_time(api, monkeypatch):
    addressed(api, monkeypatch)
    monkeypatch.setattr(api.world.store, "credentials_last_s", lambda: -3.0)
    order = await (await api.claim(await api.pod())).json()
    assert order["outcome"]["expiresSeconds"] == 15


async def test_a_renewal_for_an_attempt_that_is_over_is_fenced(api, monkeypatch):
    signed = addressed(api, monkeypatch)
    pod = await api.pod()
    order = await (await api.claim(pod)).json()
    done = {"outcome": "Succeeded", "value": {"json": 1}, "directives": []}
    await api.call(order, pod, "/runner/v1/report", done)
    signed.clear()
    await refusal(await api.call(order, pod, "/runner/v1/renewal"), 409, "Fenced")
    claim = f"{pod['metadata']['uid']}/{'f' * 32}"
    await refusal(await api.call(order, pod, "/runner/v1/renewal", claim=claim), 403, "BadKey")
    assert signed == []


async def test_a_store_without_addresses_has_none_to_renew(api):
    pod = await api.pod()
    order = await (await api.claim(pod)).json()
    assert order["outcome"] is None
    answer = await api.call(order, pod, "/runner/v1/renewal")
    assert await answer.json() == {"outcome": None}
