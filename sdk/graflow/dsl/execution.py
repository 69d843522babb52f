"""A run as programs see it: before, to set it up by hand, and after, to read what it left."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from graflow.dsl.channel import Channel
from graflow.dsl.checks import named
from graflow.dsl.graph import TaskGraph
from graflow.dsl.host import current_host
from graflow.dsl.memory_channel import MemoryChannel
from graflow.dsl.missing import MISSING
from graflow.dsl.program import Defaults, Program, freeze_program
from graflow.exceptions import ConfigError
from graflow.machine.plan import DEFAULT_MAX_CYCLES, DEFAULT_MAX_STEPS


class Outcome(Protocol):
    """What a host knows of a run that has ended."""

    @property
    def session_id(self) -> str:
        """Id of the run."""

    @property
    def channel(self) -> Channel:
        """Its channel."""

    @property
    def completed_tasks(self) -> Sequence[str]:
        """Ids of the tasks that succeeded, in the order of their latest completion."""

    @property
    def steps(self) -> int:
        """How many activations there were."""

    def result(self, task_id: str, /) -> object:
        """Return a copy of the latest result of a task, or `MISSING`."""


class ExecutionContext:
    """A graph with what a run of it needs; afterwards also what the run left."""

    def __init__(  # noqa: PLR0913, PLR0917 - Graflow's own signature
        self,
        graph: TaskGraph,
        start_node: str | None = None,
        max_steps: int = DEFAULT_MAX_STEPS,
        default_max_cycles: int = DEFAULT_MAX_CYCLES,
        default_max_retries: int = 0,
        channel_backend: str = "memory",
        *,
        name: str = "workflow",
    ) -> None:
        """Take what a run needs.

        Args:
            graph: What to run.
            start_node: Where to begin; None: at every node without a predecessor.
            max_steps: Activations after which the run fails.
            default_max_cycles: For tasks that say nothing.
            default_max_retries: For tasks that say nothing.
            channel_backend: `memory` or `redis`, for programs that name one: a run's channel is
                always that of its host.
            name: Of the workflow.

        Raises:
            ConfigError: If the channel backend is not known.
        """
        if channel_backend not in ("memory", "redis"):
            raise ConfigError(
                f"channel_backend {channel_backend!r} is not known; it is memory or redis"
            )
        self.name = name
        self.graph = graph
        self.start_node = start_node
        self.max_steps = max_steps
        self._defaults = Defaults(default_max_cycles, default_max_retries)
        self._session_id = os.urandom(16).hex()
        self._channel: Channel = MemoryChannel()
        self.outcome: Outcome | None = None
        """What the run left; None before it has ended."""

    @classmethod
    def create(  # noqa: PLR0913, PLR0917 - Graflow's own signature
        cls,
        graph: TaskGraph,
        start_node: str | None = None,
        max_steps: int = DEFAULT_MAX_STEPS,
        default_max_cycles: int = DEFAULT_MAX_CYCLES,
        default_max_retries: int = 0,
        channel_backend: str = "memory",
    ) -> "ExecutionContext":
        """Return a context for a run; arguments as those of the class."""
        return cls(
            graph, start_node, max_steps, default_max_cycles, default_max_retries, channel_backend
        )

    @classmethod
    def of_run(cls, program: Program, outcome: Outcome) -> "ExecutionContext":
        """Return the context of a run that has ended; for hosts."""
        context = cls(program.graph, max_steps=program.plan.max_steps, name=program.name)
        context.start_node = program.plan.start[0]
        context.outcome = outcome
        return context

    @property
    def session_id(self) -> str:
        """Id of the run."""
        return self.outcome.session_id if self.outcome else self._session_id

    @property
    def trace_id(self) -> str:
        """Id of the run and everything that it belongs to."""
        return self.session_id

    @property
    def channel(self) -> Channel:
        """The run's channel; what is set before the run is there when it begins."""
        return self.outcome.channel if self.outcome else self._channel

    @property
    def completed_tasks(self) -> list[str]:
        """Ids of the tasks that succeeded, in the order of their latest completion."""
        return list(self.outcome.completed_tasks) if self.outcome else []

    @property
    def steps(self) -> int:
        """How many activations there were."""
        return self.outcome.steps if self.outcome else 0

    def get_channel(self) -> Channel:
        """Return the run's channel."""
        return self.channel

    def get_result(self, task_id: str, default: Any = None) -> Any:  # noqa: ANN401 - any value
        """Return a copy of the latest result of a task."""
        found = self.outcome.result(task_id) if self.outcome else MISSING
        return default if found is MISSING else found

    def is_completed(self) -> bool:
        """Return whether the run has ended."""
        return self.outcome is not None

    def program(self) -> Program:
        """Return what a host would run.

        Raises:
            GraphCompilationError: If the graph cannot run.
        """
        return freeze_program(
            self.name,
            self.graph,
            start_node=self.start_node,
            max_steps=self.max_steps,
            defaults=self._defaults,
        )

    def execute(self) -> Any:  # noqa: ANN401 - the value of the run
        """Run the graph and return its value; this context then shows what the run left.

        Raises:
            GraphCompilationError: If the graph cannot run.
            GraflowRuntimeError: If the run fails.
        """
        before = self._channel
        value, finished = current_host().execute(
            self.program(),
            initial_channel={key: before.get(key) for key in before.keys()},  # noqa: SIM118 - no dict
            ret_context=True,
        )
        self.outcome = finished.outcome
        return value


class WorkflowEngine:
    """Runs contexts."""

    def execute(self, context: ExecutionContext, start_task_id: str | None = None) -> Any:  # noqa: ANN401 - the value of the run
        """Run a context and return its value.

        Args:
            context: What to run.
            start_task_id: Where to begin, instead of where the context says.
        """
        if start_task_id is not None:
            context.start_node = start_task_id
        return context.execute()


def initial_keys(given: Mapping[str, object] | None) -> Mapping[str, object] | None:
    """Check the keys that a program sets before its run.

    Raises:
        ConfigError: If a key is no text.
    """
    for key in given or ():
        named("a key of initial_channel", key)
    return given
