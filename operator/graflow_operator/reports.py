"""What a runner reports, made ready to be folded: checked, and what is large put into the store."""

import asyncio
from collections.abc import Mapping

from graflow.api.directives import (
    DirectiveSpec,
    IterationSpec,
    SpawnSpec,
    directive_of,
    fragment_plan,
    parse_directives,
)
from graflow.api.errors import InvalidWorkflow, sentence
from graflow.machine.directives import Directive
from graflow.store.keys import RunKeys
from graflow_operator import values
from graflow_operator.outcomes import Returned
from graflow_operator.storage import Storage
from graflow_operator.values import BadValueError, ValueRef
from graflow_operator.verdicts import Failed, Parked, Succeeded, Told, invalid

AGAIN = ("data", "bound")
"""What a pass may be given: its first argument, or arguments by name."""

MOST_WORDS = 1500


async def settled(told: Returned | Failed | Parked, storage: Storage | None, keys: RunKeys) -> Told:
    """Return a report as it is folded, with its values where a run keeps them.

    Raises:
        BadValueError: If something in it is no value, or not where it is said to be.
        StoreError: If the store does not do what is asked.
    """
    if not isinstance(told, Returned):
        return told
    value = await values.settle(values.check(told.value), storage, keys)
    return await with_value(told, value, storage, keys)


async def with_value(
    told: Returned, value: ValueRef, storage: Storage | None, keys: RunKeys
) -> Succeeded | Failed:
    """Return the report of a success whose value is where a run keeps it.

    Directives that make no sense fail the attempt: it is the task that asked for them.

    Raises:
        BadValueError: If something in them is no value, or not where it is said to be.
        StoreError: If the store does not do what is asked.
    """
    try:
        wanted = parse_directives(list(told.directives))
    except InvalidWorkflow as error:
        words = "; ".join(sentence(problem) for problem in error.problems)
        return invalid(words[:MOST_WORDS])
    directives = [await _directive(one, storage, keys) for one in wanted]
    return Succeeded(value, tuple(directives), told.wish)


async def _directive(spec: DirectiveSpec, storage: Storage | None, keys: RunKeys) -> Directive:
    match spec:
        case IterationSpec(again=dict(again)):
            [(form, given)] = again.items() if len(again) == 1 else [("", None)]
            if form not in AGAIN:
                raise BadValueError("what a pass is given is an object with one of data, bound")
            kept = await values.settle(values.check(given), storage, keys)
            return directive_of(spec, again={form: kept})
        case SpawnSpec(fragment=fragment):
            return directive_of(
                spec, fragment=fragment_plan(fragment, await _code(fragment.code, storage, keys))
            )
        case _:
            return directive_of(spec)


async def _code(
    code: Mapping[str, ValueRef], storage: Storage | None, keys: RunKeys
) -> dict[str, ValueRef]:
    """Return code by id; what several tasks share goes to the store once, all of it at a time."""
    checked = {node_id: values.check(ref) for node_id, ref in code.items()}
    parts = {str(part): part for ref in checked.values() for part in values.parts(ref)}
    kept = await asyncio.gather(*(values.settle(p, storage, keys) for p in parts.values()))
    by_text = dict(zip(parts, kept, strict=True))

    def put_together(ref: ValueRef) -> ValueRef:
        match ref:
            case {"group": dict(members)}:
                return {"group": {name: put_together(part) for name, part in members.items()}}
            case _:
                return by_text[str(ref)]

    return {node_id: put_together(ref) for node_id, ref in checked.items()}
