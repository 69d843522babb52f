"""What a run may start after a refusal that is not about one pod: rights, a quota, a webhook.

If each attempt waited for itself, thousands would ask in turn what one of them can find out. So
nothing starts until the pause is over, then one attempt does; once its pod is made, twice as many
each time. At most one more pod is refused than was made, however many attempts are due.
"""

from collections.abc import Set as AbstractSet

from graflow_operator.refs import AttemptRef

FIRST_S = 5.0
MOST_S = 60.0


def pause_s(before_s: float, asked_s: float) -> float:
    """Return how long to wait after another refusal, in seconds.

    Args:
        before_s: How long it was after the one before; 0 if there was none.
        asked_s: How long the API server asks to be left alone.

    >>> pause_s(0.0, 0.0), pause_s(20.0, 0.0), pause_s(60.0, 0.0), pause_s(5.0, 120.0)
    (5.0, 40.0, 60.0, 120.0)
    """
    return max(min(before_s * 2, MOST_S) if before_s else FIRST_S, asked_s)


class Gate:
    """Lets the attempts of one run start: all of them while it is open."""

    def __init__(self) -> None:
        self.is_open = True
        self.until = 0.0
        """When one may start to see whether it is over, in seconds since the epoch."""

        self._pause_s = 0.0
        self._sent: set[AttemptRef] = set()
        """Attempts that were let through since the last refusal, and were not refused."""

        self._trying = 0
        self._made = 0

    def shut(self, now: float, asked_s: float) -> float:
        """Note a refusal; return for how long nothing is to start, in seconds.

        Args:
            now: Seconds since the epoch.
            asked_s: How long the API server asks to be left alone.
        """
        if self.is_open or now >= self.until:
            # What else is refused in this pause was asked for before it began.
            before_s = 0.0 if self.is_open or self._made else self._pause_s
            self._pause_s = pause_s(before_s, asked_s)
            self.until = now + self._pause_s
        self.until = max(self.until, now + asked_s)
        self.is_open = False
        self._sent.clear()
        self._made = 0
        return self.until - now

    def returned(self, attempt: AttemptRef) -> None:
        """Note that an attempt that was let through has no pod, for a reason of its own."""
        self._sent.discard(attempt)

    def hasten(self, at: float) -> None:
        """Let the next one through at a moment, if it were to wait for longer."""
        if at < self.until:
            self.until, self._pause_s = at, 0.0

    def look(self, trying: AbstractSet[AttemptRef]) -> None:
        """Take note of which attempts' pods are being made now."""
        self._trying, self._made = len(trying), len(self._sent - trying)

    def room(self, now: float) -> int | None:
        """Return how many more may start, `now` in seconds since the epoch; None while open."""
        if self.is_open:
            return None
        return max(0, self._made + 1 - self._trying) if now >= self.until else 0

    def passed(self, sent: AbstractSet[AttemptRef], able: int) -> None:
        """Note which attempts start now, and how many could if it were open; open if it may."""
        self.is_open = self.is_open or 0 < self._made >= able - 1
        self._sent = set() if self.is_open else self._sent | sent
