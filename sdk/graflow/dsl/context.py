"""The context that a task gets when it asks for it: `@task(inject_context=True)`."""

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from graflow.dsl.asking import AsksPeople, People
from graflow.dsl.channel import Channel
from graflow.dsl.handles import ContextHandle, in_place_of
from graflow.dsl.missing import MISSING
from graflow.exceptions import InvalidTransitionError
from graflow.machine.defaults import DEFAULT_MAX_CYCLES

if TYPE_CHECKING:  # what most tasks in pods do without
    from collections.abc import Callable, Mapping

    from graflow.dsl.checkpoints import Asked, CheckpointMetadata
    from graflow.dsl.current import Place
    from graflow.dsl.decisions import Decisions
    from graflow.dsl.flow import Side
    from graflow.dsl.graph import TaskGraph
    from graflow.dsl.services import Provided
    from graflow.dsl.typed_channel import TypedChannel
    from graflow.llm.agents.base import LLMAgent
    from graflow.llm.client import LLMClient
    from graflow.prompts.base import PromptManager

M = TypeVar("M")


@dataclass(kw_only=True, slots=True)  # not frozen, which would double the time to make one
class TaskFacts:
    """What is fixed about one attempt."""

    task_id: str
    session_id: str = ""
    """Of the run: the same for all of its tasks, and for nothing else."""

    trace_id: str = ""
    """Of the run and everything that it belongs to."""

    cycle_count: int = 1
    """Activations of this task in its scope, this one included (T2)."""

    max_cycles: int = DEFAULT_MAX_CYCLES
    retry_count: int = 0
    """Attempts of this activation that failed before this one."""

    max_retries: int = 0
    identity: str = ""
    """Where the activation stands, alike on every host: part of the ids of what it builds (T7)."""

    inside: tuple[str, ...] = ()
    """The groups in whose branches it runs, the innermost first."""

    start_time: float = field(default_factory=time.time)
    """When the attempt began, in seconds since the epoch."""


class Backend(People, Protocol):
    """What a host does for the context of a task."""

    def result(self, task_id: str, /) -> object:
        """Return the latest result of a task that this one may see, or `MISSING`."""

    @property
    def channel(self) -> Channel:
        """The run's channel."""

    @property
    def graph(self) -> "TaskGraph":
        """The tasks known to the run, and to the fragments around the task."""

    def is_placed(self, task_id: str, /) -> bool:
        """Return whether a task known to the run has a place in a flow: an edge, or a group."""

    def is_static(self, task_id: str, /) -> bool:
        """Return whether a task of that id was there before the run began."""

    @property
    def provided(self) -> "Provided":
        """The run's clients, agents and prompts."""

    def check_saving(self) -> None:
        """Raise `CheckpointError` where the run can have no checkpoint, whenever it is taken."""

    def checkpoint(self, asked: "Asked", /) -> "tuple[str, CheckpointMetadata]":
        """Take a checkpoint of the run as it is now, in which the task has yet to begin anew.

        Returns:
            Where it is, and what is known of it.
        """


class TaskExecutionContext(AsksPeople):
    """What a running task can know and ask."""

    def __init__(self, facts: TaskFacts, backend: Backend) -> None:
        self._facts = facts
        self._backend = backend
        self._started = time.monotonic()
        self.local_data: dict[str, Any] = {}
        """Of this attempt alone."""
        self.decisions: Decisions | None = None
        """What the task has asked for; for hosts."""
        self.place: Place | None = None
        """Where what the task builds is drawn; for hosts."""
        self.func: Callable[..., object] | None = None
        """The task's function; for hosts."""
        self.over = False
        """Whether the call of the function has ended; for hosts."""

    @property
    def facts(self) -> TaskFacts:
        """What is fixed about the attempt."""
        return self._facts

    @property
    def known(self) -> Backend:
        """What the host knows of the tasks around; for `Decisions`."""
        return self._backend

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

    def next_task(self, executable: "Side", goto: bool = False, *, reason: str = "") -> str:  # noqa: FBT001, FBT002 - Graflow's own signature
        """Decide what runs after this task; it takes effect when the task has succeeded.

        A task that exists is gone to instead of the task's successors. What the task has built (an
        instance, a chain, a group) runs first, and then the task's own successors.

        Args:
            executable: A task, a chain or a group.
            goto: Skip the task's own successors in either case.
            reason: Why, for people who look at the run.

        Returns:
            The id of the first task that it leads to.

        Raises:
            InvalidTransitionError: If nobody knows the task, or this one runs in it.
            GraphCompilationError: If what was built cannot run.
        """
        return self._deciding().next_task(executable, goto=goto, reason=reason)

    def next_iteration(self, data: Any = None, *, reason: str = "") -> str:  # noqa: ANN401 - any value
        """Run this task again before its successors.

        Args:
            data: First argument of the next pass, after the context; None keeps the input of this
                pass. An instance of this task, `t(x=2)`, means: with these arguments.
            reason: Why, for people who look at the run.

        Raises:
            CycleLimitExceededError: If the task has made `max_cycles` passes.
        """
        return self._deciding().next_iteration(data, reason=reason)

    def terminate_workflow(self, message: str = "", *, result: Any = MISSING) -> None:  # noqa: ANN401 - any value
        """End the run as succeeded when this task has; its value is that of this task.

        Args:
            message: Why.
            result: The value, instead of what the task returns.
        """
        self._deciding().terminate(message, result)

    def cancel_workflow(self, message: str = "", *, error: BaseException | None = None) -> None:
        """End the run as cancelled when this task has succeeded.

        Args:
            message: Why.
            error: What led to it; its words are added to the message.
        """
        self._deciding().cancel(message, error)

    def checkpoint(
        self,
        metadata: "Mapping[str, Any] | None" = None,
        *,
        path: str | None = None,
        deferred: bool = True,
    ) -> "tuple[str, CheckpointMetadata] | None":
        """Take a checkpoint of the run, from which another one can go on.

        By default it is taken right after this task has succeeded, with its result and everything
        that follows from it, and is there before anything of that begins; of several calls in one
        task the last one counts, and a task that fails takes none.

        Args:
            metadata: What to say about it: JSON, at most 1 KiB.
            path: Where to put it on this machine, or `s3://bucket/key`; by default a new name in
                `checkpoints/<session id>`. On a cluster a label: its place is the run's own.
            deferred: False takes it now, and a run that goes on from it runs this task again.

        Returns:
            Where it is, and what is known of it, if it is taken now; otherwise None.

        Raises:
            CheckpointError: If it cannot be taken now, or not with this metadata or path.
        """
        from graflow.dsl.checkpoints import asked  # noqa: PLC0415  # few tasks take one

        mine = self._under_way()
        mine.known.check_saving()
        found = asked(metadata, path, mine.facts, deferred=deferred)
        if not deferred:
            return mine.known.checkpoint(found)
        mine._deciding().checkpoint = found  # noqa: SLF001 - of this class
        return None

    def check_target(self, task_id: str) -> None:
        """Raise `InvalidTransitionError` if this task could not jump to another one."""
        self._deciding().check_target(task_id)

    def jump(self, task_id: str, reason: str) -> None:
        """Go to a task that exists when this one has succeeded."""
        self._deciding().jump(task_id, reason)

    def _of_attempt(self) -> "TaskExecutionContext":
        return self._under_way()

    def _deciding(self) -> "Decisions":
        mine = self._under_way()
        if mine.decisions is None:
            # Imported here: most tasks decide nothing, and a pod should not wait for it.
            from graflow.dsl.decisions import Decisions  # noqa: PLC0415

            mine.decisions = Decisions(mine)
        return mine.decisions

    def _under_way(self) -> "TaskExecutionContext":
        """Return this context, or where it was captured what it is in a pod (C5)."""
        if not self.over:
            return self
        mine = in_place_of(self)
        if mine is None or mine.over:
            raise InvalidTransitionError(
                f"task {self.task_id!r} has ended and decides nothing more; decide before it "
                "returns, and wait for the threads that it begins"
            )
        return mine

    def get_result(self, task_id: str, default: Any = None) -> Any:  # noqa: ANN401 - any value
        """Return a copy of the latest result of a task that this one may see."""
        found = self._backend.result(task_id)
        return default if found is MISSING else found

    def get_channel(self) -> Channel:
        """Return the run's channel."""
        return self._backend.channel

    def get_typed_channel(self, message_type: type[M]) -> "TypedChannel[M]":
        """Return the run's channel for messages of one TypedDict.

        Raises:
            ValueError: If `message_type` is no TypedDict.
        """
        from graflow.dsl.typed_channel import TypedChannel  # noqa: PLC0415  # few tasks have one

        return TypedChannel(self.get_channel(), message_type)

    @property
    def execution_context(self) -> Any:  # noqa: ANN401 - an ExecutionContext; in a pod, this context
        """The run while it goes on; in a pod, which knows only its task, this context itself."""
        return self._backend.provided.context()

    @property
    def llm_client(self) -> "LLMClient":
        """The run's LLM client; made when a task first asks, unless the program gave one."""
        found: LLMClient = self._backend.provided.llm_client
        return found

    @property
    def prompt_manager(self) -> "PromptManager":
        """The run's prompts; by default those of `./prompts`."""
        found: PromptManager = self._backend.provided.prompt_manager
        return found

    def get_llm_agent(self, name: str) -> "LLMAgent":
        """Return an agent that the program registered.

        Raises:
            UnknownAgentError: If nobody registered one of that name; it is a KeyError.
        """
        found: LLMAgent = self._backend.provided.agent(name)
        return found

    def register_llm_agent(self, name: str, agent: "LLMAgent") -> None:
        """Add an agent: on this machine for the whole run, in a pod for the rest of the task.

        Raises:
            ConfigError: If it is none.
        """
        self._backend.provided.register_agent(name, agent)

    def set_local_data(self, key: str, value: object) -> None:
        """Keep a value for this attempt."""
        self.local_data[key] = value

    def get_local_data(self, key: str, default: Any = None) -> Any:  # noqa: ANN401 - any value
        """Return a value kept for this attempt."""
        return self.local_data.get(key, default)

    def __reduce__(self) -> tuple[object, ...]:
        return ContextHandle, ()  # of the task that runs where it arrives (C5)
