"""The attempt of a group whose policy is the program's own (G2).

Imported when there is one; few groups have one.
"""

from collections.abc import Mapping
from typing import Any

from graflow.dsl.context import TaskExecutionContext
from graflow.dsl.handler import TaskResult
from graflow.dsl.judging import run_judge
from graflow.dsl.policies import GroupExecutionPolicy
from graflow.exceptions import GraflowRuntimeError


def judge(
    policy: GroupExecutionPolicy, call: Mapping[str, Any], context: TaskExecutionContext
) -> None:
    """Let a policy judge a group whose branches have ended; returns if the group succeeds.

    Args:
        policy: The program's own.
        call: `{"group": …, "members": [ids], "results": {id: {"success": …}}}` of the order.
        context: What the policy gets to look at the run.

    Raises:
        InvalidTransitionError: If it decides what runs.
        BaseException: Whatever user code raises: the group fails.
    """
    group = call["group"]
    members = [context.graph.get_node(member) for member in call["members"]]
    results = {member: _result(member, found) for member, found in call["results"].items()}
    run_judge(policy, group, members, results, context)


def _result(member: str, found: Mapping[str, Any]) -> TaskResult:
    duration, timestamp = found.get("duration", 0.0), found.get("timestamp", 0.0)
    if found["success"]:
        return TaskResult(member, success=True, duration=duration, timestamp=timestamp)
    error = GraflowRuntimeError(found["error"])
    return TaskResult(
        member,
        success=False,
        error=error,
        error_message=str(error),
        duration=duration,
        timestamp=timestamp,
    )
