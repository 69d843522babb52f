"""Finds out which variable of a task keeps it from travelling."""

import io
from collections.abc import Callable, Iterator, Mapping
from types import FunctionType, GeneratorType, MethodType, ModuleType

from graflow.compile.errors import CaptureError
from graflow.dsl.captures import of_function
from graflow.dsl.missing import MISSING

Dump = Callable[[object], bytes]
MAX_DEPTH = 8
INNER = ("func", "bound")  # how a task holds its function; not the user's words


def blame(
    task: str,
    form: object,
    dump: Dump,
    error: Exception,
    cannot: str = "cannot travel to a pod",
) -> CaptureError:
    """Return the error that names what of a task cannot be pickled, and the way out.

    Args:
        task: The task's id.
        form: What `dump` failed to pickle.
        dump: Pickles one object, as it did the form.
        error: What `dump` raised.
        cannot: What cannot be done with it.
    """
    steps: list[str] = []
    culprit = form
    seen = {id(form)}
    while len(steps) < MAX_DEPTH:
        for step, part in _parts(culprit):
            if id(part) in seen:
                continue
            seen.add(id(part))
            if (found := _failure(part, dump)) is not None:
                error = found
                steps += [step] if step else []
                culprit = part
                break
        else:
            break
    what = ", ".join(reversed(steps)) or "something"
    kind = f"{type(culprit).__module__}.{type(culprit).__qualname__}".removeprefix("builtins.")
    return CaptureError(
        f"task {task!r} uses {what} (a {kind}), which {cannot}: "
        f"{_first_line(error)}; {_way_out(culprit)}"
    )


def _failure(value: object, dump: Dump) -> Exception | None:
    try:
        dump(value)
    except Exception as error:  # noqa: BLE001 - user objects raise what they like when pickled
        return error
    return None


def _parts(value: object) -> Iterator[tuple[str, object]]:
    """Yield what an object holds, each with words for where it is."""
    match value:
        case FunctionType():
            return _captured(value)
        case MethodType():
            return iter([("", value.__func__), ("the object of a method", value.__self__)])
        case dict():
            return (("" if key in INNER else f"{key!r}", item) for key, item in value.items())
        case list() | tuple() | set() | frozenset():
            return (("", item) for item in value)
        case type() | ModuleType():
            owner = f"{value.__name__!r}"
            return ((f"{name!r} of {owner}", item) for name, item in _members(value).items())
        case _:
            found = _members(value).items()
            return (("" if name in INNER else f"its {name!r}", item) for name, item in found)


def _members(value: object) -> dict[str, object]:
    found = getattr(value, "__dict__", None)
    if not isinstance(found, Mapping):
        return {}
    return {str(name): item for name, item in found.items() if not _is_dunder(str(name))}


def _is_dunder(name: str) -> bool:
    return name.startswith("__") and name not in ("__init__", "__call__")


def _captured(function: FunctionType) -> Iterator[tuple[str, object]]:
    for place in of_function(function):
        if (value := place.value()) is not MISSING:
            yield place.words, value


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


def _way_out(culprit: object) -> str:
    if isinstance(culprit, io.IOBase):
        return "open it inside the task"
    if isinstance(culprit, GeneratorType):
        return "make a list of it first"
    return (
        "make it inside the task, or in a module beside the program, which every pod imports "
        "for itself"
    )
