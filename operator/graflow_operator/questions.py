"""What becomes of a question to a person by the object alone: pure, level-triggered.

A FeedbackRequest says all that counts: what is asked, who answered, when time is up. Whoever looks
at it, and whenever, comes to the same; a change is one write of its status, guarded by its version,
so of an answer and a deadline that come together one is first and the other one learns of it.

The rules are `graflow.api.answering` and `graflow.api.settling`; here is what objects make of them.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from graflow.api import answering, settling
from graflow.api.errors import words
from graflow.api.feedback import FeedbackRequestSpec
from graflow.api.feedback_status import (
    FeedbackPhase,
    FeedbackRequestStatus,
    Response,
)
from graflow.api.moment import rfc3339
from graflow.questions import MOST_RESPONSES
from graflow_operator import outbox
from graflow_operator.cluster import Object
from graflow_operator.objects import seconds
from graflow_operator.targets import Target

MOST_MESSAGE = 4096
"""Letters of a status's message; half of what the object has room for."""

_SAID = tuple(name for name in Response.model_fields if name not in ("at", "how"))


class NotOpenError(Exception):
    """The question is no longer open; the message says who decided it, and when."""


class NotTakenError(Exception):
    """A response does not count; the message names field, value and way out."""


class NotAskedError(Exception):
    """Somebody is not to answer; the message says why."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it is: its spec and status, read."""

    request: Object
    spec: FeedbackRequestSpec = field(init=False)
    status: FeedbackRequestStatus = field(init=False)

    def __post_init__(self) -> None:
        """Read the object."""
        spec = FeedbackRequestSpec.model_validate(self.request["spec"])
        status = FeedbackRequestStatus.model_validate(self.request.get("status") or {})
        object.__setattr__(self, "spec", spec)
        object.__setattr__(self, "status", status)

    @property
    def deadline(self) -> str | None:
        """Until when an answer may come: after an escalation, longer than before."""
        return answering.deadline(self.spec, self.status)


@dataclass(frozen=True, slots=True)
class Step:
    """What is to become of a request now, and when to look again."""

    status: Object | None
    """Its status from now on; None: what it has."""

    next_at: float | None
    """When that changes by itself, in seconds since the epoch."""


def phase_of(request: Object) -> FeedbackPhase:
    """Return the phase of a request; one that nobody has looked at is pending."""
    found = (request.get("status") or {}).get("phase")
    return FeedbackPhase(found) if found else FeedbackPhase.PENDING


def is_open(request: Object) -> bool:
    """Whether an answer may still decide it."""
    return phase_of(request) is FeedbackPhase.PENDING


def step(request: Object, now: float, targets: Sequence[Target] = ()) -> Step:
    """Return what a request comes to by itself: by answers that were written into it, and by time.

    Args:
        request: The object as it is.
        now: Seconds since the epoch.
        targets: Who may have to be told.
    """
    if not is_open(request):
        return Step(None, None)
    asked = Asked(request)
    before, spec = asked.status, asked.spec
    after = settling.at_deadline(spec, before, now) or before
    open_still = after.phase in (None, FeedbackPhase.PENDING)
    reminders = _reminders_due(asked, now) if open_still else before.reminders
    events = [
        *(["Asked"] if before.phase is None else []),
        *(["Escalated"] if after.escalated and not before.escalated else []),
        *([after.phase.value] if after.phase and not open_still else []),
        *(["Reminder"] if reminders > before.reminders else []),
    ]
    changes: Object = {}
    if open_still:
        changes = {"phase": FeedbackPhase.PENDING.value, "message": _waiting(spec, after)}
        if reminders:
            changes["reminders"] = reminders
    status = _status(request, after, changes)
    for event in events:
        namespace = request["metadata"]["namespace"]
        told = [one.name for one in targets if one.wants(namespace, event)]
        status = outbox.noted(status, event, told, rfc3339(now) or "")
    next_at = _next_at(asked, after, now) if open_still else None
    return Step(status if status != (request.get("status") or {}) else None, next_at)


def as_of(request: Object, now: float, targets: Sequence[Target] = ()) -> Object:
    """Return a request as it is once what is due of it was written."""
    status = step(request, now, targets).status
    return request if status is None else {**request, "status": status}


def answered(
    request: Object,
    response: Object,
    now: float,
    *,
    groups: Collection[str] = (),
    targets: Sequence[Target] = (),
) -> Object:
    """Return the status of a request to which somebody responds.

    The same response of the same person again changes nothing: an answer may have been lost.

    Args:
        request: The object as it is.
        response: by, at, how, and what it says.
        now: Seconds since the epoch.
        groups: Of that person.
        targets: Who may have to be told.

    Raises:
        NotAskedError: If that person is not to answer.
        NotOpenError: If something else was decided before.
        NotTakenError: If it is no answer to this question.
    """
    given = _response(response)
    before = request.get("status") or {}
    known = Asked(request).status.responses
    if any(_says(one) == _says(given) for one in known) and (
        is_open(request) or _decided_by(request, given)
    ):
        return dict(before)
    current = Asked(as_of(request, now, targets))
    if answering.closed(current.spec, current.status, now) is not None:
        raise NotOpenError(closing(current, now))
    refusal = answering.may_answer(current.spec, current.status, given.by, groups)
    if refusal is not None:
        has_answered = any(one.by == given.by for one in known)
        raise NotOpenError(refusal) if has_answered else NotAskedError(refusal)
    if problems := answering.check_response(current.spec, given):
        raise NotTakenError(words(problems))
    if len(known) >= MOST_RESPONSES:
        raise NotTakenError(f"{MOST_RESPONSES} responses are there already; withdraw the question")
    raw = current.request.get("status") or {}
    status_then = {**raw, "responses": [*(raw.get("responses") or ()), given.manifest()]}
    status: Object = as_of({**request, "status": status_then}, now, targets)["status"]
    return status


def withdrawn(request: Object, now: float, why: str) -> Object:
    """Return the status of a request that nobody is to answer any more.

    Args:
        request: The object as it is.
        now: Seconds since the epoch.
        why: In a sentence, for people.

    Raises:
        NotOpenError: If it was decided before.
    """
    asked = Asked(request)
    after = settling.withdrawn(asked.status, now, why)
    if after is None:
        raise NotOpenError(closing(asked, now))
    return _status(request, after, {})


def closing(asked: Asked, now: float) -> str:
    """Return how a request was decided, and when, for whoever comes too late."""
    told = answering.closed(asked.spec, asked.status, now) or "this question is open"
    return f"{asked.request['metadata']['name']}: {told}"


def heard(request: Object) -> Object | None:
    """Return the answer that the run is to hear; None while there is none.

    A run that still asks hears of a withdrawal too, as of a deadline: nobody will answer it.
    """
    status: Object = request.get("status") or {}
    match phase_of(request):
        case FeedbackPhase.PENDING:
            return None
        case FeedbackPhase.WITHDRAWN:
            message, at = status.get("message", ""), status.get("decidedAt")
            return {"expired": True, "reason": message, "respondedBy": [], "respondedAt": at}
        case FeedbackPhase.ANSWERED | FeedbackPhase.EXPIRED:
            answer: Object | None = status.get("answer")
            return answer


def _status(request: Object, after: FeedbackRequestStatus, changes: Object) -> Object:
    """Return the status of a request with what was decided in it, and all else as it is.

    Responses above all: they are as they were written, to the last letter.
    """
    decided = after.model_dump(
        mode="json",
        by_alias=True,
        exclude_none=True,
        include={"phase", "message", "decided_at", "answer", "escalated"},
    )
    return {**(request.get("status") or {}), **decided, **changes}


def _response(response: Object) -> Response:
    try:
        return Response.model_validate_json(json.dumps(response), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        given = repr(first.get("input"))[:100]
        raise NotTakenError(f"{where} is {given}: {first['msg']}") from None


def _says(response: Response) -> dict[str, Any]:
    """Return who says what in a response, however and whenever."""
    return {name: getattr(response, name) for name in _SAID}


def _decided_by(request: Object, response: Response) -> bool:
    """Whether what was decided is what somebody says."""
    answer = Asked(request).status.answer
    names = (name for name in _SAID if name not in ("by", "sha256"))
    return (
        answer is not None
        and all(getattr(answer, name) == getattr(response, name) for name in names)
        and response.by in answer.responded_by
    )


def _asked_at(asked: Asked) -> float:
    return seconds(asked.request["metadata"].get("creationTimestamp"))


def _reminders_due(asked: Asked, now: float) -> int:
    """Return how many reminders were due by now: one that is late stands for those before it."""
    every_s = asked.spec.remind_every_seconds
    passed = int((now - _asked_at(asked)) // every_s) if every_s else 0
    return max(passed, asked.status.reminders)


def _next_at(asked: Asked, after: FeedbackRequestStatus, now: float) -> float | None:
    ends = answering.deadline(asked.spec, after)
    moments = [] if ends is None else [answering.seconds_of(ends)]
    if every_s := asked.spec.remind_every_seconds:
        moments.append(_asked_at(asked) + (_reminders_due(asked, now) + 1) * every_s)
    return min(moments, default=None)


def _waiting(spec: FeedbackRequestSpec, status: FeedbackRequestStatus) -> str:
    """Return what an open question waits for, and what does not count of what was said."""
    people = answering.asked_people(spec, status)
    groups = [f"group {name}" for name in people.groups]
    asked = ", ".join((*people.users, *groups)) or "whoever may respond"
    passed_over = [why for one in status.responses if (why := answering.uncounted(spec, one))]
    some = ""
    if spec.approvals > 1:
        some = f"{len(status.responses) - len(passed_over)} of {spec.approvals} approvals, "
    ends = answering.deadline(spec, status)
    until = f"until {ends}" if ends else "for ever: it has no deadline"
    return "; ".join((f"{some}waits for {asked} {until}", *passed_over))[:MOST_MESSAGE]
