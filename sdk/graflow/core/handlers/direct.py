"""The handler that calls a task"s function."""

from graflow.dsl.handler import DirectTaskHandler

__all__ = ["DirectTaskHandler"]
