"""What nothing refers to in the store, of one namespace, found when somebody asks for it.

The sweep deletes what runs of this installation leave, once they are gone. Here is the rest: what
was left while that was switched off or could not be done, and what crashes have left of runs that
are still there. Of a run that goes on nothing is ever touched.
"""

import asyncio
import json
import logging
from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import groupby
from typing import Any

from graflow.store.keys import MARKS, RunKeys, mark_of
from graflow_operator import sources
from graflow_operator.cluster import WORKFLOWS, Object
from graflow_operator.objects import has_ended
from graflow_operator.parts import Parts
from graflow_operator.reach import Reach, UnknownReachError
from graflow_operator.storage import Storage
from graflow_operator.sweep import AT_ONCE, delete_all

log = logging.getLogger(__name__)


class Why(StrEnum):
    """Why objects are garbage."""

    GONE = "Gone"
    """The Workflow is gone, and the mark says that it was one of ours."""

    UNMARKED = "Unmarked"
    """No Workflow here has this uid, and no mark says whose it was."""

    UNREFERENCED = "Unreferenced"
    """The run has ended, and what it refers to does not include them."""


@dataclass(frozen=True, slots=True)
class Found:
    """What was found of one run."""

    run: RunKeys
    name: str = ""
    """Of the Workflow; "" if it is gone."""

    why: Why | None = None
    """None: it is left alone."""

    left: str = ""
    """Why it is left alone, for people."""

    keys: tuple[str, ...] = ()
    """Objects that nothing refers to."""

    also: tuple[str, ...] = ()
    """What goes after them: the mark."""

    def manifest(self, size: int, *, deleted: bool) -> dict[str, Any]:
        """Return it as JSON; `size` is that of its objects in bytes."""
        folders = Counter(key.removeprefix(self.run.prefix).partition("/")[0] for key in self.keys)
        told = {"uid": self.run.uid, "name": self.name, "why": self.why, "left": self.left}
        counted = {"objects": len(self.keys), "bytes": size, "folders": dict(folders)}
        return {key: one for key, one in told.items() if one} | counted | {"deleted": deleted}


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody asks for."""

    namespace: str
    delete: bool = False
    """Whether what is found is deleted, too."""

    unmarked: bool = False
    """Whether that includes what no mark says the owner of."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What the API server and the marks say, asked after the store was listed."""

    workflows: Mapping[str, Object]
    """By uid."""

    owners: Mapping[str, Collection[str]]
    """By uid: whose marks there are."""

    sources: Mapping[str, str] = field(default_factory=dict)
    """By uid of a run: name of the one that goes on from it, and has not ended."""


async def collect(parts: Parts, storage: Storage, wish: Wish) -> AsyncIterator[dict[str, Any]]:
    """Yield what is found of each run, in JSON, and delete it if that is asked for.

    Raises:
        StoreError, ClusterError: If something cannot be known; what was not told is as it was.
    """
    # In this order: a run that began after the list has nothing in it.
    keys = await storage.list(f"{wish.namespace}/")
    known = await _known(parts, storage, wish.namespace)
    going_on = 0
    for uid, of_run in groupby(keys, key=_uid_in):
        found = await _found(parts, storage, RunKeys(wish.namespace, uid), tuple(of_run), known)
        if found is None:
            going_on += 1
        elif found.keys or found.left:
            yield await _told(parts, storage, found, wish)
    yield {"done": True, "goingOn": going_on}


async def _known(parts: Parts, storage: Storage, namespace: str) -> _Known:
    found = await parts.cluster.find(WORKFLOWS, namespace)
    owners: dict[str, set[str]] = {}
    for key in await storage.list(MARKS):
        if (run := mark_of(key)) and run.namespace == namespace:
            owners.setdefault(run.uid, set()).add(key.removeprefix(MARKS).partition("/")[0])
    by_uid = {one["metadata"]["uid"]: one for one in found}
    return _Known(by_uid, owners, sources.needed(found))


def _needed(found: Found, name: str) -> Found:
    """Return that a run is left alone, and who needs it."""
    words = f"workflow {name!r} goes on from it and has not ended"
    return Found(found.run, left=words, keys=found.keys)


def _goes(found: Found, wish: Wish) -> bool:
    """Whether what was found is to be deleted."""
    wanted = wish.delete and (found.why is not Why.UNMARKED or wish.unmarked)
    return wanted and not found.left and bool(found.keys)


def _uid_in(key: str) -> str:
    return key.split("/")[1]


async def _found(
    parts: Parts, storage: Storage, run: RunKeys, keys: tuple[str, ...], known: _Known
) -> Found | None:
    """Return what is garbage of one run, or why nothing is; None of one that goes on."""
    workflow = known.workflows.get(run.uid)
    if workflow is None:
        return _of_gone(parts, run, keys, known)
    if not has_ended(workflow):
        return None
    name = str(workflow["metadata"]["name"])
    reach = Reach(storage, run)
    try:
        await reach.follow(workflow.get("status") or {})
        await reach.keep_fences(keys)
    except UnknownReachError as error:
        return Found(run, name, left=str(error))
    logs = parts.settings.pods.keep_logs
    unheld = tuple(key for key in keys if not reach.holds(key, logs=logs))
    return Found(run, name, Why.UNREFERENCED, keys=unheld)


def _of_gone(parts: Parts, run: RunKeys, keys: tuple[str, ...], known: _Known) -> Found:
    """Return what is garbage of a run that has no Workflow here."""
    owner, owners = parts.mark_owner, known.owners.get(run.uid, ())
    if name := known.sources.get(run.uid):
        return _needed(Found(run, keys=keys), name)
    if parts.cluster_id and owner in owners:
        return Found(run, why=Why.GONE, keys=keys, also=(run.mark(owner),))
    if owners:
        words = f"it is marked as a run of another installation, {', '.join(sorted(owners))}"
        return Found(run, left=words, keys=keys)
    return Found(run, why=Why.UNMARKED, keys=keys)


async def _told(parts: Parts, storage: Storage, found: Found, wish: Wish) -> dict[str, Any]:
    size = await _size(storage, found.keys)
    if _goes(found, wish) and found.why is not Why.UNREFERENCED:
        # What came before took long: somebody may go on from it by now.
        others = await parts.cluster.find(WORKFLOWS, wish.namespace)
        if name := sources.needed(others).get(found.run.uid):
            found = _needed(found, name)
    goes = _goes(found, wish)
    if goes:
        await delete_all(storage, found.run, found.keys)
        for key in found.also:
            await storage.delete(key)
        words = "%s: %d objects deleted as somebody asked for it, %s"
        log.info(words, found.run.prefix, len(found.keys), found.why)
    return found.manifest(size, deleted=goes)


async def _size(storage: Storage, keys: Collection[str]) -> int:
    turn = asyncio.Semaphore(AT_ONCE)

    async def of(key: str) -> int:
        async with turn:
            return await storage.size(key) or 0

    return sum(await asyncio.gather(*(of(key) for key in keys)))


def line(told: Mapping[str, Any]) -> bytes:
    """Return what is told of one run as a line."""
    return json.dumps(told, ensure_ascii=False).encode() + b"\n"
