"""Pods that cannot be made for now: why, since when, and when to try again.

The API server refuses them (quota, admission, rights), or their profile is missing.
"""

import math
from collections.abc import Collection, Container, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from graflow.machine import reasons
from graflow.machine.faults import FaultKind, of
from graflow.machine.state import Error
from graflow_operator.gate import Gate, pause_s
from graflow_operator.refs import AttemptRef

FREED_S = 1.0
"""How long after the end of a pod its quota may be tried again: it is counted by and by."""

_OF_ALL = frozenset(
    {
        reasons.FORBIDDEN,
        reasons.NAMESPACE_TERMINATING,
        reasons.QUOTA_USED,
        reasons.WEBHOOK_UNAVAILABLE,
    }
)
"""Reasons that are none of one pod's own: what holds for one holds for all that the run starts."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An attempt's pod cannot be made."""

    until: float
    """When to try again, in seconds since the epoch; infinite where somebody will tell."""

    delay_s: float
    error: Error
    """Why, in the API server's words, where it is the one that refuses."""

    since: float
    """Since when it is refused for reasons of this kind, in seconds since the epoch."""

    gives_up_at: float = 0.0
    """When it has lasted for too long, in seconds since the epoch; 0 if it may last for ever."""

    of_all: bool = False
    """Whether it holds for whatever the run would start."""

    @property
    def tried_at(self) -> float:
        """When it was refused the last time, in seconds since the epoch."""
        return self.until - self.delay_s

    @property
    def reason(self) -> str:
        """Why, in one word."""
        return self.error.reason

    @property
    def message(self) -> str:
        """Why, in words."""
        return self.error.message

    @property
    def is_configuration(self) -> bool:
        """Whether somebody has to mend something, and is not given for ever to do so."""
        return of(self.error.reason).kind is FaultKind.CONFIGURATION


class Refusals(dict[AttemptRef, Refusal]):
    """The refusals of one run, by attempt."""

    def __init__(self, patience_s: float) -> None:
        """Remember refusals.

        Args:
            patience_s: How long somebody has to mend what is wrong, in seconds.
        """
        super().__init__()
        self._patience_s = patience_s
        self._before: dict[AttemptRef, float] = {}
        """Since when, of those that a predecessor knew of."""

        self.gate = Gate()
        self.of_all: Refusal | None = None
        """The refusal that keeps the whole run from starting anything."""

    def recall(self, known: Mapping[AttemptRef, float]) -> None:
        """Take over since when attempts have been refused, as an operator before has noted it."""
        self._before = dict(known)

    def add(
        self,
        attempt: AttemptRef,
        error: Error,
        now: float,
        after_s: float = 0.0,
        *,
        of_all: bool = False,
    ) -> None:
        """Note another refusal; each waits twice as long as the one before, and at least so long.

        Args:
            attempt: Whose pod was refused.
            error: Why.
            now: Seconds since the epoch.
            after_s: How long the API server asks to be left alone, in seconds.
            of_all: Whether it holds for all that the run starts, whatever the reason.
        """
        if of_all or error.reason in _OF_ALL:
            delay = self.gate.shut(now, after_s)
            self._note(attempt, Refusal(now + delay, delay, error, now, of_all=True))
            self.of_all = self[attempt]
        else:
            known = self.get(attempt)
            delay = pause_s(known.delay_s if known else 0.0, after_s)
            self._note(attempt, Refusal(now + delay, delay, error, now))

    def freed(self, now: float) -> None:
        """Note that a pod of the run has ended: what it had of a quota can be had again."""
        if self.of_all and self.of_all.reason == reasons.QUOTA_USED:
            self.gate.hasten(now + FREED_S)

    def await_profile(self, attempt: AttemptRef, error: Error, now: float) -> None:
        """Note that nothing is to be tried before the profile is there."""
        self._note(attempt, Refusal(math.inf, 0.0, error, now))

    def _note(self, attempt: AttemptRef, made: Refusal) -> None:
        self.gate.returned(attempt)
        known = self.get(attempt)
        since = self._before.get(attempt) if made.is_configuration else None
        if known is not None and known.is_configuration is made.is_configuration:
            since = known.since
        if since is None:
            since = made.since
        gives_up_at = since + self._patience_s if made.is_configuration else 0.0
        self[attempt] = replace(made, since=since, gives_up_at=gives_up_at)

    def profile_found(self, attempt: AttemptRef) -> None:
        """Note that the profile is there."""
        self.pop(attempt, None)

    def noted(self) -> Mapping[AttemptRef, float]:
        """Return since when attempts have been refused that are not to be so for ever."""
        known = {ref: refusal.since for ref, refusal in self.items() if refusal.is_configuration}
        return {**self._before, **known}

    def overdue(self, now: float) -> dict[AttemptRef, Error]:
        """Return the attempts that nobody has helped for so long, and why they were refused.

        Not those that are being tried just now: their pods may come to exist.
        """
        return {
            attempt: refusal.error
            for attempt, refusal in self.items()
            if refusal.is_configuration and refusal.gives_up_at <= now < refusal.until
        }

    def wakes(self) -> list[float]:
        """Return when to look again, in seconds since the epoch."""
        tries = [refusal.until for refusal in self.values() if math.isfinite(refusal.until)]
        tries.append(self.gate.until)
        return tries + [r.gives_up_at for r in self.values() if r.is_configuration]

    def keep(self, due: Collection[AttemptRef], pods: Container[AttemptRef]) -> None:
        """Forget all but what is due and has no pod."""
        if self or self._before:
            kept = {ref for ref in due if ref not in pods}
            for known in (self, self._before):
                for attempt in known.keys() - kept:
                    del known[attempt]

    def waiting(self, now: float) -> set[AttemptRef]:
        """Return the attempts whose next try is not due yet."""
        gate_s = self.gate.until
        return {
            attempt
            for attempt, refusal in self.items()
            if now < (min(refusal.until, gate_s) if refusal.of_all else refusal.until)
        }

    def passed(self, sent: AbstractSet[AttemptRef], able: int) -> None:
        """Note which attempts start now, of how many that could; forget what is over by that."""
        self.gate.passed(sent, able)
        if self.gate.is_open and self.of_all is not None:
            self.of_all = None
            for attempt in [ref for ref, refusal in self.items() if refusal.of_all]:
                del self[attempt]

    def in_turn(self, due: Sequence[AttemptRef]) -> Sequence[AttemptRef]:
        """Return attempts in the order in which they find out whether a refusal of all is over.

        Where it may last for ever, they take turns: what is too large for what a quota has left
        does not keep the small ones from it.
        """
        if self.of_all is None or self.of_all.is_configuration:
            return due
        return sorted(due, key=lambda ref: self[ref].tried_at if ref in self else 0.0)
