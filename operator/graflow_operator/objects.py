"""What objects of Kubernetes say of themselves: a version, times, conditions, an end. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from graflow.machine.state import RunPhase

_ENDED = tuple(phase.value for phase in RunPhase if phase.ended)


def version_of(thing: Mapping[str, Any]) -> int:
    """Return the version of an object; greater is newer, 0 is unknown."""
    found = str(thing["metadata"].get("resourceVersion", ""))
    return int(found) if found.isdecimal() else 0


def is_leaving(thing: Mapping[str, Any]) -> bool:
    """Whether an object was deleted, and is there only until its finalizers are off."""
    return "deletionTimestamp" in thing["metadata"]


def has_ended(workflow: Mapping[str, Any]) -> bool:
    """Whether a run has ended, as its status says."""
    return (workflow.get("status") or {}).get("phase") in _ENDED


def condition(status: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """Return the condition of this kind in a status; an empty one if there is none."""
    for found in status.get("conditions", ()):
        if found.get("type") == kind:
            known: Mapping[str, Any] = found
            return known
    return {}


def seconds(time: str | None) -> float:
    """Return a time of Kubernetes as seconds since the epoch; 0.0 if there is none."""
    return datetime.fromisoformat(time).timestamp() if time else 0.0
