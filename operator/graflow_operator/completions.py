"""Runs with a `runId`: the work that one of them has done is not done again.

How a run has ended is recorded before the status that says so, under the namespace and the id, and
outlives the Workflow. A Workflow of the same id that comes later takes over what is recorded there.
"""

import asyncio
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graflow.api.moment import rfc3339
from graflow.api.rules import CHANGEABLE
from graflow.api.workflow import WorkflowSpec
from graflow.ledger.wire import SHAPELESS
from graflow.machine import reasons
from graflow.machine.codec import decode_value, encode_value
from graflow.machine.state import RunPhase, State
from graflow.store import ObjectMissingError
from graflow.store.keys import IdKeys, RunKeys
from graflow_operator import values
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
    def is_success(self) -> bool:
        """Whether it has ended well."""
        return bool(self.document["phase"] == _SUCCEEDED)

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
        StoreError: If the store does not say.
    """
    storage = parts.storage
    if storage is None or spec.run_id is None:
        return None
    ids, keys = IdKeys(run.namespace, spec.run_id), parts.store_keys(run)
    found = await _read(storage, ids)
    if found is None or (spec.resume_from is not None and not found.is_success):
        return None
    try:
        made = found.snapshot(spec.run_id, spec)
    except (ValueError, *SHAPELESS) as error:
        raise UnreadableSnapshotError(f"{ids.completion} cannot be read: {error!r}") from error
    await mark.put()
    for sha256 in values.blobs(found.document["value"]):
        await storage.copy(ids.blob(sha256), keys.blob(sha256))
    return made


async def record(parts: Parts, run: RunRef, spec: WorkflowSpec, state: State) -> None:
    """Record how a run ends, before anybody is told; of several the first counts, or the success.

    Its id is free from then on: whoever comes with it finds what is recorded.

    Raises:
        StoreError: If it is not known to be recorded.
    """
    if parts.storage is not None and spec.run_id is not None and state.reason != reasons.ADOPTED:
        await _record(parts.storage, parts.store_keys(run), run, spec, state)
    parts.run_ids.leave(run)


async def _record(
    storage: Storage, keys: RunKeys, run: RunRef, spec: WorkflowSpec, state: State
) -> None:
    ids = IdKeys(run.namespace, spec.run_id or "")
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
    data = json.dumps(document).encode()
    if await storage.put_if_absent(ids.completion, data):
        return
    found = await _read(storage, ids)
    is_own = found is not None and found.document["run"]["uid"] == run.uid
    mends = found is not None and not found.is_success and state.phase is RunPhase.SUCCEEDED
    if is_own or mends:
        await storage.put(ids.completion, data)


async def _read(storage: Storage, ids: IdKeys) -> Recorded | None:
    try:
        document = json.loads(await storage.get(ids.completion))
        if document["format"] != FORMAT:
            raise UnreadableSnapshotError(
                f"{ids.completion} has format {document['format']!r}, and this operator reads"
                f" {FORMAT}; use the version that wrote it"
            )
        return Recorded({**document, "run": {**document["run"]}})
    except ObjectMissingError:
        return None
    except (ValueError, *SHAPELESS) as error:
        raise UnreadableSnapshotError(f"{ids.completion} cannot be read: {error!r}") from error


def _what_it_does(spec: WorkflowSpec) -> str:
    """Return what tells one work from another."""
    said = {name: value for name, value in spec.manifest().items() if name not in _ASIDE}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
