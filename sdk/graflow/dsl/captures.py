"""Where the variables are that a function uses and that are not its own."""

import dis
from collections.abc import Iterator
from dataclasses import dataclass
from types import CellType, CodeType, FunctionType
from typing import Any, Final

from graflow.dsl.missing import MISSING

_READS: Final = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_CLASSDEREF"})
_STORES: Final = frozenset({"STORE_GLOBAL", "DELETE_GLOBAL"})
_CELL_STORES: Final = frozenset({"STORE_DEREF", "DELETE_DEREF"})


@dataclass(frozen=True, slots=True)
class Capture:
    """A captured value, by where it is."""

    words: str
    """What it is, for people: `the variable 'rows'`."""

    holder: Any
    """The globals, defaults or arguments that it is in, or the cell that it is."""

    key: Any = None
    """Where in them."""

    stored: bool = False
    """Whether the function gives the variable itself a new value."""

    def value(self) -> object:
        """Return what is there now, or `MISSING`."""
        try:
            if type(self.holder) is CellType:
                return self.holder.cell_contents
            return self.holder[self.key]
        except (LookupError, ValueError):  # not assigned, or not any more
            return MISSING


def of_function(function: FunctionType) -> Iterator[Capture]:
    """Yield what a function captures: globals, closures, defaults, attributes."""
    code = function.__code__
    stored = _names(code, _STORES)
    for name in sorted(_names(code, _READS) | stored):
        if name in stored or name in function.__globals__:
            yield Capture(_variable(name), function.__globals__, name, name in stored)
    stored = _names(code, _CELL_STORES)
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        yield Capture(_variable(name), cell, stored=name in stored)
    where = f"of function {function.__name__!r}"
    for holder in (function.__defaults__ or (), function.__kwdefaults__ or {}):
        keys = holder if isinstance(holder, dict) else range(len(holder))
        for key in keys:
            yield Capture(f"a default {where}", holder, key)
    for name in vars(function):
        yield Capture(f"the attribute {name!r} {where}", vars(function), name)


def _variable(name: str) -> str:
    return f"the variable {name!r}"


def _names(code: CodeType, operations: frozenset[str]) -> set[str]:
    """Return the names that operations of these kinds are about, in functions inside too."""
    steps = dis.get_instructions(code)
    names = {str(step.argval) for step in steps if step.opname in operations}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= _names(constant, operations)
    return names
