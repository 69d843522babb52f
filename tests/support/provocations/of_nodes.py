"""What a node does to its pods. The nodes have no machine: the test says what a kubelet would.

Pods are sent there by a label, which moves to the real node before the fault: the next attempt
runs. No runner has claimed the attempt that is hit.
"""

from contextlib import contextmanager
from dataclasses import replace

from graflow.machine import reasons
from support.played_nodes import TOLERATION
from support.provoked import Outcome, lost, provoked

SHUTDOWN = "Pod was terminated in response to imminent node shutdown."
LOW = "The node was low on resource: {}. Threshold quantity: 100Mi, available: 80Mi."


def room(name):
    """Return the label of the node that is to take a run's pods."""
    return {f"room.example.com/{name}": "yes"}


def placed(name):
    """Return the settings of a pod that goes to that node, real or not."""
    return {"nodeSelector": room(name), "tolerations": [TOLERATION]}


@contextmanager
def sent_to(town, name, node):
    """Begin a run whose first pod is on this node; yield the pod. The next one runs elsewhere."""
    town.nodes.label(node, room(name))
    town.home.begin(name, "quick", pod=placed(name))
    pod = town.home.bound(name)
    town.nodes.label(node, dict.fromkeys(room(name)))
    with town.labelled(town.node, room(name)):
        yield pod


def ended_by(town, name, status):
    """Run a task whose first pod comes to this status, and return what came of it."""
    with town.node_of_its_own() as node, sent_to(town, name, node) as pod:
        town.home.set_status(pod, {"phase": "Failed", **status})
        return town.home.ended(name)


def disruption(reason):
    """Return the condition of a pod that is taken away."""
    condition = {"type": "DisruptionTarget", "status": "True", "reason": reason, "message": "test"}
    return {"conditions": [condition]}


BY_KUBELET = disruption("TerminationByKubelet")


@provoked("memory pressure", how="status: `Evicted`, low on memory", ends=lost(reasons.EVICTED))
def memory_pressure(town, name):
    status = {"reason": "Evicted", "message": LOW.format("memory"), **BY_KUBELET}
    return ended_by(town, name, status)


@provoked("disk pressure", how="status: `Evicted`, low on disk", ends=lost(reasons.EVICTED))
def disk_pressure(town, name):
    status = {"reason": "Evicted", "message": LOW.format("ephemeral-storage"), **BY_KUBELET}
    return ended_by(town, name, status)


@provoked("node shutdown", how="status: `Terminated`", ends=lost(reasons.NODE_SHUTDOWN))
def node_shutdown(town, name):
    return ended_by(town, name, {"reason": "Terminated", "message": SHUTDOWN, **BY_KUBELET})


@provoked("node that is full", how="status: `OutOfcpu`", ends=lost(reasons.NODE_REFUSED))
def node_that_is_full(town, name):
    words = "Pod was rejected: Node didn't have enough resource: cpu"
    return ended_by(town, name, {"reason": "OutOfcpu", "message": words})


@provoked(
    "node that does not take the pod",
    how="status: `UnexpectedAdmissionError`",
    ends=lost(reasons.NODE_REFUSED),
)
def node_that_does_not_take_the_pod(town, name):
    words = "Pod was rejected: Allocate failed due to no healthy devices present"
    return ended_by(town, name, {"reason": "UnexpectedAdmissionError", "message": words})


@provoked(
    "container that the kubelet has lost",
    how="status: exit code 137, `ContainerStatusUnknown`",
    ends=lost(reasons.RUNNER_FAILED),
)
def container_that_the_kubelet_has_lost(town, name):
    words = "The container could not be located when the pod was terminated"
    terminated = {"exitCode": 137, "reason": "ContainerStatusUnknown", "message": words}
    container = {
        "name": "task",
        "image": town.image,
        "imageID": "",
        "ready": False,
        "restartCount": 0,
        "state": {"terminated": terminated},
    }
    return ended_by(town, name, {"containerStatuses": [container]})


@provoked(
    "garbage collection of pods",
    how="status: `DeletionByPodGC`",
    ends=lost(reasons.NODE_LOST),
)
def garbage_collection_of_pods(town, name):
    return ended_by(town, name, disruption("DeletionByPodGC"))


@provoked(
    "taint",
    how="`NoExecute` on its node before the pod had begun; the taint controller deletes it",
    # A pod that is gone and had never claimed costs nothing: nobody knows that it ever was.
    ends=replace(lost(reasons.EVICTED), losses=0),
)
def taint(town, name):
    with town.node_of_its_own() as node, sent_to(town, name, node) as pod:
        town.nodes.taint(node, "example.com/away")
        town.home.pod(name, 1, lambda pod: bool(pod.metadata.deletion_timestamp))
        # As a kubelet does when the containers have ended.
        town.home.kubectl("delete", "pod", pod, "--force", "--grace-period=0", "--wait=false")
        return town.home.ended(name)


@provoked(
    "node out of service",
    how="the taint `node.kubernetes.io/out-of-service` on its node",
    ends=lost(reasons.NODE_LOST),
)
def node_out_of_service(town, name):
    with town.node_of_its_own() as node, sent_to(town, name, node):
        town.nodes.taint(node, "node.kubernetes.io/out-of-service")
        return town.home.ended(name)


@provoked(
    "node that answers no more",
    how="its heartbeats end; `nodeLostSeconds: 5` after it counts as not ready",
    ends=lost(reasons.NODE_LOST),
)
def node_that_answers_no_more(town, name):
    with town.node_of_its_own() as node, sent_to(town, name, node):
        town.nodes.silence(node)
        return town.home.ended(name)


@provoked("node that is gone", how="`kubectl delete node`", ends=lost(reasons.NODE_LOST))
def node_that_is_gone(town, name):
    with town.node_of_its_own() as node, sent_to(town, name, node):
        town.nodes.remove(node)
        return town.home.ended(name)


@provoked(
    "six evictions",
    how="status: `Evicted`, of each pod",
    ends=Outcome(reasons.EVICTED, "Failed", attempts=6, failures=0, losses=6),
)
def six_evictions(town, name):
    with town.node_of_its_own() as node:
        town.nodes.label(node, room(name))
        town.home.begin(name, "quick", pod=placed(name))
        for attempt in range(1, 7):
            status = {"phase": "Failed", "reason": "Evicted", "message": LOW.format("memory")}
            town.home.set_status(town.home.bound(name, attempt), {**status, **BY_KUBELET})
        return town.home.ended(name)
