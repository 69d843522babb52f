"""What is persisted of a run: the machine's state, and the little that this host adds. Pure."""

import base64
import hashlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import astuple, dataclass, field
from typing import Any

from graflow.api.attempts import EMPTY, Attempt, AttemptHistory
from graflow.ledger.wire import SHAPELESS
from graflow.machine import codec
from graflow.machine.due import due
from graflow.machine.plan import Plan
from graflow.machine.scopes import node_of
from graflow.machine.state import RUN_SCOPE, State, Transition
from graflow_operator.refs import AttemptRef

FORMAT = 1
INLINE_CHARS = 24 * 1024
"""Base64 characters of a state that stays in the Workflow's status."""

STORELESS_CHARS = 40 * 1024
"""The same where there is no store; with the summary for people, 64 KiB in all."""

MAX_BYTES = 256 * 1024 * 1024
"""Of a state unpacked; more is no state of ours."""


class UnreadableSnapshotError(Exception):
    """What was persisted is not a snapshot that this version reads."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A run at one sequence number."""

    state: State = field(default_factory=State)
    held: frozenset[AttemptRef] = frozenset()
    """Attempts that are due and must not start yet, so that no pod of them can ever have existed.
    The commit that lets one go is what allows its pod to be made."""

    refused: Mapping[AttemptRef, float] = field(default_factory=dict)
    """Attempts whose pods cannot be made for want of what somebody has to mend, and since when in
    seconds since the epoch."""

    reported: Mapping[AttemptRef, str] = field(default_factory=dict)
    """Claims whose report was committed, while their pods may still repeat it."""

    history: AttemptHistory = EMPTY
    """What is remembered of attempts that did not succeed. For people: nothing depends on it."""

    decided: tuple[Transition, ...] = ()
    """What tasks have decided since the snapshot before; not persisted here."""

    def differs_from(self, before: "Snapshot") -> bool:
        """Whether it holds what must be made durable beside what is."""
        moved = self.state is not before.state or self.held != before.held
        return moved or self.refused != before.refused


@dataclass(frozen=True, slots=True)
class Packed:
    """A snapshot as bytes."""

    seq: int
    data: bytes

    @property
    def sha256(self) -> str:
        """SHA-256 of the bytes, in hex."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def text(self) -> str:
        """The bytes as a status can hold them."""
        return base64.b64encode(self.data).decode()

    def inline_cursor(self) -> dict[str, Any]:
        """Return the cursor of a state that is in the status itself."""
        return {"seq": self.seq, "state": self.text}

    def stored_cursor(self, key: str) -> dict[str, Any]:
        """Return the cursor of a state that is in the store."""
        return {"seq": self.seq, "key": key, "sha256": self.sha256, "size": len(self.data)}


def pack(snapshot: Snapshot) -> Packed:
    """Return the snapshot as bytes; equal snapshots give equal bytes."""
    document: dict[str, Any] = {
        "format": FORMAT,
        "machine": codec.encode(snapshot.state),
        "held": [[ref.activation, ref.attempt] for ref in sorted(snapshot.held)],
        "reported": [
            [ref.activation, ref.attempt, claim] for ref, claim in sorted(snapshot.reported.items())
        ],
    }
    if snapshot.history.attempts:
        attempts = snapshot.history.attempts.items()
        document["attempts"] = {str(n): [astuple(one) for one in found] for n, found in attempts}
    if snapshot.history.logs:
        document["logs"] = {str(number): log for number, log in snapshot.history.logs.items()}
    if snapshot.refused:
        document["refused"] = [
            [ref.activation, ref.attempt, since] for ref, since in sorted(snapshot.refused.items())
        ]
    text = json.dumps(document, separators=(",", ":"))
    return Packed(snapshot.state.seq, zlib.compress(text.encode(), level=6))


def unpack(plan: Plan, data: bytes) -> Snapshot:
    """Return the snapshot that `pack` was given.

    Raises:
        UnreadableSnapshotError: If it is damaged or of another version.
    """
    try:
        unpacker = zlib.decompressobj()
        text = unpacker.decompress(data, MAX_BYTES)
        document = json.loads(text)
        if document["format"] != FORMAT:
            raise UnreadableSnapshotError(
                f"the run's state has format {document['format']!r} and this operator reads"
                f" {FORMAT}; run the version that wrote it"
            )
        state = codec.decode(plan, document["machine"])
        _check(plan, state)
        return Snapshot(
            state,
            frozenset(AttemptRef(a, n) for a, n in document["held"]),
            {AttemptRef(a, n): since for a, n, since in document.get("refused", ())},
            {AttemptRef(a, n): claim for a, n, claim in document["reported"]},
            _history(document),
        )
    except (zlib.error, ValueError, *SHAPELESS) as error:
        raise UnreadableSnapshotError(f"the run's state cannot be read: {error!r}") from error


def _check(plan: Plan, state: State) -> None:
    """Look at whether all that a state names is there, so that nobody stumbles over it later.

    Raises:
        LookupError: If something is not.
    """
    for number, scope in state.scopes.items():
        if number != RUN_SCOPE and not RUN_SCOPE <= scope.parent < number:
            raise LookupError(f"scope {number} lies in {scope.parent}, which is not around it")
    for number, activation in state.activations.items():
        if node_of(plan, state, activation).id != activation.node or number > state.steps:
            raise LookupError(f"activation {number} is of no node of the plan")
    due(plan, state)


def _history(document: Mapping[str, Any]) -> AttemptHistory:
    attempts = {
        int(number): tuple(Attempt(*one) for one in found)
        for number, found in document.get("attempts", {}).items()
    }
    return AttemptHistory(attempts, {int(n): log for n, log in document.get("logs", {}).items()})


def inline_state(cursor: Mapping[str, Any]) -> bytes | None:
    """Return the bytes that a cursor itself holds; None if they are in the store."""
    text = cursor.get("state")
    return None if text is None else base64.b64decode(text)
