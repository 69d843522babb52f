"""Agents of Google's Agent Development Kit."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Coroutine
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

from graflow.exceptions import MissingPackageError
from graflow.llm.agents.base import AgentResult, AgentStep, LLMAgent


class AdkLLMAgent(LLMAgent):
    """An agent or an app of Google ADK for tasks."""

    def __init__(  # noqa: PLR0913, PLR0917 - Graflow's own signature
        self,
        adk_agent_or_app: Any,  # noqa: ANN401 - the kit's own types
        app_name: str | None = None,
        session_service: Any = None,  # noqa: ANN401 - the kit's own types
        enable_tracing: bool = True,  # noqa: FBT001, FBT002
        enable_caching: bool = False,  # noqa: FBT001, FBT002
        user_id: str = "graflow-user",
    ) -> None:
        """Take the agent.

        Args:
            adk_agent_or_app: A `google.adk` agent or `App`.
            app_name: Name of the app around an agent, such as the run's session id; an `App` has
                its own.
            session_service: Keeps conversations; None: this process does.
            enable_tracing: Accepted; the kit tells OpenTelemetry what it does by itself.
            enable_caching: Let the kit keep contexts that models are given again.
            user_id: Whose conversations they are, unless a call says it.

        Raises:
            MissingPackageError: If google-adk is not installed.
            ValueError: If an agent has no name of an app.
        """
        del enable_tracing
        kit = _kit()
        if isinstance(adk_agent_or_app, kit.App):
            self._app = adk_agent_or_app
        elif app_name is None:
            raise ValueError("AdkLLMAgent(agent) needs app_name, such as the run's session_id")
        else:
            cached = {"context_cache_config": kit.ContextCacheConfig()} if enable_caching else {}
            self._app = kit.App(name=_identifier(app_name), root_agent=adk_agent_or_app, **cached)
        self._sessions = session_service or kit.InMemorySessionService()
        self._user_id = user_id

    def run(
        self,
        input_text: str,
        user_id: str | None = None,
        trace_id: str | None = None,
        session_id: str | None = None,
        **kwargs: Any,  # noqa: ANN401 - those of the kit's Runner.run_async
    ) -> AgentResult:
        """Work on an input to the end.

        Args:
            input_text: What the agent is asked.
            user_id: Whose conversation it is.
            trace_id: Accepted; the present span of OpenTelemetry says it.
            session_id: The conversation to go on with; None: a new one.
            kwargs: For the kit's `Runner.run_async`.
        """
        del trace_id
        events: list[Any] = []

        async def collect() -> None:
            stream = self.run_async(input_text, user_id=user_id, session_id=session_id, **kwargs)
            events.extend([event async for event in stream])

        _run_to_end(collect())
        final = [event for event in events if event.is_final_response()]
        output = "".join(text for event in final[-1:] for text in _texts(event))
        return {
            "output": output,
            "steps": [_step(event) for event in events],
            "metadata": {**self.metadata, "event_count": len(events)},
        }

    async def run_async(
        self,
        input_text: str,
        user_id: str | None = None,
        trace_id: str | None = None,
        session_id: str | None = None,
        **kwargs: Any,  # noqa: ANN401 - as those of `run`
    ) -> AsyncIterator[Any]:
        """Work on an input and yield the kit's events; arguments as those of `run`."""
        del trace_id
        kit = _kit()
        who = user_id or self._user_id
        which = session_id or uuid.uuid4().hex
        place = {"app_name": self._app.name, "user_id": who, "session_id": which}
        if await self._sessions.get_session(**place) is None:
            await self._sessions.create_session(**place)
        runner = kit.Runner(app=self._app, session_service=self._sessions)
        message = kit.types.Content(role="user", parts=[kit.types.Part(text=input_text)])
        async for event in runner.run_async(
            user_id=who, session_id=which, new_message=message, **kwargs
        ):
            yield event

    @property
    def name(self) -> str:
        """Name of the agent."""
        return str(self._app.root_agent.name)

    @property
    def tools(self) -> list[Any]:
        """What the agent can call."""
        return list(getattr(self._app.root_agent, "tools", ()))

    @property
    def metadata(self) -> dict[str, Any]:
        """The framework, the model and the app."""
        agent = self._app.root_agent
        model = getattr(agent, "model", None)
        return {"framework": "google-adk", "model": model, "app_name": self._app.name}


def _step(event: Any) -> AgentStep:  # noqa: ANN401 - an event of the kit
    return {
        "type": type(event).__name__,
        "is_final": bool(event.is_final_response()),
        "is_partial": bool(getattr(event, "partial", False)),
        "content": _texts(event),
    }


def _texts(event: Any) -> list[str]:  # noqa: ANN401 - an event of the kit
    parts = getattr(event.content, "parts", None) or ()
    return [part.text for part in parts if getattr(part, "text", None)]


def _identifier(name: str) -> str:
    """Return a name that the kit takes for an app.

    >>> _identifier("5f2c-1")
    'app_5f2c_1'
    """
    text = "".join(char if char.isalnum() or char == "_" else "_" for char in name)
    return text if text.isidentifier() else f"app_{text}"


def _run_to_end(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine in an event loop of its own, also where one runs already."""
    with ThreadPoolExecutor(1, thread_name_prefix="graflow agent") as pool:
        pool.submit(asyncio.run, work).result()


def _kit() -> Any:  # noqa: ANN401 - what is used of the kit
    try:
        from google.adk import apps, runners, sessions  # noqa: PLC0415 - optional
        from google.adk.agents import context_cache_config  # noqa: PLC0415 - optional
        from google.genai import types  # noqa: PLC0415 - optional
    except ImportError as error:
        raise MissingPackageError("google-adk", "AdkLLMAgent") from error
    return SimpleNamespace(
        App=apps.App,
        ContextCacheConfig=context_cache_config.ContextCacheConfig,
        InMemorySessionService=sessions.InMemorySessionService,
        Runner=runners.Runner,
        types=types,
    )
