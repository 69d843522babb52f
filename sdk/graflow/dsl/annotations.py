"""Whether a value matches an annotation, as far as can be told without running anything.

Only ever used to choose between a whole value and one entry of it (A1), so an annotation that
cannot be judged counts as matched: then the value stays whole.
"""

import types
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Literal, TypeGuard, TypeVar, Union

_WRAPPERS = (
    typing.Annotated,
    typing.Final,
    typing.ClassVar,
    typing.Required,
    typing.NotRequired,
)


def matches(value: object, annotation: Any) -> bool:  # noqa: ANN401 - an annotation can be anything
    """Return whether a value is what the annotation says.

    >>> matches([1, 2], list[int]), matches({"users": 1200}, int), matches(1, float)
    (True, False, True)
    """
    if annotation is Any or isinstance(annotation, (TypeVar, str)):
        return True
    if annotation is None:
        return value is None
    if isinstance(annotation, typing.NewType):
        return matches(value, annotation.__supertype__)
    origin = typing.get_origin(annotation)
    if origin is None:
        return _matches_class(value, annotation)
    return _matches_generic(value, origin, typing.get_args(annotation))


def _matches_class(value: object, annotation: Any) -> bool:  # noqa: ANN401
    if typing.is_typeddict(annotation):
        return _matches_typed_dict(value, annotation)
    if annotation is float:
        return isinstance(value, (int, float))
    if annotation is complex:
        return isinstance(value, (int, float, complex))
    try:
        return isinstance(value, annotation)
    except TypeError:  # a Protocol that cannot be checked, or no class at all
        return True


def _matches_typed_dict(value: object, annotation: Any) -> bool:  # noqa: ANN401
    """More keys than declared are fine, as they are for type checkers."""
    if not isinstance(value, dict) or not annotation.__required_keys__ <= value.keys():
        return False
    try:
        hints = typing.get_type_hints(annotation)
    except Exception:  # noqa: BLE001 - evaluating annotations can raise anything
        return True
    return all(matches(value[key], kind) for key, kind in hints.items() if key in value)


def _matches_generic(  # noqa: PLR0911 - one return for each form of annotation
    value: object,
    origin: Any,  # noqa: ANN401
    args: tuple[Any, ...],
) -> bool:
    if origin in _WRAPPERS:
        return matches(value, args[0])
    if origin in (Union, types.UnionType):
        return any(matches(value, arg) for arg in args)
    if origin is Literal:
        return any(type(value) is type(arg) and value == arg for arg in args)
    if origin is type:
        return isinstance(value, type)
    if origin is Callable:
        return callable(value)
    if not _matches_class(value, origin):
        return False
    if origin is tuple:
        return _matches_tuple(value, args)
    return _matches_contents(value, origin, args)


def _matches_tuple(value: object, args: tuple[Any, ...]) -> bool:
    if not isinstance(value, tuple):
        return False
    if len(args) == 2 and args[1] is Ellipsis:  # noqa: PLR2004 - tuple[X, ...]
        return all(matches(item, args[0]) for item in value)
    return len(value) == len(args) and all(map(matches, value, args))


def _matches_contents(value: object, origin: Any, args: tuple[Any, ...]) -> bool:  # noqa: ANN401
    if isinstance(value, Mapping) and len(args) == 2 and issubclass(origin, Collection):  # noqa: PLR2004
        return all(matches(key, args[0]) and matches(item, args[1]) for key, item in value.items())
    if len(args) == 1 and _can_look_inside(value):
        return all(matches(item, args[0]) for item in value)
    return True


def _can_look_inside(value: object) -> TypeGuard[Collection[object]]:
    """Whether its items can be looked at without using them up."""
    return isinstance(value, (Sequence, AbstractSet, Mapping)) and not isinstance(
        value, (str, bytes)
    )
