"""Stops user code whose time is up (F3), as far as a thread can be stopped.

Python raises an exception in another thread at that thread's next instruction, so a call that
blocks, such as a long `sleep`, is let finish first; its attempt has failed all the same. A pod is
really stopped.
"""

import threading
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

    def __init__(self, seconds: float) -> None:
        self._thread = threading.get_ident()
        self._timer = threading.Timer(seconds, self._pass)
        self._timer.daemon = True
        self._mutex = threading.Lock()
        self._left = False
        self._passed = False

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        with self._mutex:
            self._left = True
        if self._passed:
            # It may not have been raised yet, and must not be raised later on.
            _raise_in(self._thread, None)
            raise TimeIsUp from error

    def _pass(self) -> None:
        with self._mutex:
            if not self._left:
                self._passed = True
                _raise_in(self._thread, Stopped)


def _raise_in(thread: int, kind: type[BaseException] | None) -> None:
    """Raise an exception in a thread at its next instruction; None: forget one not raised yet."""
    import ctypes  # noqa: PLC0415 - 10 ms that only tasks with a timeout need

    raised = ctypes.py_object(kind) if kind is not None else None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), raised)
