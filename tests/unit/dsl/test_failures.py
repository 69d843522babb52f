"""F1, F4: what an error is called where it was raised, and what a program is told of it."""

import pytest

from graflow import RetryPolicy
from graflow.dsl.call import Callee
from graflow.dsl.failures import Failing, documented, judge
from graflow.exceptions import (
    ArgumentError,
    CycleLimitExceededError,
    GraflowRuntimeError,
    GraflowWorkflowCanceledError,
    InvalidTransitionError,
    MaxStepsExceededError,
    NonRetryableError,
    RetryLimitExceededError,
)
from graflow.machine import reasons

PATIENT = Callee(func=print)
PICKY = Callee(
    func=print, retry_policy=RetryPolicy(3, retry_on=OSError, give_up_on=FileNotFoundError)
)


@pytest.mark.parametrize(
    ("error", "callee", "reason", "retryable"),
    [
        (ValueError(), PATIENT, reasons.TASK_FAILED, True),
        (ValueError(), PICKY, reasons.TASK_FAILED, False),
        (TimeoutError(), PICKY, reasons.TASK_FAILED, True),
        (FileNotFoundError(), PICKY, reasons.TASK_FAILED, False),
        (NonRetryableError(), PATIENT, reasons.TASK_FAILED, False),
        (SystemExit(3), PATIENT, reasons.SYSTEM_EXIT, True),
        (SystemExit(3), PICKY, reasons.SYSTEM_EXIT, False),
        (ArgumentError("no value"), PATIENT, reasons.ARGUMENTS_MISSING, False),
        (CycleLimitExceededError("t", 3, 3), PATIENT, reasons.CYCLE_LIMIT_EXCEEDED, False),
    ],
    ids=lambda part: getattr(part, "__name__", None) or type(part).__name__,
)
def test_f1_an_error_is_judged_where_it_was_raised(error, callee, reason, retryable):
    judged = judge(error, callee.may_retry)
    assert (judged.reason, judged.retryable) == (reason, retryable)


BOOM = ValueError("boom")
ONCE = Failing(task_id="t", cycle_count=4, max_cycles=3)
THRICE = Failing(task_id="t", failures=3, max_attempts=3)


@pytest.mark.parametrize(
    ("reason", "failing", "kind"),
    [
        (reasons.ARGUMENTS_MISSING, ONCE, ArgumentError),
        (reasons.ARGUMENTS_MISSING, THRICE, ArgumentError),
        (reasons.MAX_STEPS_EXCEEDED, None, MaxStepsExceededError),
        (reasons.INVALID_TRANSITION, THRICE, InvalidTransitionError),
        (reasons.CYCLE_LIMIT_EXCEEDED, ONCE, CycleLimitExceededError),
        (reasons.CANCELLED, ONCE, GraflowWorkflowCanceledError),
        (reasons.CANCELLED, None, GraflowWorkflowCanceledError),
        (reasons.TASK_FAILED, THRICE, RetryLimitExceededError),
        (reasons.OOM_KILLED, THRICE, RetryLimitExceededError),
        (reasons.DEADLINE_EXCEEDED, THRICE, RetryLimitExceededError),
    ],
)
def test_f4_a_reason_that_has_an_exception_of_its_own_gives_it(reason, failing, kind):
    error = documented(reason, "the message", failing, BOOM)
    assert type(error) is kind
    assert isinstance(error, GraflowRuntimeError)


def test_f4_any_other_reason_has_no_exception_of_its_own():
    for failing in (ONCE, Failing(task_id="t", failures=2, max_attempts=3), None):
        assert documented(reasons.TASK_FAILED, "m", failing, BOOM) is None


def test_f1_the_last_error_is_carried_when_no_attempt_is_left():
    error = documented(reasons.TASK_FAILED, "m", THRICE, BOOM)
    assert isinstance(error, RetryLimitExceededError)
    assert (error.task_id, error.retry_count, error.max_retries) == ("t", 3, 2)
    assert error.last_error is error.cause is error.__cause__ is BOOM


def test_f4_the_exception_says_which_task_it_is_about():
    cycles = documented(reasons.CYCLE_LIMIT_EXCEEDED, "m", ONCE)
    assert isinstance(cycles, CycleLimitExceededError)
    assert (cycles.task_id, cycles.cycle_count, cycles.max_cycles) == ("t", 4, 3)
    cancelled = documented(reasons.CANCELLED, "asked for", ONCE)
    assert isinstance(cancelled, GraflowWorkflowCanceledError)
    assert (str(cancelled), cancelled.task_id) == ("asked for", "t")
