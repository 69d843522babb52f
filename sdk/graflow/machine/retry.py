"""When a failed or lost attempt is tried again. Pure, jitter included: a replay gives the same."""

from zlib import crc32

from graflow.machine.plan import Retry

LOSS = Retry(initial_s=1.0, factor=3.0, max_s=30.0)
"""Lost attempts back off on their own: one loss costs a second, and a disturbance of a minute, such
as a node that goes down and takes each new pod along, cannot spend the budget of five."""


def may_again(retry: Retry, failures: int, *, retryable: bool) -> bool:
    """Return whether there is another attempt after so many failures.

    Args:
        retry: How often to try.
        failures: Attempts that have failed.
        retryable: Whether another one may help after the last error.
    """
    return retryable and failures < retry.max_attempts


def backoff_s(retry: Retry, failures: int, *, salt: str = "") -> float:
    """Return the wait in seconds after so many failures (at least 1).

    Args:
        retry: How patient to be.
        failures: Attempts that have failed.
        salt: Of whom; with jitter, others wait otherwise.

    >>> [backoff_s(Retry(initial_s=1.0, factor=2.0, max_s=5.0), n) for n in (1, 2, 3, 4)]
    [1.0, 2.0, 4.0, 5.0]
    >>> 0.5 <= backoff_s(Retry(initial_s=1.0, jitter=True), 1, salt="task 7") < 1.5
    True
    """
    exponent = min(failures - 1, 64)  # beyond any max_s, and short of overflow
    wait_s = min(retry.initial_s * retry.factor**exponent, retry.max_s)
    return wait_s * (0.5 + _fraction(f"{salt}/{failures}")) if retry.jitter else wait_s


def loss_backoff_s(losses: int) -> float:
    """Return the wait in seconds after so many lost attempts (at least 1)."""
    return backoff_s(LOSS, losses)


def _fraction(text: str) -> float:
    """Return a number from 0 to 1 that looks as if drawn by lot, and is always the same."""
    return crc32(text.encode()) / 2**32
