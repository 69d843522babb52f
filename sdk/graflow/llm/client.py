"""One way to ask any language model: LiteLLM, imported with the first question."""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any

from graflow.exceptions import MissingPackageError

DEFAULT_MODEL = "gpt-5-mini"
Message = Mapping[str, Any]
_LANGFUSE = "langfuse_otel"
_LANGFUSE_KEYS = ("LANGFUSE_PUBLIC_KEY", "LANGFUSE_SECRET_KEY")


class LLMClient:
    """Asks models. Tasks of a run share one; each question may name a model of its own."""

    def __init__(self, model: str, enable_tracing: bool = True, **default_params: Any) -> None:  # noqa: ANN401, FBT001, FBT002 - Graflow's own signature
        """Take what questions have in common.

        Args:
            model: Name of a model, in LiteLLM's words.
            enable_tracing: Tell Langfuse about each question, if its keys are in the environment.
            default_params: For LiteLLM's `completion`: `temperature`, `max_tokens`, …
        """
        self.model = model
        self.default_params = default_params
        self.enable_tracing = enable_tracing

    def completion(
        self,
        messages: Sequence[Message],
        model: str | None = None,
        generation_name: str | None = None,
        tags: Sequence[str] | None = None,
        **params: Any,  # noqa: ANN401 - LiteLLM's own
    ) -> Any:  # noqa: ANN401 - a litellm.ModelResponse
        """Ask a model and return LiteLLM's `ModelResponse`.

        Args:
            messages: What was said so far; see `make_message`.
            model: Instead of the client's own.
            generation_name: What Langfuse calls the question.
            tags: For Langfuse.
            params: For LiteLLM's `completion`; they win over the client's own.

        Raises:
            MissingPackageError: If litellm is not installed.
        """
        litellm = _litellm()
        if self.enable_tracing and all(os.environ.get(key) for key in _LANGFUSE_KEYS):
            setup_langfuse_for_litellm()
        asked = {**self.default_params, **params}
        noted = {"generation_name": generation_name, "tags": list(tags) if tags else None}
        if found := {key: value for key, value in noted.items() if value}:
            asked["metadata"] = {**asked.get("metadata", {}), **found}
        return litellm.completion(
            model=model or self.model, messages=list(messages), stream=False, **asked
        )

    def completion_text(self, messages: Sequence[Message], **params: Any) -> str:  # noqa: ANN401 - LiteLLM's own
        """Ask a model and return its words; arguments as those of `completion`."""
        return extract_text(self.completion(messages, **params))


def make_message(role: str, content: str) -> dict[str, str]:
    """Return one message: `role` is system, user or assistant."""
    return {"role": role, "content": content}


def extract_text(response: Any) -> str:  # noqa: ANN401 - a litellm.ModelResponse
    """Return the words of a model's first answer; an empty text if it has none."""
    choices = getattr(response, "choices", None) or [None]
    return getattr(getattr(choices[0], "message", None), "content", None) or ""


def setup_langfuse_for_litellm() -> None:
    """Let LiteLLM tell Langfuse about each question from now on.

    Raises:
        MissingPackageError: If litellm is not installed.
    """
    litellm = _litellm()
    if _LANGFUSE not in litellm.callbacks:
        litellm.callbacks.append(_LANGFUSE)


def default_client() -> LLMClient:
    """Return a client for `$GRAFLOW_LLM_MODEL`, which `.env` may set, or a small model."""
    with suppress(ImportError):  # it comes with litellm; without it the environment is all there is
        import_module("dotenv").load_dotenv()
    return LLMClient(os.environ.get("GRAFLOW_LLM_MODEL") or DEFAULT_MODEL)


def _litellm() -> Any:  # noqa: ANN401 - a module
    try:
        return import_module("litellm")
    except ImportError as error:
        raise MissingPackageError(
            "litellm", "asking a language model", "pip install graflow[llm]"
        ) from error
