"""The pods of one run, as far as anybody has told: the latest of each, and which are missing."""

from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import replace

from graflow.machine import reasons
from graflow_operator.facts import PodFact, Taken
from graflow_operator.refs import AttemptRef
from graflow_operator.stuck import UNTOLD, Pending, is_silent, telling


class PodBook:
    """What is known of pods, by attempt; there is at most one of each."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self.facts: dict[AttemptRef, PodFact] = {}
        self._over: set[str] = set()
        """Uids of pods that have ended and that nothing more is to be done about."""

        self.missing: set[AttemptRef] = set()
        """Attempts whose pods were seen once, or may have been made by a predecessor, and are not
        there any more as far as is known. To be believed only after the API server was asked."""

        self.unseen: set[AttemptRef] = set()
        """Those of them of which no pod was ever seen here: there may have been none."""

        self._told: dict[str, Pending] = {}
        """What keeps pods that say nothing of it themselves, by uid."""

        self.taken: dict[AttemptRef, Taken] = {}
        """Who took those away, where that was seen."""

    def seen(self, fact: PodFact) -> None:
        """Take note of a pod; news older than what is known is dropped, an end never undone."""
        if fact.uid in self._over and not fact.ended:
            return  # a list that was asked for earlier: the pod would seem to run again
        known = self.facts.get(fact.attempt)
        if known and known.uid == fact.uid:
            if fact.version < known.version:
                return
            if known.ended and not fact.ended:
                fact = replace(fact, ended=known.ended, running=known.running)
            fact = replace(fact, pending=telling(known.pending, fact.pending))
        fact = self._with_words(fact)
        self.facts[fact.attempt] = fact
        self.missing.discard(fact.attempt)
        self.unseen.discard(fact.attempt)
        self.taken.pop(fact.attempt, None)
        self._ring()

    def expected(self, attempts: AbstractSet[AttemptRef]) -> None:
        """Take note of attempts whose pods a predecessor may have made; some may be there."""
        absent = attempts - self.facts.keys()
        self.unseen |= absent - self.missing
        self.missing |= absent

    def told(self, uid: str, why: Pending | None) -> None:
        """Take note of what keeps a pod from running, which it does not say itself."""
        if why == self._told.get(uid):
            return
        for attempt, fact in self.facts.items():
            if fact.uid == uid and fact.pending is not None and is_silent(fact.pending):
                silent = Pending(reasons.POD_PENDING, UNTOLD)
                self.facts[attempt] = replace(fact, pending=why or silent)
                self._ring()
                if why is not None:
                    self._told[uid] = why
        if why is None:
            del self._told[uid]

    def _with_words(self, fact: PodFact) -> PodFact:
        if fact.pending is None:
            self._told.pop(fact.uid, None)
            return fact
        told = self._told.get(fact.uid)
        return replace(fact, pending=told) if told and is_silent(fact.pending) else fact

    def gone(self, attempt: AttemptRef, uid: str) -> None:
        """Take note that a pod exists no more; how it ended, if that is known, stays known."""
        self._over.discard(uid)
        self._told.pop(uid, None)
        known = self.facts.get(attempt)
        if known is None or known.uid != uid:
            return
        if known.ended is not None:
            self.facts[attempt] = replace(known, deleting=True, finalizers=())
        else:
            del self.facts[attempt]
            self.missing.add(attempt)
            if known.taken is not None:
                self.taken[attempt] = known.taken
        self._ring()

    def listed(self, facts: Iterable[PodFact], known_before: Iterable[str]) -> None:
        """Compare with what a list showed.

        Args:
            facts: The run's pods in the list.
            known_before: Uids of pods that were known before the list was asked for; of those
                that are absent from it, none exists.
        """
        shown = {fact.uid: fact for fact in facts}
        for fact in shown.values():
            self.seen(fact)
        old = set(known_before)
        for attempt, fact in tuple(self.facts.items()):
            if fact.uid in old and fact.uid not in shown and not (fact.ended and fact.deleting):
                self.gone(attempt, fact.uid)

    def forget(self, attempt: AttemptRef) -> None:
        """Forget a pod that has ended, and that nothing more is to be done about."""
        if fact := self.facts.pop(attempt, None):
            self._over.add(fact.uid)

    def uids(self) -> tuple[str, ...]:
        """Return the uids of the pods that are known."""
        return tuple(fact.uid for fact in self.facts.values())

    def suspects(self) -> tuple[PodFact, ...]:
        """Return the pods whose nodes may be gone: they do not start, answer, or end."""
        return tuple(
            fact
            for fact in self.facts.values()
            if fact.node and not fact.ended and (fact.pending or fact.deleting or not fact.ready)
        )

    def living(self) -> Iterator[AttemptRef]:
        """Return the attempts whose pods have not ended."""
        return (attempt for attempt, fact in self.facts.items() if fact.ended is None)
