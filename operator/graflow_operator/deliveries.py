"""Notifications that are under way, and what came of tries.

What is to be told stands in the status of a request (`outbox`); here is only what one process knows
between a try and the write that records it. A crash there means that somebody is told twice.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping

from graflow_operator import metrics, outbox
from graflow_operator.cluster import Object
from graflow_operator.outbox import Entry, Tried
from graflow_operator.parts import Parts

AT_ONCE = 4
"""Tries of one target that are under way at one time: a slow one keeps no other waiting."""

_OUTCOMES = {outbox.DELIVERED: "delivered", outbox.PENDING: "failed", outbox.GIVEN_UP: "given_up"}

log = logging.getLogger(__name__)


class Deliveries:
    """Tries to deliver what requests have to tell.

    Args:
        parts: Ways to the world.
        look: Called with the uid of a request of which something is to be recorded.
    """

    def __init__(self, parts: Parts, look: Callable[[str], None]) -> None:
        self._parts = parts
        self._look = look
        self._tried: dict[str, dict[Entry, Tried]] = {}
        """What came of the last tries, by uid, where a status has them as pending."""

        self._targets = {one.name: one for one in parts.settings.notifications}
        self._under_way: dict[tuple[str, Entry], asyncio.Task[None]] = {}
        self._turns = {name: asyncio.Semaphore(AT_ONCE) for name in self._targets}

    def tried(self, uid: str) -> Mapping[Entry, Tried]:
        """Return what came of tries of a request that may not be recorded yet."""
        return self._tried.get(uid, {})

    def send(self, request: Object) -> float | None:
        """Send off what is due of a request; return when more is, in seconds since the epoch.

        Args:
            request: The object, in whose status everything that is known is recorded.
        """
        uid, now = request["metadata"]["uid"], self._parts.clock()
        entries = outbox.pending(request)
        known = self._tried.pop(uid, {})
        if kept := {entry: known[entry] for entry in entries if entry in known}:
            self._tried[uid] = kept
        idle = [entry for entry in entries if (uid, entry) not in self._under_way]
        waits = {entry: kept[entry].next_at for entry in idle if entry in kept}
        for entry in idle:
            if waits.get(entry, now) <= now:
                posting = asyncio.create_task(self._post(request, entry, kept.get(entry)))
                self._under_way[uid, entry] = posting
        return min((at for at in waits.values() if at > now), default=None)

    def drop(self, uid: str) -> None:
        """Forget a request that has nothing to tell any more."""
        self._tried.pop(uid, None)

    async def close(self) -> None:
        """Do nothing any more; who leads next tries again."""
        under_way = tuple(self._under_way.values())
        for posting in under_way:
            posting.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)

    async def _post(self, request: Object, entry: Entry, tried: Tried | None) -> None:
        """Try to deliver once, and have it recorded what came of it."""
        uid = request["metadata"]["uid"]
        before = tried.attempts if tried else outbox.attempts_of(request, entry)
        try:
            refusal = await self._refusal(request, entry)
        finally:
            del self._under_way[uid, entry]
        last = entry.target not in self._targets
        after = outbox.after_try(entry, before + 1, self._parts.clock(), refusal, last=last)
        metrics.NOTIFICATIONS.inc(_OUTCOMES[after.phase])
        if refusal:
            where = f"{request['metadata']['namespace']}/{request['metadata']['name']}"
            log.warning("question %s: target %s is not told: %s", where, entry.target, refusal)
        self._tried.setdefault(uid, {})[entry] = after
        self._look(uid)

    async def _refusal(self, request: Object, entry: Entry) -> str:
        """Return why a notification was not delivered, "" if it was."""
        target = self._targets.get(entry.target)
        if target is None:
            return "there is no such target any more"
        try:
            async with self._turns[target.name]:
                return await self._parts.courier.deliver(target, request, entry)
        except Exception as error:  # noqa: BLE001 - its words may hold the address
            return f"it could not be asked: {type(error).__name__}"
