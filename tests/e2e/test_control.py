"""Runs that are ended, held up, timed out or deleted from outside, with all that they have."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from e2e.conftest import ROOT, RUNNER_IMAGE, Cluster
from graflow.store.s3 import S3Location, S3Store

PAGE = ROOT / "docs" / "how-to" / "stop-and-clean-up.md"
SYSTEM = ("-n", "graflow-system")
RUNS_ON = "import threading; threading.Event().wait()"
CLEANS_UP = """
print("working", flush=True)
try:
    import threading
    threading.Event().wait()
finally:
    print("cleaned up", flush=True)
"""
STUBBORN = """
print("working", flush=True)
while True:
    try:
        import threading
        threading.Event().wait()
    except BaseException:
        print("never", flush=True)
"""
GRACE = {"terminationGracePeriodSeconds": 6}
WAITS = """
import pathlib, time
while not pathlib.Path("/tmp/go").exists():
    time.sleep(0.05)
return 1
"""
TRAPS = "trap 'echo cleaned up; exit 3' TERM; echo working; while :; do sleep 0.1; done"


def shell(script: str) -> dict[str, Any]:
    return {"image": RUNNER_IMAGE, "command": ["sh", "-c", script]}


class Said:
    """The lines that a run prints, as they come."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        words = (sys.executable, "-m", "graflow", "logs", name, "-f", "-n", cluster.namespace)
        self._reading = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        self._thread = threading.Thread(target=self._read)
        self._thread.start()
        self.lines: list[str] = []
        self._news = threading.Condition()

    def _read(self) -> None:
        assert self._reading.stdout is not None
        for line in self._reading.stdout:
            with self._news:
                self.lines.append(line.strip())
                self._news.notify_all()

    def wait_for(self, *lines: str) -> None:
        with self._news:
            assert self._news.wait_for(lambda: {*lines} <= {*self.lines}, 120), self.lines

    def end(self) -> list[str]:
        with self._reading:
            self._thread.join(60)
            self._reading.kill()
        return self.lines


@contextmanager
def said_by(cluster: Cluster, name: str) -> Iterator[Said]:
    said = Said(cluster, name)
    try:
        yield said
    finally:
        said.end()


@pytest.fixture(scope="session")
def store() -> S3Store:
    """The store of `make cluster`."""
    lines = (ROOT / ".cluster" / "s3.env").read_text().splitlines()
    found = dict(line.split("=", 1) for line in lines if "=" in line)
    os.environ.update({key: value for key, value in found.items() if key.startswith("AWS_")})
    return S3Store(S3Location(found["S3_BUCKET"], found["S3_ENDPOINT"]))


def awaited(cluster: Cluster, name: str, path: str, value: str, seconds: int = 60) -> None:
    which = f"workflows.graflow.dev/{name}"
    cluster.kubectl("wait", f"--for=jsonpath={path}={value}", which, f"--timeout={seconds}s")


def no_pod_runs(cluster: Cluster) -> bool:
    found = cluster.get("pods")["items"]
    return all(pod["status"]["phase"] in ("Succeeded", "Failed") for pod in found)


def test_a_cancelled_run_cleans_up_ends_at_once_and_leaves_nothing_running(
    cluster: Cluster, workflow: Callable[..., dict[str, Any]]
) -> None:
    tasks = [
        {"name": "tidy", "script": CLEANS_UP},
        {"name": "trap", "container": shell(TRAPS)},
        {"name": "deaf", "script": STUBBORN, "pod": GRACE},
    ]
    made = cluster.apply(workflow("c", tasks, start=["tidy", "trap", "deaf"]))
    assert made.code == 0, made.err
    awaited(cluster, "c", "{.status.counts.running}", "3")
    here = ("-n", cluster.namespace)
    with said_by(cluster, "c") as said:
        said.wait_for(*(f"[{task['name']}] working" for task in tasks))
        cancelled = cluster.graflow("cancel", "c", *here, "--wait", "--reason", "wrong input")
    assert cancelled.code == 0, cancelled.err
    assert cancelled.err.splitlines() == [
        "workflow c is asked to end",
        "workflow c has ended: Cancelled; waiting for its pods",
        "no pod of c runs any more",
    ]
    assert {"[tidy] cleaned up", "[trap] cleaned up"} <= {*said.lines}
    status = cluster.get("workflows.graflow.dev", "c")["status"]
    assert (status["phase"], status["message"]) == ("Cancelled", "wrong input")
    assert no_pod_runs(cluster)
    again = cluster.graflow("cancel", "c", *here)
    assert (again.code, "has ended already: Cancelled" in again.err) == (0, True)


def test_a_suspended_run_ends_what_runs_starts_nothing_and_goes_on_where_it_was(
    cluster: Cluster, workflow: Callable[..., dict[str, Any]]
) -> None:
    tasks = [
        {"name": "a", "script": WAITS},
        {"name": "b", "after": ["a"], "params": ["a"], "script": "return a + 1"},
    ]
    assert cluster.apply(workflow("s", tasks)).code == 0
    awaited(cluster, "s", "{.status.counts.running}", "1")
    assert cluster.graflow("suspend", "s", "-n", cluster.namespace).code == 0
    [pod] = cluster.pods("s")
    cluster.kubectl("exec", pod["metadata"]["name"], "--", "touch", "/tmp/go")
    awaited(cluster, "s", '{.status.waiting[?(@.task=="b")].reason}', "Suspended")
    found = cluster.get("workflows.graflow.dev", "s")["status"]
    assert (found["phase"], found["reason"], found["progress"]) == ("Running", "Suspended", "1/2")
    assert len(cluster.pods("s")) == 1
    went_on = cluster.graflow("unsuspend", "s", "-n", cluster.namespace)
    assert (went_on.code, went_on.err) == (0, "workflow s goes on\n")
    assert cluster.wait("s", "Succeeded")["status"]["result"] == {"json": 2}


def test_a_deadline_stops_a_run_and_a_timeout_an_attempt_and_both_clean_up(
    cluster: Cluster, workflow: Callable[..., dict[str, Any]]
) -> None:
    late = workflow("late", [{"name": "a", "script": CLEANS_UP}], activeDeadlineSeconds=3600)
    slow = workflow("slow", [{"name": "a", "script": CLEANS_UP, "timeoutSeconds": 20}])
    for manifest in (late, slow):
        assert cluster.apply(manifest).code == 0
    with said_by(cluster, "late") as said:
        said.wait_for("[a] working")
        change = '{"spec": {"activeDeadlineSeconds": 1}}'
        cluster.kubectl("patch", "workflows.graflow.dev", "late", "--type=merge", "-p", change)
        status = cluster.wait("late")["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "DeadlineExceeded")
    assert "[a] cleaned up" in said.lines
    status = cluster.wait("slow")["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "DeadlineExceeded")
    logs = cluster.kubectl("logs", "-l", "graflow.dev/workflow=slow", "--tail=-1")
    assert {"working", "cleaned up"} <= {*logs.splitlines()}
    assert "timeoutSeconds" in status["message"]
    cluster.kubectl("wait", "--for=delete", "pod", "-l", "graflow.dev/workflow=late")
    assert no_pod_runs(cluster)


def test_a_run_deleted_at_any_moment_takes_pods_secret_and_objects_with_it(
    cluster: Cluster, workflow: Callable[..., dict[str, Any]], store: S3Store
) -> None:
    large = {"name": "large", "script": "return 'x' * 9000"}
    runs = {
        "pending": workflow("pending", [{"name": "a", "script": "return 1"}], suspend=True),
        "ended": workflow("ended", [large]),
        "running": workflow(
            "running", [large, {"name": "b", "after": ["large"], "script": RUNS_ON}]
        ),
        "held": workflow("held", [{"name": "a", "container": shell(TRAPS)}]),
    }
    for manifest in runs.values():
        assert cluster.apply(manifest).code == 0
    cluster.wait("ended")
    awaited(cluster, "held", "{.status.counts.running}", "1")
    awaited(cluster, "running", '{.status.tasks[?(@.name=="b")].phase}', "Running")
    uids = [one["metadata"]["uid"] for one in cluster.get("workflows.graflow.dev")["items"]]
    assert len(uids) == len(runs)

    def stored() -> list[str]:
        return [key for uid in uids for key in store.list(f"{cluster.namespace}/{uid}/")]

    assert stored(), "there is nothing to delete"
    cluster.kubectl("delete", "workflows.graflow.dev", "--all", "--timeout=60s")
    for kind in ("pods", "secrets"):
        cluster.kubectl("wait", "--for=delete", kind, "-l", "graflow.dev/run", "--timeout=60s")
    patience = threading.Event()
    for _ in range(600):
        if not stored():
            break
        patience.wait(0.1)
    assert stored() == []


def test_a_run_goes_when_its_time_is_over_and_that_time_can_be_set_late(
    cluster: Cluster, workflow: Callable[..., dict[str, Any]]
) -> None:
    early = workflow("early", [{"name": "a", "script": "return 1"}], ttlSecondsAfterFinished=0)
    late = workflow("late", [{"name": "a", "script": "return 1"}])
    for manifest in (early, late):
        assert cluster.apply(manifest).code == 0
    cluster.kubectl("wait", "--for=delete", "workflows.graflow.dev/early", "--timeout=60s")
    cluster.wait("late")
    change = '{"spec": {"ttlSecondsAfterFinished": 1}}'
    cluster.kubectl("patch", "workflows.graflow.dev", "late", "--type=merge", "-p", change)
    cluster.kubectl("wait", "--for=delete", "workflows.graflow.dev/late", "--timeout=60s")
    cluster.kubectl("wait", "--for=delete", "pods", "-l", "graflow.dev/run", "--timeout=60s")


def test_a_namespace_goes_without_an_operator_by_the_documented_command_or_when_it_is_back(
    cluster: Cluster, workflow: Callable[..., dict[str, Any]]
) -> None:
    other = f"{cluster.namespace}-b"
    cluster.kubectl("create", "namespace", other)
    places = (cluster, Cluster(cluster.kubectl_path, other))
    for place in places:
        held = workflow("held", [{"name": "a", "container": shell(TRAPS), "pod": GRACE}])
        assert place.apply(held).code == 0
    for place in places:
        awaited(place, "held", "{.status.counts.running}", "1")
    scale = (*SYSTEM, "scale", "deployment", "graflow")
    cluster.kubectl(*scale, "--replicas=0")
    try:
        cluster.kubectl(
            "wait", *SYSTEM, "--for=delete", "pod", "-l", "app.kubernetes.io/name=graflow"
        )
        for place in places:
            place.kubectl("delete", "namespace", place.namespace, "--wait=false")
            ended = "--for=jsonpath={.status.phase}=Failed"
            place.kubectl("wait", ended, "pod", "-l", "graflow.dev/run", "--timeout=60s")
        assert [len(place.get("pods")["items"]) for place in places] == [1, 1], "nothing hung"
        command = re.search(
            r"^\$ (kubectl get pods .*\n(?:    .*\n)*)", PAGE.read_text(), re.MULTILINE
        )
        assert command is not None
        documented = command[1].replace("kubectl", cluster.kubectl_path).replace("NAMESPACE", other)
        assert cluster.run("bash", "-c", documented).code == 0
        cluster.kubectl("wait", "--for=delete", f"namespace/{other}", "--timeout=60s")
    finally:
        cluster.kubectl(*scale, "--replicas=1")
    cluster.kubectl("wait", "--for=delete", f"namespace/{cluster.namespace}", "--timeout=90s")
    # For the fixture, which deletes it again.
    cluster.kubectl("create", "namespace", cluster.namespace)
