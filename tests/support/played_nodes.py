"""Nodes without a machine: the scheduler sends pods there, and tests play the kubelet."""

import threading
from contextlib import suppress
from datetime import UTC, datetime

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

TAINT = {"key": "example.com/fake", "value": "true", "effect": "NoSchedule"}
"""What keeps the pods of others away."""

TOLERATION = {"key": TAINT["key"], "operator": "Exists"}
BEAT_S = 8.0
LEASES = "kube-node-lease"
NOT_FOUND = 404


class PlayedNodes:
    """Makes nodes, keeps them ready, and removes them in the end."""

    def __init__(self, kubeconfig):
        api = config.new_client_from_config(kubeconfig)
        self._core, self._leases = client.CoreV1Api(api), client.CoordinationV1Api(api)
        self._names = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()

    def add(self, name, labels):
        """Make a node that is ready and has room."""
        room = {"cpu": "8", "memory": "16Gi", "pods": "110", "ephemeral-storage": "10Gi"}
        metadata = {"name": name, "labels": labels}
        self._core.create_node({"metadata": metadata, "spec": {"taints": [TAINT]}})
        now = _now()
        ready = {
            "type": "Ready",
            "status": "True",
            "reason": "Fake",
            "message": "there is no machine",
            "lastHeartbeatTime": now,
            "lastTransitionTime": now,
        }
        status = {"capacity": room, "allocatable": room, "conditions": [ready]}
        self._core.patch_node_status(name, {"status": status})
        self._renew(name)
        self._names.append(name)
        # Besides, new nodes are tainted until the node controller has seen that they are ready.
        self._core.patch_node(name, {"spec": {"taints": [TAINT]}})

    def label(self, name, labels):
        """Change labels of a node, fake or real; None takes one off."""
        self._core.patch_node(name, {"metadata": {"labels": labels}})

    def taint(self, name, key):
        """Drive pods off a node, as an administrator or a controller does."""
        taint = {"key": key, "value": "test", "effect": "NoExecute"}
        self._core.patch_node(name, {"spec": {"taints": [TAINT, taint]}})

    def silence(self, name):
        """Let a node say no more that it is well."""
        self._names.remove(name)

    def remove(self, name):
        """Delete a node."""
        if name in self._names:
            self._names.remove(name)
        for delete, where in (
            (self._core.delete_node, (name,)),
            (self._leases.delete_namespaced_lease, (name, LEASES)),
        ):
            with suppress(ApiException):
                delete(*where)

    def close(self):
        """Remove what is left."""
        self._over.set()
        self._thread.join()
        for name in tuple(self._names):
            self.remove(name)

    def _beat(self):
        while not self._over.wait(BEAT_S):
            for name in tuple(self._names):
                with suppress(ApiException):
                    self._renew(name)

    def _renew(self, name):
        spec = {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": _now()}
        body = {"metadata": {"name": name, "namespace": LEASES}, "spec": spec}
        try:
            self._leases.patch_namespaced_lease(name, LEASES, body)
        except ApiException as error:
            if error.status != NOT_FOUND:
                raise
            self._leases.create_namespaced_lease(LEASES, body)


def _now():
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
