"""Pods that the API server refuses for now (quota, admission, rights), and when to ask again."""

from collections.abc import Collection
from dataclasses import dataclass

from graflow_operator.refs import AttemptRef

FIRST_S = 5.0
MOST_S = 60.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """The API server refused an attempt's pod."""

    until: float
    """When to try again, in seconds since the epoch."""

    delay_s: float
    message: str
    """In the API server's words."""


class Refusals(dict[AttemptRef, Refusal]):
    """The refusals of one run, by attempt."""

    def add(self, attempt: AttemptRef, message: str, now: float) -> None:
        """Note another refusal; each waits twice as long as the one before."""
        known = self.get(attempt)
        delay = min(known.delay_s * 2, MOST_S) if known else FIRST_S
        self[attempt] = Refusal(now + delay, delay, message)

    def keep(self, attempts: Collection[AttemptRef]) -> None:
        """Forget all but these: the others have a pod now, or need none any more."""
        for attempt in self.keys() - attempts:
            del self[attempt]

    def waiting(self, now: float) -> set[AttemptRef]:
        """Return the attempts whose next try is not due yet."""
        return {attempt for attempt, refusal in self.items() if refusal.until > now}
