"""All that tasks of a run have decided, in the store: segments that each name the one before.

The cursor names the newest segment, and only that makes it true. While it has room it is replaced
by a longer one with each commit that adds to it, so that a run of many moves is in few objects.
"""

import hashlib
import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass

from graflow.api.status import transition
from graflow.machine.state import Transition
from graflow.store import ObjectCorruptError, ObjectMissingError
from graflow.store.keys import RunKeys
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
        """The segment that was written last, with its name."""

    async def extended(self, newest: str | None, seq: int, decided: Iterable[Transition]) -> str:
        """Put moves behind those of the newest segment, and return the name of what holds them.

        Raises:
            StoreError: If the store does not do what is asked.
        """
        segment = await self._read(newest)
        lines = [json.dumps(transition(one).manifest(), ensure_ascii=False) for one in decided]
        if len(segment.lines) < FULL:
            made = Segment((*segment.lines, *lines), segment.previous)
        else:
            made = Segment(tuple(lines), newest)
        data = made.data
        name = f"{seq}-{hashlib.sha256(data).hexdigest()}"
        await self._storage.put(self._keys.history(name), data)
        self._known = (name, made)
        return name

    def is_replaced(self, name: str) -> bool:
        """Whether what this segment held is in the one that was written last."""
        newest, segment = self._known
        return newest is not None and name not in (newest, segment.previous)

    async def _read(self, name: str | None) -> Segment:
        if self._known[0] == name:
            return self._known[1]
        if name is None:
            return Segment()
        try:
            data = await self._storage.get(self._keys.history(name))
        except (ObjectMissingError, ObjectCorruptError) as error:
            # What people read of the past is no reason to stop; the run's state is not in it.
            log.warning("the run's history begins anew: %s", error)
            return Segment()
        head, *lines = data.decode().removesuffix("\n").split("\n")
        return Segment(tuple(lines), json.loads(head)["previous"])
