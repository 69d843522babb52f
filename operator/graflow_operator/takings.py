"""Pods that were taken away, refused by their nodes or stopped: why, in words of ours. Pure."""

from graflow.machine import reasons
from graflow.machine.state import Error
from graflow_operator.facts import Ended, Taken

_DISRUPTIONS = {
    "PreemptionByScheduler": reasons.PREEMPTED,
    "DeletionByTaintManager": reasons.EVICTED,
    "EvictionByEvictionAPI": reasons.EVICTED,
    "DeletionByPodGC": reasons.NODE_LOST,
    "TerminationByKubelet": reasons.EVICTED,
    "": reasons.POD_DELETED,
}
"""What the reason of the condition DisruptionTarget means; without one, somebody deleted it."""

_BY_KUBELET = {
    "Evicted": reasons.EVICTED,
    "Preempting": reasons.PREEMPTED,
    "NodeLost": reasons.NODE_LOST,
    "Terminated": reasons.NODE_SHUTDOWN,
    "NodeShutdown": reasons.NODE_SHUTDOWN,
    "Shutdown": reasons.NODE_SHUTDOWN,
}
"""What a pod's reason means that the kubelet has written, after it had taken the pod."""

_OWN_LIMITS = (
    "local ephemeral storage limit",
    "ephemeral local storage usage",
    "Usage of EmptyDir",
)
"""What the kubelet says of a pod that it evicts for a limit which the pod itself has named."""


def exceeded_storage(ended: Ended) -> bool:
    """Whether the kubelet evicted a pod because it wrote more than its own limit allows."""
    return ended.pod_reason == "Evicted" and any(w in ended.pod_message for w in _OWN_LIMITS)


def taken_away(pod: str, ended: Ended) -> Error | None:
    """Return why an ended pod was taken away; None if it was not."""
    by_kubelet = _BY_KUBELET.get(ended.pod_reason)
    if by_kubelet:
        why = ended.pod_message or (ended.taken and ended.taken.message) or ended.pod_reason
        return Error(by_kubelet, f"pod {pod} was taken away: {why}")
    if ended.taken is not None:
        return taken(pod, ended.taken)
    if ended.pod_reason and ended.exit_code is None:
        words = f"the node would not take pod {pod}: {ended.pod_reason}: {ended.pod_message}"
        return Error(reasons.NODE_REFUSED, words.rstrip(": "))
    return None


def taken(pod: str, by: Taken, what: str = "") -> Error:
    """Return why a pod is taken away, or has been.

    Args:
        pod: Its name.
        by: Who takes it away.
        what: In which state it was, in words.
    """
    reason = _DISRUPTIONS.get(by.reason, reasons.EVICTED)
    if reason == reasons.POD_DELETED:
        return Error(reason, f"pod {pod} was deleted {what}".rstrip())
    why = ": ".join(part for part in (by.reason, by.message) if part)
    return Error(reason, f"pod {pod} was taken away {what}".rstrip() + f": {why}")
