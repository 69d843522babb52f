"""The channel keys and results that a run begins with, as values on the wire."""

import json
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from graflow.api.cut import size_of
from graflow.api.resume import ResumeFrom
from graflow.api.workflow import WorkflowSpec
from graflow.machine.check import Problem, hint

_RESUME = "spec.resumeFrom"

MAX_CHANGES_BYTES = 64 * 1024
"""How large the keys that a fork sets may be in all, and the results that it gives."""


def channel_keys(spec: WorkflowSpec) -> dict[str, Mapping[str, Any]]:
    """Return what the run's channel has before the start: ValueRefs by key."""
    return _refs(spec.input, spec.exact_input)


def changed_keys(resume: ResumeFrom) -> dict[str, Mapping[str, Any]]:
    """Return what a fork sets in the channel before it goes on: ValueRefs by key."""
    return _refs(resume.set, resume.exact_set)


def changed_results(resume: ResumeFrom) -> dict[str, Mapping[str, Any]]:
    """Return the results that tasks are to have had for a fork: ValueRefs by task."""
    return _refs(resume.results, resume.exact_results)


def _refs(
    plain: Mapping[str, Any] | None, exact: Mapping[str, Mapping[str, Any]] | None
) -> dict[str, Mapping[str, Any]]:
    refs = {key: {"json": value} for key, value in (plain or {}).items()}
    return {**refs, **{key: _ref(given) for key, given in (exact or {}).items()}}


def _ref(given: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"json": json.loads(given["exact"])} if "exact" in given else given


def input_problems(spec: WorkflowSpec) -> Iterator[Problem]:
    """Yield what is wrong with the keys that a run begins with."""
    yield from _misread(spec.input, "spec.input")
    yield from _inexact(spec.input, spec.exact_input, "spec.input", "spec.exactInput")


def resume_problems(resume: ResumeFrom) -> Iterator[Problem]:
    """Yield what is wrong with what a fork changes, whatever its plan is."""
    for plain, exact, field in (
        (resume.set, resume.exact_set, "set"),
        (resume.results, resume.exact_results, "results"),
    ):
        at, exact_at = f"{_RESUME}.{field}", f"{_RESUME}.exact{field.title()}"
        yield from _misread(plain, at)
        yield from _inexact(plain, exact, at, exact_at)
        if (size := size_of({**(plain or {}), **(exact or {})})) > MAX_CHANGES_BYTES:
            yield Problem(
                at,
                f"takes {size} bytes and may take {MAX_CHANGES_BYTES}; hand over a name or an"
                " address of the data instead",
            )


def unknown_in(resume: ResumeFrom, nodes: Iterable[str]) -> Iterator[Problem]:
    """Yield the tasks that a fork names and a plan with these nodes does not have."""
    known = frozenset(nodes)
    named = [(f"{_RESUME}.rerun[{number}]", name) for number, name in enumerate(resume.rerun)]
    named += [(f"{_RESUME}.results.{name}", name) for name in resume.results or ()]
    named += [(f"{_RESUME}.exactResults.{name}", name) for name in resume.exact_results or ()]
    for field, name in named:
        if name not in known:
            yield Problem(field, f"task {name!r} is not in the workflow; {hint(name, known)}")


def _misread(values: Mapping[str, Any] | None, field: str) -> Iterator[Problem]:
    for key in ("true", "false"):
        if key in (values or {}):
            yield Problem(
                f"{field}.{key}",
                f"{key!r} is how kubectl reads the keys y, n, yes, no, on and off;"
                " write the key in quotes, or choose another",
            )


def _inexact(
    plain: Mapping[str, Any] | None,
    exact: Mapping[str, Mapping[str, Any]] | None,
    field: str,
    exact_field: str,
) -> Iterator[Problem]:
    for key, given in (exact or {}).items():
        if key in (plain or {}):
            yield Problem(f"{exact_field}.{key}", f"is in {field} too; give it once")
        elif not _is_readable(given):
            yield Problem(
                f"{exact_field}.{key}",
                "is neither {exact: the text of its JSON} nor {pickle: base64}; values that an API"
                f" server keeps as they are can be written in {field}",
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
