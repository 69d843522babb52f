"""JSON Schemas of answers, which programs write and the operator uses. Pure.

A schema is a stranger's: it must neither reach out (a `$ref` to somewhere) nor keep whoever uses it
busy. So references stay within the document, expressions that one has to search texts with are
refused, and a check ends after so many steps.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import Any, Final

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError, best_match
from jsonschema.validators import extend
from referencing import Registry

from graflow.api import cut
from graflow.machine.check import Problem
from graflow.questions import MAX_SCHEMA_BYTES

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
MOST_STEPS: Final = 20_000
"""Keywords that one check may look at: a form takes some hundred, and all of them 0.2 s."""

_MOST_WORDS = 300
_REFERENCE = re.compile(r"#(/\$defs/([A-Za-z0-9._-]+))?")
_NAMED = ("properties", "$defs", "dependentSchemas")
_LISTED = ("allOf", "anyOf", "oneOf", "prefixItems")
_SINGLE = (
    *("items", "contains", "additionalProperties", "propertyNames", "not", "if", "then", "else"),
    *("unevaluatedItems", "unevaluatedProperties"),
)
_SLOW = "some expressions take hours to look for; use enum or maxLength, or check it in the task"
_PLACED = "references are to the document itself: {'$ref': '#/$defs/NAME'}"
_REFUSED: Final[Mapping[str, str]] = {
    "pattern": _SLOW,
    "patternProperties": _SLOW,
    "$id": _PLACED,
    "$anchor": _PLACED,
    "$dynamicAnchor": _PLACED,
    "$dynamicRef": _PLACED,
}


class _TooManyStepsError(Exception):
    """A check looked at more than it may."""


def schema_problems(schema: Mapping[str, Any], field: str) -> tuple[Problem, ...]:
    """Return why a schema cannot be used; nothing when it can.

    Args:
        schema: The document.
        field: Where it is written; problems begin with it.
    """
    if (size := cut.size_of(schema)) > MAX_SCHEMA_BYTES:
        return (Problem(field, f"has {size} bytes as JSON and may have {MAX_SCHEMA_BYTES}"),)
    try:
        found = (*_outer(schema, field), *_inner(schema, field, schema.get("$defs")))
        if not found:
            Draft202012Validator.check_schema(schema)
    except RecursionError:
        return (Problem(field, "is nested too deeply"),)
    except SchemaError as error:
        return (_problem(error, field),)
    return found


def objection(schema: Mapping[str, Any], value: object, field: str) -> Problem | None:
    """Return why a value is not what a schema describes, or None if it is.

    Args:
        schema: One that has no problems.
        value: A JSON value.
        field: What the value is called; problems begin with it.
    """
    try:
        error = best_match(_counting(schema).iter_errors(value))
    except (_TooManyStepsError, RecursionError):
        return Problem(field, "takes too long to check against the schema; make either simpler")
    return None if error is None else _problem(error, field)


def _outer(schema: Mapping[str, Any], field: str) -> Iterator[Problem]:
    """Yield what is wrong with the document as a whole."""
    if schema.get("$schema", DRAFT) != DRAFT:
        yield Problem(f"{field}.$schema", f"{schema['$schema']!r} is not known; it is {DRAFT}")
    kinds = schema.get("type", "object")
    if kinds != "object" and "object" not in (kinds if isinstance(kinds, list) else ()):
        yield Problem(f"{field}.type", f"is {kinds!r}, and an answer is an object; put it into one")


def _inner(schema: object, field: str, known: object, *, is_root: bool = True) -> Iterator[Problem]:
    """Yield what is wrong with one schema and those in it; `known` is what references may name."""
    if not isinstance(schema, Mapping):
        return
    for keyword, why in _REFUSED.items():
        if keyword in schema:
            yield Problem(f"{field}.{keyword}", f"cannot be used: {why}")
    if "$schema" in schema and not is_root:
        yield Problem(f"{field}.$schema", "belongs at the top alone")
    if "$ref" in schema:
        yield from _reference(schema["$ref"], f"{field}.$ref", known)
    for path, part in _parts(schema):
        yield from _inner(part, f"{field}.{path}", known, is_root=False)


def _reference(named: object, field: str, known: object) -> Iterator[Problem]:
    found = _REFERENCE.fullmatch(named) if isinstance(named, str) else None
    if found is None:
        yield Problem(field, f"{named!r} cannot be used: {_PLACED}")
    elif found[2] and not (isinstance(known, Mapping) and found[2] in known):
        yield Problem(field, f"{named!r} is not there; add it to $defs")


def _parts(schema: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """Yield the schemas in a schema, each with its place."""
    for keyword in _NAMED:
        named = schema.get(keyword)
        for name, part in named.items() if isinstance(named, Mapping) else ():
            yield f"{keyword}.{name}", part
    for keyword in _LISTED:
        listed = schema.get(keyword)
        for number, part in enumerate(listed if isinstance(listed, list) else ()):
            yield f"{keyword}[{number}]", part
    for keyword in _SINGLE:
        yield keyword, schema.get(keyword)


def _counting(schema: Mapping[str, Any]) -> Any:  # noqa: ANN401 - jsonschema ships no types
    """Return a validator that gives up after MOST_STEPS."""
    left = MOST_STEPS

    def counted(keyword: Callable[..., Any]) -> Callable[..., Any]:
        def check(validator: object, value: Any, instance: Any, whole: object) -> Any:  # noqa: ANN401
            nonlocal left
            left -= _cost(keyword, value, instance)
            if left < 0:
                raise _TooManyStepsError
            return keyword(validator, value, instance, whole)

        return check

    keywords = Draft202012Validator.VALIDATORS.items()
    kind = extend(Draft202012Validator, {name: counted(check) for name, check in keywords})
    # A `$schema` would have jsonschema choose the validator that does not count.
    bare = {name: part for name, part in schema.items() if name != "$schema"}
    return kind(bare, registry=Registry())


_UNIQUE = Draft202012Validator.VALIDATORS["uniqueItems"]


def _cost(keyword: object, value: object, instance: object) -> int:
    """Return how many steps one keyword is."""
    if keyword is _UNIQUE and isinstance(instance, list):
        return 1 + len(instance) ** 2 // 10  # it may compare each with each
    return 1 + (len(value) // 10 if isinstance(value, list | Mapping) else 0)


def _problem(error: ValidationError | SchemaError, field: str) -> Problem:
    path = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path)
    return Problem("".join(chain([field], path)), cut.cut(error.message, _MOST_WORDS))
