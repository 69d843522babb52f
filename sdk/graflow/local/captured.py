"""Finds out whether a task changed what it captured (C5).

In a pod, module globals and closures are copies, fresh in each attempt; in this process they are
shared. A program that counts in a global works here and not there, so here it is told.
"""

import io
import pickle
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from types import FunctionType, MethodType, ModuleType
from typing import Any, Final

from graflow.dsl.call import Callee
from graflow.dsl.captures import Capture, of_function
from graflow.dsl.missing import MISSING

MAX_BYTES: Final = 1 << 20
"""Values whose pickles are larger are not looked at: nobody counts in them."""

_ATOMS: Final = frozenset({type(None), bool, int, float, complex, str, bytes, range, slice})
_CODE: Final = (ModuleType, FunctionType, type)

_Seen = tuple[Capture, object, bytes | None]
"""A place, its value, and the pickle of a value that can change."""


class CapturedValueChangedWarning(UserWarning):
    """A task changed what it captured, which in a pod would be a copy of its own."""


class Captured:
    """Looks at what the tasks of one run captured, before and after each attempt.

    Args:
        watching: Whether there is anything to see: not if attempts get copies.
    """

    def __init__(self, *, watching: bool = True) -> None:
        self._watching = watching
        self._unwatched: set[tuple[int, object]] = set()
        """Places that were warned about, and those that cannot be looked at."""
        self._mutex = threading.Lock()
        self._places: dict[FunctionType, tuple[Capture, ...]] = {}
        """Of the functions that this run has called."""

    def before(self, callee: Callee) -> Sequence[_Seen]:
        """Return what a callee has captured and could change; in most cases nothing."""
        if not self._watching:
            return ()
        places = self._places_of(callee.func)
        if callee.bound:
            changing = [name for name, value in callee.bound.items() if type(value) not in _ATOMS]
            places = (*places, *(Capture(f"its argument {n!r}", callee.bound, n) for n in changing))
        return [seen for place in places if (seen := self._seen(place)) is not None]

    def after(self, task_id: str, callee: Callee, before: Sequence[_Seen]) -> None:
        """Warn of what has changed since then, once for each variable."""
        for place, value, data in before:
            if _has_changed(place, value, data) and self._first(place):
                _warn(task_id, callee.func, place)

    def _places_of(self, func: Callable[..., Any]) -> tuple[Capture, ...]:
        if not isinstance(func, FunctionType):
            return places_of(func)
        found = self._places.get(func)
        if found is None:
            found = self._places[func] = places_of(func)
        return found

    def _seen(self, place: Capture) -> _Seen | None:
        value = place.value()
        if type(value) in _ATOMS or value is MISSING:
            watched = place.stored and _identity(place) not in self._unwatched
            return (place, value, None) if watched else None
        if _is_code(value) or _identity(place) in self._unwatched:
            return None
        data = _pickled(value)
        if data is None:
            self._first(place)
            return None
        return place, value, data

    def _first(self, place: Capture) -> bool:
        """Return whether the place is watched, and watch it no more."""
        with self._mutex:
            is_first = _identity(place) not in self._unwatched
            self._unwatched.add(_identity(place))
            return is_first


def places_of(func: Callable[..., Any]) -> tuple[Capture, ...]:
    """Return where the captured values of what a task calls are."""
    function, own = _opened(func)
    if function is None:
        return own
    return (*own, *_places(function))


def _opened(func: Callable[..., Any]) -> tuple[FunctionType | None, tuple[Capture, ...]]:
    """Return the function behind what a task calls, and where the rest of it keeps values."""
    if isinstance(func, FunctionType):
        return func, ()
    if isinstance(func, partial):
        function, own = _opened(func.func)
        holders = ((func.args,), (func.keywords,))
        return function, (*(Capture("an argument of its partial", h, 0) for h in holders), *own)
    if isinstance(func, MethodType):
        owner = Capture("the object of its method", (func.__self__,), 0)
        return _opened(func.__func__)[0], (owner,)
    call = getattr(type(func), "__call__", None)  # noqa: B004 - the function is wanted
    if not isinstance(call, FunctionType):
        return None, ()
    return call, (Capture("the object that it calls", (func,), 0),)


def _places(func: FunctionType) -> Iterator[Capture]:
    """Yield the places of a function and of those beside it that it calls, code apart."""
    waiting, seen = [func], set()
    while waiting:
        function = waiting.pop()
        if function in seen:
            continue
        seen.add(function)
        for place in of_function(function):
            value = place.value()
            if isinstance(value, FunctionType):
                if value.__module__ == function.__module__:
                    waiting.append(value)
            elif not _is_code(value):
                yield place


def _is_code(value: object) -> bool:
    """Whether a value is part of the program, or of Graflow: nothing that tasks count in."""
    return isinstance(value, _CODE) or type(value).__module__.partition(".")[0] == "graflow"


def _identity(place: Capture) -> tuple[int, object]:
    holder = place.holder
    return id(holder[place.key] if type(holder) is tuple else holder), place.key


def _has_changed(place: Capture, before: object, data: bytes | None) -> bool:
    now = place.value()
    if type(now) is not type(before):
        return True
    if data is None:
        return now is not before and now != before
    if _pickled(now) == data:
        return False
    try:  # equal values may have different pickles
        return not pickle.loads(data) == now  # noqa: S301, SIM201 - made here; `!=` may mean anything
    except Exception:  # noqa: BLE001 - __eq__ may raise anything, or give no bool
        return True


class _Full(Exception):  # noqa: N818 - no error
    """A pickle is larger than is looked at."""


class _Buffer(io.BytesIO):
    def write(self, data: Any, /) -> int:  # noqa: ANN401 - what pickle writes
        if self.tell() + len(data) > MAX_BYTES:
            raise _Full
        return super().write(data)


def _pickled(value: object) -> bytes | None:
    buffer = _Buffer()
    try:
        pickle.Pickler(buffer, pickle.HIGHEST_PROTOCOL).dump(value)
    except Exception:  # noqa: BLE001 - __reduce__ of any class may raise anything
        return None
    return buffer.getvalue()


def _warn(task_id: str, func: Callable[..., Any], place: Capture) -> None:
    """Warn at the line where the task's function is written."""
    message = (
        f"{place.words} was changed while task {task_id!r} ran. On a cluster every attempt has a "
        "copy of its own, so no other task would see that: return the value, or keep it in the "
        "channel; `graflow run --isolated` runs the program as a cluster does"
    )
    function, category = _opened(func)[0], CapturedValueChangedWarning
    if function is None:
        warnings.warn(message, category, stacklevel=3)
        return
    code = function.__code__
    line, module = code.co_firstlineno, function.__module__
    warnings.warn_explicit(message, category, code.co_filename, line, module)
