"""JSON as RFC 8259 has it: Python's own parser also takes NaN, which no API server would."""

import json
from typing import Any, NoReturn


def loads(text: str | bytes) -> Any:  # noqa: ANN401  any JSON
    """Return what the text says.

    Raises:
        ValueError: If it is not JSON, or is nested too deeply to be read.
    """
    try:
        return json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number that JSON has")
