"""From what the API server or a YAML file holds to a `Workflow`, or to problems in words."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from graflow.api.bundle import CodeBundle
from graflow.api.errors import InvalidWorkflow
from graflow.api.feedback import FeedbackRequest
from graflow.api.large import PLAN_FIELDS, LargeWorkflow
from graflow.api.model import ResourceModel, SpecModel
from graflow.api.profile import RunnerProfile
from graflow.api.schema import Schema, structural
from graflow.api.workflow import Workflow
from graflow.machine.check import Problem

_MAX_DEPTH = 100
_SHOWN = 60
_OPAQUE: dict[str, Schema] = {"metadata": {"type": "object"}}
_Kind = TypeVar("_Kind", bound=ResourceModel)
_Part = TypeVar("_Part", bound=SpecModel)


def parse_workflow(raw: object) -> Workflow:
    """Return the Workflow that a JSON-like object describes.

    Raises:
        InvalidWorkflow: If it describes none; with every problem found.
    """
    return _parse(Workflow, raw)


def parse_large_workflow(raw: Mapping[str, Any], plan: Mapping[str, Any]) -> Workflow:
    """Return the Workflow that an object and the plan in its bundle describe.

    Raises:
        InvalidWorkflow: If they describe none; with every problem found.
    """
    spec = raw.get("spec") or {}
    if doubled := [name for name in PLAN_FIELDS if name in spec]:
        raise InvalidWorkflow(
            [Problem(f"spec.{name}", "goes with spec.tasks; without them it is in the bundle")
             for name in doubled]
        )  # fmt: skip
    kept = {name: part for name, part in plan.items() if name in PLAN_FIELDS}
    return _parse(LargeWorkflow, {**raw, "spec": {**spec, **kept}})


def parse_code_bundle(raw: object) -> CodeBundle:
    """Return the CodeBundle that a JSON-like object describes.

    Raises:
        InvalidWorkflow: If it describes none; with every problem found.
    """
    return _parse(CodeBundle, raw)


def parse_runner_profile(raw: object) -> RunnerProfile:
    """Return the RunnerProfile that a JSON-like object describes.

    Raises:
        InvalidWorkflow: If it describes none; with every problem found.
    """
    return _parse(RunnerProfile, raw)


def parse_feedback_request(raw: object) -> FeedbackRequest:
    """Return the FeedbackRequest that a JSON-like object describes.

    Raises:
        InvalidWorkflow: If it describes none; with every problem found.
    """
    return _parse(FeedbackRequest, raw)


def _parse(kind: type[_Kind], raw: object) -> _Kind:
    if not isinstance(raw, Mapping):
        raise InvalidWorkflow(
            [Problem("", f"a {kind.__name__} is a mapping with apiVersion, kind, metadata and spec;"
                         f" this is {_shown(raw)}")]
        )  # fmt: skip
    return parse_part(kind, raw, "")


def parse_part(kind: type[_Part], raw: object, field: str) -> _Part:
    """Return the part of a resource, or of a report, that a JSON-like object describes.

    Args:
        kind: Model of the part.
        raw: What was found.
        field: Where; problems begin with it.

    Raises:
        InvalidWorkflow: If it describes none; with every problem found.
    """
    if foreign := tuple(_foreign(raw, field, _MAX_DEPTH)):
        raise InvalidWorkflow(foreign)
    try:
        # As JSON, since only there pydantic is strict about scalars and not about tuples.
        return kind.model_validate_json(json.dumps(raw), strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=True)
        found = (_problem(kind, detail) for detail in details if not _follows(detail))
        raise InvalidWorkflow(
            Problem(f"{field}.{problem.field}".strip("."), problem.message) for problem in found
        ) from error


def _foreign(value: object, path: str, depth: int) -> Iterator[Problem]:
    """Yield what JSON cannot hold: YAML has dates, sets, numbers as keys and more."""
    if isinstance(value, Mapping | list | tuple) and depth == 0:
        yield Problem(path, f"is nested more than {_MAX_DEPTH} levels deep")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if isinstance(key, str):
                yield from _foreign_scalar(key, path)
                yield from _foreign(item, f"{path}.{key}" if path else key, depth - 1)
            else:
                yield Problem(path, f"the key {key!r} must be text; write it in quotes")
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from _foreign(item, f"{path}[{number}]", depth - 1)
    else:
        yield from _foreign_scalar(value, path)


def _foreign_scalar(value: object, path: str) -> Iterator[Problem]:
    match value:
        case str() if any("\ud800" <= character <= "\udfff" for character in value):
            yield Problem(path, "holds half a character (a lone surrogate); write it whole")
        case float() if not math.isfinite(value):
            yield Problem(path, f"{value} is not a number that JSON has")
        case None | bool() | int() | float() | str():
            pass
        case _:
            kind = type(value).__name__
            yield Problem(path, f"{value!s} was read as a {kind}; write it in quotes")


def _follows(detail: ErrorDetails) -> bool:
    """Whether an error only follows from others: items that are wrong are not counted."""
    least = detail.get("ctx", {}).get("min_length", 0)
    return detail["type"] == "too_short" and len(detail["input"]) >= least


def _problem(kind: type[SpecModel], detail: ErrorDetails) -> Problem:
    """Translate what pydantic found: where, what is wrong, the way out."""
    location = detail["loc"]
    value, context = detail["input"], detail.get("ctx", {})
    match detail["type"]:
        case "extra_forbidden":
            known = tuple(_schema_at(kind, location[:-1]).get("properties", {}))
            hint = _meant(str(location[-1]), known, "its fields are")
            return Problem(_path(location[:-1]), f"unknown field {location[-1]!r}; {hint}")
        case "missing":
            about = _schema_at(kind, location).get("description", "")
            return Problem(_path(location), f"is required: {about.partition('. ')[0]}")
        case "enum" | "literal_error":
            choices = tuple(_schema_at(kind, location).get("enum", ()))
            hint = _meant(str(value), choices, "it is one of")
            return Problem(_path(location), f"{_shown(value)} is not known; {hint}")
        case "string_pattern_mismatch":
            about = _schema_at(kind, location).get("description", "")
            return Problem(_path(location), f"{_shown(value)} does not have the form. {about}")
        case found:
            must = _MUST.get(found, detail["msg"])
            return Problem(_path(location), f"{must.format(**context)}; this is {_shown(value)}")


_MUST = {
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "too_long": "must have at most {max_length} items and has {actual_length}",
    "too_short": "must have at least {min_length} items and has {actual_length}",
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must have at least {min_length} characters",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
}
"""What a value must be, by pydantic's name of the error."""


def _meant(word: str, known: Sequence[str], listed_as: str) -> str:
    """Return the nearest of the known words, or all of them."""
    if near := get_close_matches(word[:_SHOWN], known, n=1):
        return f"did you mean {near[0]!r}?"
    return f"{listed_as} {', '.join(known)}"


def _path(location: Sequence[int | str]) -> str:
    """Return a location as users write it.

    >>> _path(("spec", "tasks", 2, "after", 0))
    'spec.tasks[2].after[0]'
    """
    return "".join(
        f"[{part}]" if isinstance(part, int) else f".{part}" for part in location
    ).removeprefix(".")


def _shown(value: object) -> str:
    """Return a value as JSON, short enough for a sentence."""
    try:
        text = json.dumps(value, default=str, ensure_ascii=False)
    except RecursionError:
        return f"a {type(value).__name__} that is nested too deeply"
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


@cache
def _schema_of(kind: type[SpecModel]) -> Schema:
    return structural(kind, given=_OPAQUE if issubclass(kind, ResourceModel) else None)


def _schema_at(kind: type[SpecModel], location: Sequence[int | str]) -> dict[str, Any]:
    """Return the schema of a field, as far as there is one."""
    schema = _schema_of(kind)
    for part in location:
        if isinstance(part, int):
            schema = schema.get("items", {})
        else:
            schema = schema.get("properties", {}).get(part, {})
    return schema
