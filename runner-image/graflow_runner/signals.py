"""SIGTERM: user code's `finally` runs, and what happened is told before the kubelet kills.

As PID 1 the runner has no default handlers. A handler raises `Interrupted` in the main thread.
A thread hears of the signal too, through the wake-up descriptor, which works even while a C
call keeps the main thread from running handlers.
"""

import os
import signal
import threading
import time
import weakref
from collections.abc import Callable
from types import FrameType
from typing import Final

from graflow_runner import exitcodes
from graflow_runner.environment import say
from graflow_runner.errors import Interrupted

RESERVE_S: Final = 5.0
"""Seconds kept at the end of the grace period for telling that user code did not stop."""

_NUDGE_S: Final = 0.1
"""Pause after which a main thread whose handler has not run is woken up."""

_AGAIN_S: Final = 1.0
"""Pause after which user code that goes on is interrupted again, if nothing handles the first."""

_MOST_TIMES: Final = 2


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
        self._times = 0
        self._raised: weakref.ref[Interrupted] | None = None
        self._main = threading.main_thread().ident or 0
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
        # The first stage holds it back.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})

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
            self._times = _MOST_TIMES
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
        # Twice at most: more exceptions would break user code's cleanup.
        if not self._interruptible or self._times == _MOST_TIMES or not self._lost():
            return
        self._times += 1
        error = Interrupted("the pod was told to stop (SIGTERM) while the task ran")
        self._raised = weakref.ref(error)
        try:
            raise error
        finally:
            del error  # so that it is gone as soon as nobody handles it

    def _lost(self) -> bool:
        """Whether no exception was raised, or nobody has it any more.

        Python drops exceptions in finalizers without a word, and a signal may come during one.
        """
        return self._raised is None or self._raised() is None

    def _listen(self, out: int) -> None:
        while signal.SIGTERM not in os.read(out, 64):
            pass
        self.terminated.set()
        came = time.monotonic()
        ends = came + self._wait_s
        while (left_s := ends - time.monotonic()) > 0:
            if self._decided.wait(min(left_s, _NUDGE_S)):
                return
            again = self._times < _MOST_TIMES and time.monotonic() > came + _AGAIN_S
            if not self._seen or (again and self._lost()):
                # The signal came just before the main thread went to sleep, or its exception
                # got lost: the handler is to run once more.
                signal.pthread_kill(self._main, signal.SIGTERM)
        if self._decided.is_set():
            return
        say("the task did not stop in time after SIGTERM; giving up on it")
        try:
            if self._last_moment is not None:
                self._last_moment()
        finally:
            os._exit(exitcodes.INTERRUPTED)


def _forget() -> None:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
