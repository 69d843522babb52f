"""What an error of a task is called, and what a program is told of it (F1, F4): on every host."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from graflow.exceptions import (
    ArgumentError,
    CycleLimitExceededError,
    FeedbackTimeoutError,
    GraflowRuntimeError,
    GraflowWorkflowCanceledError,
    InvalidTransitionError,
    MaxStepsExceededError,
    QuestionChangedError,
    RetryLimitExceededError,
)
from graflow.machine import reasons

_SAID_BY_THE_MESSAGE: Final[Mapping[str, type[GraflowRuntimeError]]] = {
    reasons.ARGUMENTS_MISSING: ArgumentError,
    reasons.INVALID_TRANSITION: InvalidTransitionError,
    reasons.MAX_STEPS_EXCEEDED: MaxStepsExceededError,
}

_NEVER_AGAIN: Final[Mapping[type[GraflowRuntimeError], str]] = {
    ArgumentError: reasons.ARGUMENTS_MISSING,
    CycleLimitExceededError: reasons.CYCLE_LIMIT_EXCEEDED,
    InvalidTransitionError: reasons.INVALID_TRANSITION,
    FeedbackTimeoutError: reasons.FEEDBACK_TIMEOUT,
    QuestionChangedError: reasons.QUESTION_CHANGED,
}
"""What no other attempt can mend."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is known of an error where it was raised."""

    reason: str
    """One word of `graflow.machine.reasons`."""

    retryable: bool
    """Whether another attempt may help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failing:
    """The task that an error is about, as far as its exception tells of it."""

    task_id: str
    failures: int = 1
    """Attempts of the activation that have failed, the last one included."""

    max_attempts: int = 1
    cycle_count: int = 1
    max_cycles: int = 1


def judge(error: BaseException, may_retry: Callable[[BaseException], bool]) -> Judgement:
    """Return what to call an error of user code, or of what comes right before it.

    Args:
        error: What was raised.
        may_retry: What the task's own retry policy says of an error.
    """
    for kind, reason in _NEVER_AGAIN.items():
        if _is_nothing_but(kind, error):
            return Judgement(reason, retryable=False)
    reason = reasons.SYSTEM_EXIT if isinstance(error, SystemExit) else reasons.TASK_FAILED
    return Judgement(reason, may_retry(error))


def _is_nothing_but(kind: type[BaseException], error: BaseException) -> bool:
    """Whether it is an error of that kind, or several at once, as out of a TaskGroup."""
    if isinstance(error, BaseExceptionGroup):
        return error.split(kind)[1] is None
    return isinstance(error, kind)


def documented(
    reason: str, message: str, failing: Failing | None = None, cause: BaseException | None = None
) -> GraflowRuntimeError | None:
    """Return the exception that is documented for a reason; None where any other will do.

    Args:
        reason: Why a task or a run failed, or that it was cancelled.
        message: The same in a sentence.
        failing: The task that failed, if one did.
        cause: What it raised.
    """
    if kind := _SAID_BY_THE_MESSAGE.get(reason):
        return kind(message)
    match reason:
        case reasons.CANCELLED:
            return GraflowWorkflowCanceledError(message, failing.task_id if failing else None)
        case reasons.CYCLE_LIMIT_EXCEEDED if failing:
            return CycleLimitExceededError(failing.task_id, failing.cycle_count, failing.max_cycles)
        case _ if failing and failing.failures >= failing.max_attempts > 1:
            retries = failing.max_attempts - 1
            return RetryLimitExceededError(failing.task_id, failing.failures, retries, cause)
        case _:
            return None
