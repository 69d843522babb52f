"""What a running task sees of its run."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from graflow.dsl.arguments import Available
from graflow.dsl.asking import Recorded
from graflow.dsl.channel import Channel
from graflow.dsl.checkpoints import Asked, CheckpointMetadata
from graflow.dsl.copies import Frozen
from graflow.dsl.graph import TaskGraph
from graflow.dsl.handles import ChannelHandle
from graflow.dsl.memory_channel import MemoryChannel
from graflow.dsl.missing import MISSING
from graflow.dsl.services import Provided
from graflow.local.deadline import Deadline
from graflow.local.nodes import Nodes
from graflow.machine.plan import TaskPlan
from graflow.machine.results import named_by, seen_by, visible_names
from graflow.machine.scopes import node_of
from graflow.machine.state import Activation, GroupValue, Value

if TYPE_CHECKING:  # what most tasks do without
    from graflow.dsl.feedback import FeedbackHandler
    from graflow.dsl.questions import Question
    from graflow.local.people import RunPeople


def thaw(value: Value) -> Any:  # noqa: ANN401 - any value
    """Return a copy of a value of the machine; that of a group is a dict by member (G4)."""
    if isinstance(value, GroupValue):
        return {member: thaw(branch) for member, branch in value.branches}
    return value.thaw() if isinstance(value, Frozen) else value


class Around(Protocol):
    """What a task asks of its run."""

    @property
    def provided(self) -> Provided:
        """Its clients, agents and prompts."""

    @property
    def people(self) -> "RunPeople":
        """What its tasks ask people, and keep."""

    def take(self, asked: Asked) -> tuple[str, CheckpointMetadata]:
        """Take a checkpoint of it now."""


class TaskView:
    """Results, channel and tasks as one attempt sees them; both `Names` and `Backend`."""

    __slots__ = (
        "_activation",
        "_channel",
        "_mutex",
        "_nodes",
        "_run",
        "_run_channel",
        "deferred",
        "limit",
    )

    def __init__(
        self,
        nodes: Nodes,
        channel: MemoryChannel,
        activation: Activation,
        mutex: threading.Lock,
        run: "Around",
    ) -> None:
        """Take what the view is of.

        Args:
            nodes: The run's tasks and state.
            channel: Its channel.
            activation: Whose attempt it is.
            mutex: Held while the state changes.
            run: What it asks of its run.
        """
        self._nodes = nodes
        self._run_channel = channel
        self._run = run
        self.deferred: Asked | None = None
        """The checkpoint that is to be taken with the attempt's success."""
        self.limit: Deadline | None = None
        """The attempt's; waiting for people does not count."""
        self._channel: RunChannel | None = None
        self._activation = activation
        self._mutex = mutex

    def result(self, task_id: str, /) -> object:
        """Return a copy of the latest result of a task that can be seen, or `MISSING`."""
        with self._mutex:
            found = seen_by(self._nodes.state, self._activation, task_id)
        return MISSING if found is None else thaw(found.value)

    def channel_value(self, key: str, /) -> object:
        """Return a copy of the value of a channel key, or `MISSING`."""
        return self.channel.get(key, MISSING)

    def is_task(self, name: str, /) -> bool:
        """Return whether a task or group of that id is known to the run."""
        return name in self._nodes.program.plan.by_id or self.graph.has_node(name)

    def available(self) -> Available:
        """Return what could be asked for."""
        with self._mutex:
            seen = visible_names(self._nodes.state, self._activation.scope)
        return Available(seen, tuple(self.channel.keys()))

    @property
    def channel(self) -> Channel:
        """The run's channel."""
        if self._channel is None:
            attempt = self._activation.number, self._activation.attempt
            self._channel = RunChannel(self._run_channel.of_attempt(*attempt), self.result)
        return self._channel

    def close(self) -> None:
        """Take note that the attempt has ended: its locks end with it."""
        if self._channel is not None:
            self._channel.end()

    @property
    def graph(self) -> TaskGraph:
        """The tasks known to the run, and to the fragments around the task."""
        return self._nodes.graph(self._activation.scope)

    def is_placed(self, task_id: str, /) -> bool:
        """Return whether a task has a place in a flow: an edge, or a group."""
        return self._nodes.is_placed(self._activation.scope, task_id)

    def is_static(self, task_id: str, /) -> bool:
        """Return whether a task of that id was there before the run began."""
        return task_id in self._nodes.program.plan.by_id

    def check_saving(self) -> None:
        """Let it be asked for: this machine has a place for checkpoints."""

    def checkpoint(self, asked: Asked, /) -> tuple[str, CheckpointMetadata]:
        """Take a checkpoint of the run as it is now."""
        return self._run.take(asked)

    @property
    def calls_handlers(self) -> bool:
        """Whether a handler object of the program is told of questions here."""
        return self._run.people.calls_handlers

    def recorded(self, key: str, /) -> Recorded | None:
        """Return the question of that key, if this activation has asked it."""
        return self._run.people.recorded(self._activation, key)

    def ask(self, question: "Question", handler: "FeedbackHandler | None", /) -> Recorded:
        """Ask, and return the question with its answer."""
        from graflow.dsl.answers import refused_to_policy  # noqa: PLC0415 - few tasks ask

        node = node_of(self._nodes.program.plan, self._nodes.state, self._activation)
        if not isinstance(node, TaskPlan):
            raise refused_to_policy(self._activation.node, question.key)
        return self._run.people.ask(self._activation, question, handler, self.limit)

    def kept(self, key: str, /) -> object:
        """Return what an attempt of this activation has kept, or `MISSING`."""
        return self._run.people.kept(self._activation, key)

    def keep(self, key: str, value: object, /) -> None:
        """Keep a value for the later attempts of this activation."""
        self._run.people.keep(self._activation, key, value)

    @property
    def provided(self) -> Provided:
        """The run's clients, agents and prompts."""
        return self._run.provided


class RunChannel:
    """The run's channel, in which results can be read too; see `Channel`."""

    def __init__(self, channel: MemoryChannel, result: Callable[[str], object]) -> None:
        self._channel = channel
        self._result = result

    @property
    def name(self) -> str:
        """Name of the channel."""
        return self._channel.name

    def set(self, key: str, value: object, ttl: float | None = None) -> None:
        """Give the key a value."""
        self._channel.set(key, value, ttl)

    def get(self, key: str, default: object = None) -> Any:  # noqa: ANN401 - whatever was set
        """Return a copy of the value of the key, or of the result that it names."""
        found = self._named_result(key)
        return self._channel.get(key, default) if found is MISSING else found

    def delete(self, key: str) -> bool:
        """Forget the key; return whether it was there."""
        return self._channel.delete(key)

    def exists(self, key: str) -> bool:
        """Return whether the key has a value, or names a result."""
        return self._named_result(key) is not MISSING or self._channel.exists(key)

    def keys(self) -> list[str]:
        """Return the keys that were set, in the order in which they came."""
        return self._channel.keys()

    def clear(self) -> None:
        """Forget all keys."""
        self._channel.clear()

    def append(self, key: str, value: object, ttl: float | None = None) -> int:
        """Add to the end of a list; see `Channel`."""
        return self._channel.append(key, value, ttl)

    def prepend(self, key: str, value: object, ttl: float | None = None) -> int:
        """Add to the beginning of a list; see `Channel`."""
        return self._channel.prepend(key, value, ttl)

    def atomic_add(self, key: str, amount: float = 1) -> float:
        """Add to a number; see `Channel`."""
        return self._channel.atomic_add(key, amount)

    def lock(self, key: str, timeout: float = 10.0) -> AbstractContextManager[None]:
        """Hold a lock; see `Channel`."""
        return self._channel.lock(key, timeout)

    def end(self) -> None:
        """Give back the locks of the attempt whose handle this is."""
        self._channel.end()

    def __reduce__(self) -> tuple[object, ...]:
        return ChannelHandle, ()  # what travels is a handle (C5)

    def _named_result(self, key: str) -> object:
        task = named_by(key)
        return MISSING if task is None else self._result(task)
