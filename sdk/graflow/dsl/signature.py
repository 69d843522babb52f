"""The parameters of a task's function that can be given a value by name."""

import contextlib
import inspect
import typing
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from inspect import Parameter
from typing import Any

from graflow.dsl.missing import MISSING

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

    meanings: Mapping[str, Any] = field(default_factory=dict)
    """What annotations stand for that only their program can tell."""

    @classmethod
    def of(
        cls,
        func: Callable[..., Any],
        *,
        inject_context: bool,
        meanings: Mapping[str, Any] | None = None,
    ) -> "Signature":
        """Read a function's signature.

        Args:
            func: The function of a task.
            inject_context: Whether the first positional parameter is the task's context.
            meanings: What `untold` gave where the function was written.

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
        takes_any = Parameter.VAR_KEYWORD in kinds
        return cls(func, filled, takes_any, takes_more, meanings or {})

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
        """Annotations as types, by parameter. One that cannot be resolved here is left out."""
        resolved = {**_hints(self.func), **self.meanings}
        names = _names_around(self.func)
        for name, parameter in self.parameters.items():
            if name not in resolved and parameter.annotation is not Parameter.empty:
                resolved[name] = _evaluated(parameter.annotation, names)
        return {name: kind for name, kind in resolved.items() if kind is not MISSING}

    def untold(self) -> Mapping[str, Any]:
        """Return what annotations written as text stand for, where the text alone does not tell.

        A function that travels by value takes its annotations along, and of its module only what
        its code uses: `def f(row: "Row")` means nothing in a pod without this.
        """
        texts = {
            name: parameter.annotation
            for name, parameter in self.parameters.items()
            if isinstance(parameter.annotation, str) and parameter.default is Parameter.empty
        }
        untold = [name for name, text in texts.items() if _evaluated(text, {}) is MISSING]
        return {n: self.annotations[n] for n in untold if n in self.annotations}


def _hints(func: Callable[..., Any]) -> dict[str, Any]:
    if isinstance(func, type):  # they would be those of its attributes
        return {}
    try:
        return typing.get_type_hints(func)
    except Exception:  # noqa: BLE001 - evaluating annotations can raise anything
        return {}


def _evaluated(annotation: object, names: Mapping[str, Any]) -> object:
    """Return what an annotation written as text stands for, `MISSING` if that cannot be told."""
    if not isinstance(annotation, str):
        return annotation
    try:
        return eval(annotation, dict(names))  # noqa: S307 - the program's own annotation
    except Exception:  # noqa: BLE001 - evaluating annotations can raise anything
        return MISSING


def _names_around(func: Callable[..., Any]) -> Mapping[str, Any]:
    """Return what the names in a function's source stand for, as far as it still knows them."""
    func = getattr(func, "func", func)  # of a partial
    if isinstance(func, type):
        func = func.__init__  # type: ignore[misc]  # only read
    elif not hasattr(func, "__code__") and not hasattr(func, "__func__"):
        func = getattr(type(func), "__call__", func)  # noqa: B004 - of an object that can be called
    func = inspect.unwrap(func)
    cells = zip(
        getattr(getattr(func, "__code__", None), "co_freevars", ()),
        getattr(func, "__closure__", None) or (),
        strict=False,
    )
    around = dict(getattr(func, "__globals__", {}))
    for name, cell in cells:
        with contextlib.suppress(ValueError):  # assigned only later
            around[name] = cell.cell_contents
    return around


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
