"""What every agent can do."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from typing import Any, NotRequired, TypedDict


class AgentStep(TypedDict):
    """One thing that an agent did."""

    type: str
    is_final: bool
    is_partial: bool
    content: NotRequired[list[str]]


class AgentResult(TypedDict):
    """What an agent made of its input."""

    output: Any
    """A text, or an object of the agent's output type."""

    steps: list[AgentStep]
    metadata: dict[str, Any]


class LLMAgent(ABC):
    """An agent that tasks ask for: `@task(inject_llm_agent="name")`."""

    @abstractmethod
    def run(self, input_text: str, **kwargs: Any) -> AgentResult:  # noqa: ANN401 - the agent's own
        """Work on an input to the end.

        Args:
            input_text: What the agent is asked.
            kwargs: What this kind of agent takes besides.
        """

    def run_async(self, input_text: str, **kwargs: Any) -> AsyncIterator[Any]:  # noqa: ANN401 - the agent's own
        """Work on an input and yield what happens meanwhile.

        Raises:
            NotImplementedError: If this kind of agent cannot.
        """
        raise NotImplementedError(f"{type(self).__name__} has no run_async(); use run()")

    @property
    @abstractmethod
    def name(self) -> str:
        """Name of the agent."""

    @property
    def tools(self) -> list[Any]:
        """What the agent can call."""
        return []

    @property
    def metadata(self) -> dict[str, Any]:
        """What is known of the agent: its model, and so on."""
        return {}
