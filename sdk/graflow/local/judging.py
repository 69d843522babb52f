"""The attempt of a group whose policy is the program's own (G2)."""

import time

from graflow.dsl.context import TaskExecutionContext
from graflow.dsl.failures import judge
from graflow.dsl.flow import ParallelGroup
from graflow.dsl.handler import TaskResult
from graflow.dsl.judging import run_judge
from graflow.dsl.retry import is_retryable
from graflow.exceptions import ParallelGroupError, as_runtime_error, words_of
from graflow.local.deadline import ORDERS
from graflow.local.failures import shown_error
from graflow.machine import reasons
from graflow.machine.state import Activation, Error, State


def run_policy(
    state: State, activation: Activation, group: ParallelGroup, context: TaskExecutionContext
) -> Error | None:
    """Call the policy of a group whose branches have ended; return why the group fails, if it does.

    Args:
        state: In which the group's branches are still open.
        activation: Of the group.
        group: The group.
        context: What the policy gets to look at the run.
    """
    if group.judge is None:
        raise TypeError(f"group {activation.node!r} has no policy of its own")
    results = {
        member.task_id: _result(state, scope, member.task_id)
        for member, scope in zip(group.tasks, activation.scopes, strict=True)
    }
    try:
        run_judge(group.judge, activation.node, group.tasks, results, context)
    except ORDERS:
        raise
    except BaseException as error:  # noqa: BLE001 - user code may raise anything
        return _verdict(activation.node, error)
    return None


def _verdict(group: str, error: BaseException) -> Error:
    if isinstance(error, ParallelGroupError):
        return Error(reasons.PARALLEL_GROUP_FAILED, words_of(error), error)
    judged = judge(error, lambda raised: is_retryable(raised, None))
    shown = as_runtime_error(error)
    shown.add_note(f"in the policy of group {group!r}")
    message = f"{type(error).__name__}: {words_of(error)}"
    return Error(judged.reason, message, shown, retryable=judged.retryable)


def _result(state: State, scope: int, member: str) -> TaskResult:
    failure = state.scopes[scope].failure
    now = time.time()
    if failure is None:
        return TaskResult(member, success=True, timestamp=now)
    error = shown_error(failure.error)
    return TaskResult(member, success=False, error=error, error_message=str(error), timestamp=now)
