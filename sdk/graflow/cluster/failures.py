"""From how a run ended on a cluster to the exception that a program sees."""

from graflow.api.workflow_status import (
    ConditionStatus,
    FailedGroup,
    FailedMember,
    TaskStatus,
    WorkflowStatus,
)
from graflow.cluster.errors import RefusedError
from graflow.dsl.failures import Failing, documented
from graflow.exceptions import GraflowError, GraflowRuntimeError, ParallelGroupError
from graflow.machine import reasons
from graflow.machine.state import RunPhase


class RemoteTaskError(Exception):
    """What a task raised in its pod, as text: its type need not exist on this machine."""


class RemoteRunError(GraflowRuntimeError):
    """A run on a cluster failed. The message has the traceback of the task, from its pod."""

    def __str__(self) -> str:
        return self.message  # which says what the cause says


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


def failure(name: str, status: WorkflowStatus) -> GraflowError | None:
    """Return the exception of a run that did not end well; None for one that did or goes on.

    Args:
        name: Name of the Workflow.
        status: Its status.
    """
    if (refused := refusal(status)) is not None:
        return RefusedError(f"workflow {name!r} was not accepted: {refused}")
    phase = _phase(status)
    if phase not in (RunPhase.FAILED, RunPhase.CANCELLED):
        return None
    task = failed_task(status)
    message = explanation(status) or status.reason or phase
    if phase is RunPhase.FAILED and status.failed_group is not None:
        return _group_failure(message, status.failed_group)
    reason = reasons.CANCELLED if phase is RunPhase.CANCELLED else status.reason or ""
    cause = RemoteTaskError(task.message) if task and task.message else None
    failing = _failing(task) if task else None
    return documented(reason, message, failing, cause) or RemoteRunError(message, cause)


def _failing(task: TaskStatus) -> Failing:
    passes = task.iteration or 1
    return Failing(
        task_id=task.name,
        failures=task.failures or 1,
        max_attempts=task.max_attempts or 1,
        cycle_count=passes,
        max_cycles=passes,  # a task is refused the pass after its last one
    )


def _phase(status: WorkflowStatus) -> RunPhase:
    try:
        return RunPhase(status.phase or RunPhase.PENDING)
    except ValueError:  # a newer operator's word
        return RunPhase.PENDING


def _group_failure(message: str, group: FailedGroup) -> ParallelGroupError:
    """Return the error of the group that a run failed by, as a run on this machine has it."""
    failed = [(member.name, _member_failure(member)) for member in group.failed]
    cause = next((RemoteTaskError(member.message) for member in group.failed), None)
    return ParallelGroupError(message, group.name, failed, group.succeeded, cause)


def _member_failure(member: FailedMember) -> str:
    """Return what a run on this machine says of a member that failed so."""
    told = member.message
    kind, _, words = told.partition(": ")
    raised = member.reason in (reasons.TASK_FAILED, reasons.SYSTEM_EXIT)
    cause = RemoteTaskError((words or kind) if raised else told)
    failing = Failing(
        task_id=member.task,
        failures=member.failures,
        max_attempts=member.max_attempts,
        cycle_count=member.iteration,
        max_cycles=member.iteration,
    )
    if failed := documented(member.reason, told, failing, cause):
        return str(failed)
    return str(GraflowRuntimeError(f"An error occurred: {cause}", cause)) if raised else told
