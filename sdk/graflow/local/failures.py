"""Errors of user code as the machine keeps them, and failed runs as the program sees them (F4)."""

from graflow.dsl.call import Callee
from graflow.dsl.failures import Failing, documented, judge
from graflow.exceptions import (
    ArgumentError,
    CheckpointError,
    CycleLimitExceededError,
    GraflowRuntimeError,
    InvalidTransitionError,
    ParallelGroupError,
    as_runtime_error,
    words_of,
)
from graflow.local.deadline import TimeIsUp
from graflow.machine import reasons
from graflow.machine.directives import Kind
from graflow.machine.plan import TaskPlan
from graflow.machine.state import Activation, Error, GroupFailure, RunPhase, State


def attempt_error(
    callee: Callee,
    plan: TaskPlan,
    activation: Activation,
    error: BaseException,
    reason: str | None = None,
) -> Error:
    """Return the machine's form of what an attempt raised; the user's form is its detail.

    Args:
        callee: What was called.
        plan: The task.
        activation: Whose attempt it was.
        error: What was raised.
        reason: Why, if the error itself does not tell.
    """
    if isinstance(error, TimeIsUp):
        return _too_slow(callee, plan, activation, error)
    judged = judge(error, callee.may_retry)
    reason = reason or judged.reason
    shown: GraflowRuntimeError
    if isinstance(error, ArgumentError | CycleLimitExceededError | InvalidTransitionError):
        shown = error
    else:
        failures, attempts = activation.failures + 1, plan.retry.max_attempts
        failing = Failing(task_id=plan.id, failures=failures, max_attempts=attempts)
        shown = documented(reason, "", failing, error) or as_runtime_error(error)
    shown.add_note(f"in task {plan.id!r}, attempt {activation.attempt}")
    kind, words = type(error).__name__, words_of(error)
    message = kind if words == kind else f"{kind}: {words}"
    return Error(reason, message, shown, retryable=judged.retryable)


def _too_slow(callee: Callee, plan: TaskPlan, activation: Activation, stopped: TimeIsUp) -> Error:
    """Return the machine's form of an attempt that ran longer than its task's timeout."""
    error = TimeoutError(f"task {plan.id!r} ran longer than its timeout of {plan.timeout_s} s")
    # Where it was stopped: all that tells one slow line from another.
    error.__cause__ = stopped
    return attempt_error(callee, plan, activation, error, reasons.DEADLINE_EXCEEDED)


def checkpoint_error(task_id: str, activation: Activation, error: CheckpointError) -> Error:
    """Return the machine's form of a checkpoint that could not be taken with an attempt's success.

    It is not tried again: user code has done its work, and would do it once more.
    """
    shown = as_runtime_error(error)
    shown.add_note(f"at the end of task {task_id!r}, attempt {activation.attempt}")
    message = f"{type(error).__name__}: {words_of(error)}"
    return Error(reasons.TASK_FAILED, message, shown, retryable=False)


def failure_of(state: State) -> GraflowRuntimeError:
    """Return the error that `execute` raises for a run that did not succeed."""
    if state.phase is not RunPhase.CANCELLED and state.failure is not None:
        return shown_error(state.failure.error)
    last = state.transitions[-1] if state.transitions else None
    by_task = last is not None and last.kind == Kind.CANCELLATION
    failing = Failing(task_id=last.source) if last is not None and by_task else None
    reason = reasons.CANCELLED if state.phase is RunPhase.CANCELLED else state.reason
    return documented(reason, state.message, failing) or GraflowRuntimeError(state.message)


def shown_error(error: Error) -> GraflowRuntimeError:
    """Return an error of the machine as its user sees it."""
    if isinstance(error.detail, GraflowRuntimeError):
        return error.detail
    if isinstance(error.detail, GroupFailure):
        return _group_error(error.message, error.detail)
    return documented(error.reason, error.message) or GraflowRuntimeError(error.message)


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
