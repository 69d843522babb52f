"""What is fixed about a program before it runs: its nodes, edges and starts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

from graflow.machine.defaults import DEFAULT_MAX_CYCLES, DEFAULT_MAX_LOSSES, DEFAULT_MAX_STEPS


@dataclass(frozen=True, slots=True)
class Retry:
    """How often and how patiently a failed activation is tried again."""

    max_attempts: int = 1
    """Attempts in all, the first included; 1 means never again."""

    initial_s: float = 0.0
    """Wait before the second attempt, in seconds."""

    factor: float = 2.0
    """What each further wait is multiplied by."""

    max_s: float = 60.0
    """Longest wait, in seconds."""

    jitter: bool = False
    """Whether each wait is made up to a half shorter or longer, so that many do not end at once."""


@dataclass(frozen=True, slots=True)
class TaskPlan:
    """A node that runs user code, one attempt at a time."""

    id: str
    retry: Retry = Retry()
    timeout_s: float | None = None
    """Longest time of one attempt, in seconds; None means no limit."""

    max_cycles: int = DEFAULT_MAX_CYCLES
    """Passes through one scope after which `next_iteration` is refused."""

    max_losses: int = DEFAULT_MAX_LOSSES
    """Attempts of one activation that the infrastructure may lose before the activation fails."""


@dataclass(frozen=True, slots=True)
class Strict:
    """A group succeeds when every branch does."""


@dataclass(frozen=True, slots=True)
class BestEffort:
    """A group succeeds whatever its branches do."""


@dataclass(frozen=True, slots=True)
class AtLeast:
    """A group succeeds when at least `minimum` branches do."""

    minimum: int


@dataclass(frozen=True, slots=True)
class Critical:
    """A group succeeds when the branches of these members do."""

    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Custom:
    """A group succeeds when user code, run as an attempt of the group, says so."""


GroupPolicy: TypeAlias = Strict | BestEffort | AtLeast | Critical | Custom


@dataclass(frozen=True, slots=True)
class GroupPlan:
    """A node that runs its members, each in a branch of its own, and waits for all of them."""

    id: str
    members: tuple[str, ...]
    policy: GroupPolicy = Strict()
    retry: Retry = Retry()
    """How often the branches that failed are run again (G5)."""


@dataclass(frozen=True, slots=True)
class Exit:
    """A place at the end of a fragment that stands for a node outside: to come to it is a jump."""

    id: str
    """Of the node outside."""


NodePlan: TypeAlias = TaskPlan | GroupPlan | Exit


@dataclass(frozen=True)
class Plan:
    """A program as the machine sees it."""

    nodes: tuple[NodePlan, ...]
    """In order of declaration, which decides between several ends of a run (R6)."""

    edges: tuple[tuple[str, str], ...] = ()
    """(from, to), in the order in which they were drawn."""

    start: tuple[str, ...] = ()
    """Nodes that a run begins with, in order of declaration."""

    max_steps: int = DEFAULT_MAX_STEPS
    """Activations after which a run fails with `MaxStepsExceeded`."""

    params: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Parameter names of a task's function, where they are known before it runs."""

    payload: Mapping[str, Any] = field(default_factory=dict)
    """What a host keeps about the nodes of a fragment; the machine passes it on and never looks
    inside."""

    @cached_property
    def by_id(self) -> Mapping[str, NodePlan]:
        """Nodes by id."""
        return {node.id: node for node in self.nodes}

    @cached_property
    def order(self) -> Mapping[str, int]:
        """Position of each node in the order of declaration."""
        return {node.id: n for n, node in enumerate(self.nodes)}

    @cached_property
    def successors(self) -> Mapping[str, tuple[str, ...]]:
        """Nodes that the edges of a node lead to, in the order in which they were drawn."""
        found: dict[str, list[str]] = {node.id: [] for node in self.nodes}
        for before, after in dict.fromkeys(self.edges):
            found[before].append(after)
        return {node: tuple(after) for node, after in found.items()}

    @cached_property
    def group_of(self) -> Mapping[str, str]:
        """The group that a member belongs to."""
        return {
            member: node.id
            for node in self.nodes
            if isinstance(node, GroupPlan)
            for member in node.members
        }

    @cached_property
    def group_ids(self) -> frozenset[str]:
        """Ids of the nodes that are groups."""
        return frozenset(node.id for node in self.nodes if isinstance(node, GroupPlan))

    @cached_property
    def placed_tasks(self) -> frozenset[str]:
        """Ids of the tasks that have a place in the flow."""
        return frozenset(
            node.id for node in self.nodes if isinstance(node, TaskPlan) and node.id in self.placed
        )

    @cached_property
    def placed(self) -> frozenset[str]:
        """Nodes that have a place in the flow: an edge, a membership, or the start."""
        groups = [node for node in self.nodes if isinstance(node, GroupPlan)]
        return frozenset(
            (
                *self.start,
                *self.group_of,
                *(group.id for group in groups),
                *(node for edge in self.edges for node in edge),
            )
        )
