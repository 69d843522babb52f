"""Which run, which attempt: the names that everything else is said about."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from graflow.api import names

_NUMBER = re.compile(r"[0-9]{1,15}")
"""Whatever counts more is no number of ours, and Python reads none of over 4 300 digits."""


@dataclass(frozen=True, slots=True)
class RunRef:
    """A run: the life of one Workflow object."""

    namespace: str
    name: str
    uid: str

    @classmethod
    def of(cls, workflow: Mapping[str, Any]) -> "RunRef":
        """Return the reference of a Workflow object."""
        metadata = workflow["metadata"]
        return cls(metadata["namespace"], metadata["name"], metadata["uid"])

    @property
    def owner(self) -> dict[str, Any]:
        """The owner reference of what belongs to the run and is to go with it."""
        return {
            "apiVersion": names.API_VERSION,
            "kind": names.WORKFLOW_KIND,
            "name": self.name,
            "uid": self.uid,
            "controller": True,
            "blockOwnerDeletion": False,
        }

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class AttemptRef(NamedTuple):
    """One attempt of one activation of a run.

    A tuple, for its hash: thousands are looked up for each commit of a run with thousands alive.
    """

    activation: int
    attempt: int

    @classmethod
    def of(cls, labels: Mapping[str, str]) -> "AttemptRef | None":
        """Return the reference in a pod's labels; None if they are not ours."""
        activation = labels.get(names.LABEL_ACTIVATION, "")
        attempt = labels.get(names.LABEL_ATTEMPT, "")
        if not (_NUMBER.fullmatch(activation) and _NUMBER.fullmatch(attempt)):
            return None
        return cls(int(activation), int(attempt))

    def __str__(self) -> str:
        return f"{self.activation}/{self.attempt}"


def is_pod_of(pod: Mapping[str, Any], run: RunRef, task: str, attempt: AttemptRef) -> bool:
    """Whether a pod is the one that the operator makes for this attempt.

    By owner, labels and name, never by its spec: webhooks and LimitRange rewrite that. Labels can
    be changed by whoever may change pods; the name cannot.
    """
    metadata = pod["metadata"]
    labels = metadata.get("labels", {})
    return (
        metadata.get("namespace") == run.namespace
        and controllers(pod) == [run.uid]
        and labels.get(names.LABEL_RUN) == run.uid
        and AttemptRef.of(labels) == attempt
        and metadata["name"] == pod_name(run, task, attempt)
    )


def controllers(thing: Mapping[str, Any]) -> list[str]:
    """Return the uids of the objects that control an object; Kubernetes allows at most one."""
    owners = thing["metadata"].get("ownerReferences", ())
    return [owner["uid"] for owner in owners if owner.get("controller")]


def owner_name(thing: Mapping[str, Any]) -> str:
    """Return the name of the object that controls an object; "" if none does."""
    owners = thing["metadata"].get("ownerReferences", ())
    return next((str(owner.get("name", "")) for owner in owners if owner.get("controller")), "")


def pod_name(run: RunRef, task: str, attempt: AttemptRef) -> str:
    """Return the name of the one pod that may ever run this attempt."""
    return names.pod_name(
        run.name, task, uid=run.uid, activation=attempt.activation, attempt=attempt.attempt
    )
