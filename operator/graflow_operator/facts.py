"""What a pod shows, translated from Kubernetes' words into the few that matter here. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from graflow.api import names
from graflow.machine import reasons
from graflow_operator.refs import AttemptRef, controllers, owner_name

SIGNAL_BASE = 128
_IMAGE = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull",
          "ImageInspectError", "RegistryUnavailable"}  # fmt: skip
_CONFIG = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}


@dataclass(frozen=True, slots=True)
class Ended:
    """How the task's container, or its pod as a whole, came to its end."""

    exit_code: int | None = None
    """Of the container; None when it never ran or nobody knows."""

    container_reason: str = ""
    """The runtime's word: Completed, Error, OOMKilled, StartError …"""

    message: str = ""
    """The termination message."""

    pod_reason: str = ""
    """The kubelet's word about the pod: Evicted, DeadlineExceeded …; often empty."""

    pod_message: str = ""
    disrupted: bool = False
    """Whether the pod was taken away: evicted, preempted, deleted."""


@dataclass(frozen=True, slots=True)
class Pending:
    """Why the task's container does not run yet."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class PodFact:
    """The latest that is known about one pod."""

    name: str
    uid: str
    run: str
    attempt: AttemptRef
    version: int
    """Greater is newer."""

    namespace: str = ""
    workflow: str = ""
    """Name of the Workflow that owns it."""

    node: str = ""
    created_at: float = 0.0
    started_at: float = 0.0
    """When the kubelet took the pod; deadlines count from here."""

    deleting: bool = False
    finalizers: tuple[str, ...] = ()

    running: bool = False
    """Whether the task's container runs, or has run."""

    ended: Ended | None = None
    pending: Pending | None = None
    ready: bool = True
    """False when its node does not answer for it."""

    @property
    def held(self) -> bool:
        """Whether our finalizer keeps it."""
        return names.OUTCOME_FINALIZER in self.finalizers


def of_pod(pod: Mapping[str, Any]) -> PodFact | None:
    """Return what a pod shows; None if it is none of ours.

    Labels alone do not make a pod ours: whoever may create pods may copy them. Its owner and the
    end of its name, which is derived from the attempt, must fit them.
    """
    metadata, status = pod["metadata"], pod.get("status", {})
    labels = metadata.get("labels", {})
    attempt = AttemptRef.of(labels)
    run = labels.get(names.LABEL_RUN)
    if attempt is None or not run or controllers(pod) != [run]:
        return None
    if not metadata["name"].endswith(f"-{names.short_hash(f'{run}/{attempt}')}"):
        return None
    container = _task_container(status)
    state = container.get("state", {})
    ended = _ended(metadata, status, state.get("terminated"))
    running = "running" in state or (ended is not None and ended.exit_code is not None)
    return PodFact(
        name=metadata["name"],
        uid=metadata["uid"],
        run=run,
        attempt=attempt,
        version=_version(metadata),
        namespace=metadata.get("namespace", ""),
        workflow=owner_name(pod),
        node=pod.get("spec", {}).get("nodeName", ""),
        created_at=seconds(metadata.get("creationTimestamp")),
        started_at=seconds(status.get("startTime")),
        deleting="deletionTimestamp" in metadata,
        finalizers=tuple(metadata.get("finalizers", ())),
        running=running,
        ended=ended,
        pending=None if running or ended else _pending(status, state.get("waiting")),
        ready=_condition(status, "Ready").get("reason") != "NodeNotReady",
    )


def seconds(time: str | None) -> float:
    """Return a time of Kubernetes as seconds since the epoch; 0.0 if there is none."""
    return datetime.fromisoformat(time).timestamp() if time else 0.0


def _version(metadata: Mapping[str, Any]) -> int:
    version = str(metadata.get("resourceVersion", ""))
    return int(version) if version.isdecimal() else 0


def _task_container(status: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the status of the one container that counts: sidecars may run on."""
    for container in status.get("containerStatuses", ()):
        if container.get("name") == names.TASK_CONTAINER:
            found: Mapping[str, Any] = container
            return found
    return {}


def _condition(status: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    for condition in status.get("conditions", ()):
        if condition.get("type") == kind:
            found: Mapping[str, Any] = condition
            return found
    return {}


def _ended(
    metadata: Mapping[str, Any],
    status: Mapping[str, Any],
    terminated: Mapping[str, Any] | None,
) -> Ended | None:
    if terminated is None and status.get("phase") not in ("Succeeded", "Failed"):
        return None
    terminated = terminated or {}
    disruption = _condition(status, "DisruptionTarget")
    disrupted = disruption.get("status") == "True"
    # The kubelet's stand-in for a container it lost sight of: no exit code of the program's own.
    known = terminated.get("reason") != "ContainerStatusUnknown"
    return Ended(
        exit_code=terminated.get("exitCode") if known else None,
        container_reason=terminated.get("reason", ""),
        message=terminated.get("message", ""),
        pod_reason=status.get("reason", "") or (disruption.get("reason", "") if disrupted else ""),
        pod_message=status.get("message", "") or disruption.get("message", ""),
        disrupted=disrupted or "deletionTimestamp" in metadata,
    )


def _pending(status: Mapping[str, Any], waiting: Mapping[str, Any] | None) -> Pending:
    scheduled = _condition(status, "PodScheduled")
    if scheduled.get("status") == "False":
        reason = scheduled.get("reason") or reasons.UNSCHEDULABLE
        known = reason in (reasons.UNSCHEDULABLE, "SchedulerError")
        words = scheduled.get("message") or "the scheduler has not found a node yet"
        return Pending(reasons.UNSCHEDULABLE if known else reason, words)
    word = (waiting or {}).get("reason", "")
    message = (waiting or {}).get("message", "")
    if word in _IMAGE:
        return Pending(reasons.IMAGE_PULL, message or word)
    if word in _CONFIG:
        return Pending(reasons.START_FAILED, f"{word}: {message}".rstrip(": "))
    return Pending(reasons.POD_PENDING, message or word or "the node has not started it yet")
