"""One version of a prompt: a Jinja template, or a list of messages with templates in them."""

from collections.abc import Mapping, Sequence
from typing import Any

from graflow.exceptions import MissingPackageError
from graflow.prompts.exceptions import PromptCompilationError


class PromptVersion:
    """What text and chat prompts have in common."""

    def __init__(
        self,
        name: str,
        version: int | None = None,
        label: str | None = None,
        created_at: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Take what is known of a version.

        Args:
            name: Of the prompt, with its folders: `customer/welcome`.
            version: Its number.
            label: What it is for, such as `production`.
            created_at: When it was made, as its author wrote it.
            metadata: Whatever its author keeps with it.
        """
        self.name = name
        self.version = version
        self.label = label
        self.created_at = created_at
        self.metadata: dict[str, Any] = dict(metadata or {})

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(name={self.name!r}, version={self.version!r}, "
            f"label={self.label!r})"
        )

    def _rendered(self, template: str, variables: Mapping[str, object]) -> str:
        try:
            from jinja2 import Environment, StrictUndefined, TemplateError  # noqa: PLC0415 - optional
        except ImportError as error:
            raise MissingPackageError(
                "jinja2",
                "rendering a prompt",
                "pip install graflow[prompts], in the task's image too",
            ) from error
        # Prompts are no web pages: nothing in them is to be escaped.
        environment = Environment(undefined=StrictUndefined, autoescape=False)  # noqa: S701
        try:
            return environment.from_string(template).render(variables)
        except TemplateError as error:
            raise PromptCompilationError(
                f"prompt {self.name!r} (label {self.label!r}) does not render: {error}"
            ) from error


class TextPrompt(PromptVersion):
    """A prompt that is one text."""

    def __init__(  # noqa: PLR0913, PLR0917 - Graflow's own signature
        self,
        name: str,
        content: str,
        version: int | None = None,
        label: str | None = None,
        created_at: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Take the template, and what is known of it; see `PromptVersion`."""
        super().__init__(name, version, label, created_at, metadata)
        self.content = content

    def render(self, **variables: object) -> str:
        """Return the text with its variables filled in.

        Raises:
            PromptCompilationError: If a variable is missing, or the template has a mistake.
        """
        return self._rendered(self.content, variables)


class ChatPrompt(PromptVersion):
    """A prompt that is a list of messages."""

    def __init__(  # noqa: PLR0913, PLR0917 - Graflow's own signature
        self,
        name: str,
        content: Sequence[Mapping[str, Any]],
        version: int | None = None,
        label: str | None = None,
        created_at: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Take the messages, and what is known of them; see `PromptVersion`."""
        super().__init__(name, version, label, created_at, metadata)
        self.content = [dict(message) for message in content]

    def render(self, **variables: object) -> list[dict[str, Any]]:
        """Return the messages with the variables of their contents filled in.

        Raises:
            PromptCompilationError: If a variable is missing, or a template has a mistake.
        """
        return [
            {**message, "content": self._rendered(message["content"], variables)}
            if isinstance(message.get("content"), str)
            else dict(message)
            for message in self.content
        ]
