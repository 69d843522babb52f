"""K3: runs that go on from others by `spec.resumeFrom`; what had completed does not run again."""

import json
from typing import Any

from e2e.conftest import PROGRAMS, Cluster, manifest

MEMBERS = [f"m{n}" for n in range(3)]


def script(name: str, *after: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "after": list(after), "script": f"print('ran {name}')\nreturn 1", **more}


def pods_of(cluster: Cluster, run: str) -> list[str]:
    """Return the tasks that a run has made pods for, in order."""
    pods = sorted(cluster.pods(run), key=lambda pod: pod["metadata"]["creationTimestamp"])
    return [pod["metadata"]["labels"]["graflow.dev/task"] for pod in pods]


def from_run(name: str, tasks: list[dict[str, Any]], *, of: str, **spec: Any) -> dict[str, Any]:
    resume = {"name": of, **spec.pop("resume", {})}
    return manifest(name, tasks, resumeFrom=resume, **spec)


def ended(cluster: Cluster, made: dict[str, Any]) -> dict[str, Any]:
    ran = cluster.apply(made)
    assert ran.code == 0, ran.err
    return cluster.wait(made["metadata"]["name"])


def test_k3_a_cancelled_run_goes_on(cluster):
    waits = "import threading; threading.Event().wait()"
    tasks = [script("a"), {"name": "b", "after": ["a"], "script": waits}, script("c", "b")]
    assert cluster.apply(manifest("long", tasks)).code == 0
    running = "--for=jsonpath={.status.progress}=1/3"
    cluster.kubectl("wait", running, "workflows.graflow.dev/long", "--timeout=120s")
    cluster.graflow("cancel", "long", "-n", cluster.namespace)
    assert cluster.wait("long")["status"]["phase"] == "Cancelled"
    quick = [script("a"), script("b", "a"), script("c", "b")]
    again = ended(cluster, from_run("again", quick, of="long"))
    assert again["status"]["phase"] == "Succeeded"
    assert pods_of(cluster, "again") == ["b", "c"]


def test_k3_a_fork_inside_a_group_runs_the_branches_that_had_not_ended(cluster):
    tasks = [script("a"), *(script(name) for name in MEMBERS), script("z", "g")]
    groups = [{"name": "g", "members": MEMBERS, "after": ["a"]}]
    spec = {"groups": groups, "checkpointEvery": 1, "parallelism": 1}
    first = ended(cluster, manifest("whole", tasks, **spec))
    seqs = [one["seq"] for one in first["status"]["checkpoints"]]
    done = pods_of(cluster, "whole")[1]
    part = from_run("part", tasks, of="whole", resume={"checkpoint": seqs[1]}, **spec)
    assert ended(cluster, part)["status"]["phase"] == "Succeeded"
    assert sorted(pods_of(cluster, "part")) == sorted({*MEMBERS, "z"} - {done})


def test_k3_a_fork_inside_what_a_task_has_made_runs_the_rest_of_it(cluster):
    ran = cluster.submit(PROGRAMS / "moves.py")
    assert ran.code == 0, ran.err
    [whole] = cluster.get("workflows.graflow.dev")["items"]
    name, result = whole["metadata"]["name"], whole["status"]["result"]
    spec = {key: value for key, value in whole["spec"].items() if key != "resumeFrom"}
    every = {**manifest("every", []), "spec": {**spec, "checkpointEvery": 1}}
    found = ended(cluster, every)
    inside = [one["seq"] for one in found["status"]["checkpoints"]]
    part = {**manifest("part", []), "spec": {**spec, "resumeFrom": {"name": "every"}}}
    part["spec"]["resumeFrom"]["checkpoint"] = inside[len(inside) // 2]
    again = ended(cluster, part)
    assert again["status"]["result"] == result, name
    assert 0 < len(cluster.pods("part")) < len(cluster.pods("every"))


def test_a_run_that_was_done_is_adopted_when_it_is_deleted_and_applied_again(cluster):
    made = manifest("nightly", [script("a")], runId="2026-01-01")
    first = ended(cluster, made)
    cluster.kubectl("delete", "workflows.graflow.dev", "nightly")
    again = ended(cluster, made)
    status = again["status"]
    assert (status["phase"], status["reason"]) == ("Succeeded", "Adopted")
    assert status["result"] == first["status"]["result"]
    assert first["metadata"]["uid"] in status["message"]
    pods = [pod for pod in cluster.pods("nightly") if again["metadata"]["uid"] in json.dumps(pod)]
    assert pods == []
