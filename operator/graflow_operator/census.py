"""Counts for Prometheus: which Workflows there are, what they wait for, how fresh the news is.

Of the replica that leads alone: one that does not lead knows nothing, and says nothing.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from graflow.api.workflow_status import Counts, WorkflowStatus
from graflow.machine import reasons
from graflow.machine.state import Error, RunPhase
from graflow_operator import metrics
from graflow_operator.cluster import Object
from graflow_operator.objects import seconds, version_of


@dataclass(frozen=True, slots=True)
class Standing:
    """How a Workflow that is driven stands."""

    waiting: Counter[str] = field(default_factory=Counter)
    """Tasks that wait, by reason."""

    oldest: dict[str, float] = field(default_factory=dict)
    """Since when the first of them waits, or the run as a whole; seconds since the epoch."""

    held: str = ""
    """Why the run as a whole stands still; empty if it does not."""


def standing(
    status: WorkflowStatus | None, waits: Iterable[str] = (), hold_up: Error | None = None
) -> Standing:
    """Return how a Workflow stands.

    Args:
        status: What people are told; of very many waits it has only the oldest.
        waits: Reasons of all waits that are not the machine's own.
        hold_up: Why the run as a whole stands still.
    """
    if status is None:
        return Standing()
    oldest: dict[str, float] = {}
    for one in status.waiting:
        since = seconds(one.since)
        oldest[one.reason] = min(since, oldest.get(one.reason, since))
    counts = status.counts or Counts()
    own = Counter({reasons.BACKOFF: counts.waiting, reasons.HOLDING: counts.holding})
    told = Counter(one.reason for one in status.waiting if one.task is not None)
    return Standing(+(told | Counter(waits) | own), oldest, hold_up.reason if hold_up else "")


class Census:
    """What one term of leadership has seen."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[str, tuple[int, str]] = {}
        """Version and phase of each Workflow, by uid."""

        self._heard: dict[str, float] = {}
        self._closed = False

    def heard(self, resource: str) -> None:
        """Note that there was news of a kind of objects."""
        known, self._heard[resource] = resource in self._heard, self._clock()
        if not (known or self._closed):
            metrics.WATCH_AGE.compute(lambda: self._clock() - self._heard[resource], resource)

    def workflow_seen(self, kind: str | None, workflow: Object) -> None:
        """Take note of a Workflow of this installation."""
        uid = workflow["metadata"]["uid"]
        if kind == "DELETED":
            self._known.pop(uid, None)
        else:
            self._known[uid] = _phase(workflow)

    def listed(self, workflows: Iterable[Object]) -> None:
        """Take note of all Workflows of this installation that there are."""
        seen = self._known
        self._known = {
            uid: max(_phase(found), seen.get(uid, (0, "")))
            for found in workflows
            if (uid := found["metadata"]["uid"])
        }

    def publish(self, driven: Iterable[tuple[Standing, int]], now: float) -> None:
        """Tell how things stand.

        Args:
            driven: Each Workflow that is driven, and how many letters wait to be folded for it.
            now: Seconds since the epoch.
        """
        if self._closed:
            return
        metrics.WORKFLOWS.replace(Counter(phase for _, phase in self._known.values()))
        letters: list[int] = []
        waiting: Counter[str] = Counter()
        held: Counter[str] = Counter()
        oldest: dict[str, float] = {}
        for one, waiting_letters in driven:
            letters.append(waiting_letters)
            # Not `update`: it looks at what it is given for longer than this adds.
            for reason, count in one.waiting.items():
                waiting[reason] += count
            for reason, since in one.oldest.items():
                oldest[reason] = min(since, oldest.get(reason, since))
            if one.held:
                held[one.held] += 1
        metrics.RUNS_ACTIVE.set(len(letters))
        metrics.MAILBOX.set(sum(letters))
        metrics.MAILBOX_DEEPEST.set(max(letters, default=0))
        metrics.WAITING.replace(waiting)
        metrics.WAITING_OLDEST.replace({r: max(0.0, now - since) for r, since in oldest.items()})
        metrics.HELD.replace(held)

    def close(self) -> None:
        """Say nothing any more, whatever may still come: another replica counts now."""
        self._closed = True
        for level in (
            *(metrics.WORKFLOWS, metrics.RUNS_ACTIVE, metrics.MAILBOX, metrics.MAILBOX_DEEPEST),
            *(metrics.WAITING, metrics.WAITING_OLDEST, metrics.HELD, metrics.WATCH_AGE),
        ):
            level.clear()


def _phase(workflow: Object) -> tuple[int, str]:
    """Return the version of a Workflow, and the phase that it shows."""
    phase = (workflow.get("status") or {}).get("phase") or RunPhase.PENDING.value
    return version_of(workflow), phase
