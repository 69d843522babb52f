"""Stops user code whose time, or that of its run, is up (F3), as far as a thread can be stopped.

Python raises an exception in another thread at that thread's next instruction, so a call that
blocks, such as a long `sleep`, is let finish first; its attempt has failed all the same. A pod is
really stopped.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Final, Self


class TimeIsUp(Exception):  # noqa: N818 - what it says
    """An attempt ran for too long."""


class Stopped(BaseException):
    """Raised in the thread of such an attempt; programs in it that have no say pass it on."""


ORDERS: Final = (KeyboardInterrupt, Stopped)
"""What is no error of a task, though it leaves one: it ends more than the attempt."""


class Deadline:
    """Stops the `with` that it guards once its time has passed, and raises `TimeIsUp` from it."""

    def __init__(self, seconds: float | None) -> None:
        """Take how long; None: until somebody else stops it."""
        self._thread = threading.get_ident()
        self._timer = None if seconds is None else self._timed(seconds)
        self._ends = 0.0
        """When the timer, if it goes, is over, by the monotonic clock."""
        self._rest_s = 0.0
        self._pauses = 0
        self._mutex = threading.Lock()
        self._entered = False
        self._left = False
        self._passed = False

    def __enter__(self) -> Self:
        if self._timer is not None:
            self._ends = time.monotonic() + self._timer.interval
            self._timer.start()
        with self._mutex:
            self._entered = True
            if self._passed:
                raise TimeIsUp
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._mutex:
            self._left = True
            if self._timer is not None:
                self._timer.cancel()
        if self._passed:
            # It may not have been raised yet, and must not be raised later on.
            _raise_in(self._thread, None)
            raise TimeIsUp from error

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let its time stand still, also where several threads wait; `stop` works all the same."""
        with self._mutex:
            self._pauses += 1
            if self._timer is not None and self._pauses == 1:
                self._timer.cancel()
                self._rest_s = max(0.0, self._ends - time.monotonic())
        try:
            yield
        finally:
            with self._mutex:
                self._pauses -= 1
                if self._timer is not None and not (self._pauses or self._left):
                    self._timer = self._timed(self._rest_s)
                    self._ends = time.monotonic() + self._rest_s
                    self._timer.start()

    def _timed(self, seconds: float) -> threading.Timer:
        timer = threading.Timer(seconds, self.stop)
        timer.daemon = True
        return timer

    def stop(self) -> None:
        """Stop what is guarded now, unless it is over."""
        with self._mutex:
            if self._left or self._passed:
                return
            self._passed = True
            if self._entered:  # before, nothing would turn it into `TimeIsUp`
                _raise_in(self._thread, Stopped)


class RunDeadline:
    """Ends a run once its time has passed, and stops the attempts that are under way then."""

    def __init__(self, seconds: float, end: Callable[[], None]) -> None:
        """Take how long, and what ends the run."""
        self._end = end
        self._timer = threading.Timer(seconds, self._pass)
        self._timer.daemon = True
        self._attempts: set[Deadline] = set()
        self._passed = False

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._timer.cancel()

    @contextmanager
    def attempt(self, timeout_s: float | None) -> Iterator[Deadline]:
        """Guard an attempt, which may have a limit of its own, and yield that guard.

        Raises:
            TimeIsUp: If its time, or that of the run, is over.
        """
        guard = Deadline(timeout_s)
        with guard:
            # No lock: an exception raised in this thread by the guard could leave it taken.
            self._attempts.add(guard)
            if self._passed:
                guard.stop()
            try:
                yield guard
            finally:
                self._attempts.discard(guard)

    def _pass(self) -> None:
        self._end()
        self._passed = True
        for attempt in tuple(self._attempts):
            attempt.stop()


def _raise_in(thread: int, kind: type[BaseException] | None) -> None:
    """Raise an exception in a thread at its next instruction; None: forget one not raised yet."""
    import ctypes  # noqa: PLC0415 - 10 ms that only tasks with a timeout need

    raised = ctypes.py_object(kind) if kind is not None else None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), raised)
