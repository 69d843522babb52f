"""The `task` decorator."""

from graflow.dsl.task import task

__all__ = ["task"]
