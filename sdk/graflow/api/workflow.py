"""The `Workflow` resource as users write it. The CRD is generated from these models."""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from graflow.api.model import (
    PRESERVE,
    RULES,
    AnyObject,
    Id,
    ObjectName,
    ResourceModel,
    Sha256,
    SpecModel,
)
from graflow.api.pod import ContainerSpec, EnvVar, PodSettings, PullPolicy
from graflow.api.resume import ResumeFrom
from graflow.api.rules import (
    EXACTLY_ONE_KIND,
    POLICY_FUNCTION,
    POLICY_MEMBERS,
    POLICY_MINIMUM,
    SPEC_RULES,
)
from graflow.api.workflow_status import (
    CheckpointStatus,
    Condition,
    Counts,
    Cursor,
    ResumedFrom,
    TaskStatus,
    Transition,
    Waiting,
    WorkflowStatus,
)
from graflow.machine.defaults import DEFAULT_MAX_CYCLES, DEFAULT_MAX_STEPS

__all__ = [
    "BundleRef",
    "CheckpointStatus",
    "Condition",
    "ContainerSpec",
    "Counts",
    "Cursor",
    "EnvVar",
    "GroupPolicySpec",
    "GroupSpec",
    "ObjectMeta",
    "PodSettings",
    "PolicyType",
    "PullPolicy",
    "ResumeFrom",
    "ResumedFrom",
    "RetrySpec",
    "TaskSpec",
    "TaskStatus",
    "Transition",
    "Waiting",
    "Workflow",
    "WorkflowSpec",
    "WorkflowStatus",
]

MAX_TASKS = 1000
MAX_GROUPS = 1000


class RetrySpec(SpecModel):
    """How often and how patiently what failed is tried again."""

    max_attempts: int = Field(ge=1, le=100)
    """Attempts in all, the first included; 1 means never retry."""

    initial_seconds: float = Field(default=1.0, ge=0, le=86_400)
    """Wait before the second attempt, in seconds."""

    factor: float = Field(default=2.0, ge=1, le=100)
    """What each further wait is multiplied by."""

    max_seconds: float = Field(default=60.0, ge=0, le=86_400)
    """Longest wait, in seconds."""

    jitter: bool = False
    """Whether each wait is made up to a half shorter or longer, so that many do not end at once."""


class TaskSpec(SpecModel):
    """One task: what it runs, after what, and how its pods look."""

    model_config = ConfigDict(json_schema_extra={RULES: [EXACTLY_ONE_KIND]})

    name: Id
    """Id of the task, unique among the tasks and groups of the workflow. Pods get a DNS form of
    it."""

    after: tuple[Id, ...] = Field(default=(), max_length=MAX_TASKS)
    """Ids of the tasks and groups that lead to this one. It starts when all those that can still
    come to it have come. Loops are allowed."""

    function: Id | None = None
    """Id of a function in the workflow's bundle. The SDK writes this."""

    entrypoint: str | None = Field(
        default=None, min_length=3, max_length=500, pattern=r"^[^\s:]+:[^\s:]+$"
    )
    """A function that can be imported in the image, as package.module:name."""

    script: str | None = Field(default=None, min_length=1, max_length=65_536)
    """Python source, run as the body of a function: `return` gives the task's value, and the names
    in `params` are variables."""

    container: ContainerSpec | None = None
    """A container of any image."""

    params: tuple[Annotated[str, Field(min_length=1, max_length=200)], ...] = Field(
        default=(), max_length=100
    )
    """Names that the task takes: results of tasks of that name, keys of the input, or, for a
    single one that is neither, the value of the task before."""

    retry: RetrySpec | None = None
    """How often to try again after a failure. When not given, never."""

    timeout_seconds: float | None = Field(default=None, ge=0.001, le=31_536_000)
    """Longest time of one attempt, in seconds. When not given, no limit."""

    max_iterations: int = Field(default=DEFAULT_MAX_CYCLES, ge=1, le=1_000_000)
    """Passes after which the task may not ask for one more iteration of itself."""

    profile: ObjectName | None = None
    """Name of the RunnerProfile that the task's pods are made from: lower-case letters, digits,
    `-` and `.`. When not given, the workflow's."""

    pod: PodSettings | None = None
    """Pod settings of this task; what they say goes before what its profile says."""


class PolicyType(StrEnum):
    """When a group succeeds."""

    STRICT = "Strict"
    BEST_EFFORT = "BestEffort"
    AT_LEAST = "AtLeast"
    CRITICAL = "Critical"
    CUSTOM = "Custom"


class GroupPolicySpec(SpecModel):
    """When a group succeeds, judged when all its branches have ended."""

    model_config = ConfigDict(
        json_schema_extra={RULES: [POLICY_MINIMUM, POLICY_MEMBERS, POLICY_FUNCTION]}
    )

    type: PolicyType
    """Strict: all branches succeed. BestEffort: whatever they do. AtLeast: at least `minimum` of
    them. Critical: those of `members`. Custom: what `function` says, in a pod of its own."""

    minimum: int | None = Field(default=None, ge=0, le=MAX_TASKS)
    """How many branches must succeed, for type AtLeast."""

    members: tuple[Id, ...] | None = Field(default=None, min_length=1, max_length=MAX_TASKS)
    """Members whose branches must succeed, for type Critical."""

    function: Id | None = None
    """Id of a policy in the workflow's bundle, for type Custom. The SDK writes this."""


class GroupSpec(SpecModel):
    """Tasks that run side by side, each with the chain behind it; a barrier for all of them."""

    name: Id
    """Id of the group, unique among the tasks and groups of the workflow."""

    members: tuple[Id, ...] = Field(min_length=1, max_length=MAX_TASKS)
    """Tasks or groups that begin the branches. What comes after a member runs in its branch."""

    after: tuple[Id, ...] = Field(default=(), max_length=MAX_TASKS)
    """Ids of the tasks and groups that lead to this group."""

    policy: GroupPolicySpec | None = None
    """When the group succeeds. When not given, Strict."""

    retry: RetrySpec | None = None
    """How often to run the branches that failed again, when the group would fail. When not given,
    never."""

    position: int | None = Field(default=None, ge=0, le=MAX_TASKS + MAX_GROUPS)
    """Place of the group in the order of declaration of tasks and groups together, from 0. When not
    given, groups come after all tasks. The SDK writes this."""


class BundleRef(SpecModel):
    """The CodeBundle that holds the workflow's functions."""

    name: ObjectName
    """Name of the CodeBundle, in the same namespace."""

    sha256: Sha256
    """SHA-256 of its zip; checked before anything in it is used."""


class WorkflowSpec(SpecModel):
    """What to run."""

    model_config = ConfigDict(json_schema_extra={RULES: [*SPEC_RULES]})

    tasks: tuple[TaskSpec, ...] = Field(default=(), max_length=MAX_TASKS)
    """The tasks, at most 1000. Their order is the order of declaration: of several ends, the one
    declared last gives the workflow's result. When not given, tasks, groups, edges and start are in
    the bundle: the SDK puts them there when there are more."""

    groups: tuple[GroupSpec, ...] = Field(default=(), max_length=MAX_GROUPS)
    """Groups of tasks that run side by side."""

    edges: tuple[Annotated[tuple[Id, ...], Field(min_length=2, max_length=2)], ...] | None = Field(
        default=None, max_length=20_000
    )
    """The edges that the `after` lists describe, as [from, to], in the order in which they were
    drawn. The SDK writes this when that order differs from the order of the lists."""

    bundle: BundleRef | None = None
    """The code of the function tasks. The SDK writes this."""

    start: tuple[Id, ...] = Field(default=(), max_length=MAX_TASKS)
    """Where to begin. When not given, at every task and group that nothing leads to."""

    input: Annotated[dict[str, Any], Field(json_schema_extra={PRESERVE: True})] | None = None
    """Keys of the workflow's channel that are set before the start, with any JSON as value. Write
    the keys n, y, no, yes, off and on in quotes: without them YAML takes them for false and
    true."""

    exact_input: dict[str, AnyObject] | None = Field(default=None, max_length=10_000)
    """More such keys: those whose values an API server would change, such as 1.0 or a dict whose
    keys are in no order, as {exact: the text of their JSON}, and those that JSON cannot tell, as
    {pickle: base64}. The SDK writes this."""

    profile: ObjectName | None = None
    """Name of the RunnerProfile of tasks that name none: lower-case letters, digits, `-` and `.`.
    It is in the same namespace; while it is missing, its tasks wait."""

    pod: PodSettings | None = None
    """Pod settings of all tasks; what profiles and tasks say goes before them."""

    parallelism: int | None = Field(default=None, ge=1, le=100_000)
    """Most pods at one time. When not given, no limit."""

    max_steps: int = Field(default=DEFAULT_MAX_STEPS, ge=1, le=10_000_000)
    """Task runs, retries not counted, after which the workflow fails with MaxStepsExceeded."""

    active_deadline_seconds: int | None = Field(default=None, ge=1, le=2_147_483_647)
    """Longest time of the whole run from its start, in seconds; then its pods are stopped, and it
    fails with DeadlineExceeded. Time during which it is suspended counts."""

    ttl_seconds_after_finished: int | None = Field(default=None, ge=0, le=2_147_483_647)
    """Delete the workflow and its pods this many seconds after its end. When not given, keep them.
    A finished workflow that a GitOps tool applies again after that runs again, unless it has a
    `runId`."""

    checkpoint_every: int | None = Field(default=None, ge=1, le=1_000_000)
    """Take a checkpoint after every so many results of tasks and groups. When not given, only where
    a task asks for one, and at the end. Without a store there are none."""

    resume_from: ResumeFrom | None = None
    """Go on from where another run of the namespace stood, instead of beginning anew. The channel
    is then that run's, and `input` is not applied."""

    run_id: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """Id of the work that this run does, in your words. A Workflow that is created after another
    one of the namespace with the same id has ended takes over how it ended, with its result, and
    runs nothing, even if that one was deleted. While that one runs, this one is refused. A failure
    is mended by a run with `resumeFrom` and the same id. Needs a store; without one it does
    nothing."""

    submitter: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
    """Who submitted this, as the API server knows them: for questions that whoever did may not
    answer. The chart's policy lets nobody name anybody but themselves. When not given, such
    questions cannot be asked."""

    suspend: bool = False
    """Start nothing more until this is false again. Pods that exist go on to their end, and what
    they give is recorded. Back-offs and activeDeadlineSeconds go on counting meanwhile."""

    cancel: bool = False
    """End the run now: its phase becomes Cancelled, and its pods get SIGTERM and, after their
    grace period, SIGKILL. Cannot be undone."""

    cancel_reason: Annotated[str, Field(max_length=1000)] | None = None
    """Why, for people: the run's message once it is cancelled."""

    operator: Annotated[
        str, Field(max_length=63, pattern=r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$")
    ] = ""
    """Id of the operator installation that is to run this, where there are several."""


class ObjectMeta(SpecModel):
    """The part of an object's metadata that Graflow looks at."""

    model_config = ConfigDict(extra="ignore")

    name: str = ""
    """Name of the object."""

    namespace: str = ""
    """Namespace of the object."""

    uid: str = ""
    """Identity of the object; another one of the same name has another."""

    generation: int = 0
    """Counts the changes of the spec."""

    resource_version: str = ""
    """Changes with every change of the object."""

    creation_timestamp: str | None = None
    """When the object was created."""

    deletion_timestamp: str | None = None
    """When the object was asked to go; None while it is to stay."""

    generate_name: str | None = None
    """Beginning of the name that the API server is to choose."""

    labels: dict[str, str] = Field(default_factory=dict)
    """Labels of the object."""

    annotations: dict[str, str] = Field(default_factory=dict)
    """Annotations of the object."""


class Workflow(ResourceModel):
    """One execution of a workflow: its tasks run as pods, in the order that `after` gives."""

    api_version: Literal["graflow.dev/v1alpha1"] = "graflow.dev/v1alpha1"
    """Version of the API."""

    kind: Literal["Workflow"] = "Workflow"
    """Kind of the object."""

    metadata: ObjectMeta = ObjectMeta()
    """Name, labels and the rest, as of every object."""

    spec: WorkflowSpec
    """What to run. Only suspend, cancel, cancelReason, ttlSecondsAfterFinished, parallelism
    and activeDeadlineSeconds can be changed afterwards."""

    status: WorkflowStatus | None = None
    """How it goes; written by the operator."""
