"""JSON Schemas of answers, which programs write and the operator uses. Pure.

A schema is a stranger's: it must neither reach out (a `$ref` to somewhere) nor keep whoever uses it
busy. So references stay within the document, what takes long and nobody can foresee how long is
refused, a document has so many schemas in it, and a check ends after so many steps.
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

MOST_SCHEMAS: Final = 400
"""In one document: to see that each of them is one takes a millisecond."""

_MOST_WORDS = 300
_REFERENCE = re.compile(r"#(/\$defs/([A-Za-z0-9._-]+))?")
_NAMED = ("properties", "$defs", "dependentSchemas")
_LISTED = ("allOf", "anyOf", "oneOf", "prefixItems")
_SINGLE = (
    *("items", "contains", "additionalProperties", "propertyNames", "not", "if", "then", "else"),
    "contentSchema",
)
_HERE = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas")
"""Schemas in a schema that are about the same value as it is."""

_SLOW = "some expressions take hours to look for; use enum or maxLength, or check it in the task"
_OUTDATED = "it is $defs, dependentRequired or dependentSchemas"
_UNCOUNTED = "what is left over takes ever longer to find; use additionalProperties or items"
_PLACED = "references are to the document itself: {'$ref': '#/$defs/NAME'}"
_REFUSED: Final[Mapping[str, str]] = {
    "pattern": _SLOW,
    "patternProperties": _SLOW,
    "unevaluatedItems": _UNCOUNTED,
    "unevaluatedProperties": _UNCOUNTED,
    "definitions": _OUTDATED,
    "dependencies": _OUTDATED,
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
        if (schemas := _count(schema)) > MOST_SCHEMAS:
            words = f"has {schemas} schemas in it and may have {MOST_SCHEMAS}; ask for less at once"
            return (Problem(field, words),)
        found = (*_outer(schema, field), *_inner(schema, field, schema.get("$defs")))
        if not found:
            Draft202012Validator.check_schema(schema)
            found = tuple(_circles(schema, field))
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
        if keyword in schema:
            yield keyword, schema[keyword]


def _circles(schema: Mapping[str, Any], field: str) -> Iterator[Problem]:
    """Yield the references that lead back to themselves at one and the same place of the value.

    One through `properties` or `items` ends with the value, as a tree does; a check of this one
    would never end.
    """
    known = {f"#/$defs/{name}": part for name, part in (schema.get("$defs") or {}).items()}
    known["#"] = schema
    leads_to = {name: set(_references_here(part)) for name, part in known.items()}
    for name in sorted(leads_to):
        if _comes_back(name, leads_to):
            words = f"{name!r} leads back to itself, and no further into the value; leave it out"
            yield Problem(f"{field}.$ref", words)


def _comes_back(name: str, leads_to: Mapping[str, set[str]]) -> bool:
    seen, new = set[str](), leads_to[name]
    while new:
        seen |= new
        new = set[str]().union(*(leads_to[one] for one in new)) - seen
    return name in seen


def _references_here(schema: object) -> Iterator[str]:
    """Yield what a schema refers to for the very value that it is about."""
    if not isinstance(schema, Mapping):
        return
    if "$ref" in schema:
        yield schema["$ref"]
    for path, part in _parts(schema):
        if re.split(r"[.\[]", path)[0] in _HERE:
            yield from _references_here(part)


def _count(schema: object) -> int:
    parts = _parts(schema) if isinstance(schema, Mapping) else ()
    return 1 + sum(_count(part) for _, part in parts)


def _counting(schema: Mapping[str, Any]) -> Any:  # noqa: ANN401 - jsonschema ships no types
    """Return a validator that gives up after MOST_STEPS."""
    left = MOST_STEPS

    def counted(keyword: Callable[..., Any]) -> Callable[..., Any]:
        def check(
            validator: object,
            value: Any,  # noqa: ANN401
            instance: Any,  # noqa: ANN401
            whole: object,
        ) -> Iterator[ValidationError]:
            nonlocal left
            left -= _cost(keyword, value, instance)
            if left < 0:
                raise _TooManyStepsError
            for error in keyword(validator, value, instance, whole) or ():
                left -= len(error.message) // 100  # which may show all that was said
                yield error

        return check

    keywords = {name: counted(check) for name, check in _VALIDATORS.items()}
    kind = extend(Draft202012Validator, keywords)
    # A `$schema` would have jsonschema choose the validator that does not count.
    bare = {name: part for name, part in schema.items() if name != "$schema"}
    return kind(bare, registry=Registry())


_VALIDATORS = Draft202012Validator.VALIDATORS
_UNIQUE = _VALIDATORS["uniqueItems"]
_EQUAL = (_VALIDATORS["const"], _VALIDATORS["enum"])
_OF_EACH = tuple(
    _VALIDATORS[name] for name in ("items", "contains", "propertyNames", "additionalProperties")
)


def _cost(keyword: object, value: object, instance: object) -> int:
    """Return how many steps one keyword is, apart from those that it has in it."""
    if keyword is _UNIQUE and isinstance(instance, list):  # it may compare each with each
        return 1 + len(instance) * cut.size_of(instance) // 30
    if keyword in _EQUAL:
        return 1 + cut.size_of(value) // 50
    if keyword in _OF_EACH:
        return 1 + _length(instance)
    return 1 + (_length(value) + _length(instance)) // 10


def _length(value: object) -> int:
    return len(value) if isinstance(value, list | Mapping) else 0


def _problem(error: ValidationError | SchemaError, field: str) -> Problem:
    path = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path)
    return Problem("".join(chain([field], path)), cut.cut(error.message, _MOST_WORDS))
