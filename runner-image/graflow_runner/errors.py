"""Failures that the runner itself finds; each is reported as the attempt's error.

Imports nothing: it is loaded before the claim, and whatever comes before that delays the attempt.
"""


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


class Fenced(BaseException):  # like KeyboardInterrupt: an order, and no error
    """The attempt is over or another's; nothing that this process does counts any more.

    No `Exception`, so that user code that asks for a result does not catch it in passing.
    """


class Interrupted(BaseException):  # like KeyboardInterrupt: an order, and no error
    """The pod was told to stop. Raised in user code, so that its `finally` clauses run."""
