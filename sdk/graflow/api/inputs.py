"""The channel keys that a run begins with, as values on the wire."""

import json
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from graflow.api.workflow import WorkflowSpec
from graflow.machine.check import Problem

_FIELD = "spec.exactInput"


def channel_keys(spec: WorkflowSpec) -> dict[str, Mapping[str, Any]]:
    """Return what the run's channel has before the start: ValueRefs by key."""
    exact = {key: _ref(given) for key, given in (spec.exact_input or {}).items()}
    return {**{key: {"json": value} for key, value in (spec.input or {}).items()}, **exact}


def _ref(given: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"json": json.loads(given["exact"])} if "exact" in given else given


def input_problems(spec: WorkflowSpec) -> Iterator[Problem]:
    """Yield what is wrong with the keys that a run begins with."""
    for key in ("true", "false"):
        if key in (spec.input or {}):
            yield Problem(
                f"spec.input.{key}",
                f"{key!r} is how kubectl reads the keys y, n, yes, no, on and off;"
                " write the key in quotes, or choose another",
            )
    for key, given in (spec.exact_input or {}).items():
        if key in (spec.input or {}):
            yield Problem(f"{_FIELD}.{key}", "is in spec.input too; give it once")
        elif not _is_readable(given):
            yield Problem(
                f"{_FIELD}.{key}",
                "is neither {exact: the text of its JSON} nor {pickle: base64}; values that an API"
                " server keeps as they are can be written in spec.input",
            )


def _is_readable(given: object) -> bool:
    match given:
        case {"exact": str(text), **rest} if not rest:
            return _reads(json.loads, text)
        case {"pickle": str(text), **rest} if not rest:
            return _reads(lambda found: b64decode(found, validate=True), text)
        case _:
            return False


def _reads(read: Callable[[str], object], text: str) -> bool:
    try:
        read(text)
    except (ValueError, RecursionError):
        return False
    return True
