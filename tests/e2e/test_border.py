"""The runner API answers only the pod that an attempt was given to; the user API only who may."""

import hashlib
import http.client
import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from e2e.conftest import RUNNER_IMAGE, Cluster
from graflow.api import names
from graflow_operator import keys

NONCE = "0" * 32
DONE = {"outcome": "Succeeded", "value": {"json": "forged"}}

FROM_INSIDE = """
import http.client, json, os, ssl
from urllib.parse import urlsplit

api = urlsplit(os.environ["GRAFLOW_API"])
trust = ssl.create_default_context(cadata=os.environ["GRAFLOW_CA"])

def post(path, headers, body):
    connection = http.client.HTTPSConnection(api.hostname, api.port, timeout=20, context=trust)
    connection.request("POST", path, json.dumps(body), headers)
    answer = connection.getresponse()
    return [answer.status, json.loads(answer.read() or b"{}")]

claim = {
    "run": os.environ["GRAFLOW_RUN"], "namespace": os.environ["GRAFLOW_NAMESPACE"],
    "pod": {"name": os.environ["GRAFLOW_POD_NAME"], "uid": os.environ["GRAFLOW_POD_UID"]},
    "nonce": "0" * 32, "python": "3.11.2", "cloudpickle": "3.1.3",
}
return {
    "key left": os.environ.get("GRAFLOW_KEY"),
    "claim": post("/runner/v1/claim", {}, claim),
    "report": post("/runner/v1/report", {}, {"outcome": "Succeeded", "value": {"json": 1}}),
}
"""

FROM_ANOTHER_POD = """
import http.client, json, os, ssl
from urllib.parse import urlsplit

api = urlsplit(os.environ["API"])
trust = ssl.create_default_context(cadata=os.environ["CA"])
answers = {}
for name, (path, headers, body) in json.loads(os.environ["ASK"]).items():
    body = body.replace("MY-NAME", os.environ["NAME"]).replace("MY-UID", os.environ["UID"])
    connection = http.client.HTTPSConnection(api.hostname, api.port, timeout=20, context=trust)
    connection.request("POST", path, body, headers)
    answer = connection.getresponse()
    answers[name] = [answer.status, json.loads(answer.read() or b"{}")]
print(json.dumps(answers))
"""


def test_user_code_finds_no_key_and_cannot_speak_without_one(cluster: Cluster, workflow) -> None:
    assert cluster.apply(workflow("probe", [{"name": "probe", "script": FROM_INSIDE}])).code == 0
    found = cluster.wait("probe")
    assert found["status"]["phase"] == "Succeeded", found["status"]
    result = cluster.graflow("result", "probe", "-n", cluster.namespace, "-o", "json")
    answers = json.loads(result.out)
    assert answers["key left"] is None
    assert answers["claim"][0] == 403
    assert "key of this run" in answers["claim"][1]["message"]
    assert answers["report"][0] == 400
    assert names.HEADER_CLAIM in answers["report"][1]["message"]


def key_of(cluster: Cluster, run: str) -> str:
    """Return a run's key, as whoever may read Secrets of the namespace has it."""
    uid = cluster.get("workflows.graflow.dev", run)["metadata"]["uid"]
    [secret] = cluster.get("secrets", "", "-l", f"{names.LABEL_RUN}={uid}")["items"]
    encoded = secret["data"][names.SECRET_KEY]
    return cluster.run("base64", "-d", stdin=encoded).out


class Held:
    """A run with one attempt that is over, a second one that waits, and a task that runs on."""

    def __init__(self, cluster: Cluster, workflow: Callable[..., dict[str, Any]]) -> None:
        self.cluster = cluster
        tasks = [
            {
                "name": "flaky",
                "script": "raise ValueError('no')",
                "retry": {"maxAttempts": 2, "initialSeconds": 3600, "maxSeconds": 3600},
            },
            {"name": "busy", "script": "import threading; threading.Event().wait()"},
        ]
        made = cluster.apply(workflow("held", tasks, start=["flaky", "busy"]))
        assert made.code == 0, made.err
        assert cluster.apply(workflow("other", [{"name": "a", "script": "return 1"}])).code == 0
        cluster.wait("other")
        # Not waiting[0]: kubectl gives up where there is none yet.
        self.awaited('{.status.waiting[?(@.task=="flaky")].reason}', "BackOff")
        self.awaited('{.status.tasks[?(@.name=="busy")].phase}', "Running")
        self.uid = self.object()["metadata"]["uid"]
        pods = {p["metadata"]["labels"][names.LABEL_TASK]: p for p in cluster.pods("held")}
        self.busy, self.flaky = pods["busy"], pods["flaky"]

    def awaited(self, path: str, value: str) -> None:
        which = "workflows.graflow.dev/held"
        self.cluster.kubectl("wait", f"--for=jsonpath={path}={value}", which, "--timeout=60s")

    def object(self) -> dict[str, Any]:
        found: dict[str, Any] = self.cluster.get("workflows.graflow.dev", "held")
        return found

    def key_of(self, run: str) -> str:
        return key_of(self.cluster, run)

    def claim(self, key: str | None, name: str, uid: str) -> list[Any]:
        body = {
            "run": self.uid,
            "namespace": self.cluster.namespace,
            "pod": {"name": name, "uid": uid},
            "nonce": NONCE,
            "python": "3.11.2",
            "cloudpickle": "3.1.3",
        }
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return [f"{names.RUNNER_PREFIX}/claim", headers, json.dumps(body)]

    def report(self, pod: dict[str, Any], *, attempt: int = 1, key: bytes | None = None) -> list:
        """A report in the name of a pod, signed with its attempt's key or another one."""
        path, body = f"{names.RUNNER_PREFIX}/report", json.dumps(DONE)
        activation = pod["metadata"]["labels"][names.LABEL_ACTIVATION]
        claim = f"{pod['metadata']['uid']}/{NONCE}"
        own = keys.of_attempt(bytes.fromhex(self.key_of("held")), int(activation), attempt, claim)
        signed = keys.Call("POST", path, claim, "1", body.encode())
        headers = {
            names.HEADER_RUN: self.uid,
            names.HEADER_ACTIVATION: activation,
            names.HEADER_ATTEMPT: str(attempt),
            names.HEADER_CLAIM: claim,
            names.HEADER_NUMBER: "1",
            names.HEADER_MAC: keys.mac_of_call(key or own, signed),
        }
        return [path, headers, body]

    def asked_from_a_pod(self, name: str, ask: dict[str, Any], labels: dict[str, str]) -> Any:
        """Return what the operator answers to a pod that it did not make."""
        asked = {"ASK": json.dumps(ask)}
        return json.loads(self.ran_in_a_pod(name, FROM_ANOTHER_POD, labels=labels, **asked))

    def ran_in_a_pod(
        self, name: str, program: str, *, labels: dict[str, str] | None = None, **env: str
    ) -> str:
        """Return what a program prints in a pod that the operator did not make."""
        environment = {e["name"]: e for e in self.busy["spec"]["containers"][0]["env"]}
        field = {"NAME": "metadata.name", "UID": "metadata.uid"}
        container = {
            "name": "task",
            "image": RUNNER_IMAGE,
            "imagePullPolicy": "IfNotPresent",
            "command": ["python3", "-c", program],
            "env": [
                {"name": "API", "value": environment[names.ENV_API]["value"]},
                {"name": "CA", "value": environment[names.ENV_CA]["value"]},
                *({"name": variable, "value": value} for variable, value in env.items()),
                *(
                    {"name": variable, "valueFrom": {"fieldRef": {"fieldPath": path}}}
                    for variable, path in field.items()
                ),
            ],
        }
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": labels or {}},
            "spec": {"restartPolicy": "Never", "containers": [container]},
        }
        assert self.cluster.apply(pod).code == 0
        ended = "--for=jsonpath={.status.phase}=Succeeded"
        self.cluster.kubectl("wait", ended, f"pod/{name}", "--timeout=60s")
        return self.cluster.kubectl("logs", name)


def test_whoever_is_not_the_attempts_pod_is_refused_with_words_and_nothing_changes(
    cluster: Cluster, workflow
) -> None:
    held = Held(cluster, workflow)
    own, others = held.key_of("held"), held.key_of("other")
    busy = (held.busy["metadata"]["name"], held.busy["metadata"]["uid"])
    flaky = (held.flaky["metadata"]["name"], held.flaky["metadata"]["uid"])
    asked = {
        "no key": (held.claim(None, *busy), 403, "key of this run"),
        "another run's key": (held.claim(others, *busy), 403, "key of this run"),
        "for another pod of the run": (held.claim(own, *busy), 503, "the request came from"),
        "for the pod of an attempt that is over": (held.claim(own, *flaky), 503, "came from"),
        "for a pod that does not exist": (held.claim(own, "gone", "0"), 409, "there is no pod"),
        "for itself, which no attempt has": (
            held.claim(own, "MY-NAME", "MY-UID"),
            409,
            "not the pod that was made for its attempt",
        ),
        "report with no signature": (
            [f"{names.RUNNER_PREFIX}/report", {}, json.dumps(DONE)],
            400,
            names.HEADER_CLAIM,
        ),
        "report with another key": (held.report(held.busy, key=b"k" * 32), 403, "signature"),
        "report with a claim that was not given": (held.report(held.busy), 409, "holds attempt"),
        "report of an attempt that is over": (held.report(held.flaky), 409, "attempt 1/1 is over"),
        "report that is no JSON": ([*held.report(held.busy)[:2], "{"], 403, "signature"),
    }
    before = held.object()
    ask = {name: request for name, (request, _, _) in asked.items()}
    answers = held.asked_from_a_pod("stranger", ask, labels={})
    said = {name: (status, body.get("message", "")) for name, (status, body) in answers.items()}
    for name, (_, status, words) in asked.items():
        assert said[name][0] == status, (name, said)
        assert words in said[name][1], (name, said)
    assert held.object()["status"] == before["status"]
    assert len(cluster.pods("held")) == 2, "a pod was made"


def test_a_pod_that_looks_like_one_of_the_run_is_not_given_its_attempt(
    cluster: Cluster, workflow
) -> None:
    held = Held(cluster, workflow)
    before = held.object()
    claim = held.claim(held.key_of("held"), "MY-NAME", "MY-UID")
    labels = held.busy["metadata"]["labels"]
    answers = held.asked_from_a_pod("impostor", {"claim": claim}, labels)
    status, body = answers["claim"]
    assert (status, body["reason"]) == (409, "Fenced")
    assert "not the pod that was made for its attempt" in body["message"]
    assert held.object()["status"] == before["status"]


@pytest.mark.parametrize(
    ("account", "status", "words"),
    [("reader", 200, ""), ("stranger", 403, "may not get workflows"), (None, 401, "token")],
)
def test_a_large_value_is_handed_out_to_who_may_get_the_workflow_and_to_nobody_else(
    cluster: Cluster, workflow, account: str | None, status: int, words: str
) -> None:
    assert (
        cluster.apply(workflow("large", [{"name": "a", "script": "return 'x' * 9000"}])).code == 0
    )
    blob = cluster.wait("large", "Succeeded")["status"]["result"]["blob"]
    headers = {}
    if account is not None:
        cluster.kubectl("create", "serviceaccount", account)
        headers[names.HEADER_TOKEN] = cluster.kubectl("create", "token", account).strip()
    cluster.kubectl("create", "role", "r", "--verb=get", "--resource=workflows.graflow.dev")
    reader = f"--serviceaccount={cluster.namespace}:reader"
    cluster.kubectl("create", "rolebinding", "r", "--role=r", reader)
    code, data = through_the_service_proxy(
        cluster,
        f"{names.USER_PREFIX}/namespaces/{cluster.namespace}/workflows/large/values/{blob['sha256']}",
        headers,
    )
    assert code == status, data
    if status == 200:
        assert hashlib.sha256(data).hexdigest() == blob["sha256"]
        assert json.loads(data) == "x" * 9000
    else:
        assert words in json.loads(data)["message"]


def through_the_service_proxy(
    cluster: Cluster, path: str, headers: dict[str, str], body: Any = None
) -> tuple[int, bytes]:
    """Return what the operator's Service answers, by way of the API server."""
    words = (cluster.kubectl_path, "proxy", "--port=0")
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as proxy:
        try:
            address = proxy.stdout.readline().split()[-1]
            connection = http.client.HTTPConnection(address, timeout=30)
            service = "/api/v1/namespaces/graflow-system/services/https:graflow:http/proxy"
            method, data = ("GET", None) if body is None else ("POST", json.dumps(body))
            connection.request(method, service + path, data, headers)
            with closing(connection), connection.getresponse() as answer:
                return answer.status, answer.read()
        finally:
            proxy.kill()


def test_the_command_line_reads_a_large_result_with_the_callers_token(
    cluster: Cluster, workflow
) -> None:
    assert (
        cluster.apply(workflow("large", [{"name": "a", "script": "return 'x' * 9000"}])).code == 0
    )
    cluster.wait("large", "Succeeded")
    cluster.kubectl("create", "serviceaccount", "me")
    cluster.kubectl("create", "role", "r", "--verb=get", "--resource=workflows.graflow.dev")
    me = f"--serviceaccount={cluster.namespace}:me"
    cluster.kubectl("create", "rolebinding", "r", "--role=r", me)
    token = cluster.kubectl("create", "token", "me").strip()
    graflow = (sys.executable, "-m", "graflow", "result", "large", "-o", "json")
    ran = cluster.run("env", f"GRAFLOW_TOKEN={token}", *graflow, "-n", cluster.namespace)
    assert ran.code == 0, ran.err
    assert json.loads(ran.out) == "x" * 9000
