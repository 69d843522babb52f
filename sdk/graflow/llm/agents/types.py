"""What agents return."""

from graflow.llm.agents.base import AgentResult, AgentStep

__all__ = ["AgentResult", "AgentStep"]
