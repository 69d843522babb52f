"""What tasks are given, and what runs are made of."""

from graflow.dsl.context import TaskExecutionContext
from graflow.dsl.engine import create_execution_context, execute_with_cycles
from graflow.dsl.execution import ExecutionContext

__all__ = [
    "ExecutionContext",
    "TaskExecutionContext",
    "create_execution_context",
    "execute_with_cycles",
]
