"""The `FeedbackRequest` resource: a question of a running task to people, and what they answered.

Operators make it and write its status; people read it, and answer through the operator or by a
patch of the status. Who may answer and what decides is in `graflow.api.answering`.
"""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from graflow.api import feedback_cel
from graflow.api.feedback_status import Content, FeedbackRequestStatus
from graflow.api.model import (
    PRESERVE,
    RULES,
    AnyObject,
    Id,
    ObjectName,
    ResourceModel,
    Sha256,
    SpecModel,
    UtcTime,
)
from graflow.api.workflow import ObjectMeta
from graflow.questions import (
    KEY,
    LEAST_REMINDER_S,
    LEAST_S,
    LONGEST_S,
    MAX_OPTION_CHARS,
    MAX_OPTIONS,
    MAX_PAYLOAD_BYTES,
    MAX_PROMPT_BYTES,
    MOST_NAMED,
    MOST_RESPONSES,
    FeedbackType,
)

UserName = Annotated[str, Field(min_length=1, max_length=1024)]
"""User or group, as the API server knows them."""

Seconds = Annotated[float, Field(ge=LEAST_S, le=LONGEST_S)]


class People(SpecModel):
    """Users and groups, as the API server knows them."""

    users: tuple[UserName, ...] = Field(default=(), max_length=MOST_NAMED)
    """Names of users; a service account is system:serviceaccount:NAMESPACE:NAME."""

    groups: tuple[UserName, ...] = Field(default=(), max_length=MOST_NAMED)
    """Names of groups, of which any member will do."""


class Blob(SpecModel):
    """A payload that is kept in the store."""

    sha256: Sha256
    """SHA-256 of its bytes."""

    size: int = Field(ge=0)
    """How many bytes it has."""

    encoding: str = Field(min_length=1, max_length=20)
    """How the bytes are a value: json or pickle. Text is JSON."""

    media_type: str | None = Field(default=None, max_length=200)
    """What the value is, as text/markdown."""


class Payload(SpecModel):
    """What is to be looked at before answering: a plan, a diff, a letter."""

    model_config = ConfigDict(json_schema_extra={RULES: [feedback_cel.ONE_PAYLOAD]})

    text: str | None = Field(default=None, max_length=MAX_PAYLOAD_BYTES)
    """Plain text."""

    markdown: str | None = Field(default=None, max_length=MAX_PAYLOAD_BYTES)
    """Text in Markdown."""

    blob: Blob | None = None
    """Where it is in the store, when it is large."""


class Action(StrEnum):
    """What happens when nobody has answered in time."""

    FAIL = "Fail"
    DEFAULT = "Default"
    GOTO = "Goto"
    ESCALATE = "Escalate"


class OnDeadline(SpecModel):
    """What happens when nobody has answered in time."""

    model_config = ConfigDict(json_schema_extra={RULES: [*feedback_cel.ON_DEADLINE]})

    action: Action
    """Fail: the task's call raises FeedbackTimeoutError. Default: it returns `default`. Goto: the
    task ends with a jump to `task`. Escalate: the people of `to` are asked instead, and then it
    fails."""

    default: Content | None = None
    """The answer that is taken, for action Default: such as one that a person could give."""

    task: Id | None = None
    """Id of the task to go to, for action Goto."""

    to: People | None = None
    """Who is asked instead, for action Escalate. Those asked before may not answer any more."""

    seconds: Seconds | None = None
    """How long they have, in seconds, for action Escalate. When not given, as long as those asked
    first had."""


class Question(SpecModel):
    """What a task asks, and of whom: the part of a FeedbackRequest that programs choose."""

    model_config = ConfigDict(json_schema_extra={RULES: [*feedback_cel.QUESTION]})

    type: FeedbackType
    """What kind of answer is wanted. approval: yes or no. text: words. selection: one of the
    options. multi_selection: any of them. custom: JSON that `schema` describes."""

    prompt: str = Field(max_length=MAX_PROMPT_BYTES)
    """The question, at most 8 KiB. More goes into the payload."""

    options: (
        Annotated[
            tuple[Annotated[str, Field(min_length=1, max_length=MAX_OPTION_CHARS)], ...],
            Field(min_length=1, max_length=MAX_OPTIONS),
        ]
        | None
    ) = None
    """What can be chosen, each once, for types selection and multi_selection."""

    json_schema: Annotated[dict[str, Any], Field(json_schema_extra={PRESERVE: True})] | None = (
        Field(default=None, alias="schema")
    )
    """JSON Schema (draft 2020-12) of the answer, which is an object, for type custom. At most
    16 KiB."""

    payload: Payload | None = None
    """What is to be looked at before answering."""

    metadata: AnyObject | None = None
    """What the program says about the question, for programs. At most 4 KiB."""

    assignees: People = People()
    """Who is asked. When nobody is named: whoever has the right to respond. It takes that right in
    any case."""

    approvals: int = Field(default=1, ge=1, le=MOST_RESPONSES)
    """How many different people must approve, for type approval. One rejection decides."""

    submitter_may_answer: bool = True
    """Whether who submitted the run may answer."""

    timeout_seconds: Seconds | None = None
    """How long people have, in seconds from the first time it was asked. When not given, for
    ever."""

    on_deadline: OnDeadline | None = None
    """What happens then. When not given, Fail."""

    remind_every_seconds: Annotated[float, Field(ge=LEAST_REMINDER_S, le=LONGEST_S)] | None = None
    """Remind people after every so many seconds. When not given, never."""


class AskingWorkflow(SpecModel):
    """The run that asks."""

    name: ObjectName
    """Name of its Workflow."""

    uid: str = Field(min_length=1, max_length=63)
    """Uid of its Workflow."""


class FeedbackRequestSpec(Question):
    """The question, as it was asked. It cannot be changed."""

    model_config = ConfigDict(
        json_schema_extra={RULES: [*feedback_cel.QUESTION, *feedback_cel.SPEC]}
    )

    operator: Annotated[str, Field(max_length=63)] = ""
    """Id of the operator installation that asks."""

    workflow: AskingWorkflow
    """The run that asks."""

    task: Id
    """Id of the task that asks."""

    iteration: int = Field(default=1, ge=1)
    """Which run of the task in its branch it is, from 1."""

    activation: int = Field(ge=0)
    """Number of this run of the task among all of the workflow's."""

    path: str | None = Field(default=None, max_length=1024)
    """Groups and members around the task, for people: review/alice."""

    key: str = Field(max_length=63, pattern=f"^{KEY.pattern}$")
    """What tells the questions of this run of the task apart: as the program says, or q1, q2 and so
    on."""

    sha256: Sha256
    """SHA-256 of what is shown: type, prompt, options, schema and payload. An answer names it, and
    counts for that alone."""

    submitter: UserName | None = None
    """Who submitted the run, if that is known."""

    deadline: UtcTime | None = None
    """Until when an answer is awaited; after an escalation it is in the status. Without one,
    for ever."""


class FeedbackRequest(ResourceModel):
    """A question of a running task to people. Nothing runs while it waits."""

    model_config = ConfigDict(json_schema_extra={RULES: [*feedback_cel.RESOURCE]})

    api_version: Literal["graflow.dev/v1alpha1"] = "graflow.dev/v1alpha1"
    """Version of the API."""

    kind: Literal["FeedbackRequest"] = "FeedbackRequest"
    """Kind of the object."""

    metadata: ObjectMeta = ObjectMeta()
    """Name, labels and the rest, as of every object."""

    spec: FeedbackRequestSpec
    """The question."""

    status: FeedbackRequestStatus | None = None
    """What became of it."""
