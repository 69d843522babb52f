"""The status of a `Workflow`: a summary for people, and the cursor of the machine's state."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from graflow.api.model import AnyObject, Id, SegmentName, Sha256, StatusModel, Time, ValueRef

MAX_MESSAGE = 8192
_Reason = Field(default=None, max_length=100)
_Message = Field(default=None, max_length=MAX_MESSAGE)


class ConditionStatus(StrEnum):
    """Whether a condition holds."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(StatusModel):
    """One thing about the run that is true, false, or not known yet."""

    type: str = Field(max_length=100)
    """Accepted: the spec makes sense and an operator took it. Succeeded: the run ended well.
    Finished: the run ended, whichever way."""

    status: ConditionStatus
    """True, False or Unknown."""

    reason: str = Field(max_length=100)
    """One word, for programs."""

    message: str = Field(default="", max_length=MAX_MESSAGE)
    """A sentence, for people; for a failure with the traceback."""

    last_transition_time: Time
    """When `status` changed last."""

    observed_generation: int | None = Field(default=None, ge=0)
    """Generation of the spec that this was said of."""


class TaskStatus(StatusModel):
    """Where one activation of a task stands, or how it ended."""

    name: Id
    """Id of the task."""

    phase: str = Field(max_length=20)
    """Pending, Running, Waiting, Succeeded, Failed or Cancelled."""

    iteration: int | None = Field(default=None, ge=0)
    """Which run of this task in its branch it is, from 1."""

    activation: int | None = Field(default=None, ge=0)
    """Number of this run among all of the workflow's; the label graflow.dev/activation of its
    pods."""

    attempt: int | None = Field(default=None, ge=0)
    """Number of the attempt, from 1."""

    failures: int | None = Field(default=None, ge=0)
    """Attempts that the task has failed; those that the infrastructure lost are none."""

    max_attempts: int | None = Field(default=None, ge=1)
    """Of a task that has failed: how many attempts it may have."""

    pod: str | None = Field(default=None, max_length=253)
    """Pod of the attempt."""

    node: str | None = Field(default=None, max_length=253)
    """Node that the pod is on."""

    start_time: Time | None = None
    """When the runner took the task."""

    completion_time: Time | None = None
    """When it ended."""

    result: ValueRef | None = None
    """Its value: {json: …} or {pickle: base64} when small, {blob: …} when it is in the store."""

    reason: str | None = _Reason
    """Why it waits or failed, in one word."""

    message: str | None = _Message
    """Why it waits or failed, in a sentence; for a failure with the traceback."""


class FailedMember(StatusModel):
    """A member of a group whose branch has failed."""

    name: Id
    """Id of the member."""

    task: Id
    """Id of the task or group that its branch failed by."""

    reason: str = Field(max_length=100)
    """Why, in one word."""

    message: str = Field(default="", max_length=MAX_MESSAGE)
    """Why, in a sentence."""

    failures: int = Field(default=1, ge=0)
    """Attempts that failed; those that the infrastructure lost are none."""

    max_attempts: int = Field(default=1, ge=1)
    """Attempts that the task may have."""

    iteration: int = Field(default=1, ge=0)
    """Which run of the task it was, from 1."""


class FailedGroup(StatusModel):
    """The group that a run has failed by."""

    name: Id
    """Id of the group."""

    failed: tuple[FailedMember, ...] = Field(default=(), max_length=100)
    """Members whose branches failed, in the order of the members."""

    succeeded: tuple[Id, ...] = Field(default=(), max_length=100)
    """Members whose branches succeeded, in the order of the members."""


class Waiting(StatusModel):
    """Something that the run waits for."""

    task: Id | None = None
    """Id of the task that waits; absent where the run as a whole does not go on."""

    activation: int | None = Field(default=None, ge=0)
    """Number of this run of the task among all of the workflow's."""

    reason: str = Field(max_length=100)
    """What for, in one word."""

    message: str | None = _Message
    """What for, in a sentence: in the words of the scheduler, the kubelet or the API server where
    it is these that it waits for."""

    since: Time | None = None
    """Since when it waits for this."""

    until: Time | None = None
    """When this ends by itself, if it does: the next attempt starts, or the pod is given up."""

    advice: str | None = Field(default=None, max_length=500)
    """What to do about it, in one sentence."""


class AttemptStatus(StatusModel):
    """How one attempt of a task ended that did not succeed."""

    attempt: int = Field(ge=1)
    """Number of the attempt, from 1."""

    pod: str | None = Field(default=None, max_length=253)
    """Its pod."""

    node: str | None = Field(default=None, max_length=253)
    """Node that the pod was on."""

    start_time: Time | None = None
    """When its runner took the task; absent if none did."""

    completion_time: Time | None = None
    """When that it had ended was recorded."""

    reason: str = Field(max_length=100)
    """Why it stopped, in one word."""

    message: str | None = _Message
    """Why it stopped, in a sentence."""

    exit_code: int | None = None
    """Exit code of its container, where that is what told; 128 and the number of a signal."""


class FailureStatus(StatusModel):
    """What failed first of all that the run failed by."""

    task: Id | None = None
    """Id of the task, or of the group whose policy failed; absent if it was the run as a whole."""

    activation: int | None = Field(default=None, ge=0)
    """Number of this run of the task among all of the workflow's."""

    iteration: int | None = Field(default=None, ge=0)
    """Which run of the task it was, from 1."""

    attempt: int | None = Field(default=None, ge=0)
    """Number of its last attempt, from 1."""

    pod: str | None = Field(default=None, max_length=253)
    """Pod of that attempt."""

    node: str | None = Field(default=None, max_length=253)
    """Node that the pod was on."""

    reason: str = Field(max_length=100)
    """Why, in one word."""

    message: str | None = _Message
    """Why, in a sentence."""

    exit_code: int | None = None
    """Exit code of the container, where that is what told; 128 and the number of a signal."""

    log: str | None = _Message
    """The last lines that the attempt printed, at most 20. Whoever may view the Workflow sees
    them."""

    time: Time | None = None
    """When it failed."""

    attempts: tuple[AttemptStatus, ...] = Field(default=(), max_length=10)
    """The last of its attempts, oldest first, and why each stopped."""


class Counts(StatusModel):
    """Activations by phase. A task in a loop counts once for each run of it."""

    pending: int = Field(default=0, ge=0)
    """Created; cannot start yet."""

    starting: int = Field(default=0, ge=0)
    """Have a pod, or should; its runner has not reported yet."""

    running: int = Field(default=0, ge=0)
    """Run now."""

    waiting: int = Field(default=0, ge=0)
    """Have failed or asked a person, and wait for the next attempt."""

    holding: int = Field(default=0, ge=0)
    """Have succeeded, and go on when the tasks that they made have ended."""

    succeeded: int = Field(default=0, ge=0)
    """Runs of tasks that have succeeded."""

    failed: int = Field(default=0, ge=0)
    """Failed for good."""

    steps: int = Field(default=0, ge=0)
    """Activations so far, whatever became of them."""


class Transition(StatusModel):
    """A move that a task decided while it ran."""

    sequence: int = Field(ge=1)
    """Which transition of the run it is, from 1."""

    time: Time
    """When it took effect."""

    source: Id = Field(validation_alias="from", serialization_alias="from")
    """Id of the task that decided."""

    target: str | None = Field(
        default=None, validation_alias="to", serialization_alias="to", max_length=200
    )
    """Id of where it leads: the target of a jump, what a fragment begins with, the task itself
    for an iteration. None for the end of the run."""

    kind: str = Field(max_length=20)
    """Jump, Spawn, Iteration, Termination or Cancellation."""

    iteration: int | None = Field(default=None, ge=0)
    """Which run of the task decided, from 1."""

    reason: str | None = Field(default=None, max_length=1024)
    """Why, in the words of the task."""


class CheckpointStatus(StatusModel):
    """A checkpoint of the run, from which another one can go on."""

    seq: int = Field(ge=0)
    """Its sequence number, for `graflow fork NAME --at`."""

    time: Time
    """When it was taken."""

    reason: str = Field(max_length=20)
    """Asked: a task did. Every: `spec.checkpointEvery` did. Person: before a wait for a person.
    End: the run has ended."""

    task: Id | None = None
    """Id of the task that asked for it, or whose result it follows."""

    path: str | None = Field(default=None, max_length=1024)
    """Label that the task gave it."""

    metadata: AnyObject | None = None
    """What the task said about it; absent if it is large, `graflow checkpoints --all -o json`
    has it."""


class ResumedFrom(StatusModel):
    """What a run has gone on from that did not begin anew."""

    name: str = Field(max_length=253)
    """Name of that run's Workflow."""

    uid: str = Field(max_length=63)
    """Its uid."""

    checkpoint: int = Field(ge=0)
    """Sequence number of the checkpoint, or of the state, that this run went on from."""

    changes: tuple[Annotated[str, Field(max_length=1024)], ...] = Field(default=(), max_length=100)
    """What was made different, in a sentence each."""


class ChannelCursor(StatusModel):
    """Where the run's channel is. Written by the operator for itself."""

    seq: int = Field(ge=0)
    """Batches of operations that are in it."""

    epoch: str = Field(max_length=64)
    """Of the operator that may go on with it."""

    chain: bool | None = None
    """Whether later batches are in the store, or, of a run that has ended, may not be removed yet;
    without a store all are here."""

    state: str | None = Field(default=None, max_length=65_536)
    """The channel itself, when small: base64 of zlib of JSON."""

    key: str | None = Field(default=None, max_length=1024)
    """Otherwise its name in the store; without either it is as `spec.input` says."""

    sha256: Sha256 | None = None
    """SHA-256 of what is there."""

    size: int | None = Field(default=None, ge=0)
    """Bytes of what is there."""


class Cursor(StatusModel):
    """Where the state of the machine is. Written by the operator for itself."""

    seq: int = Field(ge=0)
    """Facts folded so far."""

    state: str | None = Field(default=None, max_length=65_536)
    """The state itself, when small: base64 of zlib of JSON."""

    key: str | None = Field(default=None, max_length=1024)
    """Otherwise its name in the store."""

    sha256: Sha256 | None = None
    """SHA-256 of what is there."""

    size: int | None = Field(default=None, ge=0)
    """Bytes of what is there."""

    segments: tuple[SegmentName, ...] = Field(default=(), max_length=32)
    """Names in the store of changes since, oldest first: <seq>-<sha256>."""

    changes: str | None = Field(default=None, max_length=65_536)
    """The changes since these: base64 of a zlib stream of JSON lines."""

    history: str | None = Field(default=None, max_length=1024)
    """Name in the store of the latest transitions; what is there names those before."""

    checkpoint: str | None = Field(default=None, max_length=100)
    """Name in the store of the newest checkpoint, as <sequence number>-<SHA-256>; what is there
    names the one before."""

    completion: Sha256 | None = None
    """SHA-256 of what is in the store of how a run with a `runId` has ended."""

    channel: ChannelCursor | None = None
    """Where the run's channel is, once it was used."""


class WorkflowStatus(StatusModel):
    """How the run goes. At most 64 KiB in all, whatever the run does."""

    phase: str | None = Field(default=None, max_length=20)
    """Pending, Running, Succeeded, Failed or Cancelled."""

    reason: str | None = _Reason
    """Why it failed or was cancelled, in one word."""

    message: str | None = _Message
    """Why it failed or was cancelled, in a sentence."""

    progress: str | None = Field(default=None, max_length=40)
    """Tasks that have succeeded, of all tasks, as 3/7."""

    conditions: tuple[Condition, ...] = Field(default=(), max_length=20)
    """Accepted, Succeeded and Finished; `kubectl wait --for=condition=Finished` works."""

    observed_generation: int | None = Field(default=None, ge=0)
    """Generation of the spec that this status is about."""

    start_time: Time | None = None
    """When the run began."""

    completion_time: Time | None = None
    """When the run ended."""

    waiting: tuple[Waiting, ...] = Field(default=(), max_length=20)
    """What tasks wait for: a node with room, an image, a retry. At most 20, of each reason one
    before there are two of any."""

    waiting_count: int | None = Field(default=None, ge=0)
    """How many wait; there may be more than `waiting` has room for."""

    tasks: tuple[TaskStatus, ...] = Field(default=(), max_length=100)
    """At most 100 tasks: those that are active, then those that failed, then the newest."""

    counts: Counts | None = None
    """How many there are in each phase."""

    transitions: tuple[Transition, ...] = Field(default=(), max_length=20)
    """The last 20 moves that tasks decided while they ran, newest last. Those before are in the
    store; `graflow status NAME --transitions` shows them."""

    result: ValueRef | None = None
    """The run's value: {json: …} or {pickle: base64} when small, {blob: …} when it is in the
    store."""

    failure: FailureStatus | None = None
    """What failed first, once it is sure that the run fails by it."""

    failed_group: FailedGroup | None = None
    """The group that the run failed by, if it did by one: its members, and why."""

    checkpoints: tuple[CheckpointStatus, ...] = Field(default=(), max_length=10)
    """The last 10 checkpoints, newest last. All of them are in the store, and `graflow
    checkpoints NAME --all` shows them."""

    resumed_from: ResumedFrom | None = None
    """What this run has gone on from, if it did not begin anew."""

    instance: str | None = Field(default=None, max_length=63)
    """Id of the operator installation that runs this."""

    cursor: Cursor | None = None
    """Where the operator keeps the state of the run."""
