"""The status of a `FeedbackRequest`: who answered what and when, and what that decided."""

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field

from graflow.api.model import AnyObject, Id, Sha256, SpecModel, StatusModel, UtcTime
from graflow.questions import MAX_OPTION_CHARS, MAX_OPTIONS, MAX_TEXT_BYTES, MOST_RESPONSES

MOST_NOTIFICATIONS = 20
_Name = Annotated[str, Field(max_length=1024)]


class FeedbackPhase(StrEnum):
    """Where a question stands."""

    PENDING = "Pending"
    ANSWERED = "Answered"
    EXPIRED = "Expired"
    WITHDRAWN = "Withdrawn"


class How(StrEnum):
    """Which way a response came."""

    CLI = "CLI"
    API = "API"
    PATCH = "Patch"


class Content(SpecModel):
    """What somebody says: the field of the question's type, and a reason."""

    approved: bool | None = None
    """Yes or no, for type approval."""

    reason: str | None = Field(default=None, max_length=4096)
    """Why, in words."""

    text: str | None = Field(default=None, max_length=MAX_TEXT_BYTES)
    """The words, for type text."""

    selected: str | None = Field(default=None, max_length=MAX_OPTION_CHARS)
    """One of the options, for type selection."""

    selected_multiple: (
        Annotated[
            tuple[Annotated[str, Field(max_length=MAX_OPTION_CHARS)], ...],
            Field(max_length=MAX_OPTIONS),
        ]
        | None
    ) = None
    """Some of the options, each once, or none of them, for type multi_selection."""

    custom: AnyObject | None = None
    """A JSON object that the question's schema describes, for type custom."""


class Response(Content):
    """What one person said."""

    model_config = ConfigDict(extra="ignore")

    by: _Name
    """Who, as the API server knows them."""

    at: UtcTime
    """When. Of a patch this is what its sender says."""

    how: How
    """Through the operator, from Graflow's command line (CLI) or another client (API), or by a
    patch of this status (Patch)."""

    sha256: Sha256
    """SHA-256 of what was shown: `spec.sha256`."""


class Answer(Content):
    """What the task is told."""

    model_config = ConfigDict(extra="ignore")

    responded_by: tuple[_Name, ...] = Field(default=(), max_length=MOST_RESPONSES)
    """Whose responses decided; `default` for a default."""

    responded_at: UtcTime | None = None
    """When it was decided."""

    expired: bool | None = None
    """True: nobody has answered in time, and the call fails. Then, and with `goto`, nothing was
    said."""

    goto: Id | None = None
    """Nobody has answered in time, and the task ends with a jump to this one."""

    default: bool | None = None
    """True: nobody has answered in time, and this is what the program said for that case."""


class Escalation(StatusModel):
    """That others are asked now."""

    at: UtcTime
    """Since when."""

    deadline: UtcTime | None = None
    """Until when they may answer."""


class NotificationPhase(StrEnum):
    """What became of a notification."""

    PENDING = "Pending"
    DELIVERED = "Delivered"
    GIVEN_UP = "GivenUp"


class Notification(StatusModel):
    """Word of the question, sent to where people look."""

    target: str = Field(max_length=253)
    """Name of the target, in the operator's configuration."""

    event: str = Field(max_length=40)
    """What it is about."""

    phase: NotificationPhase
    """Pending, Delivered or GivenUp."""

    attempts: int = Field(default=0, ge=0)
    """How often somebody tried to send it."""

    time: UtcTime | None = None
    """When what it tells happened, in UTC (RFC 3339). A day after that it is given up."""

    message: str | None = Field(default=None, max_length=1024)
    """Why the last try failed."""


class FeedbackRequestStatus(StatusModel):
    """What became of the question."""

    phase: FeedbackPhase | None = None
    """Pending: it waits for an answer. Answered. Expired: nobody has answered in time. Withdrawn:
    nobody waits for the answer any more."""

    responses: tuple[Response, ...] = Field(default=(), max_length=MOST_RESPONSES)
    """What people said, in the order in which it was taken. Appended to, never changed."""

    decided_at: UtcTime | None = None
    """When the phase became final."""

    message: str | None = Field(default=None, max_length=8192)
    """What was decided and by whom, in a sentence; while it is Pending, what does not count of what
    was said, or that others were asked."""

    answer: Answer | None = None
    """What the task is told. Of a question that was withdrawn there is none: if its task still
    waits, the call fails, and says what `message` does."""

    escalated: Escalation | None = None
    """That others are asked now: those of `spec.onDeadline.to`, and nobody else."""

    reminders: int = Field(default=0, ge=0)
    """How often people were reminded."""

    notifications: tuple[Notification, ...] = Field(default=(), max_length=MOST_NOTIFICATIONS)
    """What was sent about it, oldest first."""
