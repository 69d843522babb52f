"""Language models and agents for tasks; what they need is imported when they are used."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graflow.llm.agents.adk_agent import AdkLLMAgent
    from graflow.llm.agents.base import LLMAgent
    from graflow.llm.agents.pydantic_agent import PydanticLLMAgent, create_pydantic_ai_agent
    from graflow.llm.client import (
        LLMClient,
        extract_text,
        make_message,
        setup_langfuse_for_litellm,
    )
else:
    _HOMES = {
        "AdkLLMAgent": "graflow.llm.agents.adk_agent",
        "LLMAgent": "graflow.llm.agents.base",
        "LLMClient": "graflow.llm.client",
        "PydanticLLMAgent": "graflow.llm.agents.pydantic_agent",
        "create_pydantic_ai_agent": "graflow.llm.agents.pydantic_agent",
        "extract_text": "graflow.llm.client",
        "make_message": "graflow.llm.client",
        "setup_langfuse_for_litellm": "graflow.llm.client",
    }

    def __getattr__(name: str) -> object:
        """Import what is asked for."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_HOMES[name]), name)


__all__ = [
    "AdkLLMAgent",
    "LLMAgent",
    "LLMClient",
    "PydanticLLMAgent",
    "create_pydantic_ai_agent",
    "extract_text",
    "make_message",
    "setup_langfuse_for_litellm",
]
