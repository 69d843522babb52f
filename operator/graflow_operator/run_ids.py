"""Runs that are under way and have a `runId`: of two with one id, the later one is refused.

What is looked at is what this operator drives. Beside runs of other installations of it, of which
it knows nothing, one may run: how the first of them ends is what counts.
"""

from typing import TypeAlias

from graflow_operator.cluster import Object
from graflow_operator.refs import RunRef

_Rank: TypeAlias = tuple[bool, str, str]
"""Whether nothing is committed of the run, when it was made, its uid."""


class RunIds:
    """Which runs that this operator drives have which `runId`."""

    def __init__(self) -> None:
        self._live: dict[tuple[str, str], dict[str, tuple[_Rank, str]]] = {}
        """By namespace and id: rank and name of each run, by uid."""

    def enter(self, workflow: Object) -> None:
        """Take note of a Workflow that is being driven."""
        run, status = RunRef.of(workflow), workflow.get("status") or {}
        run_id = (workflow.get("spec") or {}).get("runId")
        if run_id and not status.get("completionTime"):
            created = str(workflow["metadata"].get("creationTimestamp") or "")
            rank = (not status.get("cursor"), created, run.uid)
            self._live.setdefault((run.namespace, str(run_id)), {})[run.uid] = (rank, run.name)

    def leave(self, run: RunRef) -> None:
        """Take note that a run is driven no more."""
        for key, live in tuple(self._live.items()):
            live.pop(run.uid, None)
            if not live:
                del self._live[key]

    def earlier(self, run: RunRef, run_id: str | None) -> str | None:
        """Return the name of the run that does the work of this one already, if one does."""
        live = self._live.get((run.namespace, run_id or ""), {})
        if run.uid not in live:
            return None
        uid, (_, name) = min(live.items(), key=lambda item: item[1][0])
        return None if uid == run.uid else name
