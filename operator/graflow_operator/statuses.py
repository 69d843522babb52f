"""What people are told of a run: waits in words, the status, notes. Pure but for posting notes."""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeAlias

from pydantic import ValidationError

from graflow.api.conditions import refused as refused_status
from graflow.api.status import PodNote, summarize
from graflow.api.waits import in_its_course
from graflow.api.workflow_status import WorkflowStatus
from graflow.machine import reasons
from graflow.machine.check import Problem
from graflow.machine.plan import Plan
from graflow.machine.state import Error, Phase, RunPhase, State
from graflow_operator import metrics
from graflow_operator.facts import PodFact
from graflow_operator.notes import Notes
from graflow_operator.places import Applicant
from graflow_operator.refs import AttemptRef, RunRef
from graflow_operator.refusals import Refusal
from graflow_operator.snapshot import Snapshot
from graflow_operator.turns import Limits

Object = dict[str, Any]

log = logging.getLogger(__name__)


_NAMED = 5
"""Tasks that a note names."""

SLOW_S = 10.0
"""A pod may take so long to run before that is worth a word."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Why something does not go on."""

    reason: str
    message: str
    until: float = field(default=0.0, compare=False)
    """When that ends by itself, in seconds since the epoch; 0 if it does not."""


Waits: TypeAlias = Mapping[AttemptRef, Wait]
"""By attempt that is due and does not run."""


@dataclass(frozen=True, slots=True)
class Waiters:
    """What is known of attempts that are due and may have to wait."""

    held: Collection[AttemptRef]
    limits: Limits
    pods: Mapping[AttemptRef, PodFact]
    refusals: Mapping[AttemptRef, Refusal]
    gives_up: Callable[[PodFact], float]
    """When a pod that does not start is given up, in seconds since the epoch; 0 if it is not."""

    places: Applicant


def waits(known: Waiters, starting: Iterable[AttemptRef], now: float) -> Waits:
    """Return why each of the attempts that are due does not run yet, where that is worth a word.

    A pod on its usual way to run is not: that is over before anybody has read it.
    """
    found = ((attempt, _wait(known, attempt, now)) for attempt in starting)
    return {attempt: wait for attempt, wait in found if wait is not None}


def _wait(  # noqa: PLR0911 - a table
    known: Waiters, attempt: AttemptRef, now: float
) -> Wait | None:
    fact, refusal = known.pods.get(attempt), known.refusals.get(attempt)
    if refusal is not None:
        return Wait(refusal.reason, refusal.message, refusal.gives_up_at)
    if attempt in known.held:
        if known.limits.suspend:
            return Wait(reasons.SUSPENDED, "spec.suspend is true")
        if attempt in known.places.turned_away:
            return Wait(reasons.NAMESPACE_LIMIT, known.places.words)
        words = f"spec.parallelism allows {known.limits.parallelism} at one time"
        return Wait(reasons.PARALLELISM, words)
    if fact is None or fact.pending is None:
        return None
    if fact.pending.reason == reasons.POD_PENDING and now < slow_at(fact):
        return None
    return Wait(fact.pending.reason, fact.pending.message, known.gives_up(fact))


def slow_at(fact: PodFact) -> float:
    """Return when a pod that does not run is worth a word, in seconds since the epoch."""
    return fact.created_at + SLOW_S


def pod_notes(
    pods: Mapping[AttemptRef, PodFact], found: Waits
) -> Mapping[tuple[int, int], PodNote]:
    """Return what is known of the attempts' pods, for the status."""
    notes: dict[tuple[int, int], PodNote] = {}
    for attempt in {**pods, **found}:
        fact, wait = pods.get(attempt), found.get(attempt, Wait("", ""))
        notes[attempt.activation, attempt.attempt] = PodNote(
            name=fact.name if fact else "",
            node=fact.node if fact else "",
            reason=wait.reason,
            message=wait.message,
            until=wait.until,
        )
    return notes


def previous(workflow: Object) -> WorkflowStatus | None:
    """Return the status that an object has; None if it has none that can be read."""
    try:
        return WorkflowStatus.model_validate(workflow.get("status") or {})
    except ValidationError:
        return None


@dataclass(frozen=True, slots=True)
class About:
    """Which run, as far as a status speaks of it."""

    generation: int
    instance: str


def status(  # noqa: PLR0913, PLR0917 - the parts that a status is made from
    about: About,
    plan: Plan,
    after: Snapshot,
    hold_up: Error | None,
    before: WorkflowStatus | None,
    notes: Mapping[tuple[int, int], PodNote],
    *,
    now: float,
    room: int,
) -> WorkflowStatus:
    """Return the summary for people, in `room` bytes.

    `hold_up` is why the run as a whole does not go on.
    """
    found = summarize(
        about.generation,
        plan,
        after.state,
        before,
        now=now,
        pods=notes,
        hold_up=hold_up,
        history=after.history,
        room=room,
    )
    return found.model_copy(update={"instance": about.instance})


def refused(
    about: About,
    reason: str,
    problems: Iterable[Problem],
    before: WorkflowStatus | None,
    *,
    now: float,
) -> WorkflowStatus:
    """Return the status of a Workflow that cannot run as it is written."""
    found = refused_status(about.generation, problems, before, now=now)
    conditions = tuple(
        condition.model_copy(update={"reason": reason})
        if condition.reason == reasons.INVALID
        else condition
        for condition in found.conditions
    )
    changes = {"instance": about.instance, "reason": reason, "conditions": conditions}
    return found.model_copy(update=changes)


def post_notes(notes: Notes, run: RunRef, before: State, after: State) -> None:
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


def post_waits(
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
        task = state.activations[attempt.activation].node
        if not in_its_course(wait.reason) and (task, wait.reason) not in noted:
            new.setdefault(wait.reason, {})[task] = wait.message
    for reason, tasks in new.items():
        names = ", ".join(repr(task) for task in islice(tasks, _NAMED))
        more = f" and {len(tasks) - _NAMED} more" if len(tasks) > _NAMED else ""
        what = "task" if len(tasks) == 1 else "tasks"
        verb = "waits" if len(tasks) == 1 else "wait"
        words = f"{what} {names}{more} {verb}: {next(iter(tasks.values()))}"
        notes.post(run, reason, words, warning=True)
    return {(task, reason) for reason, tasks in new.items() for task in tasks}
