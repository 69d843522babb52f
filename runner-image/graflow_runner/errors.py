"""Failures that the runner itself finds; each is reported as the attempt's error."""

from graflow.machine import reasons


class AttemptError(Exception):
    """The attempt cannot be run, or its outcome cannot be told as it is.

    Args:
        reason: One word of `graflow.machine.reasons`.
        message: What is wrong, and the way out.
        retryable: Whether another attempt may do better.
    """

    def __init__(self, reason: str, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.reason = reason
        self.retryable = retryable


class BundleError(AttemptError):
    """The code bundle cannot be used."""

    def __init__(self, message: str, *, reason: str = reasons.BUNDLE_CORRUPT) -> None:
        super().__init__(reason, message)


class Fenced(BaseException):  # noqa: N818  # like KeyboardInterrupt: an order, and no error
    """The attempt is over or another's; nothing that this process does counts any more.

    No `Exception`, so that user code that asks for a result does not catch it in passing.
    """


class Interrupted(BaseException):  # noqa: N818  # like KeyboardInterrupt: an order, and no error
    """The pod was told to stop. Raised in user code, so that its `finally` clauses run."""
