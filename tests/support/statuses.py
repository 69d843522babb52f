"""Pods as API servers show them, in the words of Kubernetes 1.29 to 1.34, and what they mean.

Each row: what was done, the pod's status, changes to its metadata, whether the runner had claimed
its attempt, and what comes of it.
"""

from dataclasses import dataclass, field
from typing import Any

from graflow.api import names

DELETED_AT = "2026-03-01T10:00:40Z"
DELETED = {"deletionTimestamp": DELETED_AT, "deletionGracePeriodSeconds": 30}
"""Deleted at 10:00:10, with 30 s of grace."""


def cleared_up(at):
    """Return what the kubelet's own delete makes of the metadata, once the containers are gone."""
    return {"deletionTimestamp": f"2026-03-01T10:{at}Z", "deletionGracePeriodSeconds": 0}


STARTED, BEFORE, AFTER = (f"2026-03-01T10:00:{s}Z" for s in ("01", "05", "12"))


def pod(status=None, *, resources=None, **metadata):
    """Return a pod of ours: attempt 2 of activation 3."""
    labels = {
        "graflow.dev/run": "uid-1",
        "graflow.dev/activation": "3",
        "graflow.dev/attempt": "2",
    }
    ours = {
        "name": names.pod_name("etl", "load", uid="uid-1", activation=3, attempt=2),
        "uid": "u",
        "resourceVersion": "7",
        "labels": labels,
        "ownerReferences": [{"kind": "Workflow", "uid": "uid-1", "controller": True}],
    }
    return {
        "metadata": {**ours, **metadata},
        "spec": {
            "nodeName": "n1",
            "containers": [{"name": "task", "resources": resources or {}}],
            "initContainers": [{"name": "fetch", "resources": {"limits": {"memory": "8Mi"}}}],
        },
        "status": status or {},
    }


def terminated(code, reason="Error", message="", *, at=AFTER, phase="Failed", **status):
    state = {"exitCode": code, "reason": reason, "message": message, "finishedAt": at}
    container = {"name": "task", "state": {"terminated": state}}
    return {"phase": phase, "startTime": STARTED, "containerStatuses": [container], **status}


def waiting(reason, message="", **status):
    container = {"name": "task", "state": {"waiting": {"reason": reason, "message": message}}}
    scheduled = {"type": "PodScheduled", "status": "True"}
    base = {"phase": "Pending", "startTime": STARTED, "conditions": [scheduled]}
    return {**base, "containerStatuses": [container], **status}


def unscheduled(reason, message):
    found = {"type": "PodScheduled", "status": "False", "reason": reason, "message": message}
    return {"phase": "Pending", "conditions": [found]}


def disrupted(reason, message):
    found = {"type": "DisruptionTarget", "status": "True", "reason": reason, "message": message}
    return {"conditions": [{**found, "lastTransitionTime": "2026-03-01T10:00:10Z"}]}


def init(**state):
    containers = [{"name": "fetch", "state": state}]
    return {"initContainerStatuses": containers}


INITIALIZING = {
    "containerStatuses": [
        {"name": "task", "state": {"waiting": {"reason": "PodInitializing", "message": ""}}}
    ]
}
SIGTERM = terminated(143)


@dataclass(frozen=True)
class Row:
    """What was seen, and what it means."""

    what: str
    status: dict[str, Any]
    reason: str
    words: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    claimed: bool = True
    container: bool = False
    """Whether it is a container task."""

    resources: dict[str, Any] = field(default_factory=dict)


LIMITED = {"limits": {"memory": "64Mi"}}

ENDED = (
    # The program's own.
    Row("exit 0 without a report", terminated(0, "Completed", phase="Succeeded"), "NoReport"),
    Row("exit 3", terminated(3), "ExitCode", "code 3"),
    Row("exit 3 of a container", terminated(3, message="bad"), "ExitCode", "bad", container=True),
    Row("a segmentation fault", terminated(139), "Killed", "SIGSEGV"),
    Row("kill -9 by nobody known", terminated(137), "Killed", "SIGKILL"),
    Row("out of memory", terminated(137, "OOMKilled"), "OOMKilled", "64Mi", resources=LIMITED),
    Row("a child was out of memory", terminated(1, "OOMKilled"), "OOMKilled", resources=LIMITED),
    Row("the node was out of memory", terminated(137, "OOMKilled"), "OOMKilled", "its node"),
    Row(
        "a container's child was out of memory",
        terminated(0, "OOMKilled", phase="Succeeded"),
        "OOMKilled",
        container=True,
    ),
    Row(
        "the time limit has passed",
        terminated(
            143,
            reason="Error",
            message="",
        )
        | {"reason": "DeadlineExceeded", "message": "Pod was active on the node longer than"},
        "DeadlineExceeded",
    ),
    Row(
        "more on disk than the container's limit",
        terminated(137)
        | {
            "reason": "Evicted",
            "message": 'Container task exceeded its local ephemeral storage limit "10Mi". ',
        }
        | disrupted("TerminationByKubelet", "Container task exceeded its local ephemeral storage"),
        "EphemeralStorageExceeded",
        "10Mi",
    ),
    Row(
        "more in an emptyDir than its limit",
        terminated(137)
        | {
            "reason": "Evicted",
            "message": 'Usage of EmptyDir volume "tmp" exceeds the limit "1Mi". ',
        },
        "EphemeralStorageExceeded",
    ),
    Row(
        "no such command",
        terminated(
            128,
            "StartError",
            'failed to create containerd task: exec: "nope": executable file not found in $PATH',
        ),
        "StartFailed",
        "executable file not found",
        claimed=False,
        container=True,
    ),
    Row(
        "no such command in a runner's image",
        terminated(128, "StartError", 'exec: "python": executable file not found in $PATH'),
        "StartFailed",
        claimed=False,
    ),
    Row(
        "an init container failed",
        {"phase": "Failed", **INITIALIZING}
        | init(terminated={"exitCode": 3, "reason": "Error", "message": "no data"}),
        "ExitCode",
        "init container 'fetch'",
        claimed=False,
    ),
    Row(
        "an init container was out of memory",
        {"phase": "Failed", **INITIALIZING}
        | init(terminated={"exitCode": 137, "reason": "OOMKilled"}),
        "OOMKilled",
        "8Mi",
        claimed=False,
    ),
    Row(
        "it had failed before somebody deleted it",
        terminated(3, at=BEFORE),
        "ExitCode",
        metadata=DELETED,
    ),
    Row(
        "it had failed long before somebody deleted it, and was seen after that",
        terminated(3, at=BEFORE),
        "ExitCode",
        metadata=cleared_up("05:00"),
        container=True,
    ),
    # Of the infrastructure.
    Row(
        "kubectl delete pod, seen when the kubelet had cleared up",
        terminated(137),
        "PodDeleted",
        metadata=cleared_up("00:14"),
    ),
    Row(
        "kubectl delete pod, of a container, seen when the kubelet had cleared up",
        SIGTERM,
        "PodDeleted",
        metadata=cleared_up("00:40"),
        container=True,
    ),
    Row("kubectl delete pod", SIGTERM, "PodDeleted", "was deleted", metadata=DELETED),
    Row(
        "kubectl delete pod, of a container",
        SIGTERM,
        "PodDeleted",
        metadata=DELETED,
        container=True,
    ),
    Row(
        "kubectl drain",
        SIGTERM | disrupted("EvictionByEvictionAPI", "Eviction API: evicting"),
        "Evicted",
        "EvictionByEvictionAPI",
        metadata=DELETED,
    ),
    Row(
        "a NoExecute taint",
        SIGTERM
        | disrupted("DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint"),
        "Evicted",
        "NoExecute",
        metadata=DELETED,
    ),
    Row(
        "preempted",
        SIGTERM
        | disrupted(
            "PreemptionByScheduler", "default-scheduler: preempting to accommodate a higher"
        ),
        "Preempted",
        "preempting",
        metadata=DELETED,
    ),
    Row(
        "a kubelet made room for a critical pod",
        terminated(137)
        | {"reason": "Preempting", "message": "Preempted in order to admit critical pod"}
        | disrupted("TerminationByKubelet", "Pod was preempted by Kubelet to accommodate"),
        "Preempted",
    ),
    Row(
        "the node was short of memory",
        terminated(137)
        | {
            "reason": "Evicted",
            "message": "The node was low on resource: memory. Threshold quantity: 100Mi",
        }
        | disrupted("TerminationByKubelet", "The node was low on resource: memory."),
        "Evicted",
        "low on resource",
    ),
    Row(
        "the node was short of disk before the container ran",
        {
            "phase": "Failed",
            "reason": "Evicted",
            "message": "The node had condition: [DiskPressure]",
        },
        "Evicted",
        claimed=False,
    ),
    Row(
        "the node is no more",
        {"phase": "Failed"} | disrupted("DeletionByPodGC", "PodGC: node no longer exists"),
        "NodeLost",
        "no longer exists",
        metadata=DELETED,
    ),
    Row(
        "the node was shut down",
        terminated(143)
        | {
            "reason": "Terminated",
            "message": "Pod was terminated in response to imminent node shutdown.",
        }
        | disrupted("TerminationByKubelet", "Pod was terminated in response to imminent node"),
        "NodeShutdown",
        "imminent node shutdown",
    ),
    Row(
        "the node is full after all",
        {
            "phase": "Failed",
            "reason": "OutOfcpu",
            "message": "Pod was rejected: Node didn't have enough resource: cpu",
        },
        "NodeRefused",
        "enough resource",
        claimed=False,
    ),
    Row(
        "a device is gone",
        {"phase": "Failed", "reason": "UnexpectedAdmissionError", "message": "Allocate failed"},
        "NodeRefused",
        claimed=False,
    ),
    Row(
        "the kubelet lost sight of the container",
        terminated(137, "ContainerStatusUnknown", "The container could not be located"),
        "PodLost",
        "could not be located",
    ),
    Row(
        "the node was started anew",
        terminated(255, "Unknown"),
        "PodLost",
        container=True,
    ),
    Row("a runner that another one has replaced", terminated(65), "RunnerFailed"),
    Row("a runner that reached nobody", terminated(69), "RunnerFailed"),
    Row("a runner that ended before it asked", terminated(1), "RunnerFailed", claimed=False),
    # Of the configuration.
    Row("a bundle that cannot be used", terminated(66), "BundleCorrupt"),
)

PENDING = (
    Row("no node fits", unscheduled("Unschedulable", "0/3 nodes are available"), "Unschedulable"),
    Row("the scheduler fails", unscheduled("SchedulerError", "no"), "Unschedulable"),
    Row(
        "Kueue holds it back",
        unscheduled("SchedulingGated", "Scheduling is blocked due to non-empty scheduling gates"),
        "SchedulingGated",
        "blocked",
    ),
    Row("nobody has looked at it", {"phase": "Pending"}, "PodPending"),
    Row("the container is made", waiting("ContainerCreating"), "PodPending"),
    Row(
        "no such image",
        waiting("ErrImagePull", 'rpc error: code = NotFound desc = failed to pull "nope:1"'),
        "ImagePull",
        "nope:1",
    ),
    Row("no such image, later", waiting("ImagePullBackOff", 'Back-off pulling "x"'), "ImagePull"),
    Row("no name of an image", waiting("InvalidImageName", 'Failed to apply "A B"'), "ImagePull"),
    Row("never pulled", waiting("ErrImageNeverPull", "image is not present"), "ImagePull"),
    Row(
        "no such Secret",
        waiting("CreateContainerConfigError", 'secret "db" not found'),
        "ConfigMissing",
        'secret "db" not found',
    ),
    Row(
        "no such key",
        waiting("CreateContainerConfigError", "couldn't find key password in Secret team/db"),
        "ConfigMissing",
        "find key password",
    ),
    Row(
        "an image that wants to be root",
        waiting("CreateContainerConfigError", "container has runAsNonRoot and image will run as"),
        "CreateContainerError",
        "runAsNonRoot",
    ),
    Row(
        "a mount that cannot be",
        waiting("CreateContainerError", "failed to generate spec: not a directory"),
        "CreateContainerError",
    ),
    Row(
        "no such image of an init container",
        waiting("PodInitializing")
        | init(waiting={"reason": "ImagePullBackOff", "message": 'Back-off pulling "y"'}),
        "ImagePull",
        "init container 'fetch'",
    ),
)
