"""The checkpoints of a run for people, read from the documents, the newest first."""

import asyncio
from collections.abc import Mapping
from typing import Any

from graflow.api.moment import rfc3339
from graflow.store.keys import RunKeys
from graflow_operator import checkpoint
from graflow_operator.storage import Storage

PAGE = 20
"""Checkpoints after which no further document is read: each is read whole."""

_LABEL = ("reason", "task", "path", "metadata")


async def page(
    storage: Storage, keys: RunKeys, newest: str
) -> tuple[list[dict[str, Any]], str | None]:
    """Return a few checkpoints, and the name of the one before them; None if there is none.

    Args:
        storage: Where they are.
        keys: Of the run.
        newest: Name of the first one to tell.

    Raises:
        UnreadableCheckpointError: If one is damaged, or of another version.
        StoreError: If the store does not give one.
    """
    told: list[dict[str, Any]] = []
    name: str | None = checkpoint.checked_name(newest)
    while name is not None and len(told) < PAGE:
        data = await storage.get(keys.checkpoint(name))
        found = await asyncio.to_thread(checkpoint.document_in, name, data)
        when = {"seq": found["seq"], "time": rfc3339(found["time"])}
        labels = [found, *found.get("also", ())]  # none where the document says one
        told += [{**when, **_label(one)} for one in reversed(labels)]
        previous = found["previous"]
        name = None if previous is None else checkpoint.checked_name(previous)
    return told, name


def _label(told: Mapping[str, Any]) -> dict[str, Any]:
    return {key: told[key] for key in _LABEL if told.get(key)}
