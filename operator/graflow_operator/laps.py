"""How long the parts of a hop take, measured where they happen."""

import time

from graflow_operator import metrics
from graflow_operator.refs import AttemptRef

PARTS = {
    "created": ("committed_created", "due"),
    "claimed": ("created_claimed", "created"),
    "reported": ("claimed_reported", "claimed"),
    "committed": ("reported_committed", "reported"),
}
"""For each point: the part that ends there, and the point where that part began."""


class Laps:
    """The points that the attempts of one run have come to."""

    def __init__(self) -> None:
        self._points: dict[AttemptRef, dict[str, float]] = {}

    def mark(self, attempt: AttemptRef, point: str) -> None:
        """Note that an attempt has come to a point; the first time counts."""
        points = self._points.setdefault(attempt, {})
        if point in points:
            return
        points[point] = time.monotonic()
        part, began = PARTS.get(point, ("", ""))
        if began in points:
            metrics.START_LATENCY.labels(part).observe(points[point] - points[began])
        if point == "committed":
            del self._points[attempt]
