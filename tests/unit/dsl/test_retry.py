"""F1: how a retry policy is checked, and which errors are worth another attempt."""

import pytest

from graflow import RetryPolicy
from graflow.dsl.retry import is_retryable, plan_retry
from graflow.exceptions import ConfigError, NonRetryableError
from graflow.machine.plan import Retry


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"max_retries": -1}, "max_retries is -1"),
        ({"initial_interval": -1}, "initial_interval is -1"),
        ({"backoff_factor": 0.5}, "backoff_factor is 0.5"),
        ({"max_interval": float("nan")}, "max_interval is nan"),
        ({"retry_on": "ValueError"}, "retry_on has 'ValueError'"),
        ({"give_up_on": (3,)}, "give_up_on has 3"),
    ],
)
def test_f1_values_that_cannot_work_are_named(options, words):
    with pytest.raises(ConfigError, match=words):
        RetryPolicy(**options)


def test_f1_retries_are_attempts_after_the_first():
    assert plan_retry(None, None) == Retry(1)
    assert plan_retry(None, None, default=2) == Retry(3)
    assert plan_retry(0, None, default=2) == Retry(1)
    assert plan_retry(2, None) == Retry(3, initial_s=0.0)
    policy = RetryPolicy(4, initial_interval=1.5)
    assert plan_retry(None, policy) == Retry(5, 1.5, 2.0, 60.0)
    assert plan_retry(1, policy) == Retry(2, 1.5, 2.0, 60.0)
    spread = RetryPolicy(1, jitter=True)
    assert plan_retry(None, spread) == Retry(2, 1.0, 2.0, 60.0, jitter=True)


@pytest.mark.parametrize(
    ("error", "policy", "worth"),
    [
        (ValueError(), None, True),
        (NonRetryableError(), None, False),
        (NonRetryableError(), RetryPolicy(retry_on=(NonRetryableError,)), False),
        (ValueError(), RetryPolicy(), True),
        (ValueError(), RetryPolicy(retry_on=(OSError,)), False),
        (TimeoutError(), RetryPolicy(retry_on=OSError), True),
        (TimeoutError(), RetryPolicy(retry_on=(OSError,), give_up_on=(TimeoutError,)), False),
        (OSError(), RetryPolicy(give_up_on=[TimeoutError]), True),
    ],
)
def test_f1_which_errors_are_worth_another_attempt(error, policy, worth):
    assert is_retryable(error, policy) is worth
