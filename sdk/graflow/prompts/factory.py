"""Makes the manager of a kind of store."""

from importlib import import_module
from typing import Any

from graflow.exceptions import hint
from graflow.prompts.base import PromptManager
from graflow.prompts.exceptions import PromptConfigurationError

_BACKENDS = {
    "yaml": ("graflow.prompts.yaml_manager", "YAMLPromptManager"),
    "langfuse": ("graflow.prompts.langfuse_manager", "LangfusePromptManager"),
}


class PromptManagerFactory:
    """Makes managers by name."""

    @classmethod
    def create(cls, backend: str = "yaml", **kwargs: Any) -> PromptManager:  # noqa: ANN401 - its own
        """Return a manager.

        Args:
            backend: `yaml` (files in a folder) or `langfuse`.
            kwargs: Arguments of the manager.

        Raises:
            PromptConfigurationError: If the backend is not known.
            MissingPackageError: If it needs a package that is not installed.
        """
        if backend not in _BACKENDS:
            raise PromptConfigurationError(
                f"prompt backend {backend!r} is not known; {hint(backend, _BACKENDS)}"
            )
        module, name = _BACKENDS[backend]
        made: PromptManager = getattr(import_module(module), name)(**kwargs)
        return made
