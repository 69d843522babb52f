"""Workflows, and which one is current."""

from graflow.dsl.workflow import (
    WorkflowContext,
    clear_workflow_context,
    current_workflow_context,
    get_current_workflow_context,
    require_workflow_context,
    set_current_workflow_context,
    workflow,
)

__all__ = [
    "WorkflowContext",
    "clear_workflow_context",
    "current_workflow_context",
    "get_current_workflow_context",
    "require_workflow_context",
    "set_current_workflow_context",
    "workflow",
]
