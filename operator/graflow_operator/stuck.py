"""Why a pod's container does not run yet, and since when. Pure."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from graflow.machine import reasons
from graflow_operator.objects import condition, seconds

_IMAGE = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull",
          "ImageInspectError", "RegistryUnavailable", "SignatureValidationFailed"}  # fmt: skip
_CREATE = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
_WAITED_FOR_TOO = ("ContainerCreating", "PodInitializing", "")
_ABSENT = ("not found", "find key", "does not exist", "non-existent config key")
_NO_CLAIM = re.compile(r'persistentvolumeclaim "[^"]*" not found')
_SANDBOX = {"FailedCreatePodSandBox", "NetworkNotReady"}
"""Reasons of Events of a pod whose node cannot run any: its network or its runtime is not there."""

_NO_RUNTIME = ("no runtime for", "runtime handler")
"""What containerd and CRI-O say of a `runtimeClassName` that the node does not have."""

_UNMADE = {"FailedMount", "FailedAttachVolume", "FailedMapVolume", "FailedPreStartHook"} | _SANDBOX
"""Reasons of Events of a pod whose container cannot be made, and whose status does not say so."""
TOLD = "Event"
"""The word of what a pod waits for where only Events tell of it."""

RETOLD_S = 360.0
"""What a kubelet tries again and again it tells of every 5 min at least, however often it fails."""

WORDS_CHARS = 1000
UNTOLD = "the node has not started it yet"
"""What is said of a pod where neither its status nor its Events say anything."""


@dataclass(frozen=True, slots=True)
class Pending:
    """Why the task's container does not run yet."""

    reason: str
    message: str
    """In the words of whoever knows: the scheduler, or the kubelet."""

    word: str = ""
    """The kubelet's word for it, such as ImagePullBackOff; empty where it has none."""

    since: float = 0.0
    """When the kubelet came to it, in seconds since the epoch; waits in queues do not count."""


def pending(status: Mapping[str, Any], waiting: Mapping[str, Any] | None) -> Pending:
    """Return why a container does not run.

    Args:
        status: The pod's.
        waiting: The state of the task's container, where it waits.
    """
    scheduled = condition(status, "PodScheduled")
    if scheduled.get("status") == "False":
        reason = scheduled.get("reason") or reasons.UNSCHEDULABLE
        known = reason in (reasons.UNSCHEDULABLE, "SchedulerError")
        words = scheduled.get("message") or "the scheduler has not found a node yet"
        if _NO_CLAIM.search(words):
            since = seconds(scheduled.get("lastTransitionTime"))
            return Pending(reasons.CONFIG_MISSING, words, reason, since)
        return Pending(reasons.UNSCHEDULABLE if known else reason, words)
    since = seconds(status.get("startTime"))
    word, message = (waiting or {}).get("reason", ""), (waiting or {}).get("message", "")
    if word in _WAITED_FOR_TOO and (init := _waiting_init(status)):
        word, message = init
    elif (done := condition(status, "Initialized")).get("status") == "True":
        since = max(since, seconds(done.get("lastTransitionTime")))
    if word in _IMAGE:
        return Pending(reasons.IMAGE_PULL, message or word, word, since)
    if word in _CREATE:
        absent = any(sign in message for sign in _ABSENT)
        missing = word == "CreateContainerConfigError" and absent
        reason = reasons.CONFIG_MISSING if missing else reasons.CREATE_CONTAINER_ERROR
        return Pending(reason, f"{word}: {message}".rstrip(": "), word, since)
    return Pending(reasons.POD_PENDING, message or word or UNTOLD, word)


def told(events: Iterable[Mapping[str, Any]], *, since: float, now: float) -> Pending | None:
    """Return what keeps a pod from running according to its Events; None if they do not say.

    Args:
        events: Events about the pod.
        since: When its kubelet took it, in seconds since the epoch.
        now: Seconds since the epoch.
    """
    latest = max(events, key=_when, default={})
    if latest.get("reason") not in _UNMADE or now - _when(latest) > RETOLD_S:
        return None
    word, message = latest["reason"], " ".join(str(latest.get("message", "")).split())
    return Pending(_of_event(word, message), f"{word}: {message}"[:WORDS_CHARS], TOLD, since)


def _of_event(word: str, message: str) -> str:
    if word in _SANDBOX and not any(sign in message for sign in _NO_RUNTIME):
        return reasons.SANDBOX_FAILED
    absent = word not in _SANDBOX and any(sign in message for sign in _ABSENT)
    return reasons.CONFIG_MISSING if absent else reasons.CREATE_CONTAINER_ERROR


def _when(event: Mapping[str, Any]) -> float:
    series = event.get("series") or {}
    time = series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime")
    return seconds(time)


def is_silent(found: Pending) -> bool:
    """Whether a pod with its kubelet does not say itself what keeps it from running."""
    return found.reason == reasons.POD_PENDING or found.word == TOLD


def telling(before: Pending | None, now: Pending | None) -> Pending | None:
    """Return what a pod waits for in the words that say most.

    Between two pulls of an image the kubelet only says that it waits; why, it has said before.
    """
    if before is None or now is None or now.word != "ImagePullBackOff":
        return now
    return before if before.reason == now.reason and before.since == now.since else now


def _waiting_init(status: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return what an init container waits for, if one is what all the others wait for."""
    for container in status.get("initContainerStatuses", ()):
        waiting = container.get("state", {}).get("waiting", {})
        if waiting.get("reason") in _IMAGE | _CREATE:
            words = waiting.get("message") or waiting["reason"]
            return waiting["reason"], f"init container {container.get('name')!r}: {words}"
    return None
