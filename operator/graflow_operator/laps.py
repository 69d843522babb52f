"""How long the parts of a hop take, measured where they happen."""

import time
from collections.abc import Callable

from graflow_operator import metrics
from graflow_operator.refs import AttemptRef

PARTS = {
    "created": ("committed_created", ("due",)),
    "claimed": ("created_claimed", ("created",)),
    "running": ("claimed_running", ("claimed",)),
    "reported": ("running_reported", ("running", "claimed")),
    "committed": ("reported_committed", ("reported",)),
}
"""For each point: the part that ends there, and the points where it may have begun."""


class Laps:
    """The points that the attempts of one run have come to."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._points: dict[AttemptRef, dict[str, float]] = {}

    def mark(self, attempt: AttemptRef, point: str, *, ago_s: float = 0.0) -> None:
        """Note that an attempt has come to a point; the first time counts."""
        points = self._points.setdefault(attempt, {})
        if point in points:
            return
        points[point] = self._clock() - ago_s
        part, begins = PARTS.get(point, ("", ()))
        began = next((points[begin] for begin in begins if begin in points), None)
        if began is not None:
            metrics.START_LATENCY.observe(points[point] - began, part)
        if point == "committed":
            del self._points[attempt]

    def reported(self, attempt: AttemptRef, ran: str) -> None:
        """Note that a report has come.

        Args:
            attempt: Whose.
            ran: What its runner says of how long ago user code began, in seconds. It is believed
                only where it can be: the sender may be user code.
        """
        claimed = self._points.get(attempt, {}).get("claimed")
        if claimed is None:
            return
        try:
            ran_s = float(ran)
        except ValueError:
            ran_s = -1.0
        if 0.0 <= ran_s <= self._clock() - claimed:
            self.mark(attempt, "running", ago_s=ran_s)
        self.mark(attempt, "reported")
