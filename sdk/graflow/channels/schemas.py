"""Forms of messages that programs have in common, each with a name in the registry."""

from typing import Any, TypedDict

from graflow.dsl.typed_channel import ChannelTypeRegistry


class TaskResultMessage(TypedDict):
    """How a task ended, and with what."""

    task_id: str
    result: Any
    timestamp: float
    status: str


class TaskProgressMessage(TypedDict):
    """How far a task is."""

    task_id: str
    progress: float
    message: str
    timestamp: float


class TaskErrorMessage(TypedDict):
    """Why a task failed."""

    task_id: str
    error_type: str
    error_message: str
    timestamp: float


class WorkflowStateMessage(TypedDict):
    """Where a workflow stands."""

    workflow_id: str
    state: str
    current_task: str
    completed_tasks: list[str]
    timestamp: float


class DataTransferMessage(TypedDict):
    """Data of one task for another."""

    from_task: str
    to_task: str
    data: Any
    data_type: str
    timestamp: float


class CycleNotificationMessage(TypedDict):
    """Which pass a task is in."""

    task_id: str
    cycle_count: int
    max_cycles: int
    data: Any


ChannelTypeRegistry.register("task_result", TaskResultMessage)
ChannelTypeRegistry.register("task_progress", TaskProgressMessage)
ChannelTypeRegistry.register("task_error", TaskErrorMessage)
ChannelTypeRegistry.register("workflow_state", WorkflowStateMessage)
ChannelTypeRegistry.register("data_transfer", DataTransferMessage)
ChannelTypeRegistry.register("cycle_notification", CycleNotificationMessage)
