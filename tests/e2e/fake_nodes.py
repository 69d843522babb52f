"""Nodes that kwok answers for: pods are bound to them and seem to run, and never do.

`make fake-nodes` starts it where the cluster is our own; elsewhere a kwok has to be there that
manages nodes with the annotation kwok.x-k8s.io/node=fake.
"""

import json
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

POOL = "graflow.test/pool"
GPU = "nvidia.com/gpu"


def node(pool: str, taint: dict[str, str], **room: str) -> dict[str, Any]:
    """Return a fake node that no pod comes to by chance."""
    amounts = {"cpu": "64", "pods": "200", **room}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": f"fake-{pool}-{secrets.token_hex(3)}",
            "annotations": {"kwok.x-k8s.io/node": "fake"},
            "labels": {POOL: pool, "kubernetes.io/os": "linux"},
        },
        "spec": {"taints": [{**taint, "effect": "NoSchedule"}]},
        "status": {"allocatable": amounts, "capacity": amounts},
    }


def gpu_node() -> dict[str, Any]:
    """Return a node with four GPUs."""
    return node("gpu", {"key": GPU}, **{GPU: "4", "memory": "128Gi"})


def memory_node() -> dict[str, Any]:
    """Return a node with much memory."""
    return node("memory", {"key": POOL, "value": "memory"}, memory="64Gi")


@contextmanager
def present(kubectl: str, *nodes: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """Have nodes in the cluster; yields their names."""

    def run(*words: str, stdin: str | None = None) -> None:
        done = subprocess.run(
            [kubectl, *words], input=stdin, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"kubectl {' '.join(words)}: {done.stderr}"

    names = tuple(found["metadata"]["name"] for found in nodes)
    listed = {"apiVersion": "v1", "kind": "List", "items": list(nodes)}
    run("create", "-f", "-", stdin=json.dumps(listed))
    try:
        which = [f"node/{name}" for name in names]
        run("wait", "--for=condition=Ready", *which, "--timeout=60s")
        yield names
    finally:
        run("delete", "node", *names, "--wait=false")
