"""A run as programs see it: before, to set it up by hand, and after, to read what it left."""

import os
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, Self

from graflow.dsl.channel import Channel
from graflow.dsl.checks import named, whole
from graflow.dsl.graph import TaskGraph
from graflow.dsl.handler import TaskHandler
from graflow.dsl.host import current_host
from graflow.dsl.limits import CycleController, RetryController
from graflow.dsl.memory_channel import MemoryChannel
from graflow.dsl.missing import MISSING
from graflow.dsl.plans import Defaults
from graflow.dsl.program import Program, freeze_program
from graflow.dsl.services import Provided, Services
from graflow.exceptions import ConfigError, GraflowRuntimeError
from graflow.machine.defaults import DEFAULT_MAX_CYCLES, DEFAULT_MAX_STEPS

if TYPE_CHECKING:  # packages above this layer, some of them optional; what few programs need
    from collections.abc import Callable

    from graflow.dsl.checkpoints import CheckpointMetadata
    from graflow.llm.agents.base import LLMAgent
    from graflow.llm.client import LLMClient
    from graflow.prompts.base import PromptManager
    from graflow.trace.base import Tracer

_FEEDBACK = "graflow.local.manager"
"""Above this layer, hence by name."""

_NO_QUEUE = "what runs next follows from the edges and from what tasks ask for"
_OF_TASKS = "it is asked for by a running task: @task(inject_context=True) gives it a context"
_NO_BRANCHES = "a branch is part of its run, and its results are seen when its group ends"
ABSENT = {
    **dict.fromkeys(("queue", "task_queue", "add_to_queue", "get_next_task"), _NO_QUEUE),
    **dict.fromkeys(("increment_step", "mark_task_completed"), _NO_QUEUE),
    **dict.fromkeys(("create_branch_context", "merge_results"), _NO_BRANCHES),
    **dict.fromkeys(("next_task", "next_iteration"), _OF_TASKS),
    **dict.fromkeys(("terminate_workflow", "cancel_workflow", "executing_task"), _OF_TASKS),
}
"""Of Graflow's names those that have no place here, with why."""


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

    @property
    def message(self) -> str:
        """Why the run ended, if a task or somebody said so."""

    @property
    def last_checkpoint(self) -> "tuple[str, CheckpointMetadata] | None":
        """Where the last checkpoint is that the run took, and what is known of it."""

    def result(self, task_id: str, /) -> object:
        """Return a copy of the latest result of a task, or `MISSING`."""


class ExecutionContext:
    """A graph with what a run of it needs; afterwards also what the run left.

    Handlers, tracers and functions that make agents are given one of the run that goes on.

    Args:
        graph: What to run.
        start_node: Where to begin; None: at every node without a predecessor.
        max_steps: Activations after which the run fails.
        default_max_cycles: For tasks that say nothing.
        default_max_retries: For tasks that say nothing.
        steps: Activations to count as made already.
        channel_backend: `memory` or `redis`, for programs that name one: a run's channel is
            always that of its host.
        config: For programs that read it again; nothing here does.
        parent_context: Of the run that this one belongs to.
        session_id: Id of the run; by default a new one.
        trace_id: What the run belongs to; by default what its parent does, or itself.
        tracer: Is told what happens in the run.
        llm_client: For tasks with `inject_llm_client`; by default made when one asks.
        prompt_manager: For `ctx.prompt_manager`; by default made when a task asks.
        name: Of the workflow.

    Raises:
        ConfigError: If the channel backend is not known, or an option cannot work.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - Graflow's own signature
        self,
        graph: TaskGraph,
        start_node: str | None = None,
        max_steps: int = DEFAULT_MAX_STEPS,
        default_max_cycles: int = DEFAULT_MAX_CYCLES,
        default_max_retries: int = 0,
        steps: int = 0,
        channel_backend: str = "memory",
        config: Mapping[str, Any] | None = None,
        parent_context: "ExecutionContext | None" = None,
        session_id: str | None = None,
        trace_id: str | None = None,
        tracer: "Tracer | None" = None,
        llm_client: "LLMClient | None" = None,
        prompt_manager: "PromptManager | None" = None,
        *,
        name: str = "workflow",
    ) -> None:
        if channel_backend not in ("memory", "redis"):
            raise ConfigError(
                f"channel_backend {channel_backend!r} is not known; it is memory or redis"
            )
        self.name = name
        self.graph = graph
        self.start_node = start_node
        self.max_steps = max_steps
        self.parent_context = parent_context
        self.config: dict[str, Any] = dict(config or {})
        self.tracer = tracer
        self.channel_backend = channel_backend
        self.cycle_controller = CycleController(default_max_cycles)
        self.retry_controller = RetryController(default_max_retries)
        self._steps_before = whole("steps", steps, least=0)
        given = {"session_id": session_id, "trace_id": trace_id}
        self._local = [f"{name}={value!r}" for name, value in given.items() if value]
        if channel_backend != "memory":
            self._local.append(f"channel_backend={channel_backend!r}")
        self._session_id = session_id or os.urandom(16).hex()
        parents = parent_context.trace_id if parent_context else None
        self._trace_id = trace_id or parents or self._session_id
        self._channel: Channel = MemoryChannel()
        self._agents: dict[str, Any] = {}
        self._given = (llm_client, prompt_manager)
        self._provided: Provided | None = None
        self._feedback_manager: Any = None
        self.current_task_id: str | None = None
        """While a run goes on: the group or task that what happens now belongs to."""
        self._last_checkpoint: tuple[str, CheckpointMetadata] | None = None
        self.error: BaseException | None = None
        """Why the run failed, once it has."""
        self.outcome: Outcome | None = None
        """What the run left or has done so far; None before it begins."""

    @classmethod
    def create(  # noqa: PLR0913, PLR0917 - Graflow's own signature
        cls,
        graph: TaskGraph,
        start_node: str | None = None,
        max_steps: int = DEFAULT_MAX_STEPS,
        default_max_cycles: int = DEFAULT_MAX_CYCLES,
        default_max_retries: int = 0,
        channel_backend: str = "memory",
        config: Mapping[str, Any] | None = None,
        tracer: "Tracer | None" = None,
        llm_client: "LLMClient | None" = None,
        prompt_manager: "PromptManager | None" = None,
    ) -> "ExecutionContext":
        """Return a context for a run; arguments as those of the class."""
        return cls(
            graph,
            start_node,
            max_steps,
            default_max_cycles,
            default_max_retries,
            channel_backend=channel_backend,
            config=config,
            tracer=tracer,
            llm_client=llm_client,
            prompt_manager=prompt_manager,
        )

    @classmethod
    def of_run(cls, program: Program, outcome: Outcome, provided: Provided | None = None) -> Self:
        """Return the context of a run that goes on or has ended; for hosts.

        Args:
            program: What runs.
            outcome: What it has left so far.
            provided: Its clients, agents and prompts, while it goes on.
        """
        services = program.services
        context = cls(
            program.graph,
            program.plan.start[0],
            program.plan.max_steps,
            config=services.config,
            session_id=outcome.session_id,
            trace_id=services.trace_id,
            tracer=services.tracer,
            llm_client=services.llm_client,
            prompt_manager=services.prompt_manager,
            name=program.name,
        )
        context._agents.update(services.agents)
        context.outcome = outcome
        context._provided = provided
        return context

    @property
    def session_id(self) -> str:
        """Id of the run."""
        return self._session_id

    @property
    def trace_id(self) -> str:
        """Id of the run and everything that it belongs to."""
        return self._trace_id

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
        return self._steps_before + (self.outcome.steps if self.outcome else 0)

    @property
    def ctrl_message(self) -> str | None:
        """What `terminate_workflow` or `cancel_workflow` was given, if it was called."""
        return (self.outcome.message or None) if self.outcome else None

    @property
    def last_checkpoint(self) -> "tuple[str, CheckpointMetadata] | None":
        """Where the last checkpoint is that the run took or goes on from, and what is known."""
        taken = self.outcome.last_checkpoint if self.outcome else None
        return taken or self._last_checkpoint

    @last_checkpoint.setter
    def last_checkpoint(self, taken: "tuple[str, CheckpointMetadata]") -> None:
        self._last_checkpoint = taken

    @property
    def last_checkpoint_path(self) -> str | None:
        """Where the last checkpoint is; None: there is none."""
        return self.last_checkpoint[0] if self.last_checkpoint else None

    @property
    def checkpoint_metadata(self) -> dict[str, Any]:
        """What is known of the last checkpoint; empty: there is none."""
        return self.last_checkpoint[1].to_dict() if self.last_checkpoint else {}

    def get_channel(self) -> Channel:
        """Return the run's channel."""
        return self.channel

    def get_result(self, task_id: str, default: Any = None) -> Any:  # noqa: ANN401 - any value
        """Return a copy of the latest result of a task."""
        found = self.outcome.result(task_id) if self.outcome else MISSING
        return default if found is MISSING else found

    def set_result(self, task_id: str, result: object) -> None:
        """Keep the value of a task: for handlers, of the task that they run.

        Raises:
            GraflowRuntimeError: If this is no context of a handler.
        """
        del result
        raise GraflowRuntimeError(
            f"set_result({task_id!r}, …) is for handlers, of the task that they run; before a run, "
            f"context.channel.set({task_id!r}, value) gives a value to parameters of that name"
        )

    @property
    def provided(self) -> Provided:
        """Clients, agents and prompts."""
        if self._provided is None:
            self._provided = Provided(self._services({}), lambda: self)
        return self._provided

    @property
    def llm_client(self) -> "LLMClient":
        """The run's LLM client; made when first asked for, unless one was given."""
        found: LLMClient = self.provided.llm_client
        return found

    @property
    def prompt_manager(self) -> "PromptManager":
        """The run's prompts; by default those of `./prompts`."""
        found: PromptManager = self.provided.prompt_manager
        return found

    @property
    def feedback_manager(self) -> Any:  # noqa: ANN401 - a FeedbackManager, above this layer
        """What questions of a run on this machine are answered with, from outside of it."""
        if self._feedback_manager is None:
            made = import_module(_FEEDBACK).FeedbackManager
            self._feedback_manager = made("filesystem", self.config, self.channel)
        return self._feedback_manager

    def register_llm_agent(self, name: str, agent: "LLMAgent") -> None:
        """Add an agent for tasks with `inject_llm_agent`.

        Raises:
            ConfigError: If it is none.
        """
        self.provided.register_agent(name, agent)
        self._agents[name] = agent

    def get_llm_agent(self, name: str) -> "LLMAgent":
        """Return the agent of a name.

        Raises:
            UnknownAgentError: If nobody registered one; it is a KeyError.
        """
        found: LLMAgent = self.provided.agent(name)
        return found

    def is_completed(self) -> bool:
        """Return whether the run has ended."""
        return self.outcome is not None

    def program(self, handlers: Mapping[str, TaskHandler] | None = None) -> Program:
        """Return what a host would run.

        Args:
            handlers: Those that tasks may ask for.

        Raises:
            GraphCompilationError: If the graph cannot run.
            ConfigError: If a task asks for a handler that is not there.
        """
        return freeze_program(
            self.name,
            self.graph,
            start_node=self.start_node,
            max_steps=self.max_steps - self._steps_before,
            defaults=Defaults(
                self.cycle_controller.default_max_cycles,
                self.retry_controller.default_max_retries,
                self.cycle_controller.node_max_cycles,
                self.retry_controller.node_max_retries,
                self.retry_controller.node_policies,
            ),
            services=self._services(handlers or {}),
        )

    def execute(self) -> Any:  # noqa: ANN401 - the value of the run
        """Run the graph and return its value; this context then shows what the run left.

        Raises:
            GraphCompilationError: If the graph cannot run.
            GraflowRuntimeError: If the run fails.
        """
        return self.run_with({})

    def run_with(self, handlers: Mapping[str, TaskHandler]) -> Any:  # noqa: ANN401 - the value of the run
        """Run the graph with handlers; see `execute`."""
        before = self._channel
        self.outcome = self.error = None
        program = self.program(handlers)
        initial = {key: before.get(key) for key in before.keys()}  # noqa: SIM118 - no dict
        return self._left_by(
            lambda: current_host().execute(program, initial_channel=initial, ret_context=True)
        )

    def _left_by(self, run: "Callable[[], tuple[Any, ExecutionContext]]") -> Any:  # noqa: ANN401 - the value of the run
        """Let a host run the graph, and show what that left."""
        try:
            value, finished = run()
        except GraflowRuntimeError as error:
            self.error = error
            if isinstance(error.context, ExecutionContext):
                self.outcome = error.context.outcome
            raise
        self.outcome = finished.outcome
        self._session_id, self._trace_id = finished.session_id, finished.trace_id
        return value

    def _services(self, handlers: Mapping[str, TaskHandler]) -> Services:
        llm_client, prompt_manager = self._given
        return Services(
            llm_client=llm_client,
            prompt_manager=prompt_manager,
            agents=dict(self._agents),
            handlers=dict(handlers),
            tracer=self.tracer,
            session_id=self._session_id,
            trace_id=self._trace_id,
            config=self.config,
            local=self._local,
        )

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> object:
            """Say why a name of Graflow's is not here."""
            why = f": {ABSENT[name]}" if name in ABSENT else ""
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}{why}")


def initial_keys(given: Mapping[str, object] | None) -> Mapping[str, object] | None:
    """Check the keys that a program sets before its run.

    Raises:
        ConfigError: If a key is no text.
    """
    for key in given or ():
        named("a key of initial_channel", key)
    return given
