"""How the status of a `FeedbackRequest` goes on: by answers, deadline and withdrawal. Pure."""

from graflow.api.answering import asked_people, deadline, decide, seconds_of
from graflow.api.feedback import Action, FeedbackRequestSpec, OnDeadline
from graflow.api.feedback_status import (
    Answer,
    Content,
    Escalation,
    FeedbackPhase,
    FeedbackRequestStatus,
)
from graflow.api.moment import rfc3339

DEFAULT = "default"
"""Who has answered where nobody has and the program said what then counts."""

_NOBODY = "nobody has answered in time"


def settled(
    spec: FeedbackRequestSpec, status: FeedbackRequestStatus, now: float
) -> FeedbackRequestStatus | None:
    """Return the status in which responses have decided; None if they have not, or it is known.

    Args:
        spec: The question.
        status: How it stands.
        now: Seconds since the epoch.
    """
    decision = decide(spec, status.responses) if _is_open(status) else None
    if decision is None:
        return None
    # A response that comes by a patch says of itself when it was given, and may say anything.
    answer = decision.answer.model_copy(update={"responded_at": rfc3339(now)})
    return _final(status, now, decision.phase, decision.message, answer)


def at_deadline(
    spec: FeedbackRequestSpec, status: FeedbackRequestStatus, now: float
) -> FeedbackRequestStatus | None:
    """Return what becomes of a question at this moment by its deadline; None: nothing.

    Answers that are there already have come in time: the deadline is when this is written.

    Args:
        spec: The question.
        status: How it stands.
        now: Seconds since the epoch.
    """
    if (answered := settled(spec, status, now)) is not None:
        return answered
    ends = deadline(spec, status)
    if not _is_open(status) or ends is None or now < seconds_of(ends):
        return None
    then = spec.on_deadline or OnDeadline(action=Action.FAIL)
    if then.action is Action.ESCALATE and status.escalated is None:
        return _escalated(spec, status, now)
    words, answer = _unanswered(then)
    answer = answer.model_copy(update={"responded_at": rfc3339(now)})
    return _final(status, now, FeedbackPhase.EXPIRED, words, answer)


def _unanswered(then: OnDeadline) -> tuple[str, Answer]:
    """Return what the task is told when nobody has answered, and the same for people."""
    match then.action:
        case Action.DEFAULT:
            said = {name: getattr(then.default, name, None) for name in Content.model_fields}
            answer = Answer(**said, responded_by=(DEFAULT,), default=True)
            return f"{_NOBODY}; the default counts", answer
        case Action.GOTO:
            return f"{_NOBODY}; the task goes to {then.task!r}", Answer(goto=then.task)
        case Action.FAIL | Action.ESCALATE:
            return _NOBODY, Answer(expired=True)


def withdrawn(status: FeedbackRequestStatus, now: float, why: str) -> FeedbackRequestStatus | None:
    """Return the status of a question that nobody waits for any more; None if it is not open.

    Args:
        status: How it stands.
        now: Seconds since the epoch.
        why: In a sentence.
    """
    if not _is_open(status):
        return None
    return _final(status, now, FeedbackPhase.WITHDRAWN, why, None)


def _is_open(status: FeedbackRequestStatus) -> bool:
    return status.phase in (None, FeedbackPhase.PENDING)


def _escalated(
    spec: FeedbackRequestSpec, status: FeedbackRequestStatus, now: float
) -> FeedbackRequestStatus:
    """Ask others, who have their time from now: the operator may have been down for a while."""
    then = spec.on_deadline
    seconds = (then.seconds if then else None) or spec.timeout_seconds
    since = Escalation(
        at=rfc3339(now) or "", deadline=rfc3339(now + seconds) if seconds is not None else None
    )
    changed = status.model_copy(update={"escalated": since})
    people = asked_people(spec, changed)
    names = ", ".join((*people.users, *people.groups))
    told = f"{_NOBODY}; asked now: {names}"
    return changed.model_copy(update={"phase": FeedbackPhase.PENDING, "message": told})


def _final(
    status: FeedbackRequestStatus,
    now: float,
    phase: FeedbackPhase,
    message: str,
    answer: Answer | None,
) -> FeedbackRequestStatus:
    return status.model_copy(
        update={
            "phase": phase,
            "message": message,
            "answer": answer,
            "decided_at": rfc3339(now),
        }
    )
