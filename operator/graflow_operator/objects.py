"""What every object of Kubernetes has: a version, times, conditions, an end. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any


def version_of(thing: Mapping[str, Any]) -> int:
    """Return the version of an object; greater is newer, 0 is unknown."""
    found = str(thing["metadata"].get("resourceVersion", ""))
    return int(found) if found.isdecimal() else 0


def is_leaving(thing: Mapping[str, Any]) -> bool:
    """Whether an object was deleted, and is there only until its finalizers are off."""
    return "deletionTimestamp" in thing["metadata"]


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
