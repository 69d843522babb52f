"""What people see while they wait: one line a step on stderr, results on stdout."""

import sys
import time

_STARTED = time.monotonic()
_DIM, _RED, _PLAIN = "\033[2m", "\033[31m", "\033[0m"


def elapsed() -> str:
    """Return the time since the program began, as `12.3 s` or `4 min 05 s`."""
    return duration(time.monotonic() - _STARTED)


def duration(seconds: float) -> str:
    """Return a time for people.

    >>> duration(2.34), duration(245)
    ('2.3 s', '4 min 05 s')
    """
    if seconds < 60:  # noqa: PLR2004  seconds in a minute
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest:02d} s"


def say(text: str) -> None:
    """Report one step, with the time since the start."""
    stamp = f"{elapsed():>12}"
    if sys.stderr.isatty():
        stamp = f"{_DIM}{stamp}{_PLAIN}"
    print(f"{stamp}  {text}", file=sys.stderr, flush=True)


def complain(text: str) -> None:
    """Report what went wrong."""
    if sys.stderr.isatty():
        text = f"{_RED}{text}{_PLAIN}"
    print(text, file=sys.stderr, flush=True)


def answer(text: str) -> None:
    """Print what was asked for."""
    print(text, flush=True)
