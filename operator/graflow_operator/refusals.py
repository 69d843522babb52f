"""Pods that cannot be made for now, and when to try again.

The API server refuses them (quota, admission, rights), or their profile is missing.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass

from graflow.machine import reasons
from graflow.machine.state import Error
from graflow_operator.refs import AttemptRef

FIRST_S = 5.0
MOST_S = 60.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """An attempt's pod cannot be made."""

    until: float
    """When to try again, in seconds since the epoch; infinite where somebody will tell."""

    delay_s: float
    message: str
    """In the API server's words, where it is the one that refuses."""

    reason: str = reasons.POD_REFUSED


class Refusals(dict[AttemptRef, Refusal]):
    """The refusals of one run, by attempt."""

    def add(self, attempt: AttemptRef, message: str, now: float) -> None:
        """Note another refusal; each waits twice as long as the one before."""
        known = self.get(attempt)
        delay = min(known.delay_s * 2, MOST_S) if known else FIRST_S
        self[attempt] = Refusal(now + delay, delay, message)

    def await_profile(self, attempt: AttemptRef, error: Error) -> None:
        """Note that nothing is to be tried before the profile is there."""
        self[attempt] = Refusal(math.inf, 0.0, error.message, error.reason)

    def profile_found(self, attempt: AttemptRef) -> None:
        """Note that the profile is there."""
        self.pop(attempt, None)

    def wakes(self) -> list[float]:
        """Return when to try again, in seconds since the epoch."""
        return [refusal.until for refusal in self.values() if math.isfinite(refusal.until)]

    def keep(self, attempts: Collection[AttemptRef]) -> None:
        """Forget all but these: the others have a pod now, or need none any more."""
        for attempt in self.keys() - attempts:
            del self[attempt]

    def waiting(self, now: float) -> set[AttemptRef]:
        """Return the attempts whose next try is not due yet."""
        return {attempt for attempt, refusal in self.items() if refusal.until > now}
