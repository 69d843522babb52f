"""Runs with a `runId`: the work that one of them has done is not done again.

How a run is about to end is in the store before the commit that says so, under the namespace and
the id, named by its content; the committed cursor names it, and only then it is recorded as what
counts. Both outlive the Workflow. An operator that was replaced and does not know it may still
write an end, but none that counts: its commit is refused, so it never comes to record it.

A Workflow of the same id that comes later takes over what is recorded. Where an operator died
before it could record an end, that end counts if the cursor of its Workflow names it, or, if the
Workflow is gone, if no other end of that run contradicts it. Where one does, nobody can say which
of them was true, and the work is done again.
"""

import asyncio
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from graflow.api.moment import rfc3339
from graflow.api.rules import CHANGEABLE
from graflow.api.workflow import WorkflowSpec
from graflow.ledger.wire import SHAPELESS
from graflow.machine import reasons
from graflow.machine.codec import decode_value, encode_value
from graflow.machine.state import RunPhase, State
from graflow.store import ObjectMissingError
from graflow.store.keys import IdKeys
from graflow_operator import values
from graflow_operator.cluster import WORKFLOWS
from graflow_operator.cluster_errors import NotFoundError
from graflow_operator.parts import Parts
from graflow_operator.refs import RunRef
from graflow_operator.snapshot import Snapshot, UnreadableSnapshotError
from graflow_operator.storage import Storage
from graflow_operator.sweep import RunMark

FORMAT = 1
_ASIDE = (*CHANGEABLE, "resumeFrom", "operator")
"""Fields of a spec that do not say what the work is."""

_SUCCEEDED = RunPhase.SUCCEEDED.value

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Recorded:
    """How the run that has done the work of an id has ended."""

    document: Mapping[str, Any]

    @property
    def uid(self) -> str:
        """Of the run."""
        return str(self.document["run"]["uid"])

    @property
    def is_success(self) -> bool:
        """Whether it has ended well."""
        return bool(self.document["phase"] == _SUCCEEDED)

    @property
    def ended_at(self) -> float:
        """When the run ended, in seconds since the epoch."""
        return float(self.document["endedAt"])

    @property
    def outcome(self) -> tuple[Any, ...]:
        """What two ends of one run agree on unless one of them contradicts the other."""
        return tuple(self.document[name] for name in ("phase", "reason", "value"))

    def snapshot(self, run_id: str, spec: WorkflowSpec) -> Snapshot:
        """Return a run that has taken it over."""
        found = self.document
        by = f"Workflow {found['run']['name']!r} (uid {found['run']['uid']})"
        words = f"runId {run_id!r}: {by} has done this work and has {found['phase'].lower()}"
        words += f" at {rfc3339(found['endedAt'])}; nothing was run again"
        if found["spec"] != _what_it_does(spec):
            words += ", though its spec was another one"
        if found["message"]:
            words += f". {found['reason']}: {found['message']}"
        return Snapshot(
            State(
                phase=RunPhase(found["phase"]),
                reason=reasons.ADOPTED,
                message=words,
                seq=1,
                value=decode_value(found["value"]),
                started_at=found["startedAt"],
                ended_at=found["endedAt"],
            )
        )


async def adopted(parts: Parts, run: RunRef, spec: WorkflowSpec, mark: RunMark) -> Snapshot | None:
    """Return where a run stands whose work was done by another one; None if it was not.

    A run that goes on from another one takes over a success only: to mend a failure is what it is
    for.

    Raises:
        UnreadableSnapshotError: If it cannot be made out.
        StoreError, ClusterError: If it is not known.
    """
    storage = parts.storage
    if storage is None or spec.run_id is None:
        return None
    ids, keys = IdKeys(run.namespace, spec.run_id), parts.store_keys(run)
    found = await _believed(parts, storage, ids)
    if found is None or (spec.resume_from is not None and not found.is_success):
        return None
    try:
        made = found.snapshot(spec.run_id, spec)
    except (ValueError, *SHAPELESS) as error:
        raise UnreadableSnapshotError(f"{ids.completion} cannot be read: {error!r}") from error
    await mark.put()
    for sha256 in values.blobs(found.document["value"]):
        await storage.copy(ids.blob(sha256), keys.blob(sha256))
    await _count(storage, ids, found)
    return made


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run is about to end."""

    ids: IdKeys
    recorded: Recorded
    sha256: str
    """Of its document: its name."""


async def ending(parts: Parts, run: RunRef, spec: WorkflowSpec, state: State) -> Ending | None:
    """Put into the store how a run is about to end; None if nobody is to take it over.

    Raises:
        StoreError: If it is not known to be there.
    """
    storage = parts.storage
    if storage is None or spec.run_id is None or state.reason == reasons.ADOPTED:
        return None
    ids, keys = IdKeys(run.namespace, spec.run_id), parts.store_keys(run)
    value = encode_value(state.value)
    blobs = set(values.blobs(value))
    await asyncio.gather(*(storage.copy(keys.blob(one), ids.blob(one)) for one in blobs))
    document = {
        "format": FORMAT,
        "run": {"name": run.name, "uid": run.uid},
        "phase": state.phase.value,
        "reason": state.reason,
        "message": state.message,
        "startedAt": state.started_at,
        "endedAt": state.ended_at,
        "value": value,
        "spec": _what_it_does(spec),
    }
    data = _bytes(document)
    sha256 = hashlib.sha256(data).hexdigest()
    await storage.put(ids.end(run.uid, sha256), data)
    return Ending(ids, Recorded(document), sha256)


async def count(parts: Parts, end: Ending) -> None:
    """Record an end that is committed; of several runs the first counts, or the success.

    Raises:
        StoreError: If it is not known to be recorded.
    """
    if parts.storage is not None:
        await _count(parts.storage, end.ids, end.recorded)


async def _count(storage: Storage, ids: IdKeys, ended: Recorded) -> None:
    data = _bytes(ended.document)
    if await storage.put_if_absent(ids.completion, data) or not ended.is_success:
        return
    before = await _read(storage, ids.completion)
    if before is not None and not before.is_success:
        await storage.put(ids.completion, data)


async def _believed(parts: Parts, storage: Storage, ids: IdKeys) -> Recorded | None:
    """Return what counts for an id: what is recorded, or an end that nobody lived to record."""
    recorded = await _read(storage, ids.completion)
    if recorded is not None and recorded.is_success:
        return recorded
    found = []
    for uid, keys in groupby(await storage.list(ids.ends), key=lambda key: key.split("/")[-2]):
        if recorded is None or uid != recorded.uid:
            ends = {key: end for key in keys if (end := await _read(storage, key)) is not None}
            found += await _true_of(parts, ids, ends)
    successes = [end for end in found if end.is_success]
    first = min(successes or found, key=lambda end: end.ended_at, default=None)
    return first if successes or recorded is None else recorded


async def _true_of(parts: Parts, ids: IdKeys, ends: Mapping[str, Recorded]) -> list[Recorded]:
    """Return the one end of a run that is true; none if that is not known."""
    for end in ends.values():
        try:
            name = end.document["run"]["name"]
            workflow = await parts.cluster.get(WORKFLOWS, ids.namespace, name)
        except NotFoundError:
            break
        if workflow["metadata"]["uid"] != end.uid:
            break
        cursor = (workflow.get("status") or {}).get("cursor") or {}
        named = ids.end(end.uid, str(cursor.get("completion")))
        return [ends[named]] if named in ends else []
    told = [*ends.values()]
    # The same end has another time where an operator died before the commit that says so.
    agree = all(end.outcome == told[0].outcome for end in told)
    return [min(told, key=lambda end: end.ended_at)] if told and agree else []


async def _read(storage: Storage, key: str) -> Recorded | None:
    try:
        document = json.loads(await storage.get(key))
        if document["format"] != FORMAT:
            raise UnreadableSnapshotError(
                f"{key} has format {document['format']!r}, and this operator reads {FORMAT}; use"
                " the version that wrote it"
            )
        return Recorded({**document, "run": {**document["run"]}})
    except ObjectMissingError:
        return None
    except (ValueError, *SHAPELESS) as error:
        raise UnreadableSnapshotError(f"{key} cannot be read: {error!r}") from error


def _bytes(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document).encode()


def _what_it_does(spec: WorkflowSpec) -> str:
    """Return what tells one work from another."""
    said = {name: value for name, value in spec.manifest().items() if name not in _ASIDE}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
