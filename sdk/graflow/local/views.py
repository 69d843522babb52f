"""What a running task sees of its run."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from graflow.dsl.arguments import Available
from graflow.dsl.channel import Channel
from graflow.dsl.copies import Frozen
from graflow.dsl.graph import TaskGraph
from graflow.dsl.missing import MISSING
from graflow.machine.plan import Plan
from graflow.machine.results import visible
from graflow.machine.state import GroupValue, State, Value

RESULT_KEY = ".__result__"
"""`<id>.__result__` is the channel's name for the result of a task (C1)."""


def thaw(value: Value) -> Any:  # noqa: ANN401 - any value
    """Return a copy of a value of the machine; that of a group is a dict by member (G4)."""
    if isinstance(value, GroupValue):
        return {member: thaw(branch) for member, branch in value.branches}
    return value.thaw() if isinstance(value, Frozen) else value


class TaskView:
    """Results, channel and graph as seen from one scope; both `Names` and `Backend`."""

    def __init__(
        self, plan: Plan, graph: TaskGraph, channel: Channel, scope: int, state: Callable[[], State]
    ) -> None:
        self._plan = plan
        self._graph = graph
        self._channel = RunChannel(channel, self.result)
        self._scope = scope
        self._state = state

    def result(self, task_id: str, /) -> object:
        """Return a copy of the latest result of a task that can be seen, or `MISSING`."""
        found = visible(self._state(), self._scope, task_id)
        return MISSING if found is None else thaw(found.value)

    def channel_value(self, key: str, /) -> object:
        """Return a copy of the value of a channel key, or `MISSING`."""
        return self._channel.get(key, MISSING)

    def is_task(self, name: str, /) -> bool:
        """Return whether a task or group of that id is known to the run."""
        return name in self._plan.by_id

    def available(self) -> Available:
        """Return what could be asked for."""
        state = self._state()
        seen = tuple(name for name in self._plan.by_id if visible(state, self._scope, name))
        return Available(seen, tuple(self._channel.keys()))

    @property
    def channel(self) -> Channel:
        """The run's channel."""
        return self._channel

    @property
    def graph(self) -> TaskGraph:
        """The tasks known to the run."""
        return self._graph


class RunChannel:
    """The run's channel, in which results can be read too; see `Channel`."""

    def __init__(self, channel: Channel, result: Callable[[str], object]) -> None:
        self._channel = channel
        self._result = result

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

    def _named_result(self, key: str) -> object:
        if not key.endswith(RESULT_KEY):
            return MISSING
        return self._result(key.removesuffix(RESULT_KEY))
