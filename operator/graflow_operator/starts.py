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
        due = self.due(after.state)
        held = turns.held(after.state, limits, due=due, allowed=allowed, refused=waiting)
        wanted = [ref for ref in due if ref not in held and ref not in allowed]
        has = {ref for ref, fact in self._book.facts.items() if counts(fact)}
        if not after.state.phase.ended:
            has |= folding.under_way(after.state, held).keys() - {*wanted}
        held |= self._places.take(has, wanted)
        self._refused.keep(due, self._book.facts)
        return replace(after, held=held, refused=self._refused.noted())
