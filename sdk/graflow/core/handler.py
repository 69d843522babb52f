"""What runs tasks, on this machine."""

from graflow.dsl.handler import TaskHandler, TaskResult

__all__ = ["TaskHandler", "TaskResult"]
