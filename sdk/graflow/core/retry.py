"""Retry policies."""

from graflow.dsl.retry import RetryPolicy

__all__ = ["RetryPolicy"]
