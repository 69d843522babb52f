"""The context that a task gets when it asks for it: `@task(inject_context=True)`."""

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from graflow.dsl.channel import Channel
from graflow.dsl.missing import MISSING
from graflow.machine.defaults import MAX_CYCLES

if TYPE_CHECKING:  # a pod has no graph
    from graflow.dsl.graph import TaskGraph


@dataclass(frozen=True, kw_only=True)
class TaskFacts:
    """What is fixed about one attempt."""

    task_id: str
    session_id: str = ""
    """Of the run: the same for all of its tasks, and for nothing else."""

    trace_id: str = ""
    """Of the run and everything that it belongs to."""

    cycle_count: int = 1
    """Activations of this task in its scope, this one included (T2)."""

    max_cycles: int = MAX_CYCLES
    retry_count: int = 0
    """Attempts of this activation that failed before this one."""

    max_retries: int = 0
    start_time: float = field(default_factory=time.time)
    """When the attempt began, in seconds since the epoch."""


class Backend(Protocol):
    """What a host does for the context of a task."""

    def result(self, task_id: str, /) -> object:
        """Return the latest result of a task that this one may see, or `MISSING`."""

    @property
    def channel(self) -> Channel:
        """The run's channel."""

    @property
    def graph(self) -> "TaskGraph":
        """The tasks known to the run."""


class TaskExecutionContext:
    """What a running task can know and ask."""

    def __init__(self, facts: TaskFacts, backend: Backend) -> None:
        self._facts = facts
        self._backend = backend
        self._started = time.monotonic()
        self.local_data: dict[str, Any] = {}
        """Of this attempt alone."""

    @property
    def task_id(self) -> str:
        """Id of the running task."""
        return self._facts.task_id

    @property
    def session_id(self) -> str:
        """Id of the run."""
        return self._facts.session_id

    @property
    def trace_id(self) -> str:
        """Id of the run and everything that it belongs to."""
        return self._facts.trace_id

    @property
    def graph(self) -> "TaskGraph":
        """The tasks known to the run; what a task draws never changes it."""
        return self._backend.graph

    @property
    def start_time(self) -> float:
        """When this attempt began, in seconds since the epoch."""
        return self._facts.start_time

    @property
    def cycle_count(self) -> int:
        """Which pass of this task it is, from 1; retries do not add."""
        return self._facts.cycle_count

    @property
    def max_cycles(self) -> int:
        """Passes that the task may make."""
        return self._facts.max_cycles

    @property
    def retry_count(self) -> int:
        """Attempts of this pass that failed before this one."""
        return self._facts.retry_count

    @property
    def max_retries(self) -> int:
        """Attempts after the first one that a pass may take."""
        return self._facts.max_retries

    def elapsed_time(self) -> float:
        """Return the seconds since this attempt began."""
        return time.monotonic() - self._started

    def can_iterate(self) -> bool:
        """Return whether another pass is allowed."""
        return self.cycle_count < self.max_cycles

    def get_result(self, task_id: str, default: Any = None) -> Any:  # noqa: ANN401 - any value
        """Return a copy of the latest result of a task that this one may see."""
        found = self._backend.result(task_id)
        return default if found is MISSING else found

    def get_channel(self) -> Channel:
        """Return the run's channel."""
        return self._backend.channel

    def set_local_data(self, key: str, value: object) -> None:
        """Keep a value for this attempt."""
        self.local_data[key] = value

    def get_local_data(self, key: str, default: Any = None) -> Any:  # noqa: ANN401 - any value
        """Return a value kept for this attempt."""
        return self.local_data.get(key, default)
