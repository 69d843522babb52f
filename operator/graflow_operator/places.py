"""How many runner pods a namespace may have at one time, and whose turn the next one is.

A place goes to the run that has the fewest pods at that moment, of equals to the oldest one: a run
with a thousand tasks does not keep one with two waiting. A pod has its place from the commit that
lets its attempt start until its container has ended or it is gone.

All actors of an operator share this in memory. A successor learns of every pod from its first list,
and attempts that have no pod yet ask again, so nothing of it is ever written.
"""

import heapq
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from graflow_operator.facts import PodFact
from graflow_operator.refs import AttemptRef, RunRef

OFFER_S = 10.0
"""How long a run that is told of a free place may leave it unused before others get it, in seconds:
one that cannot commit must not keep it from them."""

MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Sharer:
    """A run among those that share a namespace."""

    run: str
    age: tuple[str, str]
    """Less is older."""

    has: int
    """Pods."""

    wants: int
    """Attempts that could start now."""


def shares(free: int, sharers: Iterable[Sharer]) -> Mapping[str, int]:
    """Return how many of the free places each run gets. Pure."""
    queue = [(one.has, one.age, one.run, one.wants) for one in sharers if one.wants > 0]
    heapq.heapify(queue)
    found: dict[str, int] = {}
    while free > 0 and queue:
        has, age, run, wants = queue[0]
        found[run] = found.get(run, 0) + 1
        free -= 1
        if wants > 1:
            heapq.heapreplace(queue, (has + 1, age, run, wants - 1))
        else:
            heapq.heappop(queue)
    return found


@dataclass(slots=True)
class _Asker:
    run: RunRef
    age: tuple[str, str]
    ring: Callable[[], None]
    has: frozenset[AttemptRef] = frozenset()
    wants: int = 0
    offered_at: float | None = None
    """Since when there has been a place for it that it has not taken."""


@dataclass(slots=True)
class _Namespace:
    askers: dict[str, _Asker] = field(default_factory=dict)
    undriven: dict[str, PodFact] = field(default_factory=dict)
    """Pods, by uid, whose run nobody drives: it is over, or another operator's."""

    hungry: dict[str, _Asker] = field(default_factory=dict)
    """Those of the askers that want a place: most runs wait for people, and want none."""

    driven: int = 0
    """Pods of all askers."""

    @property
    def used(self) -> int:
        return len(self.undriven) + self.driven

    def enter(self, asker: _Asker) -> None:
        """Take in who asks from now on."""
        self.leave(asker.run.uid)
        self.askers[asker.run.uid] = asker
        self.driven += len(asker.has)

    def leave(self, uid: str) -> None:
        """Let go who asks no more."""
        if (asker := self.askers.pop(uid, None)) is not None:
            self.put(asker, frozenset(), 0)

    def put(self, asker: _Asker, has: frozenset[AttemptRef], wants: int) -> None:
        """Note what somebody has and wants now."""
        self.driven += len(has) - len(asker.has)
        asker.has, asker.wants = has, wants
        if wants:
            self.hungry[asker.run.uid] = asker
        else:
            self.hungry.pop(asker.run.uid, None)


class Places:
    """The places of all namespaces."""

    def __init__(self, limit: int, clock: Callable[[], float]) -> None:
        """Make as many in each namespace as the limit says; 0 means any number."""
        self.limit = limit
        self._clock = clock
        self._namespaces: dict[str, _Namespace] = {}

    def begin(self, pods: Iterable[PodFact]) -> None:
        """Forget everything but the pods that a list of all shows."""
        self._namespaces.clear()
        for fact in pods:
            self.undriven(fact)

    def enter(self, run: RunRef, created: str, ring: Callable[[], None]) -> None:
        """Take note of a run that will ask; `ring` tells it to ask again."""
        if self.limit:
            space = self._of(run.namespace)
            own = [fact for fact in space.undriven.values() if fact.run == run.uid]
            for fact in own:
                del space.undriven[fact.uid]
            has = frozenset(fact.attempt for fact in own)
            space.enter(_Asker(run, (created, run.uid), ring, has))

    def take(
        self, run: RunRef, has: Collection[AttemptRef], wanted: Sequence[AttemptRef]
    ) -> frozenset[AttemptRef]:
        """Return which of the attempts that a run wants to start have a place now.

        Args:
            run: The run.
            has: Its attempts that have pods, or may have.
            wanted: Attempts that could start, the most urgent one first.
        """
        if not self.limit:
            return frozenset(wanted)
        space = self._of(run.namespace)
        asker = space.askers[run.uid]
        # What it was given before, and has not committed yet, stays its own.
        kept = [ref for ref in wanted if ref in asker.has]
        others = [ref for ref in wanted if ref not in asker.has]
        asker.offered_at = None
        space.put(asker, frozenset((*has, *kept)), len(others))
        given = others[: self._deal(space).get(run.uid, 0)]
        space.put(asker, asker.has | frozenset(given), len(others) - len(given))
        self._offer(space)
        return frozenset((*kept, *given))

    def leave(self, run: RunRef, living: Iterable[PodFact]) -> None:
        """Take note that a run asks no more; pods of it that have not ended keep their places."""
        if self.limit:
            self._of(run.namespace).leave(run.uid)
            for fact in living:
                self.undriven(fact)
            self._settle(run.namespace)

    def undriven(self, fact: PodFact, *, there: bool = True) -> None:
        """Take note of what was seen of a pod whose run nobody drives.

        Args:
            fact: What was seen.
            there: Whether the pod exists.
        """
        if not self.limit:
            return
        if there and counts(fact):
            self._of(fact.namespace).undriven[fact.uid] = fact
        elif self._of(fact.namespace).undriven.pop(fact.uid, None):
            self._settle(fact.namespace)

    def uids(self) -> frozenset[str]:
        """Return the uids of the pods whose runs nobody drives."""
        return frozenset(uid for space in self._namespaces.values() for uid in space.undriven)

    def listed(self, facts: Collection[PodFact], known_before: Collection[str]) -> None:
        """Compare with what a list showed; offer again what those have not taken who were told.

        Args:
            facts: Pods in the list whose runs nobody drives.
            known_before: Uids that were known before the list was asked for; of those that are
                absent from it, no pod exists.
        """
        shown = {fact.uid for fact in facts}
        for namespace, space in tuple(self._namespaces.items()):
            for uid in (space.undriven.keys() & known_before) - shown:
                del space.undriven[uid]
            self._settle(namespace)
        for fact in facts:
            self.undriven(fact)

    def words(self, namespace: str) -> str:
        """Say who has the places of a namespace."""
        space = self._of(namespace)
        having = {asker.run.name: len(asker.has) for asker in space.askers.values() if asker.has}
        if space.undriven:
            having["others"] = len(space.undriven)
        most = sorted(having.items(), key=lambda one: (-one[1], one[0]))
        named = [f"{count} of {name}" for name, count in most[:MOST_NAMED]]
        if more := most[MOST_NAMED:]:
            named.append(f"{sum(count for _, count in more)} of {len(more)} other runs")
        return (
            f"namespace {namespace!r} may have {self.limit} runner pods at one time, and has"
            f" {', '.join(named) or 'none'}"
        )

    # -- dealing ----------------------------------------------------------------------------------

    def _of(self, namespace: str) -> _Namespace:
        return self._namespaces.setdefault(namespace, _Namespace())

    def _deal(self, space: _Namespace) -> Mapping[str, int]:
        free = self.limit - space.used
        if free <= 0 or not space.hungry:
            return {}
        late = self._clock() - OFFER_S
        return shares(
            free,
            (
                Sharer(uid, asker.age, len(asker.has), asker.wants)
                for uid, asker in space.hungry.items()
                if asker.offered_at is None or asker.offered_at > late
            ),
        )

    def _offer(self, space: _Namespace) -> None:
        """Tell those who wait that there is a place for them now."""
        for uid in self._deal(space):
            asker = space.askers[uid]
            if asker.offered_at is None:
                asker.offered_at = self._clock()
                asker.ring()

    def _settle(self, namespace: str) -> None:
        space = self._of(namespace)
        if space.askers or space.undriven:
            self._offer(space)
        else:
            del self._namespaces[namespace]


def counts(fact: PodFact) -> bool:
    """Whether a pod takes a place: not when it has ended, or when its node does not answer."""
    return fact.ended is None and fact.ready


class Applicant:
    """One run's way to the places of its namespace."""

    def __init__(self, places: Places, run: RunRef, created: str, ring: Callable[[], None]) -> None:
        self._places = places
        self._run = run
        self.turned_away: frozenset[AttemptRef] = frozenset()
        """Attempts that could start if there were a place for them."""

        self.words = ""
        """Who had the places when these were turned away; the same for as long as they wait, so
        that nothing is written meanwhile."""

        places.enter(run, created, ring)

    def take(
        self, has: Collection[AttemptRef], wanted: Sequence[AttemptRef]
    ) -> frozenset[AttemptRef]:
        """Return which of the attempts that could start must wait for a place.

        Args:
            has: Attempts that have pods, or may have.
            wanted: Attempts that could start, the most urgent one first.
        """
        away = frozenset(wanted) - self._places.take(self._run, has, wanted)
        if away != self.turned_away:
            self.turned_away = away
            self.words = self._places.words(self._run.namespace) if away else ""
        return away

    def leave(self, living: Iterable[PodFact]) -> None:
        """Ask no more."""
        self._places.leave(self._run, living)
