"""Where the state of one run is: a base, segments of changes since, and the newest in the status.

A state of a few kibibytes is in the status, packed anew by each commit. Of a larger one each commit
adds what it has changed behind the changes in the status. When these have no room there any more,
they become a segment in the store; segments become one before there are many; and when they
outweigh the base, a new base is packed. So the bytes that a commit writes follow from what it
changes, however much has finished. What is in the store is there before the status that names it.

The state of a run that has ended is a base alone, for whoever wants its results.
"""

import asyncio
import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ParamSpec, TypeVar

from graflow.api.attempts import EMPTY as NO_ATTEMPTS
from graflow.machine.plan import Plan
from graflow.store.keys import RunKeys, is_segment, segment_name
from graflow_operator import snapshot
from graflow_operator.cluster import Object
from graflow_operator.snapshot import Packed, Snapshot, UnreadableSnapshotError
from graflow_operator.storage import Storage
from graflow_operator.trail import EMPTY, Trail

P = ParamSpec("P")
T = TypeVar("T")

SMALL_CHARS = 4 * 1024
"""Base64 characters of a state that is packed anew by each commit."""

INLINE_CHARS = 16 * 1024
"""The same of a base that stays in the status."""

TRAIL_CHARS = 8 * 1024
"""The same of changes that do."""

STORELESS_CHARS = 40 * 1024
"""The same of all these where there is no store; with the summary for people, 64 KiB in all."""

MOST_SEGMENTS = 32
"""That a cursor names."""

LARGE_BYTES = 64 * 1024
"""What is larger is packed and read by a thread, for others to run meanwhile."""

MANY_STEPS = 500
"""Activations after which a state is taken for large before it was ever packed."""


class StoreRequiredError(Exception):
    """The state is too large for the object, and there is no store."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Changes that are an object of the store."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Kept:
    """What a cursor says of a state, and what that stands for."""

    base: Object
    """The cursor of the base alone."""

    size: int
    """Of the base: characters in the status, bytes in the store."""

    segments: tuple[Segment, ...] = ()
    trail: Trail = EMPTY
    seq: int = 0

    @property
    def cursor(self) -> Object:
        """The cursor that names all of it."""
        found = {**self.base, "seq": self.seq}
        if self.segments:
            found["segments"] = [segment.name for segment in self.segments]
        if self.trail.data:
            found["changes"] = self.trail.text
        return found

    @property
    def is_inline(self) -> bool:
        """Whether the base is in the status."""
        return "state" in self.base


class Journal:
    """Reads and writes the state of one run; what is written is true once a status names it."""

    def __init__(self, storage: Storage | None, keys: RunKeys) -> None:
        self._storage = storage
        self._keys = keys
        self._kept: Kept | None = None
        """What the committed cursor names, once that was read or written."""

    async def read(self, plan: Plan, cursor: Object) -> Snapshot:
        """Return the state that the committed cursor names.

        Raises:
            UnreadableSnapshotError: If it names what is not of this run, or what cannot be read.
            ObjectCorruptError: If something in the store is not what was written.
            StoreRequiredError: If that is in a store, and there is none.
            ObjectMissingError: If it is gone, perhaps because the cursor is old.
            StoreError: If the store does not give it.
        """
        base, names, changes = self._parsed(cursor)
        wanted = [str(base["key"])] if "key" in base else []
        found = await self._fetched([*wanted, *map(self._keys.changes, names)])
        data = found.pop(0) if "key" in base else base64.b64decode(base["state"])
        made = [*found, changes] if changes else found
        is_large = len(data) + sum(map(len, made)) > LARGE_BYTES
        read = await _aside(is_large, snapshot.unpack, plan, data, made)
        if read.state.seq != cursor.get("seq"):
            raise UnreadableSnapshotError(
                f"the run's state is that of {read.state.seq}, and status.cursor.seq says"
                f" {cursor.get('seq')}"
            )
        size = len(base.get("state") or data)
        trail = Trail.of([snapshot.unpacked(changes)]) if changes else EMPTY
        segments = tuple(map(Segment, names, found))
        self._kept = Kept(base, size, segments, trail, read.state.seq)
        return read

    def _parsed(self, cursor: Object) -> tuple[Object, list[str], bytes]:
        """Return what a cursor says of the base, the names of segments, and the changes in it."""
        try:
            self.check(cursor)
            is_inline = cursor.get("state") is not None
            fields = ("state",) if is_inline else ("key", "sha256", "size")
            base = {name: cursor[name] for name in fields if cursor.get(name) is not None}
            base64.b64decode(base.get("state", ""), validate=True)
            changes = base64.b64decode(cursor.get("changes") or "", validate=True)
            names = [*(cursor.get("segments") or ())]
        except (AttributeError, TypeError, ValueError) as error:
            raise UnreadableSnapshotError(f"status.cursor cannot be read: {error}") from error
        if base.keys().isdisjoint({"state", "key"}):
            raise UnreadableSnapshotError("status.cursor has neither state nor key")
        return base, names, changes

    def check(self, cursor: Object) -> None:
        """Refuse names that the operator never wrote: who may write a status is not who may read.

        All runs share a store; what the operator reads, replaces and removes there is of this one.
        """
        channel, history = cursor.get("channel") or {}, cursor.get("history")
        for field, key in (("key", cursor.get("key")), ("channel.key", channel.get("key"))):
            if key is not None and not self._keys.owns(key):
                raise UnreadableSnapshotError(f"status.cursor.{field} is not a key of this run")
        if history is not None and not is_segment(history):
            raise UnreadableSnapshotError("status.cursor.history is no segment of this run")
        if not all(map(is_segment, cursor.get("segments") or ())):
            raise UnreadableSnapshotError("status.cursor.segments has what is no segment")

    async def place(self, before: Snapshot, after: Snapshot, beside: int) -> Kept:
        """Put a state where it belongs.

        Args:
            before: The committed one.
            after: The state.
            beside: Characters of the channel in the same object.

        Raises:
            StoreRequiredError: If it has outgrown the object and there is no store.
            StoreError: If the store does not take it.
        """
        kept = self._kept
        if kept is None or after.state.phase.ended or (kept.is_inline and kept.size <= SMALL_CHARS):
            return await self._based(after, beside)
        line = _line(before, after)
        trail = await _aside(len(line) > LARGE_BYTES, kept.trail.extended, line)
        if trail.chars <= self._room(kept, beside):
            return replace(kept, trail=trail, seq=after.state.seq)
        weight = sum(len(one.data) for one in kept.segments) + len(trail.data)
        segments = _staying(kept.segments, len(trail.data))
        if kept.is_inline or weight > kept.size or len(segments) >= MOST_SEGMENTS:
            return await self._based(after, beside)
        merged = [one.data for one in kept.segments[len(segments) :]]
        made = await _aside(bool(merged) or len(line) > LARGE_BYTES, _joined, merged, trail)
        segment = Segment(segment_name(after.state.seq, made), made)
        await self._put(self._keys.changes(segment.name), made)
        return replace(kept, segments=(*segments, segment), trail=EMPTY, seq=after.state.seq)

    def committed(self, kept: Kept) -> None:
        """Take note that a status names this now."""
        self._kept = kept

    def replaced(self, old: Object, new: Object) -> list[str]:
        """Return the keys of what one cursor names and a later one does not."""
        return [key for key in self._named(old) if key not in self._named(new)]

    def _named(self, cursor: Object) -> list[str]:
        key = cursor.get("key")
        segments = [self._keys.changes(name) for name in cursor.get("segments") or ()]
        return [key, *segments] if key else segments

    def _room(self, kept: Kept, beside: int) -> int:
        """Return how many characters changes may take in the status."""
        if not kept.is_inline:
            return TRAIL_CHARS
        room = min(TRAIL_CHARS, kept.size)
        return room if self._storage else min(room, STORELESS_CHARS - kept.size - beside)

    async def _based(self, after: Snapshot, beside: int) -> Kept:
        """Pack the whole of a state."""
        is_large = after.state.steps > MANY_STEPS
        packed = await _aside(is_large, snapshot.pack, after)
        size = len(packed.text)
        if self._storage is None:
            if size + beside > STORELESS_CHARS:
                # What is remembered for people alone must not be what a run fails by.
                packed = snapshot.pack(replace(after, history=NO_ATTEMPTS))
                size = len(packed.text)
            if size + beside > STORELESS_CHARS:
                raise StoreRequiredError(
                    f"the run's state takes {size} characters, its channel {beside}, and a Workflow"
                    f" has room for {STORELESS_CHARS}; configure a store (GRAFLOW_STORE_BUCKET), or"
                    " make the values that tasks return or put into the channel smaller"
                )
            return inline(packed)
        if size <= INLINE_CHARS:
            return inline(packed)
        key = self._keys.state(packed.seq, packed.sha256)
        await self._put(key, packed.data)
        return stored(packed, key)

    async def _put(self, key: str, data: bytes) -> None:
        if self._storage is None:
            raise StoreRequiredError(f"{key} belongs into a store, and this operator has none")
        await self._storage.put(key, data)

    async def _fetched(self, keys: list[str]) -> list[bytes]:
        if not keys:
            return []
        if self._storage is None:
            raise StoreRequiredError(
                f"the state of the run is in a store ({keys[0]}), and this operator has none"
            )
        return await asyncio.gather(*map(self._storage.get, keys))


def inline(packed: Packed) -> Kept:
    """Return what stands for a state that is in the status itself."""
    return Kept({"state": packed.text}, len(packed.text), seq=packed.seq)


def stored(packed: Packed, key: str) -> Kept:
    """Return what stands for a state that is in the store."""
    size = len(packed.data)
    base = {"key": key, "sha256": packed.sha256, "size": size}
    return Kept(base, size, seq=packed.seq)


def _line(before: Snapshot, after: Snapshot) -> bytes:
    made = snapshot.changes(before, after)
    return json.dumps(made, separators=(",", ":")).encode() + b"\n"


def _staying(segments: tuple[Segment, ...], size: int) -> tuple[Segment, ...]:
    """Return the segments that stay as they are, of which each is larger than all behind it.

    So there are few of them, and whatever is written is written again only as often as what it is
    in has doubled.
    """
    while segments and len(segments[-1].data) <= size:
        size += len(segments[-1].data)
        segments = segments[:-1]
    return segments


def _joined(segments: list[bytes], trail: Trail) -> bytes:
    """Return segments and a trail as one segment."""
    if not segments:
        return trail.whole
    lines = map(snapshot.unpacked, (*segments, trail.data))
    return Trail.of(lines).whole


async def _aside(is_large: bool, work: Callable[P, T], *given: P.args, **named: P.kwargs) -> T:  # noqa: FBT001 - of the work, not of this
    """Do what takes long in a thread, and the rest at once."""
    if is_large:
        return await asyncio.to_thread(work, *given, **named)
    return work(*given, **named)
