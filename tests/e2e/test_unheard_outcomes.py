"""Outcomes that nobody was there to hear: the operator is away while tasks end, and comes back.

Runners are told to give up after some seconds instead of ten minutes.
"""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.conftest import RUNNER_IMAGE, Cluster, manifest
from support.ledger import Ledger
from support.own_operator import OwnOperator, address, store_of_cluster

PATIENCE_S = 90.0
HELD = "graflow.dev/outcome"
SIZES = {"small": 10, "large": 3_000_000}
IMPATIENT = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "impatient"},
    "data": {"GRAFLOW_REPORT_PATIENCE_SECONDS": "3", "GRAFLOW_STORE_AFTER_SECONDS": "1"},
}
"""What a runner is told; names in `env` are refused that are its own."""

CODE = """
import json, os, time, urllib.request
host, port, size = {host!r}, {port}, {size}
body = json.dumps(dict(run="r", activation=1, attempt=1, what="began")).encode()
urllib.request.urlopen(urllib.request.Request(f"http://{{host}}:{{port}}/", data=body), timeout=30)
time.sleep(5)
return "v" * size
"""
WRITES = "sleep 5; printf 42 > /dev/termination-log"


@pytest.fixture
def ledger(kubectl_path: str) -> Iterator[Ledger]:
    with Ledger(address()) as found:
        yield found


@pytest.fixture
def operator(cluster: Cluster, tmp_path: Path) -> Iterator[OwnOperator]:
    made = OwnOperator(cluster.namespace, RUNNER_IMAGE, tmp_path, store_of_cluster()["S3_ENDPOINT"])
    with made.running():
        made.wait_until_ready()
        yield made


def until(what: Callable[[], Any], why: Callable[[], object]) -> Any:
    ends = time.monotonic() + PATIENCE_S
    while not (found := what()):
        assert time.monotonic() < ends, why()
        time.sleep(0.3)
    return found


def pods(cluster: Cluster, phase: str = "") -> list[dict[str, Any]]:
    found = cluster.get("pods")["items"]
    return [pod for pod in found if phase in ("", pod["status"]["phase"])]


def shown(cluster: Cluster) -> str:
    return cluster.kubectl("get", "workflows.graflow.dev,pods", "-o", "yaml", check=False)[-6000:]


def come_back(operator: OwnOperator) -> None:
    operator.start()
    operator.wait_until_ready()


def applied(cluster: Cluster, operator: OwnOperator, task: dict[str, Any]) -> None:
    ran = cluster.apply(manifest("r", [task], operator=operator.instance))
    assert ran.code == 0, ran.err


def python(ledger: Ledger, size: int) -> dict[str, Any]:
    """Return a task that writes itself down, works on for a while, and returns a value."""
    host, port = ledger.address[:2]
    code = CODE.format(host=host, port=port, size=size)
    return {
        "name": "a",
        "script": code,
        "pod": {"envFrom": [{"configMapRef": {"name": "impatient"}}]},
    }


def container() -> dict[str, Any]:
    image = {"image": RUNNER_IMAGE, "command": ["sh", "-c", WRITES]}
    return {"name": "a", "container": image}


def succeeded_with(cluster: Cluster, value: Any) -> None:
    """Wait for the end, and see that the first attempt's value is the result."""
    status = cluster.wait("r", seconds=120)["status"]
    assert status["phase"] == "Succeeded", status
    [task] = status["tasks"]
    assert (task["attempt"], task.get("failures", 0), task.get("losses", 0)) == (1, 0, 0), task
    told = cluster.graflow("result", "r", "-n", cluster.namespace, "-o", "json")
    assert told.code == 0, told.err
    assert json.loads(told.out) == value


def ended_unheard(cluster: Cluster, operator: OwnOperator, ledger: Ledger, size: int) -> None:
    """Let a runner end while the operator is away, for longer than it tries to report."""
    assert cluster.apply(IMPATIENT).code == 0
    applied(cluster, operator, python(ledger, size))
    until(lambda: ledger.entries, lambda: shown(cluster))
    operator.kill()
    until(lambda: pods(cluster, "Succeeded"), lambda: shown(cluster))
    log = cluster.kubectl("logs", "-l", "graflow.dev/workflow=r")
    assert "the operator does not answer; the outcome is in the store" in log
    assert "gave up reporting the outcome" in log


@pytest.mark.parametrize("size", list(SIZES))
def test_an_operator_that_is_away_for_longer_than_a_runner_tries_finds_the_outcome(
    cluster: Cluster, operator: OwnOperator, ledger: Ledger, size: str
) -> None:
    ended_unheard(cluster, operator, ledger, SIZES[size])
    come_back(operator)
    succeeded_with(cluster, "v" * SIZES[size])
    assert len(ledger.entries) == 1


@pytest.mark.parametrize("size", list(SIZES))
def test_the_outcome_of_a_pod_that_was_deleted_meanwhile_is_in_the_store(
    cluster: Cluster, operator: OwnOperator, ledger: Ledger, size: str
) -> None:
    ended_unheard(cluster, operator, ledger, SIZES[size])
    cluster.kubectl("delete", "pod", "--all", "--wait=true")
    assert pods(cluster) == []
    come_back(operator)
    succeeded_with(cluster, "v" * SIZES[size])
    assert len(ledger.entries) == 1


def deleted_while_away(cluster: Cluster, operator: OwnOperator) -> None:
    """Let a container task end, and its pod be deleted, while the operator is away."""
    applied(cluster, operator, container())
    until(lambda: pods(cluster, "Running"), lambda: shown(cluster))
    operator.kill()
    until(lambda: pods(cluster, "Succeeded"), lambda: shown(cluster))
    cluster.kubectl("delete", "pod", "--all", "--wait=false")
    [pod] = pods(cluster)
    assert pod["metadata"]["deletionTimestamp"]
    assert pod["metadata"]["finalizers"] == [HELD]


def test_the_result_of_a_container_is_read_from_a_pod_that_was_deleted_meanwhile(
    cluster: Cluster, operator: OwnOperator
) -> None:
    deleted_while_away(cluster, operator)
    come_back(operator)
    succeeded_with(cluster, 42)
    until(lambda: not pods(cluster), lambda: shown(cluster))


def test_without_a_store_too(cluster: Cluster, tmp_path: Path) -> None:
    operator = OwnOperator(cluster.namespace, RUNNER_IMAGE, tmp_path, store="")
    with operator.running():
        operator.wait_until_ready()
        deleted_while_away(cluster, operator)
        come_back(operator)
        succeeded_with(cluster, 42)
        until(lambda: not pods(cluster), lambda: shown(cluster))
