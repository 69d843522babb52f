"""What people are told of a run as it moves: Kubernetes Events, and lines of the operator's log."""

import logging
from collections.abc import Set as AbstractSet
from itertools import islice

from graflow.api.waits import in_its_course
from graflow.machine.state import Error, Phase, RunPhase, State
from graflow_operator import metrics
from graflow_operator.notes import Notes
from graflow_operator.refs import RunRef
from graflow_operator.statuses import Waits

_NAMED = 5
"""Tasks that a note names."""

log = logging.getLogger(__name__)


def tell_moves(notes: Notes, run: RunRef, before: State, after: State) -> None:
    """Tell of a start, of new tries and of the end, in the Workflow's Events.

    The operator's own log gets no words of user code: they may hold what only the namespace of the
    run may see.
    """
    if before.phase is RunPhase.PENDING and after.phase is RunPhase.RUNNING:
        log.info("%s: began", run)
        notes.post(run, "Started", "the run has begun")
    for number in after.backoff:
        activation, known = after.activations[number], before.activations.get(number)
        if activation.error and (known is None or known.phase is not Phase.BACKOFF):
            what = "group" if activation.scopes else "task"
            words = f"{what} {activation.node!r}: attempt {activation.attempt - 1} failed, trying"
            log.info("%s: %s again: %s", run, words, activation.error.reason)
            notes.post(run, "Retrying", f"{words} again: {activation.error.message}", warning=True)
    if after.phase.ended and not before.phase.ended:
        metrics.RUNS_ENDED.inc(after.phase.value)
        bad = after.phase is not RunPhase.SUCCEEDED
        words = f"{after.completed} tasks succeeded"
        if after.reason:
            words = f"{after.reason}: {after.message}"
        log.info("%s: ended: %s %s", run, after.phase.value, after.reason)
        notes.post(run, after.phase.value, words, warning=bad)


def tell_waits(
    notes: Notes, run: RunRef, state: State, found: Waits, noted: AbstractSet[tuple[str, str]]
) -> AbstractSet[tuple[str, str]]:
    """Tell of what tasks wait for, in one note for each reason; return what was told now.

    What passes in the course of the run gets none.

    Args:
        notes: Where to.
        run: Which run.
        state: Where it stands.
        found: What its attempts wait for.
        noted: Tasks and reasons that were told of before.
    """
    new: dict[str, dict[str, str]] = {}
    for attempt, wait in found.items():
        if in_its_course(wait.reason):
            continue
        task = state.activations[attempt.activation].node
        if (task, wait.reason) not in noted:
            new.setdefault(wait.reason, {})[task] = wait.message
    for reason, tasks in new.items():
        names = ", ".join(repr(task) for task in islice(tasks, _NAMED))
        more = f" and {len(tasks) - _NAMED} more" if len(tasks) > _NAMED else ""
        what = "task" if len(tasks) == 1 else "tasks"
        verb = "waits" if len(tasks) == 1 else "wait"
        words = f"{what} {names}{more} {verb}: {next(iter(tasks.values()))}"
        notes.post(run, reason, words, warning=True)
    return {(task, reason) for reason, tasks in new.items() for task in tasks}


def tell_hold_up(
    notes: Notes, run: RunRef, why: Error | None, noted: AbstractSet[tuple[str, str]]
) -> AbstractSet[tuple[str, str]]:
    """Tell why a run as a whole stands still, as `tell_waits` does of its tasks."""
    if why is None or in_its_course(why.reason) or ("", why.reason) in noted:
        return frozenset()
    notes.post(run, why.reason, f"the run waits: {why.message}", warning=True)
    return {("", why.reason)}
