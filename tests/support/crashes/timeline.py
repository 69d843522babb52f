"""An event loop whose time is a number: it jumps to the next timer when nothing else is to do."""

import asyncio
import contextlib
import gc
import selectors

MOST_S = 50_000.0
"""Virtual seconds that anything may take."""

MOST_TURNS = 200_000
"""Turns of the loop that anything may take; the longest run of an example takes some 10 000."""

GOODBYE_TURNS = 1_000
"""Turns for what is left to take note that it is cancelled."""


class StuckError(Exception):
    """What was run does not come to an end by itself."""


class NothingLeftError(StuckError):
    """Everybody waits, and nothing will ever happen."""


class EndlessError(StuckError):
    """It goes on and on."""


class _Jumping(selectors.SelectSelector):
    """Waits for nothing: what it is told to wait, it adds to the time."""

    now = 0.0

    def select(self, timeout=None):
        if timeout is None:
            raise NothingLeftError("everybody waits, and nothing will ever happen")
        self.now += max(0.0, timeout)
        return []


class Timeline(asyncio.SelectorEventLoop):
    """Runs the same coroutines in the same order each time, and no threads."""

    def __init__(self):
        self._jumping = _Jumping()
        super().__init__(self._jumping)
        self._clock_resolution = 1e-6
        self.allow(MOST_TURNS)

    def allow(self, turns):
        """Let it go on for so many turns more."""
        self._turns_left = turns
        self._ends_at = self._jumping.now + MOST_S

    def time(self):
        return self._jumping.now

    def run_in_executor(self, executor, func, *args):
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - whoever awaits it is told
            future.set_exception(error)
        return future

    def _run_once(self):
        """Take one turn. An error here reaches whoever runs the loop: no task can swallow it."""
        self._turns_left -= 1
        if self._turns_left < 0:
            raise EndlessError("too many turns of the loop")
        if self._jumping.now > self._ends_at:
            raise EndlessError(f"more than {MOST_S:.0f} virtual seconds")
        super()._run_once()


def run(main, of=""):
    """Run a coroutine to its end on a timeline of its own.

    Args:
        main: The coroutine.
        of: What it is, in words, for the error.

    Raises:
        StuckError: It, or what it has left behind, does not end; the text says what goes on.
    """
    loop = Timeline()
    gc.disable()  # it takes a tenth of the time otherwise
    try:
        try:
            return loop.run_until_complete(main)
        finally:
            _say_goodbye(loop)
    except StuckError as error:
        raise type(error)(f"{of}: {error}" if of else str(error)) from error
    finally:
        loop.close()
        gc.enable()


def _say_goodbye(loop):
    """Cancel what is left, and let it take note of that; it may not take that for a suggestion."""
    pending = asyncio.all_tasks(loop)
    if not pending:
        return
    over = loop.create_future()
    for task in pending:
        task.cancel()
        task.add_done_callback(lambda _: over.done() or _all_done(pending, over))
    loop.allow(GOODBYE_TURNS)
    try:
        loop.run_until_complete(over)
    except StuckError as error:
        left = sorted((task for task in pending if not task.done()), key=_name)
        names = ", ".join(map(_name, left))
        _close(left)
        raise EndlessError(f"cancelled, and goes on: {names}") from error


def _all_done(tasks, over):
    if all(task.done() for task in tasks):
        over.set_result(None)


def _name(task):
    return task.get_coro().__qualname__


def _close(tasks):
    """End what does not end, so that it tells nobody later."""
    for task in tasks:
        task._log_destroy_pending = False
        for _ in range(3):
            with contextlib.suppress(RuntimeError):  # it has gone on once more
                task.get_coro().close()
                break
