"""Locks of a channel as user code holds them: in a `with`, and in one thread as often as wanted."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Acquire = Callable[[str, float], int]
"""Waits for a lock, at most so many seconds, and returns its ticket; else TimeoutError."""

Release = Callable[[str, int], None]
"""Gives the lock of a ticket back."""


class Locks:
    """The locks that the threads of one attempt hold.

    Args:
        acquire: Gets a lock from whoever keeps them.
        release: Gives it back.
    """

    def __init__(self, acquire: Acquire, release: Release) -> None:
        self._acquire = acquire
        self._release = release
        self._depths: dict[tuple[int, int, str], int] = {}

    @contextmanager
    def hold(self, key: str, timeout: float) -> Iterator[None]:
        """Hold a lock; the thread that holds it already goes right in.

        Raises:
            TimeoutError: If others hold it for longer than `timeout` seconds.
        """
        mine = (os.getpid(), threading.get_ident(), key)
        if mine in self._depths:
            self._depths[mine] += 1
            try:
                yield
            finally:
                self._depths[mine] -= 1
            return
        ticket = self._acquire(key, timeout)
        self._depths[mine] = 1
        try:
            yield
        finally:
            del self._depths[mine]
            self._release(key, ticket)


def not_free(key: str, timeout: float) -> TimeoutError:
    """Return the error of a lock that was not to be had."""
    return TimeoutError(f"the lock {key!r} was not free within {timeout} s")
