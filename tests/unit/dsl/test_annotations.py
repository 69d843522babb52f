"""Whether a value matches an annotation: right where it can be told, True where it cannot."""

import collections
import dataclasses
import re
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, NewType, NotRequired, Protocol, TypedDict, TypeVar

import pytest

from graflow.dsl.annotations import matches

UserId = NewType("UserId", int)
T = TypeVar("T")


@dataclasses.dataclass
class Point:
    x: int


class Row(TypedDict):
    a: int
    b: NotRequired[str]


class HasName(Protocol):
    name: str


class Box(typing.Generic[T]):
    pass


def shown(part: object) -> str:
    """Return a name that is the same in every process that collects the tests."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(part))


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        (1, int),
        (True, int),
        (1, float),
        (1.5, complex),
        ("a", str),
        (None, None),
        (None, type(None)),
        (None, typing.Optional[int]),  # noqa: UP045 - both spellings count
        (3, typing.Optional[int]),  # noqa: UP045 - both spellings count
        (3, int | str),
        ("x", typing.Union[int, str]),  # noqa: UP007 - both spellings count
        ([1, 2], list),
        ([1, 2], list[int]),
        ([], list[int]),
        ([1, "a"], list[int | str]),
        ({"a": 1}, dict[str, int]),
        ({"a": [1]}, Mapping[str, Sequence[int]]),
        ((1, "a"), tuple[int, str]),
        ((1, 2, 3), tuple[int, ...]),
        ((), tuple[()]),
        ({1, 2}, set[int]),
        ("abc", Sequence[str]),
        ([1], Iterable[int]),
        (iter([1]), Iterable[str]),
        ({"a": 1}, Row),
        ({"a": 1, "b": "x", "c": 0}, Row),
        (Point(1), Point),
        (UserId(3), UserId),
        (3, Annotated[int, "positive"]),
        ("a", Literal["a", "b"]),
        (int, type[int]),
        (print, Callable[..., None]),
        (3, T),
        (3, "Nowhere"),
        (3, HasName),
        (Box(), Box[int]),
        (object(), Any),
        (3, object),
        (collections.OrderedDict(a=1), dict[str, int]),
        (3, 17),
    ],
    ids=shown,
)
def test_what_matches(value, annotation):
    assert matches(value, annotation)


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        ("1", int),
        (1.5, int),
        (1, str),
        (0, None),
        ("a", typing.Optional[int]),  # noqa: UP045
        (1.5, int | str),
        ((1,), list),
        ([1, "a"], list[int]),
        ({"a": "b"}, dict[str, int]),
        ({1: 1}, dict[str, int]),
        ([1], dict[str, int]),
        ((1, 2), tuple[int, str]),
        ((1, 2, 3), tuple[int, int]),
        ([1], tuple[int, ...]),
        ((1, "a"), tuple[int, ...]),
        ({}, Row),
        ({"a": "x"}, Row),
        ([], Row),
        ({"x": 1}, Point),
        ("c", Literal["a", "b"]),
        (True, Literal[1]),
        ("x", UserId),
        (3, type[int]),
        (3, Callable[..., None]),
        ("x", Annotated[int, "positive"]),
        (3, Box[int]),
        ({"users": 1200}, int),
        ({"events": [1]}, list[int]),
    ],
    ids=shown,
)
def test_what_does_not(value, annotation):
    assert not matches(value, annotation)
