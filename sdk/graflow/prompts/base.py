"""What every store of prompts can be asked for."""

from abc import ABC, abstractmethod

from graflow.prompts.exceptions import PromptTypeError
from graflow.prompts.models import ChatPrompt, PromptVersion, TextPrompt

DEFAULT_LABEL = "production"


class PromptManager(ABC):
    """A store of prompts."""

    @abstractmethod
    def get_prompt(
        self,
        name: str,
        *,
        version: int | None = None,
        label: str | None = None,
        cache_ttl_seconds: int | None = None,
    ) -> PromptVersion:
        """Return a version of a prompt.

        Args:
            name: Of the prompt, with its folders: `customer/welcome`.
            version: Its number; None: the latest one with the label.
            label: What it is for; None: `production`.
            cache_ttl_seconds: How long what was read may be used before it is looked at again;
                None: the store's own time.

        Raises:
            PromptNotFoundError: If there is no prompt of that name.
            PromptVersionNotFoundError: If it has no such label or version.
        """

    def get_text_prompt(
        self,
        name: str,
        *,
        version: int | None = None,
        label: str | None = None,
        cache_ttl_seconds: int | None = None,
    ) -> TextPrompt:
        """Return a version of a prompt that is one text; see `get_prompt`.

        Raises:
            PromptTypeError: If it is a chat prompt.
        """
        found = self.get_prompt(
            name, version=version, label=label, cache_ttl_seconds=cache_ttl_seconds
        )
        if not isinstance(found, TextPrompt):
            raise PromptTypeError(f"prompt {name!r} is a chat prompt; ask with get_chat_prompt()")
        return found

    def get_chat_prompt(
        self,
        name: str,
        *,
        version: int | None = None,
        label: str | None = None,
        cache_ttl_seconds: int | None = None,
    ) -> ChatPrompt:
        """Return a version of a prompt that is a list of messages; see `get_prompt`.

        Raises:
            PromptTypeError: If it is a text prompt.
        """
        found = self.get_prompt(
            name, version=version, label=label, cache_ttl_seconds=cache_ttl_seconds
        )
        if not isinstance(found, ChatPrompt):
            raise PromptTypeError(f"prompt {name!r} is a text prompt; ask with get_text_prompt()")
        return found
