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


class PodSettings(SpecModel):
    """Image, resources and placement of a task's pods."""

    image: str | None = Field(default=None, min_length=1, max_length=512)
    """Image of a function, script or entrypoint task: the runner image, or one made from it with
    your packages. The operator's own runner image when not given. Container tasks name theirs in
    `container.image`."""

    image_pull_policy: PullPolicy | None = None
    """When the node asks the registry: Always, IfNotPresent or Never."""

    resources: AnyObject | None = None
    """CPU, memory and devices: `requests` and `limits`, as in a pod's container."""

    node_selector: dict[str, _LabelValue] | None = Field(default=None, max_length=50)
    """Labels that a node must have."""

    tolerations: tuple[AnyObject, ...] | None = Field(default=None, max_length=50)
    """Taints of nodes that the pod may run in spite of, as in a pod."""

    env: tuple[EnvVar, ...] | None = Field(default=None, max_length=200)
    """Environment variables of the task."""

    service_account_name: ObjectName | None = None
    """Service account whose token the pod gets. With none, the pod has no token at all."""

    labels: dict[str, _LabelValue] | None = Field(default=None, max_length=50)
    """More labels for the pod. Those under graflow.dev/ are the operator's own."""

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
