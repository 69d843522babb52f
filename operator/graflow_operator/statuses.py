"""What people are told of a run in its status: waits in words, and the summary. Pure."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from pydantic import ValidationError

from graflow.api.conditions import refused as refused_status
from graflow.api.status import PodNote, summarize
from graflow.api.workflow_status import WorkflowStatus
from graflow.machine import reasons
from graflow.machine.check import Problem
from graflow.machine.plan import Plan
from graflow.machine.state import Error
from graflow_operator.facts import PodFact
from graflow_operator.places import Applicant
from graflow_operator.refs import AttemptRef
from graflow_operator.refusals import Refusal, Refusals
from graflow_operator.snapshot import Snapshot
from graflow_operator.turns import Limits

Object = dict[str, Any]

SLOW_S = 10.0
"""A pod may take so long to run before that is worth a word."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Why something does not go on."""

    reason: str
    message: str
    until: float = field(default=0.0, compare=False)
    """When that ends by itself, in seconds since the epoch; 0 if it does not."""


_NONE = Wait("", "")

Waits: TypeAlias = Mapping[AttemptRef, Wait]
"""By attempt that is due and does not run."""


@dataclass(frozen=True, slots=True)
class Waiters:
    """What is known of attempts that are due and may have to wait."""

    held: Collection[AttemptRef]
    limits: Limits
    pods: Mapping[AttemptRef, PodFact]
    refusals: Refusals
    gives_up: Callable[[PodFact], float]
    """When a pod that does not start is given up, in seconds since the epoch; 0 if it is not."""

    places: Applicant


def waits(known: Waiters, starting: Iterable[AttemptRef], now: float) -> Waits:
    """Return why each of the attempts that are due does not run yet, where that is worth a word.

    A pod on its usual way to run is not: that is over before anybody has read it.
    """
    # One for all of them, who may be many thousands.
    in_turn = Wait(
        reasons.PARALLELISM, f"spec.parallelism allows {known.limits.parallelism} at one time"
    )
    if known.limits.suspend:
        in_turn = Wait(reasons.SUSPENDED, "spec.suspend is true")
    no_place = (
        in_turn if known.limits.suspend else Wait(reasons.NAMESPACE_LIMIT, known.places.words)
    )
    held, away, refused = known.held, known.places.turned_away, known.refusals
    kept = refused.of_all
    of_all = _refusal(kept) if kept and not (known.limits.suspend or away) else None
    found: dict[AttemptRef, Wait] = {}
    for attempt in starting:
        own = refused.get(attempt)
        if own is not None and not own.of_all:
            found[attempt] = _refusal(own)
        elif of_all is not None and attempt not in known.pods:
            found[attempt] = of_all
        elif attempt in held:
            found[attempt] = no_place if attempt in away else in_turn
        elif (fact := known.pods.get(attempt)) and (wait := _wait(known, fact, now)):
            found[attempt] = wait
    return found


def _refusal(refusal: Refusal) -> Wait:
    return Wait(refusal.reason, refusal.message, refusal.gives_up_at)


def _wait(known: Waiters, fact: PodFact, now: float) -> Wait | None:
    """Return why a pod does not run yet, if that is worth a word."""
    if fact.pending is None:
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
    alike: dict[int, PodNote] = {}
    notes: dict[tuple[int, int], PodNote] = {}
    for attempt, wait in found.items():
        if attempt not in pods:
            notes[attempt] = alike.get(id(wait)) or alike.setdefault(id(wait), _note(None, wait))
    for attempt, fact in pods.items():
        notes[attempt] = _note(fact, found.get(attempt, _NONE))
    return notes


def _note(fact: PodFact | None, wait: Wait) -> PodNote:
    return PodNote(
        name=fact.name if fact else "",
        node=fact.node if fact else "",
        reason=wait.reason,
        message=wait.message,
        until=wait.until,
    )


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
