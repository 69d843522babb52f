"""Faults of every kind that a cluster knows, for the cluster that `make cluster` starts."""

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kubernetes import client
from kubernetes.client.exceptions import ApiException

OPERATOR_NAMESPACE = "graflow-system"
OPERATOR = "app.kubernetes.io/name=graflow"
LEASE = "graflow-operator"
BINDING = "graflow-system-graflow"


@dataclass(frozen=True)
class Fault:
    """One that was injected."""

    kind: str
    target: str
    """The Workflow that it was aimed at; empty when it hit everybody."""

    def __str__(self) -> str:
        return f"{self.kind} {self.target}".strip()


class Faults:
    """Draws faults by lot and injects them into the runs of one namespace."""

    def __init__(self, api: client.ApiClient, checkout: Path, namespace: str, seed: int) -> None:
        self._core = client.CoreV1Api(api)
        self._objects = client.CustomObjectsApi(api)
        self._rbac = client.RbacAuthorizationV1Api(api)
        self._leases = client.CoordinationV1Api(api)
        self._checkout = checkout
        self._namespace = namespace
        self._random = random.Random(seed)
        self.injected: list[Fault] = []
        at_pods = (
            self.delete_pod,
            self.delete_pod_without_grace,
            self.evict_pod,
            self.kill_runner,
            self.freeze_runner,
            self.touch_workflow,
        )
        at_everybody = (
            self.delete_operator,
            self.freeze_operator,
            self.steal_lease,
            self.forbid_operator,
            self.freeze_api_server,
            self.freeze_etcd,
            self.freeze_store,
            self.freeze_kubelet,
            self.freeze_scheduler,
            self.freeze_controllers,
            self.freeze_containerd,
        )
        # Faults of one pod three times as often as those that hit everybody.
        self._kinds: tuple[Callable[[], str | None], ...] = (*at_pods * 5, *at_everybody)

    def inject(self) -> Fault | None:
        """Inject the next fault; None if it found nothing to hit."""
        kind = self._random.choice(self._kinds)
        target = kind()
        if target is None:
            return None
        fault = Fault(kind.__name__, target)
        self.injected.append(fault)
        return fault

    def pause(self, most_s: float) -> None:
        """Let the runs go on for a while."""
        time.sleep(self._random.uniform(0.0, most_s))

    # -- one pod ----------------------------------------------------------------------------------

    def delete_pod(self) -> str | None:
        return self._delete(grace_s=None)

    def delete_pod_without_grace(self) -> str | None:
        return self._delete(grace_s=0)

    def _delete(self, grace_s: int | None) -> str | None:
        if (pod := self._pod()) is None:
            return None
        with _unless_gone():
            self._core.delete_namespaced_pod(
                pod.metadata.name, self._namespace, grace_period_seconds=grace_s
            )
        return _workflow(pod)

    def evict_pod(self) -> str | None:
        if (pod := self._pod()) is None:
            return None
        name = pod.metadata.name
        eviction = client.V1Eviction(metadata=client.V1ObjectMeta(name=name))
        with _unless_gone():
            self._core.create_namespaced_pod_eviction(name, self._namespace, eviction)
        return _workflow(pod)

    def kill_runner(self) -> str | None:
        if (pod := self._pod()) is None or not (container := _container(pod)):
            return None
        return _workflow(pod) if self._signal(container, signal.SIGKILL) else None

    def freeze_runner(self) -> str | None:
        if (pod := self._pod()) is None or not (container := _container(pod)):
            return None
        if not self._signal(container, signal.SIGSTOP):
            return None
        time.sleep(self._random.uniform(0.5, 3.0))
        self._signal(container, signal.SIGCONT)
        return _workflow(pod)

    def touch_workflow(self) -> str | None:
        """Make the operator's next commit conflict."""
        if (pod := self._pod()) is None:
            return None
        body = {"metadata": {"annotations": {"touched": str(time.time_ns())}}}
        with _unless_gone():
            self._objects.patch_namespaced_custom_object(
                *("graflow.dev", "v1alpha1", self._namespace, "workflows", _workflow(pod), body)
            )
        return _workflow(pod)

    # -- everybody --------------------------------------------------------------------------------

    def delete_operator(self) -> str:
        """SIGKILL; another one is started at once."""
        self._core.delete_collection_namespaced_pod(
            OPERATOR_NAMESPACE, label_selector=OPERATOR, grace_period_seconds=0
        )
        return ""

    def freeze_operator(self) -> str | None:
        """Stop it for longer than its Lease is good for, one time in four."""
        pods = self._core.list_namespaced_pod(OPERATOR_NAMESPACE, label_selector=OPERATOR).items
        containers = [found for pod in pods if (found := _container(pod))]
        stopped = [one for one in containers if self._signal(one, signal.SIGSTOP)]
        if not stopped:
            return None
        time.sleep(self._random.choice((1.0, 2.0, 4.0, 18.0)))
        for container in stopped:
            self._signal(container, signal.SIGCONT)
        return ""

    def steal_lease(self) -> str | None:
        """Write another holder into the Lease, who is never heard of again."""
        spec = {"holderIdentity": "a-stranger", "renewTime": datetime.now(UTC).isoformat()}
        with suppress(ApiException):
            self._leases.patch_namespaced_lease(LEASE, OPERATOR_NAMESPACE, {"spec": spec})
            return ""
        return None

    def forbid_operator(self) -> str:
        """Take its permissions away for a while."""
        binding = self._rbac.read_cluster_role_binding(BINDING)
        self._rbac.delete_cluster_role_binding(BINDING)
        time.sleep(self._random.uniform(0.5, 3.0))
        binding.metadata = client.V1ObjectMeta(
            name=BINDING, labels=binding.metadata.labels, annotations=binding.metadata.annotations
        )
        self._rbac.create_cluster_role_binding(binding)
        return ""

    def freeze_api_server(self) -> str:
        return self._freeze("kube-apiserver", 4.0)

    def freeze_etcd(self) -> str:
        return self._freeze("etcd", 2.0)

    def freeze_store(self) -> str:
        return self._freeze("versitygw", 6.0)

    def freeze_kubelet(self) -> str:
        return self._freeze("kubelet", 8.0)

    def freeze_scheduler(self) -> str:
        return self._freeze("kube-scheduler", 6.0)

    def freeze_controllers(self) -> str:
        return self._freeze("kube-controller-manager", 6.0)

    def freeze_containerd(self) -> str:
        return self._freeze("containerd", 4.0)

    # -- tools ------------------------------------------------------------------------------------

    def _pod(self) -> Any:
        """Return a pod of a task that has not ended, drawn by lot."""
        found = self._core.list_namespaced_pod(self._namespace).items
        living = [
            pod
            for pod in found
            if pod.status.phase in ("Pending", "Running") and not pod.metadata.deletion_timestamp
        ]
        living.sort(key=lambda pod: pod.metadata.name)
        return self._random.choice(living) if living else None

    def _freeze(self, component: str, most_s: float) -> str:
        """Let a part of the cluster stand still, as if it hung."""
        self._command("pause", component)
        try:
            time.sleep(self._random.uniform(0.5, most_s))
        finally:
            self._command("go-on", component)
        return ""

    def _command(self, command: str, component: str) -> None:
        program = self._checkout / "tools" / "cluster" / "cluster.py"
        subprocess.run([sys.executable, program, command, component], check=True)

    def _signal(self, container: str, which: signal.Signals) -> bool:
        """Send a signal to the first process of a container; whether there was one."""
        command = (
            *(self._checkout / ".cluster" / "bin" / "ctr", "--namespace", "k8s.io"),
            *("tasks", "kill", "--signal", which.name, container),
        )
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _container(pod: Any) -> str:
    """Return the id of the running container of a pod, as containerd knows it."""
    for status in pod.status.container_statuses or ():
        if status.state.running and status.container_id:
            return str(status.container_id).removeprefix("containerd://")
    return ""


def _workflow(pod: Any) -> str:
    return str(pod.metadata.labels["graflow.dev/workflow"])


@contextmanager
def _unless_gone() -> Iterator[None]:
    try:
        yield
    except ApiException as error:
        if error.status not in (404, 409, 429):
            raise
