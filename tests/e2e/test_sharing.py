"""How many pods run at one time: of a run, and of a namespace with fair turns between runs.

A gate that nobody takes off keeps the pods from everything but being there.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from e2e.conftest import Cluster

GATED = {"schedulingGates": [{"name": "graflow.test/for-ever"}]}
OPERATOR = ("-n", "graflow-system")
LIMIT = 3


@pytest.fixture
def limited(cluster: Cluster) -> Iterator[None]:
    """Let the operator allow each namespace three pods, and then any number again."""

    def allow(value: str) -> None:
        variable = f"GRAFLOW_PODS_PER_NAMESPACE={value}"
        cluster.kubectl(*OPERATOR, "set", "env", "deployment/graflow", variable)
        cluster.kubectl(*OPERATOR, "rollout", "status", "deployment/graflow", "--timeout=120s")

    allow(str(LIMIT))
    yield
    allow("0")


def wide(count: int) -> list[dict[str, Any]]:
    return [{"name": f"t{n}", "script": "return 1", "pod": GATED} for n in range(count)]


def begin(cluster: Cluster, workflow: Any, name: str, count: int, **spec: Any) -> None:
    starts = [f"t{n}" for n in range(count)]
    assert cluster.apply(workflow(name, wide(count), start=starts, **spec)).code == 0


def until(cluster: Cluster, name: str, path: str, value: str) -> None:
    which = f"workflows.graflow.dev/{name}"
    cluster.kubectl("wait", f"--for=jsonpath={{{path}}}={value}", which, "--timeout=180s")


def living(cluster: Cluster) -> Counter[str]:
    """Count the pods that have not ended, by run."""
    return Counter(
        pod["metadata"]["labels"]["graflow.dev/workflow"]
        for pod in cluster.get("pods")["items"]
        if pod["status"]["phase"] not in ("Succeeded", "Failed")
    )


def pods_of(cluster: Cluster, name: str) -> list[str]:
    return [pod["metadata"]["name"] for pod in cluster.pods(name)]


def waits(cluster: Cluster, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = cluster.get("workflows.graflow.dev", name)["status"]["waiting"]
    return found


def test_parallelism_can_be_changed_both_ways_while_the_run_goes_on(
    cluster: Cluster, workflow: Any
) -> None:
    def allow(number: int) -> None:
        patch = f'{{"spec": {{"parallelism": {number}}}}}'
        cluster.kubectl("patch", "workflows.graflow.dev", "w", "--type=merge", "-p", patch)

    begin(cluster, workflow, "w", 6, parallelism=2)
    until(cluster, "w", ".status.waiting[?(@.task=='t2')].reason", "Parallelism")
    assert living(cluster) == {"w": 2}
    allow(4)
    until(
        cluster,
        "w",
        ".status.waiting[?(@.task=='t4')].message",
        "spec.parallelism allows 4 at one time",
    )
    cluster.kubectl("wait", "--for=create", "pod", "-l", "graflow.dev/task=t3", "--timeout=180s")
    assert living(cluster) == {"w": 4}
    allow(1)
    until(
        cluster,
        "w",
        ".status.waiting[?(@.task=='t4')].message",
        "spec.parallelism allows 1 at one time",
    )
    # What runs is let run; as it ends, nothing takes its place.
    cluster.kubectl("delete", "pod", *pods_of(cluster, "w")[:3])
    until(cluster, "w", ".status.waiting[?(@.task=='t0')].reason", "Parallelism")
    assert living(cluster) == {"w": 1}


@pytest.mark.usefixtures("limited")
def test_runs_share_the_places_of_a_namespace_and_the_smaller_one_comes_first(
    cluster: Cluster, workflow: Any
) -> None:
    begin(cluster, workflow, "big", 10)
    until(cluster, "big", ".status.waiting[?(@.task=='t9')].reason", "NamespaceLimit")
    assert living(cluster) == {"big": LIMIT}
    begin(cluster, workflow, "small", 2)
    until(cluster, "small", ".status.waiting[?(@.task=='t0')].reason", "NamespaceLimit")
    assert waits(cluster, "small")[0]["message"].endswith("and has 3 of big")
    cluster.kubectl("delete", "pod", pods_of(cluster, "big")[0])
    cluster.kubectl(
        *("wait", "--for=create", "pod", "-l", "graflow.dev/workflow=small", "--timeout=180s")
    )
    assert living(cluster) == {"big": LIMIT - 1, "small": 1}
