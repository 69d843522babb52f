"""What a program gives to its runs beside tasks and edges: LLM clients, agents, prompts, a tracer.

Nothing of it is imported before it is used: clients, agents and prompts live in packages of their
own, some of them optional.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

from graflow.exceptions import ArgumentError, ConfigError, UnknownAgentError

if TYPE_CHECKING:  # types of what is only passed on
    from graflow.dsl.call import Callee
    from graflow.dsl.handler import TaskHandler

_LLM = "graflow.llm.client"
_PROMPTS = "graflow.prompts.yaml_manager"
"""Above this layer, hence by name."""


@dataclass(frozen=True, kw_only=True)
class Services:
    """What one program gives to its runs."""

    llm_client: Any = None
    """A `graflow.llm.client.LLMClient`; None: one is made when a task asks."""

    prompt_manager: Any = None
    """A `graflow.prompts.base.PromptManager`; None: one for `./prompts`, when a task asks."""

    agents: Mapping[str, Any] = field(default_factory=dict)
    """By name: an agent, or a function that makes one and is given the run's context."""

    handlers: Mapping[str, "TaskHandler"] = field(default_factory=dict)
    """By the name that tasks ask for. This machine only."""

    tracer: Any = None
    """A `graflow.trace.base.Tracer`. This machine only."""

    session_id: str | None = None
    """Id of the run, if the program chose it. This machine only."""

    trace_id: str | None = None
    """What the run belongs to; None: the same as `session_id`."""

    config: Mapping[str, Any] = field(default_factory=dict)
    """For programs that read it again; no host does."""

    local: Sequence[str] = ()
    """What else the program gave that a cluster has no use for, in its words."""

    def portable(self) -> dict[str, Any]:
        """Return what pods need, in a form that outlives releases; empty if that is nothing."""
        given = {
            "llm_client": self.llm_client,
            "prompt_manager": self.prompt_manager,
            "agents": dict(self.agents),
        }
        return {name: value for name, value in given.items() if value not in (None, {})}

    @classmethod
    def from_portable(cls, portable: Mapping[str, Any]) -> "Services":
        """Return the services of a dict made by this or another release; unknown are ignored."""
        known = ("llm_client", "prompt_manager", "agents")
        return cls(**{name: value for name, value in portable.items() if name in known})


class Provided:
    """The services of one run, or of one attempt in a pod: each made when it is first asked for."""

    def __init__(self, services: Services, context: Callable[[], object]) -> None:
        """Take what the program gave.

        Args:
            services: That.
            context: Returns what functions that make agents are given.
        """
        self._services = services
        self.context = context
        self._mutex = threading.RLock()  # an agent's function may ask for another agent
        self._client = services.llm_client
        self._prompts = services.prompt_manager
        self._agents: dict[str, object] = {}

    @property
    def llm_client(self) -> Any:  # noqa: ANN401 - an LLMClient
        """The run's LLM client."""
        with self._mutex:
            if self._client is None:
                self._client = import_module(_LLM).default_client()
            return self._client

    @property
    def prompt_manager(self) -> Any:  # noqa: ANN401 - a PromptManager
        """The run's prompts."""
        with self._mutex:
            if self._prompts is None:
                self._prompts = import_module(_PROMPTS).YAMLPromptManager()
            return self._prompts

    def agent(self, name: str) -> Any:  # noqa: ANN401 - an LLMAgent
        """Return the agent of a name.

        Raises:
            UnknownAgentError: If nobody registered one.
        """
        with self._mutex:
            if name not in self._agents:
                if name not in self._services.agents:
                    raise UnknownAgentError(name, {**self._services.agents, **self._agents})
                given = self._services.agents[name]
                self._agents[name] = given if is_agent(given) else given(self.context())
            return self._agents[name]

    def register_agent(self, name: str, agent: object) -> None:
        """Add an agent, or put it in the place of the one of that name.

        Raises:
            ConfigError: If it is none.
        """
        if not is_agent(agent):
            raise ConfigError(f"agent {name!r} is {agent!r}; an agent has a method run(text)")
        with self._mutex:
            self._agents[name] = agent

    def injected(self, task_id: str, callee: "Callee") -> dict[str, object]:
        """Return what a task asks for, by the name of its parameter.

        Raises:
            ArgumentError: If it asks for an agent that nobody registered.
        """
        found: dict[str, object] = {}
        if callee.inject_llm_client:
            found["llm_client"] = self.llm_client
        if callee.inject_llm_agent is not None:
            try:
                found["llm_agent"] = self.agent(callee.inject_llm_agent)
            except UnknownAgentError as error:
                raise ArgumentError(f"task {task_id!r} asks for an agent: {error}") from error
        return found


def checked_provider(name: str, given: object) -> Any:  # noqa: ANN401 - an agent, or its maker
    """Return an agent, or a function that makes one, if it is either.

    Raises:
        ConfigError: If it is neither.
    """
    if is_agent(given) or callable(given):
        return given
    raise ConfigError(
        f"agent {name!r} is {given!r}; give an agent, which has a method run(text), or a function "
        "that takes the run's context and returns one"
    )


def is_agent(given: object) -> bool:
    """Return whether something is an agent: an object that runs, not a class that makes them."""
    return callable(getattr(given, "run", None)) and not isinstance(given, type)
