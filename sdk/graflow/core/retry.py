"""Retry policies, and limits of retries by node."""

from graflow.dsl.limits import RetryController
from graflow.dsl.retry import RetryPolicy

__all__ = ["RetryController", "RetryPolicy"]
