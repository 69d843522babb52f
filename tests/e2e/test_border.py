"""The runner API answers only the pod that an attempt was given to."""

import json

from e2e.conftest import Cluster

PROBE = """
import http.client, json, os
from urllib.parse import urlsplit

api = urlsplit(os.environ["GRAFLOW_API"])

def post(path, body, key=None, **headers):
    connection = http.client.HTTPConnection(api.hostname, api.port, timeout=20)
    if key:
        headers["Authorization"] = "Bearer " + key
    connection.request("POST", path, json.dumps(body), headers)
    answer = connection.getresponse()
    return [answer.status, json.loads(answer.read() or b"{}")]

def claim(**changes):
    body = {
        "run": run, "namespace": os.environ["GRAFLOW_NAMESPACE"],
        "pod": {"name": os.environ["GRAFLOW_POD_NAME"], "uid": os.environ["GRAFLOW_POD_UID"]},
        "nonce": "0" * 32, "python": "3.11.2", "cloudpickle": "3.1.3",
    }
    return body | changes

run = os.environ["GRAFLOW_RUN"]
signed = {
    "X-Graflow-Run": run, "X-Graflow-Activation": "1", "X-Graflow-Attempt": "1",
    "X-Graflow-Claim": os.environ["GRAFLOW_POD_UID"] + "/" + "0" * 32,
    "X-Graflow-Number": "1", "X-Graflow-Mac": "00" * 32,
}
done = {"outcome": "Succeeded", "value": {"json": "forged"}}
return {
    "no key": post("/runner/v1/claim", claim()),
    "wrong key": post("/runner/v1/claim", claim(), key="ab" * 32),
    "no mac": post("/runner/v1/report", done),
    "wrong mac": post("/runner/v1/report", done, **signed),
    "stale": post("/runner/v1/report", done, **(signed | {"X-Graflow-Attempt": "7"})),
    "key left": os.environ.get("GRAFLOW_KEY"),
    "not json": post("/runner/v1/report", "x" * 10, **signed),
}
"""


def test_requests_without_the_right_key_are_refused_with_words_and_change_nothing(
    cluster: Cluster, workflow
) -> None:
    assert cluster.apply(workflow("probe", [{"name": "probe", "script": PROBE}])).code == 0
    found = cluster.wait("probe")
    assert found["status"]["phase"] == "Succeeded", found["status"]
    result = cluster.graflow("result", "probe", "-n", cluster.namespace, "-o", "json")
    answers = json.loads(result.out)
    assert answers.pop("key left") is None
    for asked, (status, body) in answers.items():
        assert status in {400, 401, 403, 409}, (asked, status, body)
        assert body["reason"], asked
        assert len(body["message"]) > 20, asked
