"""SIGTERM: user code's `finally` runs, and what happened is told before the kubelet kills.

As PID 1 the runner has no default handlers. A handler raises `Interrupted` in the main thread.
A thread hears of the signal too, through the wake-up descriptor, which works even while a C
call keeps the main thread from running handlers.
"""

import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Final

from graflow_runner import exitcodes
from graflow_runner.environment import say
from graflow_runner.errors import Interrupted

RESERVE_S: Final = 5.0
"""Seconds kept at the end of the grace period for telling that user code did not stop."""


class Signals:
    """The runner's answer to SIGTERM, from installation to the end of the process.

    Args:
        grace_s: Seconds between SIGTERM and SIGKILL.
    """

    def __init__(self, grace_s: float) -> None:
        self._wait_s = max(0.0, grace_s - RESERVE_S)
        self._last_moment: Callable[[], None] | None = None
        self._interruptible = False
        self._seen = False
        self._decided = threading.Event()
        self.terminated = threading.Event()
        """Set once SIGTERM came: whoever waits for something should hurry."""

    def install(self) -> None:
        """Take over SIGTERM for this process; what user code forks gets it back."""
        out, into = os.pipe()
        os.set_blocking(into, False)  # positional by definition
        signal.set_wakeup_fd(into, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._raise)
        os.register_at_fork(after_in_child=_forget)
        threading.Thread(target=self._listen, args=(out,), name="graflow", daemon=True).start()

    def on_last_moment(self, tell: Callable[[], None]) -> None:
        """Set what is called, in another thread, when user code does not end in time.

        That is shortly before the grace period ends; the process ends after it.
        """
        self._last_moment = tell

    def begin(self) -> None:
        """From now on SIGTERM interrupts the main thread.

        Raises:
            Interrupted: If it came already.
        """
        self._interruptible = True
        if self._seen:
            self._interruptible = False
            raise Interrupted("the pod was told to stop before the task began")

    def end(self) -> None:
        """From now on there is an outcome, and SIGTERM only makes its delivery hurry."""
        self._interruptible = False
        self._decided.set()

    def pause(self, seconds: float) -> None:
        """Wait, but return at once when SIGTERM comes."""
        if self.terminated.is_set():
            time.sleep(seconds)
        else:
            self.terminated.wait(seconds)

    def _raise(self, _signal: int, _frame: FrameType | None) -> None:
        self._seen = True
        if self._interruptible:
            self._interruptible = False  # once: a second exception would break user code's cleanup
            raise Interrupted("the pod was told to stop (SIGTERM) while the task ran")

    def _listen(self, out: int) -> None:
        while signal.SIGTERM not in os.read(out, 64):
            pass
        self.terminated.set()
        if not self._decided.wait(self._wait_s):
            say("the task did not stop in time after SIGTERM; giving up on it")
            try:
                if self._last_moment is not None:
                    self._last_moment()
            finally:
                os._exit(exitcodes.INTERRUPTED)


def _forget() -> None:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
