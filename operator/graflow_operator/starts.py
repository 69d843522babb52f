"""Which of the attempts that are due may start with the next commit."""

from dataclasses import replace

from graflow.machine.state import State
from graflow_operator import folding, turns
from graflow_operator.places import Applicant, counts
from graflow_operator.podbook import PodBook
from graflow_operator.refs import AttemptRef
from graflow_operator.refusals import Refusals
from graflow_operator.snapshot import Snapshot
from graflow_operator.turns import Limits


class Starts:
    """Decides for one run, by what its spec, its namespace and its pods allow."""

    def __init__(self, refused: Refusals, places: Applicant, book: PodBook) -> None:
        self._refused = refused
        self._places = places
        self._book = book
        self._due: tuple[State, tuple[AttemptRef, ...]] = (State(), ())
        """The attempts that are due in a state; most often it is asked for the same one again."""

        self._living: frozenset[AttemptRef] = frozenset()
        """The attempts whose pods had not ended when it was asked the last time."""

    def due(self, state: State) -> tuple[AttemptRef, ...]:
        """Return the attempts that are due, in order of creation of their activations."""
        if state is not self._due[0]:
            self._due = state, turns.starting(state)
        return self._due[1]

    def held(self, before: Snapshot, after: Snapshot, limits: Limits, now: float) -> Snapshot:
        """Return a snapshot that says which attempts have to wait.

        Args:
            before: What is committed.
            after: What will be.
            limits: What the spec says.
            now: Seconds since the epoch.
        """
        waiting = self._refused.waiting(now)
        allowed = {ref for ref in self.due(before.state) if ref not in before.held} - waiting
        gate, facts = self._refused.gate, self._book.facts
        due = self._refused.in_turn(self.due(after.state))
        held = turns.held(after.state, limits, due=due, allowed=allowed, refused=waiting)
        able = [ref for ref in due if ref not in held and ref not in allowed]
        gate.look({ref for ref in due if ref in allowed and ref not in facts})
        wanted = able[: gate.room(now)]
        held |= {*able[len(wanted) :]}
        has = {ref for ref, fact in facts.items() if counts(fact)}
        if not has >= self._living:
            self._refused.freed(now)
        self._living = frozenset(has)
        if not after.state.phase.ended:
            has |= folding.under_way(after.state, held).keys() - {*wanted}
        held |= self._places.take(has, wanted)
        self._refused.passed({*wanted} - held, len(able))
        self._refused.keep(due, facts)
        return replace(after, held=held, refused=self._refused.noted())
