"""From how a run ended on a cluster to the exception that a program sees."""

from collections.abc import Collection, Mapping

from graflow.api.workflow_status import ConditionStatus, TaskStatus, WorkflowStatus
from graflow.cluster.errors import RefusedError
from graflow.dsl.failures import Failing, documented
from graflow.exceptions import GraflowError, GraflowRuntimeError, ParallelGroupError
from graflow.machine import reasons
from graflow.machine.graph import scope_graph
from graflow.machine.plan import GroupPlan, Plan, TaskPlan
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


def failure(name: str, status: WorkflowStatus, plan: Plan | None = None) -> GraflowError | None:
    """Return the exception of a run that did not end well; None for one that did or goes on.

    Args:
        name: Name of the Workflow.
        status: Its status.
        plan: What ran, if it is known: how often tasks are tried, and who is in which group.
    """
    if (refused := refusal(status)) is not None:
        return RefusedError(f"workflow {name!r} was not accepted: {refused}")
    phase = _phase(status)
    if phase not in (RunPhase.FAILED, RunPhase.CANCELLED):
        return None
    task = failed_task(status)
    message = explanation(status) or status.reason or phase
    plan = plan or Plan(())
    if phase is not RunPhase.CANCELLED and status.reason == reasons.PARALLEL_GROUP_FAILED:
        return _group_failure(message, status, plan)
    reason = reasons.CANCELLED if phase is RunPhase.CANCELLED else status.reason or ""
    cause = RemoteTaskError(task.message) if task and task.message else None
    failing = _failing(task, plan) if task else None
    return documented(reason, message, failing, cause) or RemoteRunError(message, cause)


def _failing(task: TaskStatus, plan: Plan) -> Failing:
    node = plan.by_id.get(task.name)
    if not isinstance(node, TaskPlan):
        return Failing(task_id=task.name)
    return Failing(
        task_id=task.name,
        failures=task.failures or 1,
        max_attempts=node.retry.max_attempts,
        cycle_count=task.iteration or 1,
        max_cycles=node.max_cycles,
    )


def _phase(status: WorkflowStatus) -> RunPhase:
    try:
        return RunPhase(status.phase or RunPhase.PENDING)
    except ValueError:  # a newer operator's word
        return RunPhase.PENDING


def _group_failure(message: str, status: WorkflowStatus, plan: Plan) -> ParallelGroupError:
    """Return the error of the group that a run failed by: the outermost of those that failed."""
    failed = [task for task in status.tasks if task.phase == "Failed"]
    failed.sort(key=lambda task: task.completion_time or "9")
    groups = [task.name for task in failed if isinstance(plan.by_id.get(task.name), GroupPlan)]
    inner = {
        node for group in groups for nodes in _branches(plan, group).values() for node in nodes
    }
    group = next((name for name in groups if name not in inner), "")
    by_member = {
        member: next((task for task in failed if task.name in nodes), None)
        for member, nodes in _branches(plan, group).items()
    }
    members = [(m, _member_failure(task, plan)) for m, task in by_member.items() if task]
    fine = [member for member, task in by_member.items() if task is None]
    cause = next((RemoteTaskError(task.message or "") for task in by_member.values() if task), None)
    return ParallelGroupError(message, group, members, fine, cause)


def _branches(plan: Plan, group: str) -> Mapping[str, Collection[str]]:
    """Return the nodes of each branch of a group, by member; those of groups inside are theirs."""
    node = plan.by_id.get(group)
    if not isinstance(node, GroupPlan):
        return {}
    return {member: scope_graph(plan, ((group, member),)).after for member in node.members}


def _member_failure(task: TaskStatus, plan: Plan) -> str:
    """Return what a run on this machine says of a member that failed so."""
    told = (task.message or "").partition("\n\n")[0]
    kind, _, words = told.partition(": ")
    raised = task.reason in (reasons.TASK_FAILED, reasons.SYSTEM_EXIT)
    cause = RemoteTaskError((words or kind) if raised else told)
    if failed := documented(task.reason or "", told, _failing(task, plan), cause):
        return str(failed)
    return str(GraflowRuntimeError(f"An error occurred: {cause}", cause)) if raised else told
