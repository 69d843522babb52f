"""How late the turns of an event loop come."""

import asyncio
import time
from collections import deque
from collections.abc import Callable

TICK_S = 0.5
MEMORY_S = 60.0


class Pulse:
    """Beats in a loop, and tells anybody how late its beats were.

    A loop that does not turn renews no Lease and answers nobody. `lag_s` is called from other
    threads, so that it can be seen while it lasts.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._due = clock() + TICK_S
        self._late: deque[tuple[float, float]] = deque()
        """When a beat came, and how late."""

    async def run(self, on_beat: Callable[[], None]) -> None:
        """Beat until cancelled, and call somebody at each beat."""
        while True:
            self._due = self._clock() + TICK_S
            await asyncio.sleep(TICK_S)
            self.beat()
            on_beat()

    def beat(self) -> None:
        """Note that the beat which was due has come."""
        now = self._clock()
        self._late.append((now, now - self._due))
        while self._late[0][0] < now - MEMORY_S:
            self._late.popleft()
        self._due = now + TICK_S

    def lag_s(self) -> float:
        """Return by how much the latest beat of the last minute was late, the one due included."""
        known = [late for _, late in tuple(self._late)]
        return max(0.0, self._clock() - self._due, *known)
