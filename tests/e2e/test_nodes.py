"""Tasks land on the nodes that they ask for, and no others do."""

from typing import Any

import pytest

from e2e import fake_nodes
from e2e.conftest import PROGRAMS, Cluster
from e2e.fake_nodes import GPU, POOL

PROFILE = {
    "apiVersion": "graflow.dev/v1alpha1",
    "kind": "RunnerProfile",
    "metadata": {"name": "gpu"},
    "spec": {
        "nodeSelector": {POOL: "gpu"},
        "tolerations": [{"key": GPU, "operator": "Exists"}],
        "resources": {"limits": {GPU: 1}},
    },
}


@pytest.fixture
def nodes(kubectl_path: str) -> Any:
    with fake_nodes.present(kubectl_path, fake_nodes.gpu_node(), fake_nodes.memory_node()) as names:
        yield dict(zip(("gpu", "memory"), names, strict=True))


def bound(cluster: Cluster, *tasks: str) -> dict[str, str]:
    """Wait until the pods of tasks are bound; return where, by task."""
    for task in tasks:
        selector = f"graflow.dev/task={task}"
        for what in ("create", "jsonpath={.spec.nodeName}"):
            cluster.kubectl("wait", f"--for={what}", "pod", "-l", selector, "--timeout=180s")
    return {
        pod["metadata"]["labels"]["graflow.dev/task"]: pod["spec"]["nodeName"]
        for pod in cluster.get("pods")["items"]
    }


def test_tasks_land_on_the_nodes_that_they_ask_for_and_no_others_do(
    cluster: Cluster, nodes: dict[str, str]
) -> None:
    assert cluster.apply(PROFILE).code == 0
    program = str(PROGRAMS / "placed.py")
    sent = cluster.graflow("submit", program, "-n", cluster.namespace, "--name", "placed")
    assert sent.code == 0, sent.err
    found = bound(cluster, "plain", "by-profile", "by-itself", "large")
    assert {name: found[name] for name in ("by-profile", "by-itself", "large")} == {
        "by-profile": nodes["gpu"],
        "by-itself": nodes["gpu"],
        "large": nodes["memory"],
    }
    assert found["plain"] not in nodes.values()
    assert cluster.graflow("cancel", "placed", "-n", cluster.namespace).code == 0
    assert cluster.wait("placed")["status"]["phase"] == "Cancelled"


def test_a_profile_of_the_sender_places_all_tasks_that_name_none(
    cluster: Cluster, nodes: dict[str, str]
) -> None:
    assert cluster.apply(PROFILE).code == 0
    program = str(PROGRAMS / "placed.py")
    words = ("submit", program, "-n", cluster.namespace, "--name", "placed", "--profile", "gpu")
    sent = cluster.graflow(*words)
    assert sent.code == 0, sent.err
    assert bound(cluster, "plain") == {"plain": nodes["gpu"]}
    assert cluster.graflow("cancel", "placed", "-n", cluster.namespace).code == 0


def test_a_task_that_asks_for_more_than_any_node_has_waits_in_the_schedulers_words(
    cluster: Cluster, nodes: dict[str, str], workflow: Any
) -> None:
    pod = {
        "nodeSelector": {POOL: "gpu"},
        "tolerations": [{"key": GPU, "operator": "Exists"}],
        "resources": {"limits": {GPU: 9}},
    }
    tasks = [{"name": "a", "script": "return 1", "pod": pod}]
    assert cluster.apply(workflow("greedy", tasks)).code == 0
    which, path = "workflows.graflow.dev/greedy", "jsonpath={.status.waiting[*].reason}"
    cluster.kubectl("wait", f"--for={path}=Unschedulable", which, "--timeout=180s")
    [waiting] = cluster.get("workflows.graflow.dev", "greedy")["status"]["waiting"]
    assert f"Insufficient {GPU}" in waiting["message"]
    assert nodes
