"""Objects of runs that are gone, taken out of the store: in the background, late rather than wrong.

Each run leaves a mark in the store, under the cluster's id: a bucket may serve several clusters,
and what another one has put there is none of our business. A mark whose Workflow is gone for long
enough is what makes a run's objects go. Nothing hangs on a finalizer: a namespace is deleted
whether or not an operator runs, and what it leaves in the store is found afterwards.
"""

import asyncio
import json
import logging
import random
from collections.abc import Collection, Sequence

from graflow.store import ObjectMissingError, StoreError, StoreRefusedError
from graflow.store.keys import MARKS, RunKeys, is_segment, mark_of
from graflow_operator import checkpoint, sources
from graflow_operator.cluster import NAMESPACES, WORKFLOWS, Cluster
from graflow_operator.cluster_errors import ClusterError, ForbiddenError, NotFoundError
from graflow_operator.dispatch import Dispatch
from graflow_operator.keeping import DeletedRuns
from graflow_operator.parts import Parts
from graflow_operator.refs import RunRef
from graflow_operator.storage import Storage

AT_ONCE = 4
"""Objects that are deleted at one time; the store has runs to serve."""

OFTEN_S, SELDOM_S = 5.0, 600.0
"""Bounds of the time between two rounds."""

STALE = 3
"""Comparisons that may fail before what the last one saw counts for nothing."""

log = logging.getLogger(__name__)


async def cluster_id(cluster: Cluster) -> str:
    """Return what tells this cluster from others; "" if we are not let know.

    Raises:
        ClusterError: If the API server does not say.
    """
    try:
        found = await cluster.get(NAMESPACES, None, "kube-system")
    except ForbiddenError as error:
        log.warning("objects of deleted runs stay in the store: %s", error)
        return ""
    return str(found["metadata"]["uid"])


class Sweep:
    """Deletes the objects of runs that are gone, for one term of leadership."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._missed: dict[RunKeys, float] = {}
        """Since when runs that have left a mark are known to be gone."""

        self._present: frozenset[str] = frozenset()
        self._compared_at: float | None = None

    def compared(self, uids: Collection[str]) -> None:
        """Take note of the runs that a whole list has just shown."""
        self._present, self._compared_at = frozenset(uids), self._parts.clock()

    def gone(self, uid: str) -> None:
        """Take note of a run whose deletion a watch has shown; it is asked for all the same."""
        self._present -= {uid}

    async def run(self) -> None:
        """Sweep until cancelled."""
        parts, settings = self._parts, self._parts.settings
        if parts.storage is None or not parts.cluster_id:
            return
        if settings.deleted_runs is DeletedRuns.KEEP:
            return
        pause_s = min(max(settings.deleted_runs_s / 2, OFTEN_S), SELDOM_S)
        while True:
            await parts.sleep(pause_s * random.uniform(0.8, 1.2))  # noqa: S311
            try:
                await self.round(parts.storage)
            except (StoreError, ClusterError) as error:
                log.warning("objects of deleted runs are not deleted: %s; trying again", error)
            except Exception:
                log.exception("objects of deleted runs are not deleted; trying again")

    async def round(self, storage: Storage) -> None:
        """Look at all marks once.

        Raises:
            StoreError, ClusterError: If something cannot be known; nothing is deleted then.
        """
        now, settings = self._parts.clock(), self._parts.settings
        if self._compared_at is None or now - self._compared_at > STALE * settings.resync_s:
            return  # what exists is not known well enough
        keys = await storage.list(f"{MARKS}{self._owner}/")
        runs = [run for key in keys if (run := mark_of(key)) and self._is_served(run)]
        absent = [run for run in runs if run.uid not in self._present]
        self._missed = {run: self._missed.get(run, now) for run in absent}
        for run, since in tuple(self._missed.items()):
            if now - since < settings.deleted_runs_s:
                continue
            try:
                await self._delete_if_gone(storage, run)
            except (StoreRefusedError, ForbiddenError) as error:
                # An object under a lock, a namespace without rights: those behind it do not wait.
                log.warning("%s is not deleted: %s", run.prefix, error)

    @property
    def _owner(self) -> str:
        return self._parts.mark_owner

    def _is_served(self, run: RunKeys) -> bool:
        served = self._parts.settings.namespaces
        return not served or run.namespace in served

    async def _is_gone(self, storage: Storage, run: RunKeys) -> bool:
        """Ask for a run that no list has shown: it may have been made since.

        One that another run goes on from is not gone yet, for that one may still be copying.
        """
        try:
            name = str(json.loads(await storage.get(run.mark(self._owner)))["name"])
        except ObjectMissingError:
            return False
        except (ValueError, TypeError, KeyError):
            log.warning("%s stays: its mark is none of ours", run.prefix)
            return False
        try:
            workflow = await self._parts.cluster.get(WORKFLOWS, run.namespace, name)
        except NotFoundError:
            workflow = None
        if workflow is not None and workflow["metadata"]["uid"] == run.uid:
            return False
        others = await self._parts.cluster.find(WORKFLOWS, run.namespace)
        return run.uid not in sources.needed(others)

    async def _delete_if_gone(self, storage: Storage, run: RunKeys) -> None:
        """Delete all that a run has in the store, and its mark last: a crash begins again."""
        keys = await storage.list(run.prefix)
        # After the list, which takes long: somebody may go on from the run by now.
        if not await self._is_gone(storage, run):
            return
        await delete_all(storage, run, keys)
        await storage.delete(run.mark(self._owner))
        del self._missed[run]
        log.info("%s deleted, with %d objects, of a run that is gone", run.prefix, len(keys))


async def delete_all(storage: Storage, run: RunKeys, keys: Sequence[str]) -> None:
    """Delete objects of a run, few at a time, and the newest of its checkpoints last.

    Who goes on from the run meanwhile asks for the newest one: while others are there that one has
    to be, or the new run would begin at an older moment without a word. If values of it are gone,
    the new run is refused, and its status names them.

    Raises:
        StoreError: If one cannot be deleted; others may be deleted by then.
    """
    turn = asyncio.Semaphore(AT_ONCE)
    names = (key.removeprefix(run.checkpoints) for key in keys if key.startswith(run.checkpoints))
    newest = checkpoint.newest(name for name in names if is_segment(name))
    last = None if newest is None else run.checkpoint(newest)
    before = [key for key in keys if key != last]

    async def delete(key: str) -> None:
        async with turn:
            await storage.delete(key)

    for begin in range(0, len(before), 1000):
        await asyncio.gather(*(delete(key) for key in before[begin : begin + 1000]))
    if last is not None:
        await storage.delete(last)


class RunMark:
    """The mark of one run, in the store until it is swept: without it nobody sweeps."""

    def __init__(self, parts: Parts, run: RunRef, dispatch: Dispatch) -> None:
        self._parts = parts
        self._run = run
        self._dispatch = dispatch
        self._left = parts.storage is None or not parts.cluster_id
        """Whether it is there, or nobody would look at it."""

    def leave(self, *, ended: bool) -> None:
        """Have it left in time, unless it is there."""
        if not (self._left or ended):
            self._dispatch.send(("mark", self._run.uid), self.put)

    async def put(self) -> None:
        """Leave it now, unless it is there.

        Raises:
            StoreError: If the store does not take it.
        """
        parts = self._parts
        if self._left or parts.storage is None:
            return
        key = parts.store_keys(self._run).mark(parts.mark_owner)
        await parts.storage.put(key, json.dumps({"name": self._run.name}).encode())
        self._left = True
