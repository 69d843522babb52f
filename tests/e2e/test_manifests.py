"""Hand-written Workflows under `kubectl apply`: four kinds of task, and what is refused."""

import base64
import hashlib
import io
import json
import zipfile

from e2e.conftest import RUNNER_IMAGE, Cluster, condition

ECHO = """
echo "got $GRAFLOW_INPUT_DESCRIBE"
printf %s "$GRAFLOW_INPUT_DESCRIBE" > /dev/termination-log
"""


def test_tasks_of_script_entrypoint_and_container_pass_values_on(
    cluster: Cluster, workflow
) -> None:
    manifest = workflow(
        "kinds",
        [
            {"name": "extract", "script": 'return {"data": [1, 2, 3]}'},
            {
                "name": "describe",
                "after": ["extract"],
                "entrypoint": "json:dumps",
                "params": ["obj"],
            },
            {
                "name": "shell",
                "after": ["describe"],
                "container": {
                    "image": RUNNER_IMAGE,
                    "command": ["sh", "-c"],
                    "args": [ECHO],
                },
            },
            {"name": "load", "after": ["shell"], "params": ["shell"], "script": "return shell"},
        ],
    )
    assert cluster.apply(manifest).code == 0
    found = cluster.wait("kinds", "Succeeded")
    assert found["status"]["phase"] == "Succeeded"
    result = cluster.graflow("result", "kinds", "-n", cluster.namespace, "-o", "json")
    assert json.loads(result.out) == {"data": [1, 2, 3]}, result.err
    listed = cluster.kubectl("get", "workflows.graflow.dev", "kinds")
    assert "Succeeded" in listed
    assert "4/4" in listed


def test_input_gives_channel_keys_and_a_group_joins(cluster: Cluster, workflow) -> None:
    manifest = workflow(
        "grouped",
        [
            {"name": "a", "script": "return n + 1", "params": ["n"]},
            {"name": "b", "script": "return n * 10", "params": ["n"]},
            {
                "name": "join",
                "after": ["G"],
                "params": ["G"],
                "script": "return [list(pair) for pair in sorted(G.items())]",
            },
        ],
        groups=[{"name": "G", "members": ["a", "b"]}],
        input={"n": 3},
    )
    assert cluster.apply(manifest).code == 0
    found = cluster.wait("grouped", "Succeeded")
    assert found["status"]["phase"] == "Succeeded"
    result = cluster.graflow("result", "grouped", "-n", cluster.namespace, "-o", "json")
    assert json.loads(result.out) == [["a", 4], ["b", 30]], result.err


def test_two_tasks_of_one_name_are_refused_with_words(cluster: Cluster, workflow) -> None:
    ran = cluster.apply(
        workflow("twice", [{"name": "a", "script": "return 1"}, {"name": "a", "script": "pass"}])
    )
    refused(cluster, "twice", ran.code, ran.err, "'a'")


def test_a_bundle_whose_sha256_is_wrong_is_refused_and_no_pod_is_made(
    cluster: Cluster, workflow
) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as bundle:
        bundle.writestr("manifest.json", json.dumps({"format": 1}))
    claimed = hashlib.sha256(b"something else").hexdigest()
    name = f"code-{claimed[:40]}"
    code = {
        "apiVersion": "graflow.dev/v1alpha1",
        "kind": "CodeBundle",
        "metadata": {"name": name},
        "spec": {
            "sha256": claimed,
            "size": len(packed.getvalue()),
            "pythonVersion": "3.11",
            "cloudpickleVersion": "3.1.3",
            "zip": base64.b64encode(packed.getvalue()).decode(),
        },
    }
    assert cluster.apply(code).code == 0
    manifest = workflow(
        "forged", [{"name": "a", "function": "a"}], bundle={"name": name, "sha256": claimed}
    )
    ran = cluster.apply(manifest)
    refused(cluster, "forged", ran.code, ran.err, "sha256")


def refused(cluster: Cluster, name: str, code: int, err: str, *words: str) -> None:
    """The API server refuses it, or the run ends at once; in the same words, and without a pod."""
    if code == 0:
        found = cluster.wait(name)
        assert found["status"]["phase"] == "Failed"
        accepted = condition(found, "Accepted")
        assert accepted["status"] == "False"
        err = accepted["message"]
    for word in words:
        assert word in err
    assert cluster.get("pods")["items"] == []
