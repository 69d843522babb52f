"""Which of the attempts that are due may start with the next commit."""

from dataclasses import dataclass, replace

from graflow_operator import folding, turns
from graflow_operator.places import Applicant, counts
from graflow_operator.podbook import PodBook
from graflow_operator.refusals import Refusals
from graflow_operator.snapshot import Snapshot
from graflow_operator.turns import Limits


@dataclass(frozen=True)
class Starts:
    """Decides for one run, by what its spec, its namespace and its pods allow."""

    refused: Refusals
    places: Applicant
    book: PodBook

    def held(self, before: Snapshot, after: Snapshot, limits: Limits, now: float) -> Snapshot:
        """Return a snapshot that says which attempts have to wait.

        Args:
            before: What is committed.
            after: What will be.
            limits: What the spec says.
            now: Seconds since the epoch.
        """
        waiting = self.refused.waiting(now)
        allowed = set(turns.starting(before.state)) - before.held - waiting
        held = turns.held(after.state, limits, allowed=allowed, refused=waiting)
        due = turns.starting(after.state)
        wanted = [ref for ref in due if ref not in held and ref not in allowed]
        has = {ref for ref, fact in self.book.facts.items() if counts(fact)}
        if not after.state.phase.ended:
            has |= {ref for ref, _ in folding.current(after.state)} - held - {*wanted}
        held |= self.places.take(has, wanted)
        self.refused.keep(set(due) - self.book.facts.keys())
        return replace(after, held=held, refused=self.refused.noted())
