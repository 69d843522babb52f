"""What a pod shows, translated from Kubernetes' words into the few that matter here. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graflow.api import names
from graflow_operator import stuck
from graflow_operator.objects import condition, is_leaving, seconds, version_of
from graflow_operator.refs import AttemptRef, controllers, owner_name
from graflow_operator.stuck import Pending

CLEARING_UP_S = 30.0
"""How long a kubelet may take to clear up after a container that it has ended."""


@dataclass(frozen=True, slots=True)
class Taken:
    """Who takes a pod away, or has, in the words of Kubernetes."""

    reason: str = ""
    """That of the condition DisruptionTarget; empty when somebody just deleted the pod."""

    message: str = ""


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
    taken: Taken | None = None
    """Who took the pod away, if that is why it ended."""

    init: str = ""
    """The init container that all this is about, if one failed before the task's could run."""

    memory_limit: str = ""
    """Of the container, as Kubernetes writes it; empty if it has none."""


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

    runs_since: float = 0.0
    """When the container began to run, in seconds since the epoch; 0.0 if it does not run now."""

    ended: Ended | None = None
    pending: Pending | None = None
    taken: Taken | None = None
    """Who takes it away, if anybody does."""

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
    state = _task_container(status).get("state", {})
    taken = _taken(metadata, status)
    ended = _ended(pod, state.get("terminated"), taken)
    running = "running" in state or (
        ended is not None and ended.exit_code is not None and not ended.init
    )
    return PodFact(
        name=metadata["name"],
        uid=metadata["uid"],
        run=run,
        attempt=attempt,
        version=version_of(pod),
        namespace=metadata.get("namespace", ""),
        workflow=owner_name(pod),
        node=pod.get("spec", {}).get("nodeName", ""),
        created_at=seconds(metadata.get("creationTimestamp")),
        started_at=seconds(status.get("startTime")),
        deleting=is_leaving(pod),
        finalizers=tuple(metadata.get("finalizers", ())),
        running=running,
        runs_since=seconds(state.get("running", {}).get("startedAt")),
        ended=ended,
        pending=None if running or ended else stuck.pending(status, state.get("waiting")),
        taken=taken,
        # Of a pod that runs, the node's controller takes this away, without a reason.
        ready=not ("running" in state and condition(status, "Ready").get("status") == "False"),
    )


def _task_container(status: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the status of the task's container, the one that counts."""
    for container in status.get("containerStatuses", ()):
        if container.get("name") == names.TASK_CONTAINER:
            found: Mapping[str, Any] = container
            return found
    return {}


def _taken(metadata: Mapping[str, Any], status: Mapping[str, Any]) -> Taken | None:
    disruption = condition(status, "DisruptionTarget")
    if disruption.get("status") == "True":
        return Taken(disruption.get("reason", ""), disruption.get("message", ""))
    return Taken() if "deletionTimestamp" in metadata else None


def _taken_at(pod: Mapping[str, Any]) -> float:
    """Return when it was decided to take a pod away, in seconds since the epoch."""
    metadata, status = pod["metadata"], pod.get("status", {})
    deleted_at = seconds(metadata.get("deletionTimestamp"))
    grace_s = metadata.get("deletionGracePeriodSeconds", 0)
    if not grace_s:
        # The kubelet ends every deletion with one of its own, without grace and at its own time:
        # what is known is only that the first one was not earlier than this.
        grace_s = pod.get("spec", {}).get("terminationGracePeriodSeconds", 30) + CLEARING_UP_S
    decided = [
        deleted_at and deleted_at - grace_s,
        seconds(condition(status, "DisruptionTarget").get("lastTransitionTime")),
    ]
    return min((moment for moment in decided if moment), default=0.0)


def _ended(
    pod: Mapping[str, Any], terminated: Mapping[str, Any] | None, taken: Taken | None
) -> Ended | None:
    status = pod.get("status", {})
    if terminated is None and status.get("phase") not in ("Succeeded", "Failed"):
        return None
    name, init = names.TASK_CONTAINER, ""
    if terminated is None and (failed := _failed_init(status)):
        terminated, init = failed["state"]["terminated"], failed["name"]
        name = init
    terminated = terminated or {}
    finished_at = seconds(terminated.get("finishedAt"))
    if finished_at and finished_at < _taken_at(pod):
        taken = None  # it had ended by itself before anybody wanted the pod away
    return Ended(
        exit_code=terminated.get("exitCode") if _is_known(terminated) else None,
        container_reason=terminated.get("reason", ""),
        message=terminated.get("message", ""),
        pod_reason=status.get("reason", ""),
        pod_message=status.get("message", ""),
        taken=taken,
        init=init,
        memory_limit=_memory_limit(pod, name),
    )


def _is_known(terminated: Mapping[str, Any]) -> bool:
    """Whether an exit code is the program's own.

    Otherwise it is the stand-in of a kubelet, or of a container runtime, for a container that it
    lost sight of, as when the node was started anew.
    """
    return terminated.get("reason") not in ("ContainerStatusUnknown", "Unknown")


def _failed_init(status: Mapping[str, Any]) -> Mapping[str, Any] | None:
    for container in status.get("initContainerStatuses", ()):
        if container.get("state", {}).get("terminated", {}).get("exitCode"):
            found: Mapping[str, Any] = container
            return found
    return None


def _memory_limit(pod: Mapping[str, Any], container: str) -> str:
    spec = pod.get("spec", {})
    for found in (*spec.get("containers", ()), *spec.get("initContainers", ())):
        if found.get("name") == container:
            limits = (found.get("resources") or {}).get("limits") or {}
            return str(limits.get("memory", ""))
    return ""
