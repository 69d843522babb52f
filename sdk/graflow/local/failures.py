"""Errors of user code as the machine keeps them, and failed runs as the program sees them (F4)."""

from graflow.dsl.call import Callee
from graflow.exceptions import (
    ArgumentError,
    GraflowRuntimeError,
    GraflowWorkflowCanceledError,
    MaxStepsExceededError,
    ParallelGroupError,
    RetryLimitExceededError,
    words_of,
)
from graflow.local.deadline import TimeIsUp
from graflow.machine import reasons
from graflow.machine.plan import TaskPlan
from graflow.machine.state import Activation, Error, GroupFailure, RunPhase, State


def attempt_error(
    callee: Callee,
    plan: TaskPlan,
    activation: Activation,
    error: Exception | SystemExit,
    reason: str = reasons.TASK_FAILED,
) -> Error:
    """Return the machine's form of what an attempt raised; the user's form is its detail."""
    words = words_of(error)
    message = f"{type(error).__name__}: {words}"
    if isinstance(error, ArgumentError):
        return Error(reasons.ARGUMENTS_MISSING, message, error, retryable=False)
    retryable = callee.may_retry(error)
    failures = activation.failures + 1
    attempts = plan.retry.max_attempts
    shown: GraflowRuntimeError
    if retryable and failures >= attempts > 1:
        shown = RetryLimitExceededError(plan.id, failures, attempts - 1, error)
    else:
        shown = GraflowRuntimeError(f"An error occurred: {words}", error)
    shown.add_note(f"in task {plan.id!r}, attempt {activation.attempt}")
    return Error(reason, message, shown, retryable=retryable)


def too_slow(callee: Callee, plan: TaskPlan, activation: Activation, stopped: TimeIsUp) -> Error:
    """Return the machine's form of an attempt that ran longer than its task's timeout."""
    error = TimeoutError(f"task {plan.id!r} ran longer than its timeout of {plan.timeout_s} s")
    # Where it was stopped: all that tells one slow line from another.
    error.__cause__ = stopped
    return attempt_error(callee, plan, activation, error, reasons.DEADLINE_EXCEEDED)


def failure_of(state: State) -> GraflowRuntimeError:
    """Return the error that `execute` raises for a run that did not succeed."""
    if state.phase is RunPhase.CANCELLED:
        return GraflowWorkflowCanceledError(state.message)
    if state.failure is None:
        return GraflowRuntimeError(state.message)
    return shown_error(state.failure.error)


def shown_error(error: Error) -> GraflowRuntimeError:
    """Return an error of the machine as its user sees it."""
    if isinstance(error.detail, GraflowRuntimeError):
        return error.detail
    if isinstance(error.detail, GroupFailure):
        return _group_error(error.message, error.detail)
    if error.reason == reasons.MAX_STEPS_EXCEEDED:
        return MaxStepsExceededError(error.message)
    return GraflowRuntimeError(error.message)


def _group_error(message: str, failure: GroupFailure) -> ParallelGroupError:
    failed = [(member, shown_error(error)) for member, error in failure.failed]
    shown = ParallelGroupError(
        message,
        failure.group,
        [(member, str(error)) for member, error in failed],
        failure.succeeded,
        cause=failed[0][1].cause if failed else None,
    )
    for member, error in failed:
        shown.add_note(f"{member}: {error}")
    return shown
