"""Who may answer a question, what is an answer to it, and what decides. Pure.

The API server knows most of these rules too, in its own language: `graflow.api.feedback_cel` and
the chart's policy of FeedbackRequests.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from graflow.api import cut
from graflow.api.answer_schema import objection
from graflow.api.errors import words
from graflow.api.feedback import FeedbackRequestSpec, People, Question
from graflow.api.feedback_status import (
    Answer,
    Content,
    FeedbackPhase,
    FeedbackRequestStatus,
    Response,
)
from graflow.machine.check import Problem
from graflow.questions import ANSWERS, MAX_TEXT_BYTES, FeedbackType

_MOST_REASON = 1024
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Decision:
    """What responses have decided."""

    phase: FeedbackPhase
    answer: Answer
    """What the task is told."""

    message: str
    """The same in a sentence, for people."""


def decide(spec: FeedbackRequestSpec, responses: Iterable[Response]) -> Decision | None:
    """Return what responses decide, in the order in which they were taken; None: nothing yet.

    A rejection decides at once, and so do approvals by as many different people as it takes. What
    comes after what decided changes nothing, and what is no answer to this question never counts.
    """
    approvers: dict[str, None] = {}
    for response in responses:
        if uncounted(spec, response) is not None:
            continue
        people: Collection[str] = (response.by,)
        if response.approved:
            approvers[response.by] = None
            people = approvers
            if len(approvers) < spec.approvals:
                continue
        return _decision(response, tuple(people))
    return None


def uncounted(spec: FeedbackRequestSpec, response: Response) -> str | None:
    """Return why a response decides nothing; None if it counts."""
    if problems := check_response(spec, response):
        return f"what {response.by} said does not count: {words(problems)}"
    if _is_barred(spec, response.by):
        return f"what {response.by} said does not count: {_barred(response.by)}"
    return None


def check_response(spec: FeedbackRequestSpec, response: Response) -> tuple[Problem, ...]:
    """Return why this is no answer to the question; nothing when it is one."""
    if response.sha256 != spec.sha256:
        told = f"{response.sha256[:12]}… is not that of this question, {spec.sha256[:12]}…; read"
        return (Problem("sha256", f"{told} it again, and answer what it says"),)
    return check_content(spec, response)


def check_content(question: Question, content: Content, field: str = "") -> tuple[Problem, ...]:
    """Return why what somebody says, or a default, does not answer a question.

    Args:
        question: What is asked.
        content: What is said.
        field: Where that is written; problems begin with it. Empty: by itself.
    """
    at = f"{field}." if field else ""
    given = content.model_dump(by_alias=True, include=_SAID, exclude_none=True)
    _, wanted = ANSWERS[question.type]
    found = [
        Problem(at + name, f"is no answer to a question of type {question.type.value};"
                           f" that is {wanted}")
        for name in given if name != wanted
    ]  # fmt: skip
    if wanted in given:
        found += _value_problems(question, content, at + wanted)
    else:
        form = _FORM[question.type]
        found.append(Problem(at + wanted, f"is missing; the answer to this question is {form}"))
    return tuple(found)


_SAID = {"approved", "text", "selected", "selected_multiple", "custom"}
_FORM = {
    FeedbackType.APPROVAL: "true or false",
    FeedbackType.TEXT: "words",
    FeedbackType.SELECTION: "one of the options",
    FeedbackType.MULTI_SELECTION: "a list of some of the options, which may be empty",
    FeedbackType.CUSTOM: "a JSON object as the question's schema describes it",
}


def _value_problems(question: Question, content: Content, field: str) -> Iterator[Problem]:
    """Yield what is wrong with the value itself."""
    options = question.options or ()
    match question.type:
        case FeedbackType.APPROVAL:
            pass
        case FeedbackType.TEXT:
            text = content.text or ""
            if not text:
                yield Problem(field, 'is ""; an answer has words')
            yield from _too_long(len(text.encode(errors="surrogatepass")), field)
        case FeedbackType.SELECTION:
            yield from _no_options([content.selected or ""], options, field)
        case FeedbackType.MULTI_SELECTION:
            chosen = content.selected_multiple or ()
            yield from _no_options(chosen, options, field)
            if twice := [one for n, one in enumerate(chosen) if one in chosen[:n]]:
                yield Problem(field, f"{twice[0]!r} is there twice; name each option once")
        case FeedbackType.CUSTOM:
            value = content.custom or {}
            long = tuple(_too_long(cut.size_of(value), field))
            yield from long
            if not long and (wrong := objection(question.json_schema or {}, value, field)):
                yield wrong


def _no_options(chosen: Iterable[str], options: tuple[str, ...], field: str) -> Iterator[Problem]:
    for one in chosen:
        if one not in options:
            listed = ", ".join(map(repr, options[:_SHOWN])) + ", …" * (len(options) > _SHOWN)
            yield Problem(field, f"{one!r} is none of the options, which are {listed}")


def _too_long(size: int, field: str) -> Iterator[Problem]:
    if size > MAX_TEXT_BYTES:
        yield Problem(field, f"has {size} bytes and may have {MAX_TEXT_BYTES}; say it shorter")


def asked_people(spec: FeedbackRequestSpec, status: FeedbackRequestStatus) -> People:
    """Return who is asked now; nobody named: whoever has the right to respond."""
    if status.escalated is not None and spec.on_deadline is not None and spec.on_deadline.to:
        return spec.on_deadline.to
    return spec.assignees


def may_answer(
    spec: FeedbackRequestSpec, status: FeedbackRequestStatus, user: str, groups: Collection[str]
) -> str | None:
    """Return why somebody may not answer, in a sentence; None if they may.

    Besides, it takes the verb `respond` on the object, and that the question is open.

    Args:
        spec: The question.
        status: How it stands.
        user: Name of the user, as the API server has authenticated them.
        groups: Their groups, from the same source.
    """
    asked = asked_people(spec, status)
    named = bool(asked.users or asked.groups)
    if named and user not in asked.users and not {*groups} & {*asked.groups}:
        return f"{user} is not among those who are asked: {_listed(asked)}"
    if _is_barred(spec, user):
        return _barred(user)
    if spec.type is FeedbackType.APPROVAL:
        for response in status.responses:
            if response.by == user:
                return (
                    f"{user} has approved this at {response.at};"
                    f" it takes {spec.approvals} different people"
                )
    return None


def closed(spec: FeedbackRequestSpec, status: FeedbackRequestStatus, now: float) -> str | None:
    """Return why nobody can answer any more, in a sentence: who was first, when; None while open.

    Args:
        spec: The question.
        status: How it stands.
        now: Seconds since the epoch.
    """
    if status.phase not in (None, FeedbackPhase.PENDING):
        return _closed(status.phase, status.message, status.decided_at)
    if (decision := decide(spec, status.responses)) is not None:
        return _closed(decision.phase, decision.message, None)
    ends = deadline(spec, status)
    if ends is not None and now >= seconds_of(ends):
        return _closed(FeedbackPhase.EXPIRED, "the deadline has passed", ends)
    return None


def _closed(phase: FeedbackPhase | None, message: str | None, at: str | None) -> str:
    """Say it as the API server does."""
    told = f"this question is {phase}" + (f": {message}" if message else "")
    return told + (f", at {at}" if at else "") + "; nobody can answer it any more"


def deadline(spec: FeedbackRequestSpec, status: FeedbackRequestStatus) -> str | None:
    """Return until when those who are asked now may answer; None: for ever."""
    return spec.deadline if status.escalated is None else status.escalated.deadline


def seconds_of(time: str) -> float:
    """Return a moment in RFC 3339 as seconds since the epoch."""
    return datetime.fromisoformat(time).timestamp()


def _decision(response: Response, people: tuple[str, ...]) -> Decision:
    said = {name: getattr(response, name) for name in Content.model_fields}
    answer = Answer(**said, responded_by=people)
    verb = {True: "approved", False: "rejected", None: "answered"}[response.approved]
    why = f": {cut.cut(response.reason, _MOST_REASON)}" if response.reason else ""
    return Decision(FeedbackPhase.ANSWERED, answer, f"{verb} by {_and(people)}{why}")


def _is_barred(spec: FeedbackRequestSpec, user: str) -> bool:
    return not spec.submitter_may_answer and user == spec.submitter


def _barred(user: str) -> str:
    return f"{user} has submitted the run, and somebody else has to answer its question"


def _listed(people: People) -> str:
    parts = (("users", people.users), ("groups", people.groups))
    return "; ".join(f"{kind} {_and(names)}" for kind, names in parts if names)


def _and(names: tuple[str, ...]) -> str:
    """Return names as a sentence lists them.

    >>> _and(("ann", "bob", "cleo"))
    'ann, bob and cleo'
    """
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)
