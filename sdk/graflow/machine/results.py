"""Which results a task may read (C1, G4)."""

from collections.abc import Mapping

from graflow.machine.state import RUN_SCOPE, Result, State


def visible(state: State, scope: int, task: str) -> Result | None:
    """Return the latest result of an id as seen from a scope, or None.

    A branch sees its own results, then those of the enclosing scopes as they were when its group
    started, and never a sibling's.
    """
    as_of: int | None = None
    while True:
        found = state.scopes[scope]
        for result in reversed(found.results.get(task, ())):
            if as_of is None or result.seq <= as_of:
                return result
        if scope == RUN_SCOPE:
            return None
        as_of = found.as_of if as_of is None else min(as_of, found.as_of)
        scope = found.parent


def of_run(state: State) -> Mapping[str, Result]:
    """Return the latest results of the run's own scope, in the order in which they came."""
    if RUN_SCOPE not in state.scopes:
        return {}
    latest = {task: found[-1] for task, found in state.scopes[RUN_SCOPE].results.items()}
    return dict(sorted(latest.items(), key=lambda item: (item[1].seq, item[0])))
