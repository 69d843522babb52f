"""What people are told of a run: waits in words, the status, notes. Pure but for posting notes."""

import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from pydantic import ValidationError

from graflow.api.conditions import refused as refused_status
from graflow.api.status import PodNote, summarize
from graflow.api.workflow_status import WorkflowStatus
from graflow.machine import reasons
from graflow.machine.check import Problem
from graflow.machine.plan import Plan
from graflow.machine.state import Error, Phase, RunPhase, State
from graflow_operator import metrics
from graflow_operator.facts import PodFact
from graflow_operator.notes import Notes
from graflow_operator.refs import AttemptRef, RunRef
from graflow_operator.refusals import Refusal
from graflow_operator.turns import Limits

Object = dict[str, Any]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wait:
    """Why something does not go on."""

    reason: str
    message: str


Waits: TypeAlias = Mapping[AttemptRef, Wait]
"""By attempt that is due and does not run."""


def waits(
    held: Collection[AttemptRef],
    limits: Limits,
    pods: Mapping[AttemptRef, PodFact],
    refusals: Mapping[AttemptRef, Refusal],
    starting: Iterable[AttemptRef],
) -> Waits:
    """Return why each of the attempts that are due does not run yet, where that is worth a word.

    A pod on its usual way to run is not: that is over before anybody has read it.
    """
    found: dict[AttemptRef, Wait] = {}
    for attempt in starting:
        fact = pods.get(attempt)
        if attempt in refusals:
            found[attempt] = Wait(refusals[attempt].reason, refusals[attempt].message)
        elif attempt in held and limits.suspend:
            found[attempt] = Wait(reasons.SUSPENDED, "spec.suspend is true")
        elif attempt in held:
            words = f"spec.parallelism allows {limits.parallelism} at one time"
            found[attempt] = Wait(reasons.PARALLELISM, words)
        elif fact and fact.pending and fact.pending.reason != reasons.POD_PENDING:
            found[attempt] = Wait(fact.pending.reason, fact.pending.message)
    return found


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
    state: State,
    hold_up: Error | None,
    before: WorkflowStatus | None,
    notes: Mapping[tuple[int, int], PodNote],
    *,
    now: float,
) -> WorkflowStatus:
    """Return the summary for people; `hold_up` is why the run as a whole does not go on."""
    if hold_up is not None and not state.phase.ended:
        state = replace(state, reason=hold_up.reason, message=hold_up.message)
    found = summarize(about.generation, plan, state, before, now=now, pods=notes)
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
        metrics.RUNS_ENDED.labels(after.phase.value).inc()
        bad = after.phase is not RunPhase.SUCCEEDED
        words = f"{after.completed} tasks succeeded"
        if after.reason:
            words = f"{after.reason}: {after.message}"
        log.info("%s: ended: %s %s", run, after.phase.value, after.reason)
        notes.post(run, after.phase.value, words, warning=bad)
