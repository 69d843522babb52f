"""Agents for tasks with `inject_llm_agent`; the packages they wrap are imported when used."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graflow.llm.agents.adk_agent import AdkLLMAgent
    from graflow.llm.agents.base import LLMAgent
    from graflow.llm.agents.pydantic_agent import PydanticLLMAgent, create_pydantic_ai_agent
else:
    _HOMES = {
        "AdkLLMAgent": "graflow.llm.agents.adk_agent",
        "LLMAgent": "graflow.llm.agents.base",
        "PydanticLLMAgent": "graflow.llm.agents.pydantic_agent",
        "create_pydantic_ai_agent": "graflow.llm.agents.pydantic_agent",
    }

    def __getattr__(name: str) -> object:
        """Import what is asked for."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_HOMES[name]), name)


__all__ = ["AdkLLMAgent", "LLMAgent", "PydanticLLMAgent", "create_pydantic_ai_agent"]
