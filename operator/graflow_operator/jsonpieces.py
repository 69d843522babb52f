"""JSON text of large documents, made so that others run meanwhile. Pure."""

import json
from collections.abc import Iterator
from typing import Any

MANY = 500
"""Entries that are made into text at once: the interpreter does nothing else until it is done."""

_DEPTH = 5


def pieces(value: Any, depth: int = _DEPTH) -> Iterator[str]:  # noqa: ANN401 - any JSON
    """Return pieces that together are the text of a value.

    >>> "".join(pieces({"a": [1, 2], "b": {}}))
    '{"a":[1,2],"b":{}}'
    """
    if isinstance(value, dict | list) and len(value) > MANY:
        return _in_parts(value)
    if isinstance(value, dict) and value and depth:
        return _by_entry(value, depth)
    return iter((_text(value),))


def _in_parts(value: dict[str, Any] | list[Any]) -> Iterator[str]:
    is_dict = isinstance(value, dict)
    items: list[Any] = [*value.items()] if isinstance(value, dict) else value
    mark, end = "{}" if is_dict else "[]"
    for start in range(0, len(items), MANY):
        part = items[start : start + MANY]
        yield mark + _text(dict(part) if is_dict else part)[1:-1]
        mark = ","
    yield end


def _by_entry(value: dict[str, Any], depth: int) -> Iterator[str]:
    mark = "{"
    for key, inner in value.items():
        yield f"{mark}{json.dumps(key)}:"
        yield from pieces(inner, depth - 1)
        mark = ","
    yield "}"


def _text(value: Any) -> str:  # noqa: ANN401 - any JSON
    return json.dumps(value, separators=(",", ":"))
