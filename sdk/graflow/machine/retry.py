"""When a failed or lost attempt is tried again, without jitter: a replay gives the same times."""

from graflow.machine.plan import Retry

_LOSS = Retry(initial_s=1.0, factor=2.0, max_s=30.0)
"""Lost attempts back off on their own: the node or the image may need a while."""


def backoff_s(retry: Retry, failures: int) -> float:
    """Return the wait in seconds after so many failures (at least 1).

    >>> [backoff_s(Retry(initial_s=1.0, factor=2.0, max_s=5.0), n) for n in (1, 2, 3, 4)]
    [1.0, 2.0, 4.0, 5.0]
    """
    exponent = min(failures - 1, 64)  # beyond any max_s, and short of overflow
    return min(retry.initial_s * retry.factor**exponent, retry.max_s)


def loss_backoff_s(losses: int) -> float:
    """Return the wait in seconds after so many lost attempts (at least 1)."""
    return backoff_s(_LOSS, losses)
