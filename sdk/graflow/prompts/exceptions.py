"""What can be wrong with a prompt; see `graflow.exceptions` for the whole tree."""

from graflow.exceptions import GraflowError


class PromptError(GraflowError):
    """Base of what can be wrong with a prompt."""


class PromptNotFoundError(PromptError):
    """There is no prompt of that name."""


class PromptVersionNotFoundError(PromptError):
    """The prompt has no such label or version."""


class PromptCompilationError(PromptError):
    """The prompt's template does not render."""


class PromptConfigurationError(PromptError, ValueError):
    """A file of prompts, or a manager's settings, make no sense."""


class PromptTypeError(PromptError):
    """A text prompt was asked for as chat, or the other way round."""
