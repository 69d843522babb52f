"""What is to be told of a request, as its status records it: pure.

An entry is written in the same status as what it tells of, before anybody tries to deliver it, and
is gone from nobody's sight until it was delivered or given up: a crash between loses nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from graflow_operator.cluster import Object
from graflow_operator.objects import seconds

MOST = 20
"""Entries that a status has room for."""

FIRST_PAUSE_S, MOST_PAUSE_S = 1.0, 300.0
GIVEN_UP_S = 24 * 3600.0
"""So long after what it tells of, an entry is given up."""

PENDING, DELIVERED, GIVEN_UP = "Pending", "Delivered", "GivenUp"
EVENTS = ("Asked", "Reminder", "Escalated", "Answered", "Expired")


class Entry(NamedTuple):
    """Which notification: of what, to whom."""

    target: str
    event: str
    time: str
    """When that happened, RFC 3339; tells reminders apart."""

    @classmethod
    def of(cls, noted: Mapping[str, Any]) -> "Entry":
        """Return the entry that a status names."""
        return cls(noted["target"], noted["event"], noted["time"])


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of the tries to deliver an entry."""

    attempts: int
    phase: str
    message: str
    next_at: float
    """When to try again, in seconds since the epoch."""


def noted(status: Object, event: str, targets: Iterable[str], at: str) -> Object:
    """Return a status in which it is recorded that targets are to be told of an event.

    Of the same event only the newest is kept, and what was delivered makes room first.
    """
    new = [
        {"target": name, "event": event, "phase": PENDING, "attempts": 0, "time": at}
        for name in targets
    ]
    if not new:
        return status
    told = {one["target"] for one in new}
    kept = [
        one
        for one in status.get("notifications") or ()
        if not (one["event"] == event and one["target"] in told)
    ]
    over = len(kept) + len(new) - MOST
    for one in sorted(kept, key=lambda one: one["phase"] == PENDING)[: max(0, over)]:
        kept.remove(one)
    return {**status, "notifications": [*kept, *new][-MOST:]}


def pending(request: Object) -> list[Entry]:
    """Return what was not delivered yet."""
    found = (request.get("status") or {}).get("notifications") or ()
    return [Entry.of(one) for one in found if one["phase"] == PENDING]


def attempts_of(request: Object, entry: Entry) -> int:
    """Return how often an entry was tried, as far as is recorded."""
    found = (request.get("status") or {}).get("notifications") or ()
    return next((one.get("attempts", 0) for one in found if Entry.of(one) == entry), 0)


def recorded(status: Object, tried: Mapping[Entry, Tried]) -> Object:
    """Return a status that says what came of tries.

    A try that met what the one before has met is not worth a write.
    """
    notifications = status.get("notifications") or ()
    after = [_recorded(one, tried.get(Entry.of(one))) for one in notifications]
    return status if after == list(notifications) else {**status, "notifications": after}


def _recorded(one: Object, tried: Tried | None) -> Object:
    if tried is None or one["phase"] != PENDING:
        return one
    if (tried.phase, tried.message) == (PENDING, one.get("message", "")):
        return one
    known = {"phase": tried.phase, "attempts": tried.attempts}
    return {**one, **known, **({"message": tried.message} if tried.message else {})}


def after_try(
    entry: Entry, attempts: int, now: float, refusal: str, *, last: bool = False
) -> Tried:
    """Return what a try comes to.

    Args:
        entry: What was to be delivered.
        attempts: How many tries there were, this one included.
        now: Seconds since the epoch.
        refusal: Why it was not delivered; "" if it was.
        last: Whether another try would make no sense.
    """
    if not refusal:
        return Tried(attempts, DELIVERED, "", now)
    if last or now - seconds(entry.time) >= GIVEN_UP_S:
        return Tried(attempts, GIVEN_UP, refusal, now)
    pause_s = min(FIRST_PAUSE_S * 2.0 ** min(attempts - 1, 20), MOST_PAUSE_S)
    return Tried(attempts, PENDING, refusal, now + pause_s)
