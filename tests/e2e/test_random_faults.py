"""Faults drawn by lot, while the examples run: nothing is lost, stuck or left over.

`make faults` injects two hundred, about ten minutes. GRAFLOW_FAULT_SEED draws others; a failure
names the seed, and what was injected before it.
"""

import os
from collections.abc import Callable
from typing import Any

import pytest
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from e2e.conftest import EXAMPLES, ROOT, Cluster
from support import looking
from support.example_runs import ADD_TO_THE_CHANNEL, Runs, compiled, example_of
from support.faults import Faults

SEED = int(os.environ.get("GRAFLOW_FAULT_SEED", "20261130"))
MANY = int(os.environ.get("GRAFLOW_FAULTS", "30"))
AT_ONCE = 6
GAP_S = 1.0
PATIENCE_S = 300.0
"""No fault lasts longer than some seconds; what has not ended by then never will."""

PROGRAMS = sorted(EXAMPLES.glob("*/workflow.py"))
Object = dict[str, Any]


def outcome(example: str, status: Object) -> tuple[Any, ...]:
    """Return what a run came to: what may not depend on faults."""
    result = None if example in ADD_TO_THE_CHANNEL else status.get("result")
    return status["phase"], status.get("reason"), result


def until(true: Callable[[], bool], words: Callable[[], object]) -> None:
    """Wait for something; the API server may be out of reach for a moment."""
    looking.until(
        true, lambda: f"seed {SEED}: {words()}", within_s=PATIENCE_S, despite=ApiException
    )


@pytest.fixture
def runs(cluster: Cluster) -> Runs:
    """Make the code bundles of all examples, so that a run of each is one object more."""
    manifests = {}
    for program in PROGRAMS:
        manifests[example_of(program)], others = compiled(program)
        for one in others:
            cluster.apply(one)
    return Runs(connected(), cluster.namespace, manifests)


def connected() -> client.ApiClient:
    return config.new_client_from_config(os.environ["KUBECONFIG"])


@pytest.mark.own_cluster
@pytest.mark.timeout(1800)
def test_faults_drawn_by_lot_change_no_result_and_leave_nothing_behind(
    cluster: Cluster, runs: Runs
) -> None:
    examples = sorted(runs.manifests)
    for example in examples:
        runs.begin(example)
    until(lambda: not runs.going(), lambda: f"without any fault, still going: {runs.going()}")
    seen = runs.seen()
    without = {e: outcome(e, seen[name]) for name, e in runs.begun.items()}
    quiet = set(runs.begun)

    faults = Faults(connected(), ROOT, cluster.namespace, SEED)
    while len(faults.injected) < MANY:
        for _ in range(AT_ONCE - len(runs.going())):
            runs.begin(examples[len(runs.begun) % len(examples)])
        faults.inject()
        faults.pause(GAP_S)
    until(lambda: not runs.going(), lambda: stuck(cluster, runs, faults))

    killed = {fault.target for fault in faults.injected if fault.kind == "kill_runner"}
    for name, status in runs.seen().items():
        example = runs.begun[name]
        if name in quiet or outcome(example, status) == without[example]:
            continue
        # SIGKILL looks like the task's own fault, and spends its retries: only that may change how
        # a run ends, and then it says so, unless the program itself deals with a failed task.
        told = f"seed {SEED}: {name}: {status['phase']} {status.get('reason')}"
        assert name in killed, f"{told}, and nobody killed a process of it: {status}"
        if status["phase"] == "Failed":
            assert status["reason"] in ("Killed", "ParallelGroupFailed"), f"{told}: {status}"

    nothing_is_left(cluster)


def stuck(cluster: Cluster, runs: Runs, faults: Faults) -> str:
    """Say what does not end, and what it says of itself."""
    going = runs.going()
    seen = runs.seen()
    lines = [f"{len(going)} runs do not end"]
    for name in going:
        hits = [str(fault) for fault in faults.injected if fault.target in ("", name)]
        lines.append(f"{name}: waits for {seen[name].get('waiting')}, after {hits[-20:]}")
    return "\n".join(lines) + cluster.kubectl("get", "pods", "-o", "wide")


def nothing_is_left(cluster: Cluster) -> None:
    """Delete all runs; their pods and keys go with them. The code was applied by the test."""
    cluster.kubectl("delete", "workflows.graflow.dev", "--all", "--wait=false")
    kinds = "workflows.graflow.dev,pods,secrets"

    def left() -> str:
        return cluster.kubectl("get", kinds, "-o", "name")

    until(lambda: not left().strip(), lambda: f"left over: {left()}")
