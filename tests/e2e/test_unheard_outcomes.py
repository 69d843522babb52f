"""Outcomes that nobody was there to hear: the operator is away while tasks end, and comes back.

All of it happens at once, to one operator, and each test looks at what came of one run. Runners
are told to give up after some seconds instead of ten minutes.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from e2e.conftest import RUNNER_IMAGE, Cluster, manifest, namespace
from support.ledger import BEGAN, ENDED, Ledger
from support.looking import until
from support.own_operator import OwnOperator, address, store_of_cluster

HELD = "graflow.dev/outcome"
URL_S = 9
"""How long an address lives at which an outcome may be left."""

IMPATIENT = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "impatient"},
    "data": {
        "GRAFLOW_REPORT_PATIENCE_SECONDS": "3",
        "GRAFLOW_STORE_AFTER_SECONDS": "1",
        "GRAFLOW_RETRY_MOST_SECONDS": "1",
    },
}
"""What a runner is told; names in `env` are refused that are its own."""

UNTIL_IT_IS_AWAY = """
import socket, time
while True:
    try:
        socket.create_connection({operator!r}, timeout=1).close()
    except OSError:
        break
    time.sleep(0.1)
"""
WORKS = """
import json, time, urllib.request
def tell(what):
    body = json.dumps(dict(run={run!r}, activation=1, attempt=1, what=what)).encode()
    urllib.request.urlopen(urllib.request.Request({ledger!r}, data=body), timeout=30)
tell("began")
time.sleep({seconds})
tell("ended")
"""
WRITES = "open('/dev/termination-log', 'w').write('42')"

SIZES = {"small": 10, "large": 3_000_000, "gone-small": 10, "gone-large": 3_000_000, "long": 10}
"""Of the values of the Python tasks, by run; the pods of some are deleted, one outlives its
addresses."""

CONTAINERS = ("container", "orphan")


def gone(run: str) -> bool:
    return run.startswith("gone-")


@dataclass
class Tasks:
    """Makes tasks that end when their operator is away."""

    operator: OwnOperator
    ledger: Ledger

    @property
    def _waits(self) -> str:
        return UNTIL_IT_IS_AWAY.format(operator=(self.operator.host, self.operator.port))

    def python(self, run: str) -> dict[str, Any]:
        """Return a task that writes itself down, works on for a while, and returns a value."""
        host, port = self.ledger.address[:2]
        seconds = URL_S if run == "long" else 0
        works = WORKS.format(run=run, ledger=f"http://{host}:{port}/", seconds=seconds)
        return {
            "name": "a",
            "script": f"{works}{self._waits}return 'v' * {SIZES[run]}",
            "pod": {"envFrom": [{"configMapRef": {"name": "impatient"}}]},
        }

    def container(self) -> dict[str, Any]:
        command = ["python", "-c", self._waits + WRITES]
        return {"name": "a", "container": {"image": RUNNER_IMAGE, "command": command}}


def pods(cluster: Cluster, *phases: str) -> list[str]:
    found = cluster.get("pods")["items"]
    return [
        pod["metadata"]["labels"]["graflow.dev/workflow"]
        for pod in found
        if not phases or pod["status"]["phase"] in phases
    ]


def shown(cluster: Cluster) -> str:
    return cluster.kubectl("get", "workflows.graflow.dev,pods", "-o", "yaml", check=False)[-6000:]


def apply(cluster: Cluster, operator: OwnOperator, run: str, task: dict[str, Any]) -> None:
    ran = cluster.apply(manifest(run, [task], operator=operator.instance))
    assert ran.code == 0, ran.err


def come_back(operator: OwnOperator) -> None:
    operator.start()
    operator.wait_until_ready()


def deleted(cluster: Cluster, run: str) -> None:
    """Delete the pod of a container, which stays until somebody has read it."""
    which = f"graflow.dev/workflow={run}"
    cluster.kubectl("delete", "pods", "-l", which, "--wait=false")
    [pod] = cluster.pods(run)
    assert pod["metadata"]["deletionTimestamp"]
    assert pod["metadata"]["finalizers"] == [HELD]


def succeeded_with(cluster: Cluster, run: str, value: Any) -> None:
    """Wait for the end, and see that the first attempt's value is the result."""
    status = cluster.wait(run, seconds=120)["status"]
    assert status["phase"] == "Succeeded", status
    [task] = status["tasks"]
    assert (task["attempt"], task.get("failures", 0), task.get("losses", 0)) == (1, 0, 0), task
    told = cluster.graflow("result", run, "-n", cluster.namespace, "-o", "json")
    assert told.code == 0, told.err
    assert json.loads(told.out) == value


@dataclass
class Scene:
    """What was left behind for the operator, which is back."""

    cluster: Cluster
    doomed: Cluster
    """A namespace that was deleted meanwhile."""

    ledger: Ledger

    def succeeded(self, run: str) -> None:
        """See that a run of a Python task has the value of its first attempt, the only one."""
        succeeded_with(self.cluster, run, "v" * SIZES[run])
        assert [one.what for one in self.ledger.entries if one.run == run] == [BEGAN, ENDED]


@pytest.fixture(scope="module")
def scene(kubectl_path: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with (
        namespace(kubectl_path) as cluster,
        namespace(kubectl_path) as doomed,
        Ledger(address()) as ledger,
    ):
        operator = OwnOperator(
            cluster.namespace,
            RUNNER_IMAGE,
            tmp_path_factory.mktemp("away"),
            store_of_cluster()["S3_ENDPOINT"],
            environ={"GRAFLOW_STORE_OUTCOME_URL_SECONDS": str(URL_S)},
            also=(doomed.namespace,),
        )
        with operator.running():
            operator.wait_until_ready()
            begin(Tasks(operator, ledger), cluster, doomed)
            operator.kill()
            meanwhile(cluster, doomed)
            come_back(operator)
            yield Scene(cluster, doomed, ledger)


def begin(tasks: Tasks, cluster: Cluster, doomed: Cluster) -> None:
    """Begin all runs; return when each is at work, and the addresses of one are over."""
    assert cluster.apply(IMPATIENT).code == 0
    for run in SIZES:
        apply(cluster, tasks.operator, run, tasks.python(run))
    for run in CONTAINERS:
        apply(cluster, tasks.operator, run, tasks.container())
    apply(doomed, tasks.operator, "doomed", tasks.container())
    until(
        lambda: {e.run for e in tasks.ledger.entries if e.what == ENDED} == {*SIZES},
        lambda: shown(cluster),
    )
    until(lambda: {*CONTAINERS} <= {*pods(cluster, "Running")}, lambda: shown(cluster))
    until(lambda: pods(doomed, "Running"), lambda: shown(doomed))


def meanwhile(cluster: Cluster, doomed: Cluster) -> None:
    """Let all tasks end with nobody there, and what was theirs be deleted."""
    everyone = {*SIZES, *CONTAINERS}
    until(lambda: {*pods(cluster, "Succeeded")} == everyone, lambda: shown(cluster))
    until(lambda: pods(doomed, "Succeeded"), lambda: shown(doomed))
    for run in SIZES:
        log = cluster.kubectl("logs", "-l", f"graflow.dev/workflow={run}")
        assert "the operator does not answer; the outcome is in the store" in log
        assert "gave up reporting the outcome" in log
    for run in filter(gone, SIZES):
        cluster.kubectl("delete", "pods", "-l", f"graflow.dev/workflow={run}", "--wait=true")
    for run in CONTAINERS:
        deleted(cluster, run)
    cluster.kubectl("delete", "workflows.graflow.dev", "orphan", "--wait=false")
    assert not {*filter(gone, SIZES)} & {*pods(cluster)}
    cluster.kubectl("delete", "namespace", doomed.namespace, "--wait=false")


@pytest.mark.parametrize("run", ["small", "large"])
def test_an_operator_that_is_away_for_longer_than_a_runner_tries_finds_the_outcome(
    scene: Scene, run: str
) -> None:
    scene.succeeded(run)


@pytest.mark.parametrize("run", list(filter(gone, SIZES)))
def test_the_outcome_of_a_pod_that_was_deleted_meanwhile_is_in_the_store(
    scene: Scene, run: str
) -> None:
    scene.succeeded(run)


def test_an_outcome_is_left_though_the_addresses_that_came_with_the_order_are_over(
    scene: Scene,
) -> None:
    scene.succeeded("long")


def test_the_result_of_a_container_is_read_from_a_pod_that_was_deleted_meanwhile(
    scene: Scene,
) -> None:
    succeeded_with(scene.cluster, "container", 42)
    until(lambda: "container" not in pods(scene.cluster), lambda: shown(scene.cluster))


def test_a_pod_is_let_go_whose_workflow_was_deleted_meanwhile(scene: Scene) -> None:
    until(lambda: "orphan" not in pods(scene.cluster), lambda: shown(scene.cluster))
    left = scene.cluster.kubectl("get", "workflows.graflow.dev", "-o", "name")
    assert "orphan" not in left


def test_a_namespace_that_was_deleted_meanwhile_is_not_held_up(scene: Scene) -> None:
    which = ("get", "namespace", scene.doomed.namespace)
    until(
        lambda: "NotFound" in scene.cluster.kubectl(*which, check=False),
        lambda: scene.cluster.kubectl(*which, "-o", "yaml", check=False),
    )


def test_without_a_store_the_result_of_a_container_is_found_too(
    cluster: Cluster, tmp_path: Path
) -> None:
    operator = OwnOperator(cluster.namespace, RUNNER_IMAGE, tmp_path, store="")
    with operator.running(), Ledger(address()) as ledger:
        operator.wait_until_ready()
        apply(cluster, operator, "storeless", Tasks(operator, ledger).container())
        until(lambda: pods(cluster, "Running"), lambda: shown(cluster))
        operator.kill()
        until(lambda: pods(cluster, "Succeeded"), lambda: shown(cluster))
        deleted(cluster, "storeless")
        come_back(operator)
        succeeded_with(cluster, "storeless", 42)
        until(lambda: not pods(cluster), lambda: shown(cluster))
