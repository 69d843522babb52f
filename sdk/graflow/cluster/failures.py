"""From how a run ended on a cluster to the exception that a program sees."""

from collections.abc import Mapping

from graflow.api.workflow_status import ConditionStatus, TaskStatus, WorkflowStatus
from graflow.cluster.errors import RefusedError
from graflow.exceptions import (
    ArgumentError,
    GraflowError,
    GraflowRuntimeError,
    GraflowWorkflowCanceledError,
    MaxStepsExceededError,
    ParallelGroupError,
    RetryLimitExceededError,
)
from graflow.machine import reasons
from graflow.machine.state import RunPhase


class RemoteTaskError(Exception):
    """What a task raised in its pod, as text: its type need not exist on this machine."""


class RemoteRunError(GraflowRuntimeError):
    """A run on a cluster failed. The message has the traceback of the task, from its pod."""

    def __str__(self) -> str:
        return self.message  # which says what the cause says


BY_REASON: Mapping[str, type[GraflowRuntimeError]] = {
    reasons.ARGUMENTS_MISSING: ArgumentError,
    reasons.MAX_STEPS_EXCEEDED: MaxStepsExceededError,
}


def is_over(status: WorkflowStatus) -> bool:
    """Whether a run will never change again: it has ended, or was never accepted."""
    return refusal(status) is not None or _phase(status).ended


def refusal(status: WorkflowStatus) -> str | None:
    """Return why the operator did not accept a workflow; None when it did or may still."""
    for condition in status.conditions:
        if condition.type == "Accepted" and condition.status is ConditionStatus.FALSE:
            return condition.message or condition.reason
    return None


def explanation(status: WorkflowStatus) -> str:
    """Return why a run is as it is, at length: with the traceback of a task that failed by one."""
    if (refused := refusal(status)) is not None:
        return refused
    told = [one.message for one in status.conditions if one.type == "Succeeded"]
    return next((message for message in told if message), "").strip() or status.message or ""


def failed_task(status: WorkflowStatus) -> TaskStatus | None:
    """Return the task that a failed run failed by: the first one that has failed for good."""
    failed = [task for task in status.tasks if task.phase == "Failed"]
    return min(failed, key=lambda task: task.completion_time or "9", default=None)


def failure(
    name: str, status: WorkflowStatus, max_attempts: Mapping[str, int] | None = None
) -> GraflowError | None:
    """Return the exception of a run that did not end well; None for one that did or goes on.

    Args:
        name: Name of the Workflow.
        status: Its status.
        max_attempts: How often tasks are tried, by id; once where nothing is said.
    """
    if (refused := refusal(status)) is not None:
        return RefusedError(f"workflow {name!r} was not accepted: {refused}")
    phase = _phase(status)
    if phase not in (RunPhase.FAILED, RunPhase.CANCELLED):
        return None
    task = failed_task(status)
    message = explanation(status) or status.reason or phase
    if phase is RunPhase.CANCELLED:
        return GraflowWorkflowCanceledError(message, task.name if task else None)
    if status.reason == reasons.PARALLEL_GROUP_FAILED:
        return _group_failure(message, status)
    if kind := BY_REASON.get(status.reason or ""):
        return kind(message)
    return _task_failure(message, task, max_attempts or {})


def _task_failure(
    message: str, task: TaskStatus | None, max_attempts: Mapping[str, int]
) -> GraflowRuntimeError:
    if task is None:
        return RemoteRunError(message)
    cause = RemoteTaskError(task.message) if task.message else None
    most = max_attempts.get(task.name, 1)
    if (task.attempt or 1) >= most > 1:
        return RetryLimitExceededError(task.name, most, most - 1, cause)
    return RemoteRunError(message, cause)


def _phase(status: WorkflowStatus) -> RunPhase:
    try:
        return RunPhase(status.phase or RunPhase.PENDING)
    except ValueError:  # a newer operator's word
        return RunPhase.PENDING


def _group_failure(message: str, status: WorkflowStatus) -> ParallelGroupError:
    by_phase: dict[str, list[TaskStatus]] = {}
    for task in status.tasks:
        by_phase.setdefault(task.phase, []).append(task)
    failed = [task for task in by_phase.get("Failed", ()) if task.pod]
    succeeded = [task.name for task in by_phase.get("Succeeded", ())]
    # Groups have no pods of their own.
    group = next((task.name for task in by_phase.get("Failed", ()) if not task.pod), "")
    members = [(task.name, task.message or "") for task in failed]
    return ParallelGroupError(message, group, members, succeeded)
