"""A checkpoint: one document with all that a run needs to go on from one moment. Pure.

It is packed once, named by its sequence number and what is in it, and never changed. Only what the
cursor of a run names, and what that names in turn as the one before, is true.
"""

import base64
import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import graflow
from graflow.api import cut
from graflow.ledger import wire
from graflow.ledger.state import Caller
from graflow.ledger.state import State as Channel
from graflow.ledger.wire import SHAPELESS
from graflow.machine.plan import Plan
from graflow.machine.plan_codec import decode_plan, encode_plan
from graflow.store.keys import is_segment, segment_name
from graflow_operator import snapshot
from graflow_operator.refs import RunRef
from graflow_operator.snapshot import Snapshot, UnreadableSnapshotError

FORMAT = 1
MAX_BYTES = 512 * 1024 * 1024
"""Of a document unpacked; more is none of ours."""

PATH_CHARS = 1024
METADATA_BYTES = 16 * 1024
"""Of what a runner sends; its SDK takes a kibibyte of what a program says, and adds some words."""

Json = dict[str, Any]


class UnreadableCheckpointError(Exception):
    """An object is no checkpoint that this version reads; the message names it."""


class BadWishError(Exception):
    """A checkpoint that cannot be asked for like that; the message says why."""


class Reason(StrEnum):
    """Why a checkpoint was taken."""

    ASKED = "Asked"
    """A task has asked for it."""

    EVERY = "Every"
    """So many results were recorded."""

    PERSON = "Person"
    """Before a wait for a person."""

    END = "End"
    """The run has ended."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A checkpoint that a task asks for."""

    path: str = ""
    """A label, in the task's words."""

    metadata: Mapping[str, Any] = field(default_factory=dict)
    """What the task says about it."""


def wish_of(body: object) -> Wish:
    """Return what a runner asks for.

    Raises:
        BadWishError: If it is not of the form that it should have.
    """
    if not isinstance(body, Mapping):
        raise BadWishError("a checkpoint is asked for by an object with `path` and `metadata`")
    path, metadata = body.get("path") or "", body.get("metadata") or {}
    if not isinstance(path, str) or len(path) > PATH_CHARS:
        raise BadWishError(f"field `path` of a checkpoint is a text of at most {PATH_CHARS} chars")
    if not isinstance(metadata, Mapping):
        raise BadWishError("field `metadata` of a checkpoint is an object")
    try:
        size = cut.size_of(metadata)
    except RecursionError as error:
        words = "field `metadata` of a checkpoint is nested too deep"
        raise BadWishError(words) from error
    if size > METADATA_BYTES:
        raise BadWishError(
            f"field `metadata` of a checkpoint takes {size} bytes and may take {METADATA_BYTES};"
            " put what is large into the channel"
        )
    return Wish(path, dict(metadata))


@dataclass(frozen=True, slots=True)
class Label:
    """What one checkpoint was taken for."""

    reason: Reason
    task: str = ""
    wish: Wish = Wish()

    def manifest(self) -> Json:
        """Return it as JSON."""
        told = {"task": self.task, "path": self.wish.path, "metadata": dict(self.wish.metadata)}
        return {"reason": self.reason.value} | {name: one for name, one in told.items() if one}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A run at one sequence number, with its channel at the very same moment."""

    run: RunRef
    time: float
    """When it was taken, in seconds since the epoch."""

    labels: tuple[Label, ...]
    """What it was taken for; one at least."""

    plan: Plan
    snapshot: Snapshot
    channel: Channel
    spec: Mapping[str, Any]
    """Of the Workflow; names the code bundle."""

    history: str | None = None
    """The newest segment of the run's history before this."""

    previous: str | None = None
    """Name of the checkpoint before; None: this is the first one."""

    answered: Mapping[Caller, tuple[int, int]] = field(default_factory=dict)
    """Of attempts that are still under way: number of the last call of each process that asked for
    a checkpoint, and the sequence number that it was answered."""


@dataclass(frozen=True, slots=True)
class Document:
    """A checkpoint as it was written; the state in it is read when there is a plan for it."""

    seq: int
    time: float
    uid: str
    run_name: str
    previous: str | None
    plan: Plan
    """Of the run that it was taken of."""

    state: bytes
    channel: Channel
    spec: Mapping[str, Any]
    answered: Mapping[Caller, tuple[int, int]]


def pack(made: Checkpoint) -> tuple[str, bytes]:
    """Return a checkpoint's name and its bytes."""
    packed = snapshot.pack(made.snapshot)
    document = {
        "format": FORMAT,
        "version": graflow.__version__,
        "run": {"name": made.run.name, "uid": made.run.uid},
        "seq": packed.seq,
        "time": made.time,
        **made.labels[0].manifest(),
        "also": [label.manifest() for label in made.labels[1:]],
        "plan": encode_plan(made.plan),
        "snapshot": base64.b64encode(packed.data).decode(),
        "channel": base64.b64encode(wire.pack(made.channel)).decode(),
        "spec": made.spec,
        "history": made.history,
        "previous": made.previous,
        "answered": [[*caller, n, seq] for caller, (n, seq) in made.answered.items()],
    }
    data = zlib.compress(json.dumps(document, separators=(",", ":")).encode(), level=6)
    return segment_name(packed.seq, data), data


def unpack(name: str, data: bytes) -> Document:
    """Return the checkpoint that has a name.

    Args:
        name: As a cursor or another checkpoint says it.
        data: What is under that name.

    Raises:
        UnreadableCheckpointError: If it is damaged, or of another version.
    """
    found = document_in(name, data)
    try:
        return Document(
            seq=int(found["seq"]),
            time=float(found["time"]),
            uid=str(found["run"]["uid"]),
            run_name=str(found["run"]["name"]),
            previous=None if found["previous"] is None else checked_name(found["previous"]),
            plan=decode_plan(found["plan"]),
            state=base64.b64decode(found["snapshot"]),
            channel=wire.unpack(base64.b64decode(found["channel"])),
            spec=dict(found["spec"]),
            answered={Caller(a, t, s): (n, seq) for a, t, s, n, seq in found["answered"]},
        )
    except (zlib.error, ValueError, *SHAPELESS) as error:
        raise _unreadable(name, error) from error


def document_in(name: str, data: bytes) -> Json:
    """Return the JSON of the checkpoint that has a name, when it is of this version and whole.

    Raises:
        UnreadableCheckpointError: If it is not.
    """
    if hashlib.sha256(data).hexdigest() != name.rpartition("-")[2]:
        raise UnreadableCheckpointError(
            f"checkpoint {name} is damaged: its SHA-256 is not the one in its name; go on from"
            " another one"
        )
    try:
        found: Json = json.loads(zlib.decompressobj().decompress(data, MAX_BYTES))
        if found["format"] != FORMAT:
            raise UnreadableCheckpointError(
                f"checkpoint {name} has format {found['format']!r}, written by Graflow"
                f" {found.get('version', 'of another version')}, and this operator (Graflow"
                f" {graflow.__version__}) reads {FORMAT}; use the version that wrote it"
            )
    except (zlib.error, ValueError, *SHAPELESS) as error:
        raise _unreadable(name, error) from error
    return found


def _unreadable(name: str, error: Exception) -> UnreadableCheckpointError:
    return UnreadableCheckpointError(f"checkpoint {name} cannot be read: {error!r}")


def snapshot_of(found: Document, plan: Plan) -> Snapshot:
    """Return the state in a checkpoint, as one of this plan.

    Raises:
        UnreadableCheckpointError: If it cannot be one.
    """
    try:
        return snapshot.unpack(plan, found.state)
    except UnreadableSnapshotError as error:
        raise UnreadableCheckpointError(f"checkpoint {found.seq}: {error}") from error


def checked_name(name: object) -> str:
    """Return a checkpoint's name, which was read where others may write.

    Raises:
        UnreadableCheckpointError: If it is none.
    """
    if not is_segment(name):
        raise UnreadableCheckpointError(f"{str(name)[:100]!r} is no name of a checkpoint")
    return name


def seq_of(name: str) -> int:
    """Return the sequence number in a checkpoint's name."""
    return int(name.partition("-")[0])


def newest(names: Iterable[str]) -> str | None:
    """Return which of a run's checkpoints is the newest; None if there is none."""
    return max(names, key=seq_of, default=None)
