"""Questions and answers as programs have them: Graflow's types, and what a deadline may do."""

import secrets
import string
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, Self, TypeAlias

from graflow.exceptions import FeedbackTimeoutError
from graflow.questions import ANSWERS, FeedbackType

__all__ = [
    "AnswerWith",
    "Escalate",
    "FeedbackHandler",
    "FeedbackRequest",
    "FeedbackResponse",
    "FeedbackTimeoutError",
    "FeedbackType",
    "GoTo",
    "OnTimeout",
    "answer_of",
    "new_feedback_id",
    "now",
    "response_of",
]


def now() -> str:
    """Return the time as ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat()


def new_feedback_id() -> str:
    """Return an id that no other question has."""
    letters = string.ascii_letters + string.digits
    return "".join(secrets.choice(letters) for _ in range(16))


@dataclass(frozen=True, slots=True)
class AnswerWith:
    """At the deadline the question is answered with a value: a bool for an approval, and so on."""

    value: Any


@dataclass(frozen=True, slots=True)
class GoTo:
    """At the deadline the task ends, as a task that returns None, with a jump to another one."""

    task: Any
    """A task, or its id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalate:
    """At the deadline others are asked, for some time more; what happens then is a timeout."""

    users: Sequence[str] = ()
    groups: Sequence[str] = ()
    seconds: float | None = None
    """How long they have; None: as long as those who were asked first."""


OnTimeout: TypeAlias = str | AnswerWith | GoTo | Escalate
"""What happens at the deadline; `"fail"`: the call raises `FeedbackTimeoutError`."""


@dataclass
class FeedbackRequest:
    """A question, as people and other programs are told of it."""

    feedback_id: str
    task_id: str
    session_id: str
    """Of the run."""

    feedback_type: FeedbackType
    prompt: str
    options: list[str] | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    created_at: str = field(default_factory=now)
    """When it was asked, as ISO 8601 in UTC."""

    timeout: float | None = 180.0
    """Seconds that the program waits from then on; None: until there is an answer."""

    status: str = "pending"
    """pending, completed, timeout (an answer still counts when the run goes on) or cancelled."""

    channel_key: str | None = None
    """Where the program writes the answer, if `write_to_channel`."""

    write_to_channel: bool = False
    key: str | None = None
    """What tells it from the other questions of its task."""

    schema: dict[str, Any] | None = None
    """JSON Schema of a custom answer."""

    payload: dict[str, Any] | None = None
    """What is to be read besides: `{"text": …}` or `{"markdown": …}`."""

    sha256: str | None = None
    """Of what is shown."""

    def __post_init__(self) -> None:
        self.feedback_type = FeedbackType(self.feedback_type)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {**asdict(self), "feedback_type": self.feedback_type.value}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Return what `to_dict` was called on; keys of other releases are ignored."""
        return cls(**_known(cls, data))


@dataclass
class FeedbackResponse:
    """An answer."""

    feedback_id: str
    response_type: FeedbackType
    approved: bool | None = None
    reason: str | None = None
    """Of an approval or a rejection, in words."""

    text: str | None = None
    selected: str | None = None
    selected_multiple: list[str] | None = None
    custom_data: Any = None
    responded_at: str = field(default_factory=now)
    """When, as ISO 8601 in UTC."""

    responded_by: str | None = None
    """Who; of several, with commas between them. `default`: nobody did until the deadline."""

    def __post_init__(self) -> None:
        self.response_type = FeedbackType(self.response_type)

    @property
    def value(self) -> Any:  # noqa: ANN401 - of the type's kind
        """What was answered, of the kind that the type of the question wants."""
        return getattr(self, ANSWERS[self.response_type][0])

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {**asdict(self), "response_type": self.response_type.value}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Return what `to_dict` was called on; keys of other releases are ignored."""
        return cls(**_known(cls, data))


class FeedbackHandler:
    """Is told what becomes of a question, on the machine that runs the program.

    What it raises is logged, and changes nothing. On a cluster the operator tells people.
    """

    def on_request_created(self, request: FeedbackRequest) -> None:
        """Take note of a question, before anybody can have answered."""

    def on_response_received(self, request: FeedbackRequest, response: FeedbackResponse) -> None:
        """Take note of an answer."""

    def on_request_timeout(self, request: FeedbackRequest) -> None:
        """Take note that the time of a question is over, and nobody has answered."""


def valued(feedback_type: FeedbackType, value: object) -> dict[str, Any]:
    """Return an answer as it goes between processes that has nothing but its value."""
    return {ANSWERS[feedback_type][1]: value}


def response_of(
    feedback_id: str, feedback_type: FeedbackType, answer: Mapping[str, Any]
) -> FeedbackResponse:
    """Return an answer as programs have it."""
    name, sent = ANSWERS[feedback_type]
    by = answer.get("respondedBy")
    return FeedbackResponse(
        feedback_id=feedback_id,
        response_type=feedback_type,
        reason=answer.get("reason"),
        responded_at=answer.get("respondedAt") or now(),
        responded_by=by if by is None or isinstance(by, str) else ", ".join(by),
        **{name: answer.get(sent)},
    )


def answer_of(response: FeedbackResponse) -> dict[str, Any]:
    """Return an answer as it goes between processes."""
    answer = {
        **valued(response.response_type, response.value),
        "reason": response.reason,
        "respondedBy": [response.responded_by] if response.responded_by else None,
        "respondedAt": response.responded_at,
    }
    return {name: value for name, value in answer.items() if value is not None}


def _known(kind: type, data: Mapping[str, Any]) -> dict[str, Any]:
    names = {one.name for one in fields(kind)}
    return {name: value for name, value in data.items() if name in names}
