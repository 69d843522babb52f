"""What can be put in a flow, and the operators that draw it: `>>`, `<<`, `|`, chain, parallel.

Registration, in one place:

1. A task, bound instance or group made where a workflow is drawn (in a `with workflow`, in a thread
   with an ambient workflow, in a running task) belongs to that workflow at once.
2. An operator makes both of its sides belong to the workflow that is drawn on, which outside of
   everything is the thread's ambient one. So a task made elsewhere works in any number of them.
3. A part that was drawn elsewhere (a chain, a group) brings its inner edges and members along.
4. A second object with an id that is taken is refused (DuplicateTaskError), in 1 and in 2.
"""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import TypeAlias

from graflow.dsl import current, policies
from graflow.dsl.checks import named, whole
from graflow.dsl.current import Surface
from graflow.dsl.handler import DIRECT
from graflow.exceptions import ConfigError
from graflow.machine.plan import GroupPolicy

_serials = itertools.count(1)


class Part(ABC):
    """Anything that operators accept on either side. Lists of parts stand for plain edges."""

    @abstractmethod
    def heads(self) -> tuple["Executable", ...]:
        """Return the nodes that an edge to this part leads to."""

    @abstractmethod
    def tails(self) -> tuple["Executable", ...]:
        """Return the nodes that an edge from this part begins at."""

    @abstractmethod
    def adopt(self, surface: Surface) -> None:
        """Make everything in this part belong to the workflow that is drawn on."""

    def __rshift__(self, after: "Side") -> "SequentialTask":
        return _draw(self, after)

    def __lshift__(self, before: "Side") -> "SequentialTask":
        return _draw(before, self)

    def __rrshift__(self, before: "Side") -> "SequentialTask":
        return _draw(before, self)

    def __rlshift__(self, after: "Side") -> "SequentialTask":
        return _draw(self, after)

    def __or__(self, other: "Part") -> "ParallelGroup":
        return _beside(self, other)


Side: TypeAlias = Part | Sequence[Part]


class Executable(Part):
    """A node: a task or a group."""

    handler_type = DIRECT
    """What runs it; only tasks can say something else."""

    def __init__(self, task_id: str) -> None:
        self._task_id = named("a task's id", task_id)
        self.serial = next(_serials)
        """Position in the order in which the program made its nodes (R6)."""
        place = current.place()
        self.built_at = place if place is not None and place.is_of_task else None
        """The running task that made it, by where it draws; None: none did (T7)."""

    @property
    def task_id(self) -> str:
        """Name of the node in its workflow."""
        return self._task_id

    def heads(self) -> tuple["Executable", ...]:
        """Return the node itself."""
        return (self,)

    def tails(self) -> tuple["Executable", ...]:
        """Return the node itself."""
        return (self,)

    def adopt(self, surface: Surface) -> None:
        """Make the node belong to the workflow that is drawn on."""
        surface.register(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._task_id!r})"


class SequentialTask(Part):
    """Parts one after the other. Not a node of its own."""

    def __init__(self, tasks: Sequence[Side]) -> None:
        if not tasks:
            raise ValueError("chain requires at least one task")
        self.parts = tuple(tasks)
        self._heads = heads_of(self.parts[0])
        self._tails = _tails(self.parts[-1])
        self.drawn_on: Surface | None = None
        self.adopt(current.must_draw())

    @property
    def tasks(self) -> list[Executable]:
        """The nodes of the chain, in its order."""
        return list(_nodes(self))

    @property
    def leftmost(self) -> Executable:
        """The node that the chain begins with."""
        return self._heads[0]

    @property
    def rightmost(self) -> Executable:
        """The node that the chain ends with."""
        return self._tails[-1]

    @property
    def task_id(self) -> str:
        """The id of the first node."""
        return self.leftmost.task_id

    def heads(self) -> tuple[Executable, ...]:
        """Return the nodes that the chain begins with."""
        return self._heads

    def tails(self) -> tuple[Executable, ...]:
        """Return the nodes that the chain ends with."""
        return self._tails

    def adopt(self, surface: Surface) -> None:
        """Draw the chain, unless that was the last thing it was drawn on.

        A chain of ten thousand `>>` is as many chains inside each other: no recursion here.
        """
        todo: list[SequentialTask] = []
        chains = [self]
        while chains:
            chain = chains.pop()
            if chain.drawn_on is not surface:
                todo.append(chain)
                chains.extend(part for part in chain.parts if isinstance(part, SequentialTask))
        for chain in reversed(todo):
            chain.drawn_on = surface
            for part in chain.parts:
                _adopt(part, surface)
            for before, after in itertools.pairwise(chain.parts):
                for tail, head in itertools.product(_tails(before), heads_of(after)):
                    surface.connect(tail, head)

    def __len__(self) -> int:
        return len(self.tasks)

    def __iter__(self) -> Iterator[Executable]:
        return iter(self.tasks)

    def __getitem__(self, index: int) -> Executable:
        return self.tasks[index]

    def __getstate__(self) -> dict[str, object]:
        """Travel flat, and without the workflow that the chain was drawn on."""
        return {
            "parts": tuple(_flat(self.parts)),
            "_heads": self._heads,
            "_tails": self._tails,
            "drawn_on": None,
        }

    def __repr__(self) -> str:
        return f"SequentialTask({self.tasks!r})"


class CoordinationBackend(StrEnum):
    """How the local host runs the branches of a group; on a cluster each has pods of its own."""

    REDIS = "redis"
    """Accepted for programs that name it; the same as threading."""

    THREADING = "threading"
    """Each branch in a thread of its own."""

    DIRECT = "direct"
    """One branch after the other, in the thread that came to the group."""


class ParallelGroup(Executable):
    """A node that runs its members, each with the chain behind it, and waits for all of them."""

    def __init__(self, tasks: Sequence[Part], name: str | None = None) -> None:
        surface = current.must_draw()
        self._members: list[Executable] = []
        self._surfaces: list[Surface] = []
        self.policy: GroupPolicy = policies.STRICT
        self.judge: policies.GroupExecutionPolicy | None = None
        """The program's own policy, when it has one."""
        self.max_retries = 0
        self.backend = CoordinationBackend.THREADING
        self.thread_count: int | None = None
        """Most branches that the local host runs at a time; None: all of them."""
        self.configured = name is not None
        """Whether the program gave it a name or a policy: then it stays a group of its own."""
        for part in tasks:
            self.add(part, surface)
        super().__init__(name or surface.get_next_group_name())
        surface.register(self)

    @property
    def tasks(self) -> list[Executable]:
        """The members, in the order in which they were given."""
        return list(self._members)

    def add(self, part: Part, surface: Surface) -> None:
        """Make a task, a group or the chain that begins with one a branch of this group."""
        if not isinstance(part, Part):
            raise TypeError(
                f"a branch of a group is a task, a chain or a group, not {part!r}; "
                "for several branches write a | b"
            )
        heads = part.heads()
        if len(heads) != 1:
            names = ", ".join(head.task_id for head in heads)
            raise TypeError(
                f"a branch begins with one task, and this one with {names}; make those a group"
            )
        if heads[0] in self._members:
            raise ValueError(f"task {heads[0].task_id!r} is in the group already")
        part.adopt(surface)
        self._members.append(heads[0])

    def adopt(self, surface: Surface) -> None:
        """Make the group and its members belong to the workflow that is drawn on."""
        for member in self._members:
            member.adopt(surface)
        surface.register(self)

    def registered(self, surface: Surface) -> None:
        """Remember a workflow that the group belongs to, for when it is given a name."""
        self._surfaces.append(surface)

    def set_group_name(self, name: str) -> "ParallelGroup":
        """Give the group an id of its own; returns the group."""
        for surface in self._surfaces:
            surface.rename_node(self._task_id, name)
        self._task_id = name
        self.configured = True
        return self

    def with_execution(
        self,
        backend: CoordinationBackend | str | None = None,
        backend_config: dict[str, int] | None = None,
        policy: "policies.PolicySpec | None" = None,
        *,
        max_retries: int | None = None,
    ) -> "ParallelGroup":
        """Say how the branches run locally and what the group makes of failures.

        Args:
            backend: `direct`, `threading` or `redis`; see `CoordinationBackend`.
            backend_config: `{"thread_count": n}`: most branches that run at a time locally.
            policy: `strict` (all branches must succeed), `best_effort` (none must), or an object
                of `graflow.core.handlers.group_policy`, or of a class of the program's own.
            max_retries: How often the branches that failed are run again (G5).

        Returns:
            The group.

        Raises:
            ConfigError: If one of them is not known.
        """
        if backend is not None:
            self.backend = _backend(backend)
        if backend_config is not None:
            self.thread_count = _thread_count(backend_config)
        if policy is not None:
            self.policy = policies.policy_of(policy)
            self.judge = policies.judge_of(policy)
        if max_retries is not None:
            self.max_retries = whole("max_retries", max_retries, least=0)
        self.configured = True
        return self

    def __getstate__(self) -> dict[str, object]:
        """Travel without the workflows that the group belongs to."""
        return {**self.__dict__, "_surfaces": [], "built_at": None}


def chain(*tasks: Side) -> SequentialTask:
    """Draw `a >> b >> …`."""
    return SequentialTask(tasks)


def parallel(*tasks: Part) -> ParallelGroup:
    """Draw `a | b | …`: one group of all that is given."""
    if len(tasks) < 2:  # noqa: PLR2004 - the least that can be beside each other
        raise ValueError(
            "parallel requires at least two tasks; give them one by one: parallel(*tasks)"
        )
    return ParallelGroup(tasks)


def _draw(before: Side, after: Side) -> SequentialTask:
    for side in (before, after):
        if isinstance(side, (list, tuple)) and not side:
            raise ValueError("an edge to an empty list leads nowhere; leave it out")
    return SequentialTask((before, after))


def _beside(left: Part, right: Part) -> ParallelGroup:
    surface = current.must_draw()
    if not isinstance(left, ParallelGroup):
        return ParallelGroup((left, right))
    left.adopt(surface)
    if surface.has_edges(left, outgoing_only=True):
        return ParallelGroup((left, right))
    if not isinstance(right, ParallelGroup):
        left.add(right, surface)
        return left
    right.adopt(surface)
    if right.configured or surface.has_edges(right, outgoing_only=False):
        return ParallelGroup((left, right))
    surface.remove_node(right.task_id)
    for member in right.tasks:
        left.add(member, surface)
    return left


def heads_of(side: Side) -> tuple[Executable, ...]:
    """Return the nodes that an edge to this side leads to."""
    return tuple(head for part in _sides(side) for head in part.heads())


def _tails(side: Side) -> tuple[Executable, ...]:
    return tuple(tail for part in _sides(side) for tail in part.tails())


def _adopt(side: Side, surface: Surface) -> None:
    for part in _sides(side):
        part.adopt(surface)


def _sides(side: Side) -> Sequence[Part]:
    if isinstance(side, Part):
        return (side,)
    if isinstance(side, (list, tuple)) and all(isinstance(part, Part) for part in side):
        return side
    raise TypeError(
        f"an edge leads from task to task, or to a list of tasks, not to {side!r}; "
        "make a function a task with @task"
    )


def _flat(parts: Sequence[Side]) -> Iterator[Side]:
    """Return the parts of a chain with the chains in it opened up; they draw the same edges."""
    todo = list(reversed(parts))
    while todo:
        found = todo.pop()
        if isinstance(found, SequentialTask):
            todo.extend(reversed(found.parts))
        else:
            yield found


def _nodes(side: Side) -> Iterator[Executable]:
    todo: list[Side] = [side]
    while todo:
        found = todo.pop()
        if isinstance(found, SequentialTask):
            todo.extend(reversed(found.parts))
        elif isinstance(found, Executable):
            yield found
        elif not isinstance(found, Part):
            todo.extend(reversed(found))


def _backend(backend: CoordinationBackend | str) -> CoordinationBackend:
    try:
        return CoordinationBackend(backend)
    except ValueError:
        known = ", ".join(CoordinationBackend)
        raise ConfigError(f"backend {backend!r} is not known; there are: {known}") from None


def _thread_count(config: dict[str, int]) -> int | None:
    count = config.get("thread_count")
    if count is not None:
        whole("thread_count", count, least=1)
    return count
