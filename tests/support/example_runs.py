"""Runs of the examples in one namespace, and what is left of them at the end."""

import subprocess
import sys

import yaml
from kubernetes import client
from kubernetes.client.exceptions import ApiException

from graflow.api import names

CONFLICT = 409
WORKFLOWS = (names.GROUP, names.VERSION)
ADD_TO_THE_CHANNEL = {"channel-counters", "typed-channel"}
"""Examples whose tasks count or append: what a lost attempt has written stays, and is written once
more by the next one."""


def example_of(program):
    """Return an example's name: that of its folder, without the number."""
    return program.parent.name[3:]


def compiled(program):
    """Return what `graflow compile` makes of a program: its Workflow, and all else."""
    done = subprocess.run(
        [sys.executable, "-m", "graflow", "compile", str(program)],
        capture_output=True,
        text=True,
        check=True,
    )
    documents = list(yaml.safe_load_all(done.stdout))
    [workflow] = [one for one in documents if one["kind"] == names.WORKFLOW_KIND]
    return workflow, [one for one in documents if one is not workflow]


class Runs:
    """The runs of the examples in one namespace.

    Args:
        api: The cluster.
        namespace: Where they are.
        manifests: By example, its Workflow; what that refers to is there.
    """

    def __init__(self, api, namespace, manifests):
        self._objects = client.CustomObjectsApi(api)
        self._namespace = namespace
        self.manifests = manifests
        self.begun = {}
        """By run, the example that it is of."""

    def begin(self, example):
        name = f"{example}-{len(self.begun)}"
        body = {**self.manifests[example], "metadata": {"name": name}}
        try:
            self._objects.create_namespaced_custom_object(
                *WORKFLOWS, self._namespace, names.WORKFLOWS, body, _request_timeout=10
            )
        except ApiException as error:
            if error.status != CONFLICT:  # else it was made, and the answer lost
                raise
        self.begun[name] = example

    def seen(self):
        """Return the status of every run."""
        found = self._objects.list_namespaced_custom_object(
            *WORKFLOWS, self._namespace, names.WORKFLOWS, _request_timeout=10
        )
        return {one["metadata"]["name"]: one.get("status", {}) for one in found["items"]}

    def going(self):
        """Return the names of the runs that have not ended."""
        return sorted(name for name, status in self.seen().items() if not ended(status))


def ended(status):
    """Whether a run has come to its end, whichever."""
    return status.get("phase") in ("Succeeded", "Failed", "Cancelled")
