"""A Workflow whose tasks are in its bundle, where there is room for more than an object holds."""

from typing import Annotated

from pydantic import Field

from graflow.api.model import Id
from graflow.api.workflow import GroupSpec, TaskSpec, Workflow, WorkflowSpec

MOST = 100_000
"""Most tasks, groups, members of a group, and what comes before a task."""

PLAN_FIELDS = ("tasks", "groups", "edges", "start")
"""Fields of the spec that a bundle's plan holds."""


class LargeTask(TaskSpec):
    """A task of a large workflow."""

    after: tuple[Id, ...] = Field(default=(), max_length=MOST)
    """As of every task, and more of them."""


class LargeGroup(GroupSpec):
    """A group of a large workflow."""

    members: tuple[Id, ...] = Field(min_length=1, max_length=MOST)
    """As of every group, and more of them."""

    after: tuple[Id, ...] = Field(default=(), max_length=MOST)
    """As of every group, and more of them."""

    position: int | None = Field(default=None, ge=0, le=2 * MOST)
    """As of every group."""


class LargeSpec(WorkflowSpec):
    """What to run, tasks of the bundle included."""

    tasks: tuple[LargeTask, ...] = Field(default=(), max_length=MOST)
    """As of every workflow, and more of them."""

    groups: tuple[LargeGroup, ...] = Field(default=(), max_length=MOST)
    """As of every workflow, and more of them."""

    edges: tuple[Annotated[tuple[Id, ...], Field(min_length=2, max_length=2)], ...] | None = Field(
        default=None, max_length=10 * MOST
    )
    """As of every workflow, and more of them."""

    start: tuple[Id, ...] = Field(default=(), max_length=MOST)
    """As of every workflow, and more of them."""


class LargeWorkflow(Workflow):
    """A Workflow with what its bundle says about it."""

    spec: LargeSpec
    """What to run."""
