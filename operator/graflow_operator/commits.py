"""One commit: the state, the summary for people, in one guarded write of the Workflow's status."""

import re
import time
from collections.abc import Mapping
from typing import Any

from graflow.store.keys import RunKeys
from graflow_operator import metrics
from graflow_operator.cluster import WORKFLOWS, Cluster, Object
from graflow_operator.cluster_errors import ConflictError, UnavailableError
from graflow_operator.objects import version_of
from graflow_operator.refs import RunRef
from graflow_operator.snapshot import (
    INLINE_CHARS,
    STORELESS_CHARS,
    Packed,
    UnreadableSnapshotError,
    inline_state,
)
from graflow_operator.storage import Storage

_SEGMENT = re.compile(r"[0-9]{1,20}-[0-9a-f]{64}")


MOST_CONFLICTS = 5
"""In a row before a pause: whoever answers so without end is no busy neighbour."""


class SupersededError(Exception):
    """Somebody else has committed to this run; `workflow` is how it stands now."""

    def __init__(self, workflow: Object) -> None:
        super().__init__("the run's state was committed by somebody else")
        self.workflow = workflow


class StoreRequiredError(Exception):
    """The state is too large for the object, and there is no store."""


class Commits:
    """Reads and writes where a run stands. Keeps the Workflow object as it was seen last."""

    def __init__(self, cluster: Cluster, storage: Storage | None, workflow: Object) -> None:
        self._cluster = cluster
        self._storage = storage
        self.workflow = workflow
        self.run = RunRef.of(workflow)
        self._keys = RunKeys(self.run.namespace, self.run.uid)

    @property
    def status(self) -> Object:
        """The status as it was seen last."""
        found: Object = self.workflow.get("status") or {}
        return found

    @property
    def cursor(self) -> Object | None:
        """Where the state is that was committed last; None before the first commit."""
        found: Object | None = self.status.get("cursor")
        return found

    def take(self, seen: Object) -> None:
        """Take over an object that a watch showed, if it is newer and its state is the same."""
        same = (seen.get("status") or {}).get("cursor") == self.cursor
        if same and version_of(seen) > version_of(self.workflow):
            self.workflow = seen

    async def packed_state(self) -> bytes | None:
        """Return the packed state that the cursor names; None before the first commit.

        Raises:
            UnreadableSnapshotError: If it names what is not of this run.
        """
        cursor = self.cursor
        if cursor is None:
            return None
        try:
            self._check(cursor)
            data, key = inline_state(cursor), str(cursor.get("key") or "")
        except (AttributeError, TypeError, ValueError) as error:
            raise UnreadableSnapshotError(f"status.cursor cannot be read: {error}") from error
        if data is None and not key:
            raise UnreadableSnapshotError("status.cursor has neither state nor key")
        if data is None:
            if self._storage is None:
                raise StoreRequiredError(
                    f"the state of {self.run} is in a store, and this operator has none"
                )
            data = await self._storage.get(key)
        return data

    def _check(self, cursor: Object) -> None:
        """Refuse names that the operator never wrote: who may write a status is not who may read.

        All runs share a store; what the operator reads, replaces and removes there is of this one.
        """
        channel, history = cursor.get("channel") or {}, cursor.get("history")
        for field, key in (("key", cursor.get("key")), ("channel.key", channel.get("key"))):
            if key is not None and not self._keys.owns(key):
                raise UnreadableSnapshotError(f"status.cursor.{field} is not a key of this run")
        if history is not None and not _SEGMENT.fullmatch(str(history)):
            raise UnreadableSnapshotError("status.cursor.history is no segment of this run")

    async def place(self, packed: Packed, beside: int = 0) -> Object:
        """Put the state where it belongs and return the cursor that names it.

        Args:
            packed: The state.
            beside: Characters of the channel in the same object.

        Raises:
            StoreRequiredError: If it has outgrown the object and there is no store.
            StoreError: If the store does not take it.
        """
        size = len(packed.text)
        if self._storage is None:
            if size + beside > STORELESS_CHARS:
                raise StoreRequiredError(
                    f"the run's state takes {size} characters, its channel {beside}, and a Workflow"
                    f" has room for {STORELESS_CHARS}; configure a store (GRAFLOW_STORE_BUCKET), or"
                    " make the values that tasks return or put into the channel smaller"
                )
            return packed.inline_cursor()
        if size <= INLINE_CHARS:
            return packed.inline_cursor()
        key = self._keys.state(packed.seq, packed.sha256)
        await self._storage.put(key, packed.data)
        return packed.stored_cursor(key)

    async def write(self, status: Mapping[str, Any]) -> None:
        """Make a status true, if the run stands where we think it does.

        A conflict that is not about the state (somebody changed the spec) is overcome here; a lost
        answer is looked into: what counts is what the object says. If it says that nothing was
        written, the caller tries again, after a pause: an API server that answers reads and takes
        no write (etcd is full, a webhook is away) must not be asked as fast as it can say no.

        Raises:
            SupersededError: If somebody else moved the run on.
            ClusterError: If it is not known whether the status was written, or it was refused.
        """
        began = time.monotonic()
        result = "failed"
        try:
            await self._write(status, began)
            result = "committed"
        except SupersededError:
            result = "superseded"
            raise
        finally:
            metrics.COMMITS.observe(time.monotonic() - began, result)

    async def _write(self, status: Mapping[str, Any], began: float) -> None:
        base = self.cursor
        conflicts = 0
        while True:
            try:
                await self._patch(status)
            except (ConflictError, UnavailableError) as error:
                metrics.COMMITS.observe(time.monotonic() - began, "conflict")
                fresh = await self._cluster.get(WORKFLOWS, self.run.namespace, self.run.name)
                if fresh["metadata"]["uid"] != self.run.uid:
                    raise SupersededError(fresh) from None
                found = (fresh.get("status") or {}).get("cursor")
                if found not in (base, status.get("cursor")):
                    raise SupersededError(fresh) from None
                self.workflow = fresh
                if found == status.get("cursor") and found != base:
                    break
                conflicts += 1
                if isinstance(error, UnavailableError) or conflicts == MOST_CONFLICTS:
                    raise
            else:
                break

    async def _patch(self, status: Mapping[str, Any]) -> None:
        version = self.workflow["metadata"]["resourceVersion"]
        patch = {"metadata": {"resourceVersion": version}, "status": dict(status)}
        answer = await self._cluster.patch_status(
            WORKFLOWS, self.run.namespace, self.run.name, patch
        )
        # As the API server keeps it: what it prunes could not be taken out again.
        self.workflow = answer
