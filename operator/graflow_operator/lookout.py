"""Looks after pods that do not get on: whether their nodes are gone, and what kubelets say of them.

No watch tells of either: a node that is gone says nothing more, and why a volume cannot be mounted
is only in Events. So both are asked for, and only while there are such pods.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable

from graflow_operator import nodes, stuck
from graflow_operator.actor import Actor
from graflow_operator.cluster import EVENTS, NODES
from graflow_operator.cluster_errors import ClusterError, ForbiddenError, NotFoundError
from graflow_operator.facts import PodFact
from graflow_operator.parts import Parts

MOST_PERIOD_S = 15.0
LEAST_PERIOD_S = 1.0
ASKED_AFTER_S = 10.0
"""A pod may be with its kubelet for so long before anybody asks what keeps it."""

MOST_PAUSE_S = 120.0
MOST_PODS = 20
"""Pods whose Events are asked for at one time; there is one reason for many, as a rule."""

log = logging.getLogger(__name__)


class Lookout:
    """Goes round for one term of leadership."""

    def __init__(self, parts: Parts, actors: Callable[[], Iterable[Actor]]) -> None:
        self._parts = parts
        self._actors = actors
        self._asked: dict[str, tuple[float, float]] = {}
        """When the Events of a pod are asked for next, and the pause after that, by its uid."""

    async def run(self) -> None:
        """Go round until cancelled."""
        period_s = min(MOST_PERIOD_S, max(LEAST_PERIOD_S, self._parts.settings.node_lost_s))
        while True:
            await self._parts.sleep(period_s)
            try:
                await self.look()
            except ClusterError as error:
                log.warning("cannot look after pods that do not get on: %s", error)
            except Exception:
                log.exception("cannot look after pods that do not get on")

    async def look(self) -> None:
        """Go round once."""
        await self._at_nodes()
        await self._at_events()

    async def _at_nodes(self) -> None:
        """Look at the nodes of pods that should have ended, do not answer, or do not start."""
        found: dict[str, str] = {}
        for actor in tuple(self._actors()):
            for fact in actor.book.suspects():
                if fact.node not in found:
                    found[fact.node] = await self._lost(fact.node)
                if found[fact.node]:
                    actor.node_lost(fact.attempt, found[fact.node])

    async def _lost(self, name: str) -> str:
        try:
            node = await self._parts.cluster.get(NODES, None, name)
        except NotFoundError:
            node = None
        except ForbiddenError:
            return ""  # an installation for a few namespaces may not see nodes
        patience_s = self._parts.settings.node_lost_s
        return nodes.lost(name, node, now=self._parts.clock(), patience_s=patience_s)

    async def _at_events(self) -> None:
        now = self._parts.clock()
        slow = [
            (actor, fact)
            for actor in tuple(self._actors())
            for fact in actor.book.facts.values()
            if _is_slow(fact, now)
        ]
        known = {fact.uid for _, fact in slow}
        self._asked = {uid: when for uid, when in self._asked.items() if uid in known}
        due = [(a, f) for a, f in slow if self._asked.get(f.uid, (0.0, 0.0))[0] <= now]
        await asyncio.gather(*(self._ask(actor, fact, now) for actor, fact in due[:MOST_PODS]))

    async def _ask(self, actor: Actor, fact: PodFact, now: float) -> None:
        """Ask what the kubelet says of a pod; the next time after twice as long."""
        pause_s = max(self._asked.get(fact.uid, (0.0, ASKED_AFTER_S))[1], ASKED_AFTER_S)
        self._asked[fact.uid] = (now + pause_s, min(pause_s * 2, MOST_PAUSE_S))
        of_the_pod = f"involvedObject.uid={fact.uid}"
        try:
            found = await self._parts.cluster.find(EVENTS, fact.namespace, fields=of_the_pod)
        except ForbiddenError:
            return  # then there are no words for it
        since = fact.started_at or fact.created_at
        actor.book.told(fact.uid, stuck.told(found, since=since, now=now))


def _is_slow(fact: PodFact, now: float) -> bool:
    pending = fact.pending
    if pending is None or not fact.node or fact.deleting or not stuck.is_silent(pending):
        return False
    return now - (fact.started_at or fact.created_at) >= ASKED_AFTER_S
