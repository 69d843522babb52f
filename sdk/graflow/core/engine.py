"""The engine of low-level programs."""

from graflow.dsl.engine import WorkflowEngine

__all__ = ["WorkflowEngine"]
