"""The engine of low-level programs."""

from graflow.dsl.execution import WorkflowEngine

__all__ = ["WorkflowEngine"]
