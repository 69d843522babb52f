"""Where a run goes on from: the state and the channel of another run of its namespace (K3).

Whatever is read here was named by somebody who may write a Workflow or its status: it is looked for
under the namespace and the uid of that run alone, and believed as far as its SHA-256 goes.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graflow.api.inputs import channel_keys
from graflow.api.resume import ResumeFrom, nearest
from graflow.ledger.state import State as Channel
from graflow.machine.plan import Plan
from graflow.store import ObjectMissingError
from graflow.store.keys import RunKeys
from graflow_operator import channel_log, checkpoint
from graflow_operator.checkpoint import Document
from graflow_operator.cluster import WORKFLOWS, Object
from graflow_operator.cluster_errors import NotFoundError
from graflow_operator.code import Code
from graflow_operator.journal import Journal
from graflow_operator.objects import has_ended
from graflow_operator.parts import Parts
from graflow_operator.refs import RunRef
from graflow_operator.snapshot import Snapshot
from graflow_operator.storage import Storage

NO_STORE = "in a store, and this operator has none; configure one (GRAFLOW_STORE_BUCKET)"
"""Where something is that cannot be read, and the way out."""


class CannotResumeError(Exception):
    """A run cannot go on as its `resumeFrom` asks; the words name the way out."""

    def __init__(self, field: str, words: str) -> None:
        super().__init__(words)
        self.field = f"spec.resumeFrom{field}"


@dataclass(frozen=True, slots=True)
class Origin:
    """What a run goes on from."""

    run: RunRef
    snapshot: Snapshot
    channel: Channel
    plan: Plan
    bundle: str | None
    """SHA-256 of the code that it was made with."""

    spec: Mapping[str, Any]
    """Of its Workflow, as a manifest."""


async def find(parts: Parts, namespace: str, asked: ResumeFrom) -> Origin:
    """Return what a run is to go on from.

    Raises:
        CannotResumeError: If there is no such thing.
        UnreadableCheckpointError, UnreadableSnapshotError: If it is damaged, or of another version.
        StoreError, ClusterError: If it cannot be known.
    """
    workflow = await _workflow(parts, namespace, asked)
    if workflow is None:
        return await _of_deleted(parts, RunRef(namespace, asked.name, asked.uid or ""), asked)
    run, cursor = RunRef.of(workflow), (workflow.get("status") or {}).get("cursor")
    if not cursor:
        words = f"Workflow {run.name!r} has not begun, so there is nothing to go on from"
        raise CannotResumeError(".name", f"{words}; create it anew")
    newest = cursor.get("checkpoint")
    if asked.checkpoint is not None:
        return await _of_document(parts, run, newest, asked.checkpoint)
    if not has_ended(workflow):
        raise CannotResumeError(
            ".name",
            f"Workflow {run.name!r} has not ended; cancel it first, or fork it: name one of its"
            " checkpoints in spec.resumeFrom.checkpoint",
        )
    if newest and checkpoint.seq_of(checkpoint.checked_name(newest)) == cursor.get("seq"):
        return await _of_document(parts, run, newest, cursor["seq"])
    return await _of_cursor(parts, workflow)


async def _workflow(parts: Parts, namespace: str, asked: ResumeFrom) -> Object | None:
    """Return the Workflow to go on from; None if it is deleted and was named with its uid."""
    try:
        found = await parts.cluster.get(WORKFLOWS, namespace, asked.name)
    except NotFoundError:
        found = None
    if found is not None and asked.uid in (None, found["metadata"]["uid"]):
        return found
    if asked.uid is None:
        raise CannotResumeError(
            ".name",
            f"there is no Workflow {asked.name!r} in namespace {namespace!r}; name one that is"
            " there, or give the uid of the deleted one too",
        )
    return None


async def _of_deleted(parts: Parts, run: RunRef, asked: ResumeFrom) -> Origin:
    """Go on from what a deleted run has left: no cursor tells which of it is true.

    The newest document is a moment of the run, whether or not its status has come to name it.
    """
    storage, keys = parts.storage, parts.store_keys(run)
    found = await storage.list(keys.checkpoints) if storage else []
    names = [checkpoint.checked_name(key.removeprefix(keys.checkpoints)) for key in found]
    newest = checkpoint.newest(names)
    if newest is None:
        raise CannotResumeError(
            ".uid",
            f"there is no Workflow {run.name!r} with uid {run.uid!r} in namespace"
            f" {run.namespace!r}, and nothing of it is in the store; give a run that is there",
        )
    seq = checkpoint.seq_of(newest) if asked.checkpoint is None else asked.checkpoint
    return await _of_document(parts, run, newest, seq)


async def _of_document(parts: Parts, run: RunRef, newest: str | None, seq: int) -> Origin:
    storage = parts.storage
    if storage is None:
        raise CannotResumeError(".checkpoint", f"checkpoints are {NO_STORE}")
    keys = parts.store_keys(run)
    named = await storage.list(f"{keys.checkpoints}{seq}-")
    found = await _behind(storage, keys, newest, seq) if named else None
    if found is None:
        raise CannotResumeError(".checkpoint", await _nearest(storage, run, keys, seq))
    if (found.uid, found.run_name) != (run.uid, run.name):
        words = f"checkpoint {seq} is of run {found.run_name!r} (uid {found.uid}); name that one"
        raise CannotResumeError(".name", words)
    made = await asyncio.to_thread(checkpoint.snapshot_of, found, found.plan)
    bundle = found.spec.get("bundle") or {}
    return Origin(run, made, found.channel, found.plan, bundle.get("sha256"), found.spec)


async def _behind(storage: Storage, keys: RunKeys, newest: str | None, seq: int) -> Document | None:
    """Return the newest checkpoint with a number, of those that lead back from one."""
    name = newest
    while name is not None and checkpoint.seq_of(checkpoint.checked_name(name)) >= seq:
        try:
            data = await storage.get(keys.checkpoint(name))
        except ObjectMissingError:
            words = f"checkpoint {name} of the run is gone from the store; name a newer one"
            raise CannotResumeError(".checkpoint", words) from None
        found = await asyncio.to_thread(checkpoint.unpack, name, data)
        if found.seq == seq:
            return found
        name = found.previous
    return None


async def _nearest(storage: Storage, run: RunRef, keys: RunKeys, seq: int) -> str:
    listed = [key.removeprefix(keys.checkpoints) for key in await storage.list(keys.checkpoints)]
    known = {checkpoint.seq_of(checkpoint.checked_name(name)) for name in listed}
    if not known:
        return f"run {run.name!r} has no checkpoints; leave the field out to go on from its end"
    return f"run {run.name!r} has no checkpoint {seq}; {nearest(seq, known)}"


async def _of_cursor(parts: Parts, workflow: Object) -> Origin:
    """Go on from where an ended run stands that has no checkpoint of its end."""
    run = RunRef.of(workflow)
    found = await Code(parts, run.namespace).program_of(workflow)
    cursor: dict[str, Any] = workflow["status"]["cursor"]
    made = await Journal(parts.storage, parts.store_keys(run)).read(found.plan, cursor)
    try:
        kept = await channel_log.kept(cursor.get("channel") or {}, parts.storage)
    except ValueError as error:
        raise CannotResumeError(".name", f"the channel of {run.name!r}: {error}") from error
    channel = kept or channel_log.initial(channel_keys(found.spec))
    bundle = found.spec.bundle
    sha256 = bundle.sha256 if bundle else None
    return Origin(run, made, channel, found.plan, sha256, found.spec.manifest())
