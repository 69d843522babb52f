"""Finds the part of a value that keeps it from travelling."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

_MOST_TRIES: Final = 200
"""Parts looked at; each is encoded, so this bounds the time."""


def place_of(value: object, encode: Callable[[object], object]) -> tuple[str, object]:
    """Return where in a value the offending part is, as Python would write it, and that part.

    Args:
        value: What could not be encoded.
        encode: Encodes one object, or raises.

    >>> import json
    >>> place_of({"rows": [1, {"seen": {2}}]}, json.dumps)
    ("['rows'][1]['seen']", {2})
    """
    place, tries = "", _MOST_TRIES
    while True:
        for step, part in _parts(value):
            tries -= 1
            if tries < 0:
                return place, value
            if not _travels(part, encode):
                place, value = place + step, part
                break
        else:
            return place, value


def _travels(part: object, encode: Callable[[object], object]) -> bool:
    try:
        encode(part)
    except Exception:  # noqa: BLE001  # user objects raise what they like when pickled
        return False
    return True


def _parts(value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield f"[{key!r}]", part
    elif isinstance(value, (list, tuple)):
        for index, part in enumerate(value):
            yield f"[{index}]", part
    elif not isinstance(value, type) and not callable(value):
        for name, part in getattr(value, "__dict__", {}).items():
            yield f".{name}", part
