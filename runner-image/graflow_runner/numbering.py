"""Numbers of calls that count once, however often they are sent: each process counts its own."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Numbers:
    """Counts calls of one kind, which are made one after the other."""

    def __init__(self) -> None:
        self._begin(stream=0)

    def _begin(self, stream: int) -> None:
        """Count this process's calls from the beginning."""
        self._pid = os.getpid()
        self.stream = stream
        """What tells this process's numbers from those of others."""

        self._number = 0
        self._turn = threading.Lock()

    @contextmanager
    def next(self) -> Iterator[dict[str, int]]:
        """Give the number of a call, as the call says it; the call is to be made meanwhile."""
        if os.getpid() != self._pid:  # user code forked: its numbers are not its parent's
            self._begin(stream=int.from_bytes(os.urandom(7), "big") | 1)
        with self._turn:
            self._number += 1
            yield {"stream": self.stream, "n": self._number}
