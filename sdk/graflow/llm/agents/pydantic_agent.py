"""Agents of Pydantic AI."""

import os
from collections.abc import AsyncIterator, Sequence
from typing import Any

from graflow.exceptions import MissingPackageError
from graflow.llm.agents.base import AgentResult, AgentStep, LLMAgent

_OLLAMA = "ollama/"


class PydanticLLMAgent(LLMAgent):
    """A `pydantic_ai.Agent` for tasks."""

    def __init__(self, agent: Any, name: str | None = None, enable_tracing: bool = True) -> None:  # noqa: ANN401, FBT001, FBT002 - Graflow's own signature
        """Take the agent.

        Args:
            agent: A `pydantic_ai.Agent`.
            name: What the agent is called; by default its own name.
            enable_tracing: Let it tell OpenTelemetry what it does.

        Raises:
            MissingPackageError: If pydantic-ai is not installed.
            TypeError: If it is no agent of Pydantic AI.
        """
        kind = _pydantic_ai().Agent
        if not isinstance(agent, kind):
            raise TypeError(f"PydanticLLMAgent takes a pydantic_ai.Agent, not {agent!r}")
        self._agent: Any = agent
        self._name = name or agent.name or "pydantic-agent"
        if enable_tracing and agent.instrument is None:
            agent.instrument = True

    def run(
        self,
        input_text: str,
        message_history: Sequence[Any] | None = None,
        **kwargs: Any,  # noqa: ANN401 - those of pydantic_ai.Agent.run_sync
    ) -> AgentResult:
        """Work on an input to the end.

        Args:
            input_text: What the agent is asked.
            message_history: What was said before, as `metadata["messages"]` had it.
            kwargs: For `pydantic_ai.Agent.run_sync`.
        """
        done = self._agent.run_sync(input_text, message_history=message_history, **kwargs)
        messages = done.all_messages()
        new = done.new_messages()
        return {
            "output": done.output,
            "steps": [_step(message, is_final=message is new[-1]) for message in new],
            "metadata": {**self.metadata, "usage": done.usage, "messages": messages},
        }

    async def run_async(
        self,
        input_text: str,
        message_history: Sequence[Any] | None = None,
        **kwargs: Any,  # noqa: ANN401 - as those of `run`
    ) -> AsyncIterator[Any]:
        """Work on an input and yield Pydantic AI's events; arguments as those of `run`."""
        events = self._agent.run_stream_events(
            input_text, message_history=message_history, **kwargs
        )
        async with events as stream:
            async for event in stream:
                yield event

    @property
    def name(self) -> str:
        """Name of the agent."""
        return str(self._name)

    @property
    def tools(self) -> list[Any]:
        """The tools that its toolsets list."""
        return [tool for s in self._agent.toolsets for tool in getattr(s, "tools", {}).values()]

    @property
    def metadata(self) -> dict[str, Any]:
        """The framework, the model and the type of the output."""
        model = self._agent.model
        return {
            "framework": "pydantic-ai",
            "model": getattr(model, "model_name", model),
            "output_type": getattr(self._agent.output_type, "__name__", "str"),
        }


def create_pydantic_ai_agent(  # noqa: PLR0913 - one keyword for each option
    model: str,
    *,
    output_type: Any = None,  # noqa: ANN401 - any type
    instructions: str | None = None,
    system_prompt: str | None = None,
    name: str | None = None,
    instrument: bool | None = None,
    **kwargs: Any,  # noqa: ANN401 - those of pydantic_ai.Agent
) -> Any:  # noqa: ANN401 - a pydantic_ai.Agent
    """Return a `pydantic_ai.Agent`.

    Args:
        model: `openai:gpt-5-mini`, or as others write it, `openai/gpt-5-mini`; `ollama/…` is a
            model of the Ollama server at `$OLLAMA_BASE_URL`, by default on this machine.
        output_type: What it answers with; None: a text.
        instructions: What it is to do.
        system_prompt: The same, kept in the history.
        name: What it is called.
        instrument: Whether it tells OpenTelemetry what it does.
        kwargs: For `pydantic_ai.Agent`.

    Raises:
        MissingPackageError: If pydantic-ai is not installed.
    """
    if model.startswith(_OLLAMA):
        os.environ.setdefault("OLLAMA_BASE_URL", "http://localhost:11434/v1")
    if ":" not in model.partition("/")[0]:
        model = model.replace("/", ":", 1)
    given = {
        "output_type": output_type,
        "instructions": instructions,
        "system_prompt": system_prompt,
        "name": name,
        "instrument": instrument,
    }
    options = {key: value for key, value in given.items() if value is not None}
    return _pydantic_ai().Agent(model, **options, **kwargs)


def _step(message: Any, *, is_final: bool) -> AgentStep:  # noqa: ANN401 - a pydantic_ai message
    content = [str(getattr(part, "content", part)) for part in getattr(message, "parts", ())]
    return {
        "type": type(message).__name__,
        "is_final": is_final,
        "is_partial": False,
        "content": content,
    }


def _pydantic_ai() -> Any:  # noqa: ANN401 - a module
    try:
        import pydantic_ai  # noqa: PLC0415 - optional
    except ImportError as error:
        raise MissingPackageError("pydantic-ai", "PydanticLLMAgent") from error
    return pydantic_ai
