"""What the tasks of a run wait for, in the order in which people want to know. Pure."""

from collections.abc import Iterable, Iterator
from itertools import islice

from graflow.api import cut
from graflow.api.entries import ENDED, MOST_REASON, Entry, View
from graflow.api.moment import rfc3339
from graflow.api.workflow_status import Waiting, WorkflowStatus
from graflow.machine import faults, reasons
from graflow.machine.state import Error

MOST_MESSAGE = 1024
"""Bytes of a message as JSON."""

MOST_WAITS = 20
"""Of a status."""

_IN_ITS_COURSE = (
    reasons.BACKOFF,
    reasons.POD_PENDING,
    reasons.SUSPENDED,
    reasons.PARALLELISM,
    reasons.NAMESPACE_LIMIT,
    reasons.WAITING_FOR_TURN,
    reasons.HOLDING,
)
"""Waits that nobody need do anything about, the ones that tell more first: what holds waits for
others, and why these wait is what people look for."""


def waiting(
    view: View, found: Iterable[Entry], hold_up: Error | None
) -> tuple[tuple[Waiting, ...], int]:
    """Return what a run waits for, what tells most first, and how much that is in all.

    Args:
        view: What the status is made from.
        found: The entries of the run.
        hold_up: Why the run as a whole does not go on.
    """
    waits = [entry for entry in found if entry.reason and entry.phase not in ENDED]
    waits.sort(key=lambda entry: (_rank(entry.reason), entry.since))
    of_the_run = held_up(view.previous, hold_up, view.now) if hold_up else ()
    # A run may wait for many thousands: a model is made of those alone that have a place.
    shown = _mixed(waits) if len(waits) > MOST_WAITS else waits
    told = tuple(_waiting(view, entry) for entry in islice(shown, MOST_WAITS))
    return (*of_the_run, *told)[:MOST_WAITS], len(of_the_run) + len(waits)


def _waiting(view: View, entry: Entry) -> Waiting:
    reason = cut.cut(entry.reason, MOST_REASON)
    before = [one for one in view.previous.waiting if one.activation == entry.activation]
    since = rfc3339(entry.since)
    if before and before[0].reason not in (reason, reasons.POD_PENDING):
        since = rfc3339(view.now)  # what it waited for until now was something else
    elif before:
        since = max(before[0].since or "", since or "")
    return Waiting(
        task=entry.name,
        activation=entry.activation,
        reason=reason,
        message=cut.cut(entry.message, MOST_MESSAGE) or None,
        since=since or None,
        until=rfc3339(entry.until),
        advice=faults.of(reason).advice,
    )


def held_up(previous: WorkflowStatus, why: Error, now: float) -> tuple[Waiting]:
    """Return what a run as a whole waits for, since when it was told first."""
    told = (one.since for one in previous.waiting if not one.task and one.reason == why.reason)
    since = next(told, None) or rfc3339(now)
    message = cut.cut(why.message, MOST_MESSAGE) or None
    return (
        Waiting(
            reason=why.reason, message=message, since=since, advice=faults.of(why.reason).advice
        ),
    )


def in_its_course(reason: str) -> bool:
    """Whether a wait for this reason passes without anybody's doing."""
    return reason in _IN_ITS_COURSE


def shortened(wait: Waiting, limit: int) -> Waiting:
    """Return a wait whose message takes at most `limit` bytes as JSON."""
    message = cut.cut(wait.message or "", limit) or None
    return wait if message == wait.message else wait.model_copy(update={"message": message})


def _rank(reason: str) -> int:
    return _IN_ITS_COURSE.index(reason) + 1 if reason in _IN_ITS_COURSE else 0


def _mixed(waits: Iterable[Entry]) -> Iterator[Entry]:
    """Yield one of each reason, then the others: a thousand of one must not hide another."""
    seen: set[str] = set()
    later = []
    for wait in waits:
        if wait.reason in seen:
            later.append(wait)
        else:
            seen.add(wait.reason)
            yield wait
    yield from later
