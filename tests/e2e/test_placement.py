"""Where pods go: profiles of the namespace, seen from `kubectl`."""

PROFILE = {
    "apiVersion": "graflow.dev/v1alpha1",
    "kind": "RunnerProfile",
    "metadata": {"name": "roomy"},
    "spec": {
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "resources": {"requests": {"memory": "64Mi"}, "limits": {"memory": "256Mi"}},
        "labels": {"kueue.x-k8s.io/queue-name": "roomy"},
        "env": [{"name": "ROOM", "value": "much"}],
    },
}
SCRIPT = {"name": "a", "script": "import os\nreturn os.environ['ROOM']"}


def waits(cluster, name, reason):
    """Wait until a run says that its one task waits for this reason; return the words."""
    path = "jsonpath={.status.waiting[*].reason}"
    run = f"workflows.graflow.dev/{name}"
    cluster.kubectl("wait", f"--for={path}={reason}", run, "--timeout=20s")
    [waiting] = cluster.get("workflows.graflow.dev", name)["status"]["waiting"]
    return waiting["message"]


def test_a_task_waits_for_its_profile_and_runs_as_it_says_when_it_appears(cluster, workflow):
    manifest = workflow("waits", [{**SCRIPT, "profile": "roomy"}])
    assert cluster.apply(manifest).code == 0
    words = waits(cluster, "waits", "ProfileMissing")
    assert "no RunnerProfile 'roomy'" in words
    assert cluster.pods("waits") == []
    assert cluster.apply(PROFILE).code == 0
    ended = cluster.wait("waits")
    assert (ended["status"]["phase"], ended["status"]["result"]) == ("Succeeded", {"json": "much"})
    [pod] = cluster.pods("waits")
    assert pod["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "roomy"
    assert pod["spec"]["nodeSelector"] == {"kubernetes.io/os": "linux"}
    assert pod["spec"]["containers"][0]["resources"]["limits"]["memory"] == "256Mi"


def test_a_gate_keeps_the_pod_until_somebody_takes_it_off(cluster, workflow):
    gates = {"schedulingGates": [{"name": "example.com/quota"}]}
    task = {"name": "a", "script": "return 1", "pod": gates}
    assert cluster.apply(workflow("gated", [task])).code == 0
    waits(cluster, "gated", "SchedulingGated")
    [pod] = cluster.pods("gated")
    patch = '[{"op": "remove", "path": "/spec/schedulingGates"}]'
    cluster.kubectl("patch", "pod", pod["metadata"]["name"], "--type=json", "-p", patch)
    assert cluster.wait("gated")["status"]["phase"] == "Succeeded"
