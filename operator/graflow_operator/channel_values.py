"""Values on their way into a channel: large ones into the store, so that batches stay small."""

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any

from graflow.ledger import wire
from graflow.ledger.state import State
from graflow.store.keys import RunKeys
from graflow_operator import values
from graflow_operator.storage import Storage

Json = dict[str, Any]

INLINE_BYTES = 8 * 1024
"""Larger values, or runs of a list, are kept in the store and named by the channel."""


async def settled(body: Mapping[str, Any], storage: Storage | None, keys: RunKeys) -> Json:
    """Return an operation with its large values in the store.

    Raises:
        BadValueError: If it names bytes that are not in the store.
        StoreError: If the store does not do what is asked.
    """
    found = dict(body)
    for field in ("value", "items"):
        value = found.get(field)
        if not isinstance(value, dict) or len(value) != 1:
            continue  # refused later, with words
        found[field] = await _settled(value, storage, keys)
    return found


async def _settled(value: Json, storage: Storage | None, keys: RunKeys) -> Json:
    match value:
        case {"list": list(runs)}:
            return {"list": [await _run(run, storage, keys) for run in runs]}
        case {"json": list(items)}:
            kept = await _one(value, storage, keys)
            return value if kept is value else {"list": [{"n": len(items), "of": kept}]}
        case {"json": _} | {"pickle": _} | {"blob": _}:
            return await _one(value, storage, keys)
        case _:
            return value


async def _run(run: object, storage: Storage | None, keys: RunKeys) -> object:
    match run:
        case {"n": count, "of": dict(items), **rest} if not rest:
            return {"n": count, "of": await _one(items, storage, keys)}
        case _:
            return run


async def _one(value: Json, storage: Storage | None, keys: RunKeys) -> Json:
    checked = values.check(value)
    if "blob" in checked:
        return await values.settle(checked, storage, keys)
    [(form, content)] = checked.items()
    data = json.dumps(content).encode() if form == "json" else base64.b64decode(content)
    if storage is None or len(data) <= INLINE_BYTES:
        return value
    return await values.keep(data, form, storage, keys)


def check(value: object) -> Json:
    """Return a value of a form that a channel keeps.

    Raises:
        BadCallError: If it has none.
    """
    try:
        return values.check(value, depth=0)
    except values.BadValueError as error:
        raise wire.BadCallError(str(error)) from error


class Values(Mapping[str, Json]):
    """What is in a channel at one moment, by key."""

    def __init__(self, state: State, now: float) -> None:
        self._state = state
        self._now = now

    def __getitem__(self, key: str) -> Json:
        entry = self._state.live(key, self._now)
        if entry is None:
            raise KeyError(key)
        return wire.value_of(entry)

    def __iter__(self) -> Iterator[str]:
        return iter(self._state.keys(self._now))

    def __len__(self) -> int:
        return len(self._state.keys(self._now))
