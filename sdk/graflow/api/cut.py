"""Making texts and values fit into a status, whose size is counted in bytes of JSON."""

import json
import re
import sys
from collections.abc import Mapping
from typing import Any

from graflow.machine.state import GroupValue, Value

_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_ASCII = json.JSONEncoder(separators=(",", ":"))
_HALF = re.compile("[\ud800-\udfff]")
_MAX_DEPTH = 30
"""Of groups in groups."""

_MAX_NESTED = 100
"""Of what is in a value: models refuse to write what is nested some 250 deep."""

_GLUE = 6
"""Bytes of two line ends and two quotes."""


def size_of(value: object) -> int:
    """Return the bytes that a JSON value takes in an object that is sent or stored."""
    return len(_JSON.encode(value).encode(errors="surrogatepass"))


def cut(text: str, limit: int) -> str:
    """Return the text, or as much of its beginning as takes at most `limit` bytes as JSON."""
    return _cut(text, limit, tail=False)


def cut_tail(text: str, limit: int) -> str:
    """Return the text, or as much of its end as takes at most `limit` bytes as JSON."""
    return _cut(text, limit, tail=True)


def cut_ends(message: str, more: str, limit: int) -> str:
    """Return a message and what there is to it, in at most `limit` bytes as JSON.

    When that is too much, the end of `more` stays: a traceback says there what happened.
    """
    if not more:
        return cut(message, limit)
    head = cut(message, limit // 2)
    rest = _cut(more, limit - size_of(head) - _GLUE, tail=True)
    return f"{head}\n\n{rest}"


def _cut(text: str, limit: int, *, tail: bool) -> str:
    if not text:
        return text
    is_long = len(text) > limit
    text = text[-limit:] if is_long and tail else text[:limit]  # a character takes a byte or more
    text = text.encode(errors="replace").decode()  # half characters cannot be sent
    if not is_long and size_of(text) <= limit:
        return text
    fits, over = 0, min(len(text), limit)
    while over - fits > 1:
        middle = (fits + over) // 2
        if size_of(_with_mark(text, middle, tail=tail)) <= limit:
            fits = middle
        else:
            over = middle
    return _with_mark(text, fits, tail=tail)


def _with_mark(text: str, length: int, *, tail: bool) -> str:
    return f"…{text[len(text) - length :]}" if tail else f"{text[:length]}…"


def value_ref(value: Value, limit: int) -> dict[str, Any] | None:
    """Return a value of the machine as a ValueRef, or None when it takes more than `limit` bytes.

    On a cluster the machine's values are ValueRefs, and groups of them. One that an API server
    would change is written a second time, as text in `exact`; where both are too much, or an API
    server would refuse the value for a number or its depth, only there.
    """
    found = _ref(value, _MAX_DEPTH)
    if found is None or "exact" in found or is_kept(found):
        return found if found is not None and size_of(found) <= limit else None
    exact = {"exact": _text(found)}
    forms = ({**found, **exact}, exact) if _is_taken(found) else (exact,)
    return next((form for form in forms if size_of(form) <= limit), None)


def _text(value: object) -> str:
    """Return a value as JSON that can be sent: half characters are written as escapes."""
    text = _JSON.encode(value)
    return _ASCII.encode(value) if _HALF.search(text) else text


def is_kept(value: object) -> bool:
    """Return whether an API server gives a JSON value back as it got it.

    It sorts the keys of objects, writes 1.0 as 1, rounds numbers beyond 64 bits, and has no half
    characters. What is nested very deeply is not even sent to it.

    >>> [is_kept(value) for value in ({"a": 1, "b": 1.5}, {"b": 1, "a": 1}, [1.0], -(2**63) - 1)]
    [True, False, False, False]
    """
    todo = [(value, _MAX_NESTED)]
    while todo:
        found, depth = todo.pop()
        match found:
            case Mapping() | list() if not depth:
                return False
            case Mapping() as item:
                if list(item) != sorted(item) or any(map(_HALF.search, item)):
                    return False
                todo.extend((inner, depth - 1) for inner in item.values())
            case list() as items:
                todo.extend((inner, depth - 1) for inner in items)
            case str() as text if _HALF.search(text):
                return False
            case int() as number if not -(2**63) <= number < 2**63:
                return False
            case float() as number if number.is_integer():
                return False
            case _:
                pass
    return True


def _is_taken(value: object, depth: int = _MAX_NESTED) -> bool:
    """Return whether an API server reads a JSON value: its numbers, characters and depth."""
    match value:
        case Mapping() | list() if not depth:
            return False
        case Mapping():
            parts = (*value, *value.values())
            return all(_is_taken(part, depth - 1) for part in parts)
        case list():
            return all(_is_taken(part, depth - 1) for part in value)
        case int():
            return value.bit_length() < sys.float_info.max_exp
        case str():
            return not _HALF.search(value)
        case _:
            return True


def _ref(value: Value, depth: int) -> dict[str, Any] | None:
    if depth == 0:
        return None
    if isinstance(value, GroupValue):
        members = {member: _ref(part, depth - 1) for member, part in value.branches}
        return {"group": members} if None not in members.values() else None
    return dict(value) if isinstance(value, Mapping) else None
