"""How values cross processes: JSON where it keeps them equal, else cloudpickle (C4)."""

import json
import math
import pickle
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from graflow.exceptions import GraflowError

Encoding: TypeAlias = Literal["json", "pickle"]

_MAX_DEPTH = 100
"""Deeper values are pickled: JSON decoders of other languages have limits of that order."""

_MAX_INT_BITS = 8_000
"""Larger whole numbers are pickled: Python refuses to read more than 4 300 digits."""


_TRIED_BYTES = 1024 * 1024
"""Pickles up to this size are loaded once to see that they can be."""


class ValueNotSerializableError(GraflowError):
    """A value cannot go to another process."""


@dataclass(frozen=True, slots=True)
class EncodedValue:
    """A value as bytes."""

    encoding: Encoding
    data: bytes
    """UTF-8 JSON without spaces, or a pickle."""


def encode(value: object) -> EncodedValue:
    """Return the bytes of a value.

    Raises:
        ValueNotSerializableError: If neither JSON nor cloudpickle can carry it.
    """
    if is_json(value):
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return EncodedValue("json", text.encode())
    return EncodedValue("pickle", _pickled(value))


def decode(encoding: str, data: bytes) -> Any:  # noqa: ANN401 - any value
    """Return the value that `encode` made these bytes of.

    Pickles run code: only for bytes of a run that the caller trusts.

    Raises:
        ValueError: If the encoding is not known.
    """
    if encoding == "json":
        return json.loads(data)
    if encoding == "pickle":
        return pickle.loads(data)  # noqa: S301 - what the docstring says
    raise ValueError(f"encoding {encoding!r} is not known; it is json or pickle")


def is_json(value: object, depth: int = 0) -> bool:  # noqa: PLR0911 - one for each type
    """Return whether JSON keeps the value equal, with the same types all the way down."""
    kind = type(value)  # subclasses, such as enums of str, would not come back as they were
    if value is None or kind is bool:
        return True
    if isinstance(value, str):
        return kind is str and _is_unicode(value)
    if isinstance(value, int):
        return kind is int and value.bit_length() <= _MAX_INT_BITS
    if isinstance(value, float):
        return kind is float and math.isfinite(value)
    if depth > _MAX_DEPTH:  # also what contains itself
        return False
    if isinstance(value, list):
        return kind is list and all(is_json(item, depth + 1) for item in value)
    if isinstance(value, dict):
        return kind is dict and all(
            type(key) is str and _is_unicode(key) and is_json(item, depth + 1)
            for key, item in value.items()
        )
    return False


def _is_unicode(text: str) -> bool:
    """Whether UTF-8 can carry the text: a lone half of a surrogate pair it cannot."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _pickled(value: object) -> bytes:
    # Imported here: 20 ms that programs with plain values never need.
    import cloudpickle  # noqa: PLC0415

    try:
        data: bytes = cloudpickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
        if len(data) <= _TRIED_BYTES:
            # Better said here, where the value was made, than where it is asked for.
            pickle.loads(data)  # noqa: S301 - made the line before
    except Exception as error:
        kind = type(value)
        raise ValueNotSerializableError(
            f"a value of type {kind.__module__}.{kind.__qualname__} cannot go to another process: "
            f"{type(error).__name__}: {error}"
        ) from error
    return data
