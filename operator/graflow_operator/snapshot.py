"""What is persisted of a run: the machine's state, and the little that this host adds. Pure."""

import base64
import hashlib
import json
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from typing import Any, TypeAlias, TypeVar

from graflow.api.attempts import EMPTY, Attempt, AttemptHistory
from graflow.ledger.wire import SHAPELESS
from graflow.machine import changes as machine
from graflow.machine import codec
from graflow.machine.due import due
from graflow.machine.plan import Plan
from graflow.machine.scopes import node_of
from graflow.machine.state import RUN_SCOPE, State, Transition
from graflow_operator.jsonpieces import pieces
from graflow_operator.refs import AttemptRef

T = TypeVar("T")
Json: TypeAlias = Mapping[str, Any]

FORMAT = 1
_ALWAYS = frozenset({"format", "machine", "held", "reported"})
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


def pack(snapshot: Snapshot) -> Packed:
    """Return the snapshot as bytes that need nothing else; equal snapshots give equal bytes."""
    packer = zlib.compressobj(level=6)
    packed = [packer.compress(piece.encode()) for piece in pieces(document(snapshot))]
    return Packed(snapshot.state.seq, b"".join((*packed, packer.flush())))


def unpack(plan: Plan, data: bytes, made: Iterable[bytes] = ()) -> Snapshot:
    """Return the snapshot that `pack` was given, after changes.

    Args:
        plan: Of the run.
        data: What `pack` returned.
        made: Packed lines of `changes`, in the order in which these were made.

    Raises:
        UnreadableSnapshotError: If it is damaged or of another version.
    """
    try:
        found = json.loads(unpacked(data))
        if found["format"] != FORMAT:
            raise UnreadableSnapshotError(
                f"the run's state has format {found['format']!r} and this operator reads"
                f" {FORMAT}; run the version that wrote it"
            )
        lines = [json.loads(line) for packed in made for line in unpacked(packed).splitlines()]
        return _read(plan, applied(found, lines) if lines else found)
    except (zlib.error, ValueError, *SHAPELESS) as error:
        raise UnreadableSnapshotError(f"the run's state cannot be read: {error!r}") from error


def unpacked(data: bytes) -> bytes:
    """Return what was packed, as far as it goes.

    Raises:
        zlib.error: If it is damaged.
    """
    return zlib.decompressobj().decompress(data, MAX_BYTES)


def document(snapshot: Snapshot) -> dict[str, Any]:
    """Return the snapshot as JSON."""
    history = snapshot.history
    found = {
        "format": FORMAT,
        "machine": codec.encode(snapshot.state),
        "held": _rows(snapshot.held),
        "reported": _rows(snapshot.reported),
        "refused": _rows(snapshot.refused),
        "attempts": {str(number): _tries(tries) for number, tries in history.attempts.items()},
        "logs": {str(number): log for number, log in history.logs.items()},
    }
    return {key: value for key, value in found.items() if value or key in _ALWAYS}


def changes(before: Snapshot, after: Snapshot) -> dict[str, Any]:
    """Return what makes of the document of one snapshot that of a later one; see `applied`."""
    old, new = before.history, after.history
    found = {
        "machine": machine.changes(before.state, after.state),
        "held": _held_changes(before.held, after.held),
        "reported": _row_changes(before.reported, after.reported),
        "refused": _row_changes(before.refused, after.refused),
        "attempts": _entry_changes(old.attempts, new.attempts, _tries),
        "logs": _entry_changes(old.logs, new.logs, str),
    }
    return {key: value for key, value in found.items() if value}


def applied(found: Json, made: Sequence[Json]) -> dict[str, Any]:
    """Return a document after changes, which are in the order in which they were made.

    Raises:
        LookupError, TypeError, ValueError, AttributeError: If these are no changes of it.
    """
    after = {**found, "machine": machine.applied(found["machine"], _of("machine", made))}
    for section in ("held", "reported", "refused"):
        rows = {(row[0], row[1]): row for row in found.get(section, ())}
        for gone, put in _of(section, made):
            for activation, attempt in gone:
                rows.pop((activation, attempt), None)
            rows |= {(row[0], row[1]): row for row in put}
        after[section] = [rows[key] for key in sorted(rows)]
    for section in ("attempts", "logs"):
        entries = {**found.get(section, {})}
        for gone, put in _of(section, made):
            for number in gone:
                entries.pop(number, None)
            entries |= put
        after[section] = entries
    return {key: value for key, value in after.items() if value or key in _ALWAYS}


def _of(section: str, made: Iterable[Json]) -> Iterator[Any]:
    return (change[section] for change in made if section in change)


def _rows(found: Collection[AttemptRef] | Mapping[AttemptRef, Any]) -> list[list[Any]]:
    if isinstance(found, Mapping):
        return [[ref.activation, ref.attempt, found[ref]] for ref in sorted(found)]
    return [[ref.activation, ref.attempt] for ref in sorted(found)]


def _held_changes(before: frozenset[AttemptRef], after: frozenset[AttemptRef]) -> list[Any]:
    return [] if before == after else [_rows(before - after), _rows(after - before)]


def _row_changes(before: Mapping[AttemptRef, Any], after: Mapping[AttemptRef, Any]) -> list[Any]:
    """Return which rows are gone, and those that are new or others."""
    if before == after:
        return []
    put = {ref: value for ref, value in after.items() if before.get(ref) != value}
    return [_rows(before.keys() - after.keys()), _rows(put)]


def _tries(tries: Iterable[Attempt]) -> list[Any]:
    return [astuple(one) for one in tries]


def _entry_changes(
    before: Mapping[int, T], after: Mapping[int, T], encoded: Callable[[T], Any]
) -> list[Any]:
    """Return which entries are gone, and those that are new or others."""
    if before == after:
        return []
    gone = [str(number) for number in sorted(before.keys() - after.keys())]
    put = {str(n): encoded(value) for n, value in after.items() if before.get(n) != value}
    return [gone, put]


def _read(plan: Plan, found: Json) -> Snapshot:
    state = codec.decode(plan, found["machine"])
    _check(plan, state)
    return Snapshot(
        state,
        frozenset(AttemptRef(a, n) for a, n in found["held"]),
        {AttemptRef(a, n): since for a, n, since in found.get("refused", ())},
        {AttemptRef(a, n): claim for a, n, claim in found["reported"]},
        _history(found),
    )


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
