"""Prompts that are kept in Langfuse."""

from typing import Any

from graflow.exceptions import MissingPackageError
from graflow.prompts.base import DEFAULT_LABEL, PromptManager
from graflow.prompts.exceptions import PromptNotFoundError
from graflow.prompts.models import ChatPrompt, PromptVersion, TextPrompt


class LangfusePromptManager(PromptManager):
    """Asks Langfuse, whose client keeps what it was told for a while."""

    def __init__(
        self,
        public_key: str | None = None,
        secret_key: str | None = None,
        host: str | None = None,
        fetch_timeout_seconds: int | None = None,
        max_retries: int | None = None,
    ) -> None:
        """Take how Langfuse is reached.

        Args:
            public_key: By default `$LANGFUSE_PUBLIC_KEY`.
            secret_key: By default `$LANGFUSE_SECRET_KEY`.
            host: By default `$LANGFUSE_HOST`.
            fetch_timeout_seconds: Longest time of one question.
            max_retries: Further tries of one question.

        Raises:
            MissingPackageError: If langfuse is not installed.
        """
        try:
            from langfuse import Langfuse  # noqa: PLC0415 - optional
        except ImportError as error:
            raise MissingPackageError("langfuse", "LangfusePromptManager") from error
        given = {"public_key": public_key, "secret_key": secret_key, "host": host}
        self._client: Any = Langfuse(**{k: v for k, v in given.items() if v is not None})
        limits = {"fetch_timeout_seconds": fetch_timeout_seconds, "max_retries": max_retries}
        self._limits = {k: v for k, v in limits.items() if v is not None}

    def get_prompt(
        self,
        name: str,
        *,
        version: int | None = None,
        label: str | None = None,
        cache_ttl_seconds: int | None = None,
    ) -> PromptVersion:
        """Return a version of a prompt; see `PromptManager`.

        Raises:
            PromptNotFoundError: If Langfuse does not have it, or cannot be asked.
        """
        which: dict[str, Any] = {"version": version} if version is not None else {}
        if label is not None or version is None:
            which["label"] = label or DEFAULT_LABEL
        try:
            found = self._client.get_prompt(
                name, **which, **self._limits, cache_ttl_seconds=cache_ttl_seconds
            )
        except Exception as error:
            raise PromptNotFoundError(
                f"Langfuse gives no prompt {name!r} ({which})", error
            ) from error
        facts = (found.version, label, None, getattr(found, "config", None))
        if isinstance(found.prompt, str):
            return TextPrompt(name, found.prompt, *facts)
        return ChatPrompt(name, found.prompt, *facts)
