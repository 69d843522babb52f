"""The parameters of a task's function that can be given a value by name."""

import inspect
import typing
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from functools import cached_property
from inspect import Parameter
from typing import Any

_FILLED = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)


@dataclass(frozen=True)
class Signature:
    """What a function can be called with, the context apart."""

    func: Callable[..., Any]
    parameters: Mapping[str, Parameter]
    """Parameters that take one value each, in their order."""

    takes_any: bool
    """Whether it has a `**parameter` for names that it does not list."""

    takes_more: bool = False
    """Whether it has a `*parameter` for positional arguments that it does not list."""

    @classmethod
    def of(cls, func: Callable[..., Any], *, inject_context: bool) -> "Signature":
        """Read a function's signature.

        Args:
            func: The function of a task.
            inject_context: Whether the first positional parameter is the task's context.

        Raises:
            TypeError: If it cannot be read, or cannot take the context that it asks for.
        """
        try:
            listed = list(inspect.signature(func).parameters.values())
        except ValueError as error:  # some functions written in C
            raise TypeError(
                f"the parameters of {func!r} cannot be read; call it in a def"
            ) from error
        if inject_context:
            listed = _without_context(func, listed)
        filled = {p.name: p for p in listed if p.kind in _FILLED}
        kinds = {p.kind for p in listed}
        takes_more = Parameter.VAR_POSITIONAL in kinds
        return cls(func, filled, Parameter.VAR_KEYWORD in kinds, takes_more)

    def first(self, *, besides: Container[str] = ()) -> str | None:
        """Return the parameter that takes the first argument, or None if only a `*parameter` may.

        Args:
            besides: Parameters that have a value already.
        """
        names = [name for name in self.parameters if name not in besides]
        by_name_only = Parameter.KEYWORD_ONLY
        positional = [n for n in names if self.parameters[n].kind is not by_name_only]
        if positional:
            return positional[0]
        return None if self.takes_more or not names else names[0]

    @cached_property
    def annotations(self) -> Mapping[str, Any]:
        """Annotations as types. One that cannot be resolved here is left out."""
        try:
            return typing.get_type_hints(self.func)
        except Exception:  # noqa: BLE001 - evaluating annotations can raise anything
            return {
                name: parameter.annotation
                for name, parameter in self.parameters.items()
                if parameter.annotation is not Parameter.empty
                and not isinstance(parameter.annotation, str)
            }


def _without_context(func: Callable[..., Any], listed: list[Parameter]) -> list[Parameter]:
    if listed and listed[0].kind in (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD):
        return listed[1:]
    if listed and listed[0].kind is Parameter.VAR_POSITIONAL:
        return listed
    name = getattr(func, "__name__", repr(func))
    raise TypeError(
        f"inject_context=True gives the context to the first parameter, and {name} has none; "
        f"write def {name}(context, …)"
    )
