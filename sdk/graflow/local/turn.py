"""Lets the branches of a group begin in the order of the members (R4)."""

import threading


class Turn:
    """The time in which one branch begins: from its making until `over`."""

    def __init__(self, lock: threading.Lock) -> None:
        """Wait for the turn.

        Args:
            lock: Held during each turn of one group.
        """
        self._lock = lock
        lock.acquire()
        self.is_over = False
        """Whether others may have begun since."""

    def over(self) -> None:
        """Let the next branch begin. Called again it does nothing."""
        if not self.is_over:
            self.is_over = True
            self._lock.release()
