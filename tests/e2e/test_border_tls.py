"""TLS, keys and their rotation, and callers that mean harm, on a real cluster."""

import base64
import json
import os
import secrets
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes import client, config, watch

from e2e.conftest import RUNNER_IMAGE, Cluster
from e2e.test_border import DONE, Held, key_of
from graflow.api import names
from graflow_operator import certificates, keys
from graflow_operator.certificates import Lifetimes

SYSTEM = "graflow-system"
DAY = 86_400.0

WHO_IS_BELIEVED = """
import json, os, socket, ssl
from urllib.parse import urlsplit

api = urlsplit(os.environ["API"])

def plain():
    with socket.create_connection((api.hostname, api.port), 20) as connection:
        connection.sendall(b"GET /readyz HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
        try:
            return "HTTP" if b"HTTP/" in connection.recv(100) else "nothing"
        except ConnectionError:
            return "nothing"

def secure(name, ca):
    trust = ssl.create_default_context(cadata=ca)
    with socket.create_connection((api.hostname, api.port), 20) as connection:
        try:
            with trust.wrap_socket(connection, server_hostname=name) as secured:
                return secured.version()
        except ssl.SSLCertVerificationError as error:
            return error.verify_message

found = {name: secure(name, os.environ["CA"]) for name in json.loads(os.environ["HOSTS"])}
found |= {"address": secure(api.hostname, os.environ["CA"]), "plain": plain()}
found["another authority"] = secure(api.hostname, os.environ["OTHER"])
print(json.dumps(found))
"""

LORIS = """
import http.client, json, os, socket, ssl
from urllib.parse import urlsplit

api = urlsplit(os.environ["API"])
trust = ssl.create_default_context(cadata=os.environ["CA"])

def slow(words):
    connection = socket.create_connection((api.hostname, api.port), 60)
    connection = trust.wrap_socket(connection, server_hostname=api.hostname)
    connection.sendall(words)
    return connection

def rest(connection):
    try:
        return connection.recv(1000).decode()[:12]
    except OSError:
        return ""

def good():
    connection = http.client.HTTPSConnection(api.hostname, api.port, timeout=20, context=trust)
    connection.request("GET", "/readyz")
    return connection.getresponse().status

head = b"POST /runner/v1/claim HTTP/1.1\\r\\nHost: x\\r\\n"
heads = [slow(head) for _ in range(60)]
bodies = [slow(head + b"Content-Length: 9000\\r\\n\\r\\n{") for _ in range(60)]
asleep = [socket.create_connection((api.hostname, api.port), 60) for _ in range(60)]
meanwhile = [good() for _ in range(5)]
print(json.dumps({
    "meanwhile": meanwhile,
    "heads": sorted({rest(one) for one in heads}),
    "bodies": sorted({rest(one) for one in bodies}),
    "asleep": sorted({rest(one) for one in asleep}),
}))
"""

STEALS = """
import gc
from graflow_runner.calls import Signer

[signer] = [one for one in gc.get_objects() if isinstance(one, Signer)]
return {"key": signer._key.hex(), "claim": signer.claim, "activation": signer.activation}
"""


def other_authority() -> str:
    return certificates.fresh(time.time(), Lifetimes(DAY, DAY, 60.0)).bundle


def test_the_operator_is_believed_under_its_own_names_by_its_own_authority_alone(
    cluster: Cluster, workflow
) -> None:
    held = Held(cluster, workflow)
    good = ["graflow", "graflow.graflow-system", "graflow.graflow-system.svc"]
    hosts = [*good, "graflow.graflow-system.svc.cluster.local", "db.team.svc"]
    told = {"HOSTS": json.dumps(hosts), "OTHER": other_authority()}
    found = json.loads(held.ran_in_a_pod("curious", WHO_IS_BELIEVED, **told))
    assert {found[name] for name in (*hosts[:-1], "address")} == {"TLSv1.3"}
    assert "Hostname mismatch" in found["db.team.svc"]
    assert "unable to get local issuer certificate" in found["another authority"]
    assert found["plain"] == "nothing"


def test_callers_that_dribble_are_let_go_and_others_are_served_meanwhile(
    cluster: Cluster, workflow
) -> None:
    held = Held(cluster, workflow)
    found = json.loads(held.ran_in_a_pod("loris", LORIS))
    assert found["meanwhile"] == [200] * 5
    assert (found["heads"], found["asleep"]) == ([""], [""])
    assert found["bodies"] == ["HTTP/1.1 408"]


def stolen(body: dict[str, Any], uid: str, what: dict[str, Any]) -> list[Any]:
    """A call signed with an attempt's own key, as whoever has stolen it makes it."""
    path, data = f"{names.RUNNER_PREFIX}/{body.pop('call')}", json.dumps(body)
    signed = keys.Call("POST", path, what["claim"], "9", data.encode())
    headers = {
        names.HEADER_RUN: uid,
        names.HEADER_ACTIVATION: str(what["activation"]),
        names.HEADER_ATTEMPT: "1",
        names.HEADER_CLAIM: what["claim"],
        names.HEADER_NUMBER: "9",
        names.HEADER_MAC: keys.mac_of_call(bytes.fromhex(what["key"]), signed),
    }
    return [path, headers, data]


def test_a_stolen_key_of_an_attempt_opens_nothing_after_the_attempt(
    cluster: Cluster, workflow
) -> None:
    held = Held(cluster, workflow)
    tasks = [
        {"name": "robbed", "script": STEALS},
        {
            "name": "busy",
            "after": ["robbed"],
            "script": "import threading; threading.Event().wait()",
        },
    ]
    assert cluster.apply(workflow("robbed", tasks)).code == 0
    path = '{.status.tasks[?(@.name=="busy")].phase}'
    cluster.kubectl(
        "wait", f"--for=jsonpath={path}=Running", "workflows.graflow.dev/robbed", "--timeout=60s"
    )
    found = cluster.get("workflows.graflow.dev", "robbed")
    [robbed] = [one for one in found["status"]["tasks"] if one["name"] == "robbed"]
    what = robbed["result"]["json"]
    uid = found["metadata"]["uid"]
    calls = {
        "report": {"call": "report", **DONE},
        "results": {"call": "results", "names": ["robbed"], "from": "results"},
        "channel": {"call": "channel", "op": "set", "key": "k", "stream": 1, "n": 99}
        | {"value": {"json": 1}},
        "blob": {"call": "blob", "sha256": "0" * 64, "size": 1},
    }
    asked = {name: stolen(body, uid, what) for name, body in calls.items()}
    other = cluster.get("workflows.graflow.dev", "held")["metadata"]["uid"]
    asked["for another run"] = stolen({"call": "report", **DONE}, other, what)
    answers = held.asked_from_a_pod("thief", asked, labels={})
    assert answers.pop("for another run")[0] == 403
    for name, (status, body) in answers.items():
        assert (status, body["reason"]) == (409, "Fenced"), (name, body)
        assert "is over" in body["message"], (name, body)
    assert cluster.get("workflows.graflow.dev", "robbed")["status"] == found["status"]
    nothing_secret_in_the_log(cluster, [what["key"]])


@pytest.fixture
def second(kubectl_path: str) -> Iterator[Cluster]:
    """Another namespace."""
    name = f"e2e-{secrets.token_hex(4)}"
    subprocess.run([kubectl_path, "create", "namespace", name], check=True, capture_output=True)
    yield Cluster(kubectl_path, name)
    subprocess.run(
        [kubectl_path, "delete", "namespace", name, "--wait=false"], check=True, capture_output=True
    )


def test_another_namespaces_key_opens_nothing_and_bodies_that_are_hostile_change_nothing(
    cluster: Cluster, second: Cluster, workflow
) -> None:
    held = Held(cluster, workflow)
    assert second.apply(workflow("held", [{"name": "busy", "script": "return 1"}])).code == 0
    second.wait("held")
    foreign = key_of(second, "held")
    own, busy = held.key_of("held"), held.busy["metadata"]
    path, headers, body = held.claim(own, busy["name"], busy["uid"])
    good = json.loads(body)
    elsewhere = json.dumps({**good, "namespace": second.namespace})
    asked: dict[str, Any] = {
        "another namespace's key": (held.claim(foreign, busy["name"], busy["uid"]), 403),
        "a pod of another namespace": ([path, headers, elsewhere], 409),
        "no object": ([path, headers, "[1]"], 400),
        "deep": ([path, headers, '{"a":' * 2000 + "1" + "}" * 2000], 400),
        "not a number": ([path, headers, '{"run": NaN}'], 400),
        "twice": ([path, headers, '{"run": "a", "run": "b"}'], 400),
        "half a character": ([path, headers, json.dumps({**good, "run": "\\ud800"})], 403),
        "large": ([path, headers, "x" * 100_000], 413),
        "another kind of nonce": ([path, headers, json.dumps({**good, "nonce": "x" * 32})], 400),
        "a list for a text": ([path, headers, json.dumps({**good, "run": ["a"]})], 400),
        "a path for a name": (
            [path, headers, json.dumps({**good, "pod": {"name": "../../secrets/x", "uid": "1"}})],
            409,
        ),
    }
    before = held.object()["status"]
    answers = held.asked_from_a_pod("hostile", {n: ask for n, (ask, _) in asked.items()}, labels={})
    for name, (_, status) in asked.items():
        assert answers[name][0] == status, (name, answers[name])
        assert answers[name][1]["message"], (name, answers[name])
    assert held.object()["status"] == before
    nothing_secret_in_the_log(cluster, [own, foreign])


def test_a_runner_that_knows_another_authority_says_so_and_tells_nothing(
    cluster: Cluster, workflow
) -> None:
    held = Held(cluster, workflow)
    environment = {e["name"]: e for e in held.busy["spec"]["containers"][0]["env"]}
    environment[names.ENV_CA] = {"name": names.ENV_CA, "value": other_authority()}
    environment["PATIENCE"] = {"name": "GRAFLOW_CLAIM_PATIENCE_SECONDS", "value": "1"}
    container = {
        "name": "task",
        "image": RUNNER_IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "env": list(environment.values()),
    }
    metadata = {"name": "lost", "labels": {names.LABEL_RUN: held.uid}}
    spec = {"restartPolicy": "Never", "containers": [container]}
    made = cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    assert made.code == 0, made.err
    cluster.kubectl("wait", "--for=jsonpath={.status.phase}=Failed", "pod/lost", "--timeout=60s")
    [status] = cluster.get("pod", "lost")["status"]["containerStatuses"]
    assert status["state"]["terminated"]["exitCode"] == 69
    said = cluster.kubectl("logs", "lost")
    assert "has no certificate that GRAFLOW_CA vouches for" in said
    assert held.key_of("held") not in said


def own_secret(cluster: Cluster, name: str) -> Any:
    system = Cluster(cluster.kubectl_path, SYSTEM)
    return system.get("secret", name)


def test_keys_and_authority_are_replaced_while_a_run_goes_on(cluster: Cluster, workflow) -> None:
    waits = "import os, threading\nwhile not os.path.exists('/tmp/go'): threading.Event().wait(0.2)"
    tasks = [
        {"name": "before", "script": f"{waits}\nreturn 'before'"},
        {"name": "later", "after": ["before"], "script": "return 'later'"},
    ]
    assert cluster.apply(workflow("long", tasks)).code == 0
    path = '{.status.tasks[?(@.name=="before")].phase}'
    cluster.kubectl(
        "wait", f"--for=jsonpath={path}=Running", "workflows.graflow.dev/long", "--timeout=60s"
    )
    system = Cluster(cluster.kubectl_path, SYSTEM)
    old = own_secret(cluster, names.MASTER_KEY_SECRET)["data"]["key"]
    for name in (names.MASTER_KEY_SECRET, names.CA_SECRET):
        system.kubectl("annotate", "secret", name, f"{names.ANNOTATION_ROTATE}=now", "--overwrite")
    for name in (names.MASTER_KEY_SECRET, names.CA_SECRET):
        assert is_answered(name), f"nobody has rotated {name}"
    secret = own_secret(cluster, names.MASTER_KEY_SECRET)["data"]
    assert secret["key"] != old
    assert base64.b64decode(old).decode() in base64.b64decode(secret["replaced"]).decode()
    [before] = cluster.pods("long")
    cluster.kubectl("exec", before["metadata"]["name"], "--", "touch", "/tmp/go")
    found = cluster.wait("long", "Succeeded")
    pods = {p["metadata"]["labels"][names.LABEL_TASK]: p for p in cluster.pods("long")}
    told = {task: told_to(pod) for task, pod in pods.items()}
    assert told["before"]["secret"] != told["later"]["secret"]
    assert told["later"]["ca"].count("BEGIN CERTIFICATE") == 2
    assert told["before"]["ca"] in told["later"]["ca"]
    assert found["status"]["result"] == {"json": "later"}


def is_answered(name: str) -> bool:
    """Wait until a rotation that was asked for is under way."""
    core = client.CoreV1Api(config.new_client_from_config(os.environ["KUBECONFIG"]))
    which = {"field_selector": f"metadata.name={name}", "timeout_seconds": 150}
    for event in watch.Watch().stream(core.list_namespaced_secret, SYSTEM, **which):
        if names.ANNOTATION_ROTATE not in (event["object"].metadata.annotations or {}):
            return True
    return False


def told_to(pod: dict[str, Any]) -> dict[str, str]:
    env = {e["name"]: e for e in pod["spec"]["containers"][0]["env"]}
    secret = env[names.ENV_KEY]["valueFrom"]["secretKeyRef"]["name"]
    return {"secret": secret, "ca": env[names.ENV_CA]["value"]}


def nothing_secret_in_the_log(cluster: Cluster, others: list[str]) -> None:
    """Assert that no key of this namespace, and none of these, is in the operator's log."""
    system = Cluster(cluster.kubectl_path, SYSTEM)
    found = cluster.get("secrets")["items"]
    secret = [
        base64.b64decode(one["data"]["key"]).decode() for one in found if "key" in one["data"]
    ]
    assert secret
    log = system.kubectl("logs", "deployment/graflow", "--tail=-1")
    assert "leading" in log, "this is not the log of the operator"
    for one in (*secret, *others):
        assert one not in log
