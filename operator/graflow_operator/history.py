"""All that tasks of a run have decided, in the store: segments that each name the one before.

The last moves are in the state, and what is there need not be in a segment: one is written when
there are more of them than the state keeps, and when the run ends. The cursor names the newest
segment, and only that makes it true. While it has room it is replaced by a longer one, so that a
run of many moves is in few objects.
"""

import json
import logging
from dataclasses import dataclass

from graflow.api.status import transition
from graflow.machine.state import KEPT_TRANSITIONS
from graflow.store import ObjectCorruptError, ObjectMissingError
from graflow.store.keys import RunKeys, segment_name
from graflow_operator.snapshot import Snapshot
from graflow_operator.storage import Storage

FULL = 200
"""Moves in a segment after which the next one is begun."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Segment:
    """One object: a line that names the segment before, then a line for each move."""

    lines: tuple[str, ...] = ()
    previous: str | None = None

    @property
    def last(self) -> int:
        """Number of its last move."""
        return int(json.loads(self.lines[-1])["sequence"]) if self.lines else 0

    @property
    def data(self) -> bytes:
        """The object's bytes."""
        head = json.dumps({"previous": self.previous})
        return "".join(f"{line}\n" for line in (head, *self.lines)).encode()


class History:
    """Adds to the history of one run."""

    def __init__(self, storage: Storage, keys: RunKeys) -> None:
        self._storage = storage
        self._keys = keys
        self._known: tuple[str | None, Segment] = (None, Segment())
        """The segment that was written or read last, with its name."""

    async def extended(self, newest: str | None, before: Snapshot, after: Snapshot) -> str | None:
        """Return the name of a segment which, with a state, holds all that tasks have decided.

        Args:
            newest: The segment that does so with the committed state; None: there is none.
            before: The committed state.
            after: The state.

        Raises:
            StoreError: If the store does not do what is asked.
        """
        if not after.state.transitions_made:
            return newest
        segment = await self._read(newest)
        known = (*before.state.transitions, *after.decided)
        new = [one for one in known if one.number > segment.last]
        if not new or (len(new) <= KEPT_TRANSITIONS and not after.state.phase.ended):
            return newest
        lines = [json.dumps(transition(one).manifest(), ensure_ascii=False) for one in new]
        if len(segment.lines) < FULL:
            made = Segment((*segment.lines, *lines), segment.previous)
        else:
            made = Segment(tuple(lines), newest)
        data = made.data
        name = segment_name(after.state.seq, data)
        await self._storage.put(self._keys.history(name), data)
        self._known = (name, made)
        return name

    def is_replaced(self, name: str) -> bool:
        """Whether what this segment held is in the one that was written last."""
        newest, segment = self._known
        return newest is not None and name not in (newest, segment.previous)

    async def _read(self, name: str | None) -> Segment:
        if self._known[0] != name:
            self._known = (name, Segment() if name is None else await self._stored(name))
        return self._known[1]

    async def _stored(self, name: str) -> Segment:
        try:
            data = await self._storage.get(self._keys.history(name))
        except (ObjectMissingError, ObjectCorruptError) as error:
            # What people read of the past is no reason to stop; the run's state is not in it.
            log.warning("the run's history begins anew: %s", error)
            return Segment()
        head, *lines = data.decode().removesuffix("\n").split("\n")
        return Segment(tuple(lines), json.loads(head)["previous"])
