"""The channel in the store: a chain of segments, each written once under the next number.

What decides is the conditional PUT: of two operators that both think they drive the run, one gets a
number and the other learns that it was taken. A segment that was written is true from then on;
there is no second place that could say otherwise. Whoever takes a run over reads the chain to its
end and adds a segment of its own, a fence, so that its predecessor cannot add any more: that one
knows of no later number, whenever it wakes up. So fences stay as long as their run has objects.
"""

import asyncio
import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from graflow.ledger import wire
from graflow.ledger.state import Caller, Op, Owner, State, apply, call, put
from graflow.store import ObjectMissingError
from graflow.store.keys import RunKeys
from graflow_operator.storage import Storage

Json = dict[str, Any]

FORMAT = 1
INLINE_CHARS = 6 * 1024
"""Base64 characters of a channel that stays in the Workflow's status, beside a state of 24 KiB and
a summary of 32."""

READ_AT_ONCE = 16
LARGE_BYTES = 64 * 1024
"""Channels above this are packed in a thread: it would hold up the other runs."""

NOBODY = Owner(Caller(0, 0), 0)


class TakenError(Exception):
    """Somebody else has written the next segment."""


@dataclass(frozen=True, slots=True)
class Record:
    """One operation as a segment tells it."""

    op: Op
    by: Caller | None = None
    """Who called; None: the operator itself."""

    number: int = 0

    def body(self) -> Json:
        """Return it as JSON."""
        said = {} if self.by is None else {"by": list(self.by), "n": self.number}
        return {**said, **wire.body_of(self.op)}


def segment(writer: str, now: float, records: Iterable[Record]) -> bytes:
    """Return operations as bytes.

    Args:
        writer: Tells this operator's bytes from those of any other.
        now: When they were applied, in seconds since the epoch.
        records: The operations.
    """
    calls = [record.body() for record in records]
    document = {"format": FORMAT, "writer": writer, "now": now, "calls": calls}
    return json.dumps(document, separators=(",", ":")).encode()


def fence(writer: str, now: float) -> bytes:
    """Return a segment that only takes its number; the arguments are those of `segment`."""
    return segment(writer, now, ())


def is_fence(data: bytes) -> bool:
    """Whether a segment is a fence: no other is without operations."""
    return data.endswith(b'"calls":[]}')


def replay(state: State, data: bytes) -> None:
    """Apply the operations of a segment to a state.

    Raises:
        ValueError: If it is damaged or of another version.
    """
    try:
        document = json.loads(data)
        if document["format"] != FORMAT:
            raise ValueError(f"a segment has format {document['format']!r}, not {FORMAT}")
        now = document["now"]
        for body in document["calls"]:
            op = wire.op_of(body)
            if "by" in body:
                call(state, Caller(*body["by"]), body["n"], op, now)
            else:
                apply(state, op, now, NOBODY)
    except (wire.BadCallError, *wire.SHAPELESS) as error:
        raise ValueError(f"a segment of the channel cannot be read: {error!r}") from error


def text_of(state: State) -> str:
    """Return a state as a status can hold it."""
    return base64.b64encode(wire.pack(state)).decode()


def initial(given: Mapping[str, Mapping[str, Any]]) -> State:
    """Return the channel of a run that has not begun: ValueRefs by key."""
    state = State()
    for key, ref in given.items():
        put(state, key, wire.entry(ref))
    return state


class Log:
    """The chain of one run."""

    def __init__(self, storage: Storage, keys: RunKeys, begins: int = 0) -> None:
        """Take where the chain is, and the number of the segment that it is known up to."""
        self._storage = storage
        self._keys = keys
        self._begins = begins
        self._fences: set[int] = set()
        """Numbers of those among the segments that were read or written."""

        self.seq = begins
        """Number of the last segment that is known."""

        self.bytes = 0
        """Size of the segments that were read or written since the last `save`."""

    async def append(self, data: bytes) -> None:
        """Write the next segment; asked again with the same bytes it is written once.

        Raises:
            TakenError: If somebody else did.
            StoreError: If it is not known whether it was written.
        """
        key = self._keys.segment(self.seq + 1)
        # That there is one may also mean that an earlier try was written and its answer lost.
        written = await self._storage.put_if_absent(key, data)
        if not written and await self._storage.get(key) != data:
            raise TakenError(f"segment {self.seq + 1} of the channel was written by somebody else")
        self._advanced(data)

    async def rest(self) -> list[bytes]:
        """Return the segments after the last one that is known."""
        found: list[bytes] = []
        while True:
            numbers = range(self.seq + 1, self.seq + 1 + READ_AT_ONCE)
            read = await asyncio.gather(*(self._get(number) for number in numbers))
            for data in _until_none(read):
                found.append(data)
                self._advanced(data)
            if None in read:
                return found

    async def save(self, state: State) -> tuple[Json, State]:
        """Return what a cursor says of the channel as it is now, stored first when it is large.

        Returns:
            Also the state as it would be read again: what was added to its lists one by one takes
            less room there.
        """
        large = state.size > LARGE_BYTES
        packed, again = await asyncio.to_thread(_packed, state) if large else _packed(state)
        self.bytes = 0
        if len(packed) * 4 <= INLINE_CHARS * 3:
            return {"seq": self.seq, "state": base64.b64encode(packed).decode()}, again
        sha256 = hashlib.sha256(packed).hexdigest()
        key = self._keys.channel(self.seq, sha256)
        await self._storage.put(key, packed)
        return {"seq": self.seq, "key": key, "sha256": sha256, "size": len(packed)}, again

    async def forget(self, old: Json, new: Json) -> None:
        """Remove what no cursor needs any more, of the segments that were read or written."""
        if (key := old.get("key")) and key != new.get("key"):
            await self._storage.delete(key)
        for number in range(old["seq"] + 1, new["seq"] + 1):
            if number not in self._fences:
                await self._storage.delete(self._keys.segment(number))

    async def forget_all(self, last: Json) -> None:
        """Remove all but the fences, and the channel as it is kept after the run.

        That includes what a crash has left.
        """
        for key in await self._storage.list(self._keys.channels):
            if key != last.get("key") and not await self._is_fence(key):
                await self._storage.delete(key)

    async def _is_fence(self, key: str) -> bool:
        number = self._keys.segment_in(key)
        if number is None:
            return False
        if self._begins < number <= self.seq:
            return number in self._fences
        data = await self._get(number)
        return data is not None and is_fence(data)

    def _advanced(self, data: bytes) -> None:
        self.seq += 1
        self.bytes += len(data)
        if is_fence(data):
            self._fences.add(self.seq)

    async def _get(self, number: int) -> bytes | None:
        try:
            return await self._storage.get(self._keys.segment(number))
        except ObjectMissingError:
            return None


def _packed(state: State) -> tuple[bytes, State]:
    packed = wire.pack(state)
    return packed, wire.unpack(packed)


def _until_none(read: Iterable[bytes | None]) -> Iterator[bytes]:
    for data in read:
        if data is None:
            return
        yield data


async def kept(part: Json, storage: Storage | None) -> State | None:
    """Return the channel that a cursor holds or names; None: as it was at the start.

    Raises:
        ObjectMissingError: If it is not in the store.
        ValueError: If it cannot be read.
    """
    if (text := part.get("state")) is not None:
        return wire.unpack(base64.b64decode(text))
    if (key := part.get("key")) is None:
        return None
    if storage is None:
        raise ValueError("the channel is in a store, and this operator has none")
    return wire.unpack(await storage.get(key))
