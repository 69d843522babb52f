"""Nodes of programs in the machine's form."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from graflow.dsl.flow import Executable, ParallelGroup
from graflow.dsl.retry import RetryPolicy, plan_retry
from graflow.dsl.task import TaskWrapper
from graflow.machine.defaults import DEFAULT_MAX_CYCLES
from graflow.machine.plan import GroupPlan, NodePlan, TaskPlan


@dataclass(frozen=True)
class Defaults:
    """For tasks that say nothing, and for those that a context says something about by id."""

    max_cycles: int = DEFAULT_MAX_CYCLES
    max_retries: int = 0

    node_cycles: Mapping[str, int] = field(default_factory=dict)
    """By node; wins over what the task says, as do the next two."""

    node_retries: Mapping[str, int] = field(default_factory=dict)
    node_policies: Mapping[str, RetryPolicy] = field(default_factory=dict)


def node_plan(key: str, node: Executable, defaults: Defaults) -> NodePlan:
    """Return the machine's form of a task or a group.

    Args:
        key: Its id in the workflow.
        node: The task or group.
        defaults: For what it does not say.
    """
    if isinstance(node, ParallelGroup):
        members = tuple(member.task_id for member in node.tasks)
        return GroupPlan(key, members, node.policy, plan_retry(node.max_retries, None))
    if not isinstance(node, TaskWrapper):
        raise TypeError(f"{node!r} is neither a task nor a group; make it with @task")
    return TaskPlan(
        key,
        retry=plan_retry(
            defaults.node_retries.get(key, node.max_retries),
            defaults.node_policies.get(key, node.retry_policy),
            defaults.max_retries,
        ),
        timeout_s=node.timeout,
        max_cycles=defaults.node_cycles.get(key) or node.max_cycles or defaults.max_cycles,
    )
