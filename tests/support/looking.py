"""Waiting for what nobody tells of: one looks again and again."""

import time

WITHIN_S = 90.0
PAUSE_S = 0.2


def until(found, why=lambda: "", *, within_s=WITHIN_S, pause_s=PAUSE_S, despite=()):
    """Look until something is found; return it.

    Args:
        found: Looks once; what is false is not it yet.
        why: Says what there is instead, if it never comes.
        within_s: How long to look, in seconds.
        pause_s: Between two looks.
        despite: Errors of a look after which to look again.

    Raises:
        AssertionError: It did not come.
    """
    ends = time.monotonic() + within_s
    while True:
        error = None  # or this frame and the error keep each other, and what the error holds open
        try:
            if it := found():
                return it
        except despite as raised:
            error = raised
        if time.monotonic() > ends:
            raise AssertionError(f"not within {within_s:g} s: {why()}") from error
        time.sleep(pause_s)
