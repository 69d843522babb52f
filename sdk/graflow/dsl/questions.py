"""One question, checked before anybody is asked."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from graflow import questions
from graflow.dsl.feedback import AnswerWith, Escalate, FeedbackType, GoTo, OnTimeout, valued
from graflow.exceptions import QuestionError
from graflow.questions import KEY, digest, json_bytes

FAIL: Final = "fail"
_ANY_OBJECT: Final[Mapping[str, Any]] = {"type": "object"}
_BLOB: Final[Mapping[str, str]] = {"text": "text/plain", "markdown": "text/markdown"}


@dataclass(frozen=True, kw_only=True)
class Question:
    """What a task asks, once."""

    key: str
    type: FeedbackType
    prompt: str
    options: tuple[str, ...] | None = None
    schema: Mapping[str, Any] | None = None
    payload: Mapping[str, str] | None = None
    """`{"text": …}` or `{"markdown": …}`, of any size."""

    metadata: Mapping[str, Any] = field(default_factory=dict)
    timeout_s: float | None = None
    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    approvals: int = 1
    submitter_may_answer: bool = True
    on_timeout: OnTimeout = FAIL
    remind_every_s: float | None = None
    hold_s: float | None = None
    """How long a pod is kept for a quick answer; None: as long as the operator says."""

    is_inside: bool = False
    """Whether a workflow that the task executes asks: a jump at the deadline is within that."""

    @cached_property
    def blob(self) -> bytes | None:
        """What of the payload is too large to be part of the question, as a JSON value."""
        if self.payload is None or len(json_bytes(self.payload)) <= questions.MAX_PAYLOAD_BYTES:
            return None
        return json_bytes(next(iter(self.payload.values())))

    @cached_property
    def sha256(self) -> str:
        """Of what is shown."""
        return digest(self.portable())

    def portable(self) -> dict[str, Any]:
        """Return it as JSON, as it goes to the operator."""
        form = {
            "type": self.type.value,
            "prompt": self.prompt,
            "options": list(self.options) if self.options else None,
            "schema": self.schema,
            "payload": self._payload(),
            "metadata": dict(self.metadata) or None,
            "timeoutSeconds": self.timeout_s,
            "assignees": _people(self.users, self.groups),
            "approvals": self.approvals if self.approvals > 1 else None,
            "submitterMayAnswer": None if self.submitter_may_answer else False,
            "onDeadline": self._on_deadline(),
            "remindEverySeconds": self.remind_every_s,
        }
        return {name: value for name, value in form.items() if value is not None}

    def _on_deadline(self) -> Mapping[str, Any] | None:
        if self.is_inside and isinstance(self.on_timeout, GoTo):
            return None  # nobody but the inner workflow knows the task
        return _on_deadline(self.type, self.on_timeout)

    def _payload(self) -> Mapping[str, Any] | None:
        if self.blob is None or self.payload is None:
            return self.payload
        described = {
            "sha256": hashlib.sha256(self.blob).hexdigest(),
            "size": len(self.blob),
            "encoding": "json",
            "mediaType": _BLOB[next(iter(self.payload))],
        }
        return {"blob": described}


def question_of(  # noqa: PLR0913 - as many as a question has
    feedback_type: object,
    prompt: object,
    *,
    options: object = None,
    metadata: object = None,
    timeout: object = None,
    key: object = None,
    payload: object = None,
    schema: object = None,
    assignees: object = (),
    groups: object = (),
    approvals: object = 1,
    submitter_may_answer: object = True,
    on_timeout: object = FAIL,
    remind_every: object = None,
    hold: object = None,
) -> Question:
    """Return a question if it can be asked like that; without a key its key is empty.

    Raises:
        QuestionError: If it cannot; names the argument, its value and the way out.
    """
    kind = _type(feedback_type)
    users, named = _names("assignees", assignees), _names("groups", groups)
    chosen = _options(kind, options)
    made = Question(
        key="" if key is None else checked_key(key),
        type=kind,
        prompt=_prompt(prompt),
        options=chosen,
        schema=_schema(kind, schema),
        payload=_shown(payload),
        metadata=_metadata(metadata),
        timeout_s=_seconds("timeout", timeout),
        users=users,
        groups=named,
        approvals=_approvals(kind, approvals, users, named),
        submitter_may_answer=_bool("submitter_may_answer", submitter_may_answer),
        on_timeout=_checked_end(kind, chosen, on_timeout, timed=timeout is not None),
        remind_every_s=_seconds("remind_every", remind_every, least=questions.LEAST_REMINDER_S),
        hold_s=_seconds("hold", hold, least=0),
    )
    _ = made.sha256  # what is no JSON is refused here
    return made


def checked_key(key: object) -> str:
    """Return the key of a question, or of a step.

    Raises:
        QuestionError: If it cannot be one.
    """
    if not isinstance(key, str) or not KEY.fullmatch(key):
        raise QuestionError(
            f"key is {key!r}; give a text of at most 63 letters, digits, '-', '_' and '.', that "
            "begins and ends with a letter or a digit"
        )
    return key


def _type(given: object) -> FeedbackType:
    try:
        return FeedbackType(given)
    except ValueError:
        names = ", ".join(one.value for one in FeedbackType)
        raise QuestionError(f"feedback_type is {given!r}; it must be one of {names}") from None


def _prompt(given: object) -> str:
    if not isinstance(given, str) or not given.strip():
        raise QuestionError(f"prompt is {given!r}; give a text that says what is asked")
    _fits("prompt", _written("prompt", given), questions.MAX_PROMPT_BYTES, "payload=…")
    return given


def _options(kind: FeedbackType, given: object) -> tuple[str, ...] | None:
    if not kind.has_options:
        if given:
            raise QuestionError(
                f"options is {given!r}, and a question of type {kind.value} has none; leave them "
                "out, or ask for a selection"
            )
        return None
    if not isinstance(given, Sequence) or isinstance(given, str) or not given:
        raise QuestionError(f"options is {given!r}; give a list of texts to choose from")
    if len(given) > questions.MAX_OPTIONS:
        raise QuestionError(
            f"options has {len(given)} and may have {questions.MAX_OPTIONS}; ask for a text, or "
            "in two questions"
        )
    for one in given:
        if not isinstance(one, str) or not 1 <= len(one) <= questions.MAX_OPTION_CHARS:
            raise QuestionError(
                f"options has {one!r}; each must be a text of 1 to {questions.MAX_OPTION_CHARS} "
                "letters, as str(…) makes it"
            )
        _written("options", one)
    twice = sorted({one for one in given if given.count(one) > 1})
    if twice:
        raise QuestionError(f"options has {twice[0]!r} twice; give each one once")
    return tuple(given)


def _schema(kind: FeedbackType, given: object) -> Mapping[str, Any] | None:
    if kind is not FeedbackType.CUSTOM:
        if given is not None:
            raise QuestionError(
                f"schema is given, and a question of type {kind.value} has none; leave it out, or "
                "ask for a custom answer"
            )
        return None
    if given is None:
        return _ANY_OBJECT
    if not isinstance(given, Mapping):
        raise QuestionError(f"schema is {given!r}; give a JSON Schema, which is a dict")
    return _json("schema", given, questions.MAX_SCHEMA_BYTES)


def _shown(given: object) -> Mapping[str, str] | None:
    """Return a payload as text or Markdown; other JSON becomes text that people can read."""
    if given is None:
        return None
    if isinstance(given, str):
        given = {"text": given}
    if isinstance(given, Mapping) and len(given) == 1 and not given.keys().isdisjoint(_BLOB):
        name, text = next(iter(given.items()))
        if isinstance(text, str):
            _written("payload", text)
            return {name: text}
    try:
        shown = json.dumps(given, indent=2, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise QuestionError(
            f"payload is a {type(given).__qualname__} and cannot be shown: {error}; give a text, "
            "{'markdown': text}, or JSON"
        ) from None
    _written("payload", shown)
    return {"text": shown}


def _metadata(given: object) -> Mapping[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise QuestionError(f"metadata is {given!r}; give a dict of JSON values")
    return _json("metadata", given, questions.MAX_METADATA_BYTES)


def _approvals(
    kind: FeedbackType, given: object, users: Sequence[str], groups: Sequence[str]
) -> int:
    if (
        isinstance(given, bool)
        or not isinstance(given, int)
        or not 1 <= given <= questions.MOST_RESPONSES
    ):
        raise QuestionError(
            f"approvals is {given!r}; give a whole number from 1 to {questions.MOST_RESPONSES}"
        )
    if given > 1 and kind is not FeedbackType.APPROVAL:
        raise QuestionError(
            f"approvals is {given}, and a question of type {kind.value} takes one answer; leave it "
            "out, or ask for an approval"
        )
    if users and not groups and given > len(users):
        raise QuestionError(
            f"approvals is {given}, and only {len(users)} may answer; name more in assignees, or "
            "groups"
        )
    return given


def _checked_end(
    kind: FeedbackType, options: Sequence[str] | None, given: object, *, timed: bool
) -> OnTimeout:
    """Return what happens at the deadline."""
    if given == FAIL:
        return FAIL
    if not timed:
        raise QuestionError(
            f"on_timeout is {given!r}, and without a timeout there is no deadline; give a timeout, "
            "or leave it out"
        )
    match given:
        case AnswerWith(value=value):
            _check_default(kind, options, value)
            return AnswerWith(json.loads(json_bytes(value)))  # as it comes back from people
        case GoTo(task=task):
            target = task if isinstance(task, str) else getattr(task, "task_id", None)
            if isinstance(target, str) and target:
                return GoTo(target)
        case Escalate():
            users, groups = _names("users", given.users), _names("groups", given.groups)
            seconds = _seconds("seconds", given.seconds)
            if users or groups:
                return Escalate(seconds=seconds, users=users, groups=groups)
        case _:
            pass
    raise QuestionError(
        f"on_timeout is {given!r}; give 'fail', AnswerWith(value), GoTo(task) or Escalate(users=[…]"
        " or groups=[…], seconds=n), which are in graflow.hitl.types"
    )


def _check_default(kind: FeedbackType, options: Sequence[str] | None, value: object) -> None:
    fits = {
        FeedbackType.APPROVAL: isinstance(value, bool),
        FeedbackType.TEXT: isinstance(value, str) and value != "",
        FeedbackType.SELECTION: value in (options or ()),
        FeedbackType.MULTI_SELECTION: isinstance(value, Sequence)
        and not isinstance(value, str)
        and all(one in (options or ()) and value.count(one) == 1 for one in value),
        FeedbackType.CUSTOM: isinstance(value, dict),
    }[kind]
    if not fits or not _is_json(value):
        what = f"from {list(options)!r}" if options else f"for a question of type {kind.value}"
        raise QuestionError(
            f"on_timeout is AnswerWith({value!r}), which is no answer {what}; give one that a "
            "person could give"
        )


def _on_deadline(kind: FeedbackType, end: OnTimeout) -> Mapping[str, Any] | None:
    match end:
        case AnswerWith(value=value):
            return {"action": "Default", "default": valued(kind, value)}
        case GoTo(task=task):
            return {"action": "Goto", "task": task}
        case Escalate():
            to = _people(tuple(end.users), tuple(end.groups))
            seconds = {} if end.seconds is None else {"seconds": end.seconds}
            return {"action": "Escalate", "to": to, **seconds}
        case _:
            return None


def _people(users: Sequence[str], groups: Sequence[str]) -> Mapping[str, Any] | None:
    named = {"users": list(users), "groups": list(groups)}
    return {name: people for name, people in named.items() if people} or None


def _names(what: str, given: object) -> tuple[str, ...]:
    if isinstance(given, Sequence) and not isinstance(given, str):
        names = tuple(dict.fromkeys(name for name in given if isinstance(name, str) and name))
        if len(names) <= questions.MOST_NAMED and all(name in names for name in given):
            return names
    raise QuestionError(
        f"{what} is {given!r}; give a list of at most {questions.MOST_NAMED} names, as ['alice']"
    )


def _seconds(what: str, given: object, *, least: float = questions.LEAST_S) -> float | None:
    if given is None:
        return None
    most = questions.LONGEST_S
    if isinstance(given, int | float) and not isinstance(given, bool) and least <= given <= most:
        return given
    raise QuestionError(
        f"{what} is {given!r}; give a number of seconds from {least:g} to {most}, or None"
    )


def _bool(what: str, given: object) -> bool:
    if not isinstance(given, bool):
        raise QuestionError(f"{what} is {given!r}; give True or False")
    return given


def _json(what: str, given: Mapping[str, Any], most: int) -> Mapping[str, Any]:
    try:
        data = json_bytes(dict(given))
    except (TypeError, ValueError, RecursionError) as error:
        raise QuestionError(f"{what} is no JSON: {error}; give a dict of JSON values") from None
    _fits(what, data, most, "less of it; what is large belongs in payload=… or the channel")
    found: Mapping[str, Any] = json.loads(data)
    return found


def _is_json(value: object) -> bool:
    try:
        json_bytes(value)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def _written(what: str, text: str) -> bytes:
    """Return a text as it is sent."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise QuestionError(
            f"{what} has {text[error.start]!r}, which is half a character; give it as "
            "text.encode(errors='replace').decode() makes it"
        ) from None


def _fits(what: str, data: bytes, most: int, way_out: str) -> None:
    if len(data) > most:
        raise QuestionError(f"{what} takes {len(data)} bytes and may take {most}; give {way_out}")
