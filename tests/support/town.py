"""The cluster as provocations use it: namespaces, nodes, and what has to be put back afterwards."""

import itertools
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path

from kubernetes import client, config

from support.crowd import Crowd
from support.played_nodes import PlayedNodes

CHECKOUT = Path(__file__).resolve().parents[2]
OWN = CHECKOUT / ".cluster"
KWOK = "kwok.x-k8s.io/node"
"""Annotation of nodes that only seem to run pods."""


class Town:
    """Everything that provocations need of a cluster.

    Args:
        kubeconfig: Path of the cluster's.
        image: The runner image.
        new_cluster: Makes a namespace with given labels; a context manager of kubectl in it.
        code: The CodeBundle of the witness program.
        operator: Id and namespace of the operator that is to run all this.
    """

    def __init__(self, kubeconfig, image, new_cluster, code, operator):
        self.image = image
        self._kubeconfig = kubeconfig
        self._core = client.CoreV1Api(config.new_client_from_config(kubeconfig))
        self._new_cluster, self._code = new_cluster, code
        self._instance, self._system = operator
        self._kept = ExitStack()
        self._numbers = itertools.count()
        self.node = self._real_node()
        self.home = self.place()
        self.nodes = PlayedNodes(kubeconfig)
        self._kept.callback(self.nodes.close)

    def close(self):
        """Remove everything."""
        self._kept.close()

    def place(self, labels=None):
        """Return another namespace."""
        cluster = self._kept.enter_context(self._new_cluster(labels or {}))
        crowd = Crowd(cluster, self._kubeconfig, self._code, self._instance)
        self._kept.callback(crowd.close)
        # Without it the API server refuses every pod.
        crowd.kubectl("wait", "--for=create", "serviceaccount/default", "--timeout=60s")
        return crowd

    def shell(self, script):
        """Return a container task that runs a script."""
        return {"image": self.image, "command": ["sh", "-c", script]}

    # -- what is put back at the end of a `with` --------------------------------------------------

    @contextmanager
    def lasting(self, *objects):
        """Make objects of the cluster; each is (apiVersion, kind, name, the rest)."""
        made = [
            {"apiVersion": version, "kind": kind, "metadata": {"name": name}, **rest}
            for version, kind, name, rest in objects
        ]
        for one in made:
            self.home.apply(one)
        try:
            yield
        finally:
            for one in reversed(made):
                self.home.kubectl("delete", one["kind"], one["metadata"]["name"], "--wait=false")

    @contextmanager
    def labelled(self, node, labels):
        """Give a node labels."""
        self.nodes.label(node, labels)
        try:
            yield
        finally:
            self.nodes.label(node, dict.fromkeys(labels))

    @contextmanager
    def capacity(self, node, resources):
        """Let a node offer devices, as a device plugin does."""
        self._core.patch_node_status(node, {"status": {"capacity": resources}})
        try:
            yield
        finally:
            self._core.patch_node_status(node, {"status": {"capacity": dict.fromkeys(resources)}})

    @contextmanager
    def node_of_its_own(self):
        """Make a node without a machine."""
        name = f"{self.home.namespace}-{next(self._numbers)}"
        self.nodes.add(name, {})
        try:
            yield name
        finally:
            self.nodes.remove(name)

    @contextmanager
    def paused(self, part):
        """Let a part of `make cluster`'s cluster stand still."""
        command = (sys.executable, str(OWN.resolve().parent / "tools" / "cluster" / "cluster.py"))
        subprocess.run([*command, "pause", part], check=True, capture_output=True)
        try:
            yield
        finally:
            subprocess.run([*command, "go-on", part], check=True, capture_output=True)
            ready = f"node/{self.node}"
            self.home.kubectl("wait", "--for=condition=Ready", ready, "--timeout=90s")

    @contextmanager
    def no_operator(self):
        """Let no replica of the operator run."""
        there = ("-n", self._system)
        self.home.kubectl(*there, "scale", "deployment", "graflow", "--replicas=0")
        pods = ("pod", "-l", "app.kubernetes.io/component=operator")
        self.home.kubectl(*there, "wait", "--for=delete", *pods, "--timeout=60s")
        try:
            yield
        finally:
            self.home.kubectl(*there, "scale", "deployment", "graflow", "--replicas=1")
            self.home.kubectl(*there, "rollout", "status", "deployment", "graflow")

    def _real_node(self):
        """Return a node that is ready and has a kubelet."""
        for node in self._core.list_node().items:
            ready = any(c.type == "Ready" and c.status == "True" for c in node.status.conditions)
            kubelet = node.status.node_info and node.status.node_info.kubelet_version
            if ready and kubelet and KWOK not in (node.metadata.annotations or {}):
                return node.metadata.name
        raise AssertionError("no node is ready")
