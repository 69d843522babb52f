"""The `RunnerProfile` resource: pod settings under a name, for all tasks that ask for it."""

from typing import Literal

from graflow.api.model import ResourceModel
from graflow.api.pod import PodSettings
from graflow.api.workflow import ObjectMeta


class RunnerProfile(ResourceModel):
    """Where tasks run, and with what: pod settings that tasks and workflows of the namespace name.

    A change holds for pods made from then on, a few seconds later.
    """

    api_version: Literal["graflow.dev/v1alpha1"] = "graflow.dev/v1alpha1"
    """Version of the API."""

    kind: Literal["RunnerProfile"] = "RunnerProfile"
    """Kind of the object."""

    metadata: ObjectMeta = ObjectMeta()
    """Name, labels and the rest, as of every object."""

    spec: PodSettings = PodSettings()
    """The settings."""
