"""When each of many things is to be looked at. Pure.

One heap for all, so that what waits costs nothing.
"""

import heapq
import math


class Agenda:
    """Moments by name; each name has one at most."""

    def __init__(self) -> None:
        self._at: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []

    def __len__(self) -> int:
        return len(self._at)

    def put(self, name: str, at: float | None) -> None:
        """Look at something then, in place of whenever before; None: not at all."""
        if at is None:
            self._at.pop(name, None)
        elif self._at.get(name) != at:
            self._at[name] = at
            heapq.heappush(self._heap, (at, name))

    def now(self, name: str) -> None:
        """Look at something at once."""
        self.put(name, -math.inf)

    def next_at(self) -> float | None:
        """Return when something is to be looked at next."""
        while self._heap and self._at.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def due(self, now: float) -> list[str]:
        """Return what is to be looked at by now, and have it looked at no more."""
        found: list[str] = []
        while (at := self.next_at()) is not None and at <= now:
            _, name = heapq.heappop(self._heap)
            del self._at[name]
            found.append(name)
        return found
