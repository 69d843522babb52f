"""One call of a policy of the program's own, for a group that has ended (G2). Every host uses this.

Imported when there is one; few groups have one.
"""

import contextvars
from collections.abc import Mapping, Sequence

from graflow.dsl import current, handles
from graflow.dsl.context import TaskExecutionContext
from graflow.dsl.flow import Executable
from graflow.dsl.handler import TaskResult
from graflow.dsl.policies import GroupExecutionPolicy
from graflow.exceptions import InvalidTransitionError


def run_judge(
    policy: GroupExecutionPolicy,
    group: str,
    members: Sequence[Executable],
    results: Mapping[str, TaskResult],
    context: TaskExecutionContext,
) -> None:
    """Let a policy judge a group whose branches have ended; returns if the group succeeds.

    Args:
        policy: The program's own.
        group: Id of the group.
        members: Its members.
        results: How the branch of each member ended.
        context: What the policy gets to look at the run.

    Raises:
        InvalidTransitionError: If it decides what runs.
        BaseException: Whatever user code raises: the group fails.
    """

    def in_policy() -> None:
        context.place = current.enter_task(None, context.facts.identity)
        handles.enter(context)
        try:
            policy.on_group_finished(group, members, results, context)
        finally:
            handles.leave(context)

    contextvars.copy_context().run(in_policy)
    if context.decisions is not None and context.decisions.checkpoint is not None:
        raise InvalidTransitionError(
            f"the policy of group {group!r} takes checkpoints at once only: "
            "context.checkpoint(deferred=False)"
        )
    if context.decisions is not None:
        raise InvalidTransitionError(f"the policy of group {group!r} cannot decide what runs")
