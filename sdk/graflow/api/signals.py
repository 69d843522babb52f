"""Which signal an exit code stands for, as container runtimes tell it."""

import signal

SIGNAL_BASE = 128


def signal_of(exit_code: int | None) -> str:
    """Return the name of the signal that an exit code stands for; empty if for none.

    >>> [signal_of(code) for code in (137, 143, 1, None)]
    ['SIGKILL', 'SIGTERM', '', '']
    """
    if exit_code is None or exit_code <= SIGNAL_BASE:
        return ""
    try:
        return signal.Signals(exit_code - SIGNAL_BASE).name
    except ValueError:
        return ""
