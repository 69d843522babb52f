"""Which results a task may read (C1, G4)."""

from collections.abc import Mapping
from typing import Final

from graflow.machine.scopes import outward
from graflow.machine.state import RUN_SCOPE, Activation, Result, State

_SUFFIX: Final = ".__result__"


def named_by(key: str) -> str | None:
    """Return the id whose result a channel key names (C1); None for a key that is only a key.

    >>> named_by("load.__result__"), named_by("load")
    ('load', None)
    """
    return key.removesuffix(_SUFFIX) if key.endswith(_SUFFIX) else None


def visible(state: State, scope: int, task: str) -> Result | None:
    """Return the latest result of an id as seen from a scope, or None.

    A branch sees its own results, then those of the enclosing scopes as they were when its group
    started, and never a sibling's. A fragment sees what its spawner's scope sees.
    """
    as_of: int | None = None
    for found in outward(state, scope):
        for result in reversed(found.results.get(task, ())):
            if as_of is None or result.seq <= as_of:
                return result
        if found.as_of is not None:
            as_of = found.as_of if as_of is None else min(as_of, found.as_of)
    return None


def visible_names(state: State, scope: int) -> tuple[str, ...]:
    """Return the ids that have a result as seen from a scope, in the order of completion."""
    if scope not in state.scopes:
        return ()
    ids = dict.fromkeys(task for found in outward(state, scope) for task in found.results)
    latest = {task: visible(state, scope, task) for task in ids}
    seen = [(found.completed, task) for task, found in latest.items() if found is not None]
    return tuple(task for _, task in sorted(seen))


def seen_by(state: State, activation: Activation, task: str) -> Result | None:
    """Return the latest result of an id as an attempt sees it, or None.

    The attempt of a group, that of its policy, sees what its branches brought as well, as all will
    once the group has ended: the same id in several, the branch declared last wins (G4).
    """
    for number in reversed(activation.scopes):
        branch = state.scopes[number]
        if branch.is_branch and not branch.failure and task in branch.results:
            return branch.results[task][-1]
    return visible(state, activation.scope, task)


def of_run(state: State) -> Mapping[str, Result]:
    """Return the latest results of the run's own scope, in the order of completion."""
    if RUN_SCOPE not in state.scopes:
        return {}
    latest = {task: found[-1] for task, found in state.scopes[RUN_SCOPE].results.items()}
    return dict(sorted(latest.items(), key=lambda item: item[1].completed))
