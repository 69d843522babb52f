"""What users may say about the pods that their tasks run in."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from graflow.api.model import AnyObject, ObjectName, SpecModel

_Text = Annotated[str, Field(max_length=32_768)]
_LabelValue = Annotated[str, Field(max_length=63)]


class PullPolicy(StrEnum):
    """When the node asks the registry for an image."""

    ALWAYS = "Always"
    IF_NOT_PRESENT = "IfNotPresent"
    NEVER = "Never"


class EnvVar(SpecModel):
    """One environment variable, as in a pod."""

    name: str = Field(min_length=1, max_length=253)
    """Name of the variable. Names that begin with GRAFLOW_ are the runner's own."""

    value: _Text | None = None
    """Its value, as text."""

    value_from: AnyObject | None = None
    """Where the value comes from instead: secretKeyRef, configMapKeyRef, fieldRef or
    resourceFieldRef, as in a pod."""


class ObjectRef(SpecModel):
    """Something of the same namespace, by name."""

    name: ObjectName
    """Its name."""


class SchedulingGate(SpecModel):
    """What the scheduler waits for."""

    name: Annotated[str, Field(min_length=1, max_length=317)]
    """Name of the gate, as example.com/queue."""


class PodSettings(SpecModel):
    """Image, resources and placement of a task's pods.

    What is not given comes from the next level: a task's own `pod`, its profile, the workflow's
    `pod`, the operator. Maps, `env`, and requests and limits are added to, name by name; lists and
    all else are replaced.
    """

    image: str | None = Field(default=None, min_length=1, max_length=512)
    """Image of a function, script or entrypoint task: the runner image, or one made from it with
    your packages. The operator's own runner image when not given. Container tasks name theirs in
    `container.image`."""

    image_pull_policy: PullPolicy | None = None
    """When the node asks the registry: Always, IfNotPresent or Never."""

    image_pull_secrets: tuple[ObjectRef, ...] | None = Field(default=None, max_length=20)
    """Secrets of the namespace with which images are pulled."""

    resources: AnyObject | None = None
    """CPU, memory and devices: `requests` and `limits`, as in a pod's container."""

    node_selector: dict[str, _LabelValue] | None = Field(default=None, max_length=50)
    """Labels that a node must have."""

    tolerations: tuple[AnyObject, ...] | None = Field(default=None, max_length=50)
    """Taints of nodes that the pod may run in spite of, as in a pod."""

    affinity: AnyObject | None = None
    """`nodeAffinity`, `podAffinity` and `podAntiAffinity`, as in a pod."""

    topology_spread_constraints: tuple[AnyObject, ...] | None = Field(default=None, max_length=20)
    """How pods are spread over zones and nodes, as in a pod."""

    env: tuple[EnvVar, ...] | None = Field(default=None, max_length=200)
    """Environment variables of the task."""

    env_from: tuple[AnyObject, ...] | None = Field(default=None, max_length=50)
    """ConfigMaps and Secrets all of whose keys become environment variables, as in a pod."""

    volumes: tuple[AnyObject, ...] | None = Field(default=None, max_length=50)
    """Volumes of the pod. The first one of any kind costs 0.3 s at the start of each pod."""

    volume_mounts: tuple[AnyObject, ...] | None = Field(default=None, max_length=50)
    """Where the task's container finds them, as in a pod."""

    init_containers: tuple[AnyObject, ...] | None = Field(default=None, max_length=10)
    """Containers that end before the task begins, or run beside it, as in a pod."""

    service_account_name: ObjectName | None = None
    """Service account whose token the pod gets. With none, the pod has no token at all."""

    automount_service_account_token: bool | None = None
    """Whether the token of the service account is mounted. When not given, it is where
    `serviceAccountName` is given."""

    security_context: AnyObject | None = None
    """Security context of the pod. Its fields are added to those of the operator, which asks for
    user 65532, no root, and the runtime's seccomp profile."""

    termination_grace_period_seconds: int | None = Field(default=None, ge=6, le=86_400)
    """Seconds between SIGTERM and SIGKILL; user code is told to stop at once and has all but the
    last 5 for its `finally`. When not given, 30."""

    priority_class_name: ObjectName | None = None
    """Priority class of the pod."""

    runtime_class_name: ObjectName | None = None
    """Runtime class of the pod."""

    scheduler_name: ObjectName | None = None
    """Scheduler that places the pod. When not given, the cluster's own."""

    scheduling_gates: tuple[SchedulingGate, ...] | None = Field(default=None, max_length=10)
    """Gates that somebody else has to take off before the pod is scheduled."""

    labels: dict[str, _LabelValue] | None = Field(default=None, max_length=50)
    """More labels for the pod, as kueue.x-k8s.io/queue-name. Those under graflow.dev/ are the
    operator's own."""

    annotations: dict[str, _Text] | None = Field(default=None, max_length=50)
    """More annotations for the pod."""


class ContainerSpec(SpecModel):
    """A container of any image, which needs nothing of Graflow in it."""

    image: str = Field(min_length=1, max_length=512)
    """The image."""

    command: tuple[_Text, ...] | None = Field(default=None, max_length=100)
    """Program and first arguments; the image's own entrypoint when not given."""

    args: tuple[_Text, ...] | None = Field(default=None, max_length=500)
    """Arguments. One that is `$(inputs.NAME)` as a whole becomes the input of that name."""

    env: tuple[EnvVar, ...] | None = Field(default=None, max_length=200)
    """Environment variables, besides the inputs as GRAFLOW_INPUT_<NAME>."""
