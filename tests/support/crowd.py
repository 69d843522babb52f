"""Many runs side by side in one namespace, each of one task that meets with a fault."""

import json
import subprocess

from kubernetes import client, config, watch
from kubernetes.client.exceptions import ApiException

from graflow.api import names
from support.killer import killer
from support.looking import until
from support.sightings import Sightings

ENDED = ("Succeeded", "Failed", "Cancelled")
ATTEMPT = {
    "name": "ATTEMPT",
    "valueFrom": {"fieldRef": {"fieldPath": f"metadata.labels['{names.LABEL_ATTEMPT}']"}},
}
SOFT = [1, -1, 2]
"""Marks where the first attempt was told to stop, and left before the second one began."""


class Crowd:
    """A namespace and its runs.

    Args:
        cluster: kubectl, in that namespace.
        kubeconfig: Path of the cluster's.
        code: The CodeBundle of the witness program.
        instance: Id of the operator that is to run them.
    """

    def __init__(self, cluster, kubeconfig, code, instance):
        self.cluster = cluster
        self.namespace = cluster.namespace
        self._code = code
        self._instance = instance
        self._core = client.CoreV1Api(config.new_client_from_config(kubeconfig))
        self._sightings = Sightings(kubeconfig, self.namespace)

    def close(self):
        self._sightings.stop()

    # -- runs -------------------------------------------------------------------------------------

    def begin(self, name, function="linger", *, pod=None, container=None, **task):
        """Begin a run of one task, called as the run: a function of the witness, or a container."""
        pod = {"terminationGracePeriodSeconds": 10, **(pod or {})}
        pod["env"] = [ATTEMPT, *pod.get("env", ())] if container is None else pod.get("env", [])
        kind = {"container": container} if container else {"function": function}
        retry = {"maxAttempts": 2, "initialSeconds": 0.1}
        spec = {
            "tasks": [{"name": name, **kind, "retry": retry, "pod": pod, **task}],
            "operator": self._instance,
            "bundle": {
                "name": self._code["metadata"]["name"],
                "sha256": self._code["spec"]["sha256"],
            },
        }
        self.apply(self._code)
        self.apply(
            {
                "apiVersion": names.API_VERSION,
                "kind": names.WORKFLOW_KIND,
                "metadata": {"name": name},
                "spec": spec,
            }
        )

    def ended(self, name, seconds=240):
        """Wait for the end of a run, and return what came of it."""
        self._sightings.until(name, lambda status: status.get("phase") in ENDED, seconds)
        return self._sightings.outcome(name)

    def waits(self, name, reason, seconds=120):
        """Wait until a run's task waits for this."""

        def shows(status):
            return any(one["reason"] == reason for one in status.get("waiting", ()))

        self._sightings.until(name, shows, seconds)

    def result(self, name):
        """Return the value of a run that has succeeded."""
        return self.cluster.get("workflows.graflow.dev", name)["status"]["result"]["json"]

    # -- their pods -------------------------------------------------------------------------------

    def pod(self, name, attempt=1, shows=lambda _: True, seconds=120):
        """Wait until the pod of an attempt shows something; return its name."""
        selector = f"{names.LABEL_WORKFLOW}={name},{names.LABEL_ATTEMPT}={attempt}"
        stream = watch.Watch().stream(
            self._core.list_namespaced_pod,
            self.namespace,
            label_selector=selector,
            timeout_seconds=seconds,
        )
        for event in stream:
            if event["type"] != "DELETED" and shows(event["object"]):
                return event["object"].metadata.name
        raise AssertionError(f"attempt {attempt} of {name}: its pod did not come so far")

    def bound(self, name, attempt=1):
        """Wait until the pod of an attempt has a node; return the pod's name."""
        return self.pod(name, attempt, lambda pod: bool(pod.spec.node_name))

    def at_work(self, name, attempt=1):
        """Wait until user code of an attempt has left its mark; return the pod's name."""
        pod = self.pod(name, attempt, lambda pod: pod.status.phase == "Running")
        words = (self.cluster.kubectl_path, "-n", self.namespace, "logs", "-f", pod)
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as log:
            marked = any(line == "marked\n" for line in log.stdout)
            log.kill()
        assert marked, f"pod {pod} ended and left no mark"
        return pod

    def set_status(self, pod, status):
        """Write a pod's status, as its kubelet would."""
        self._core.patch_namespaced_pod_status(pod, self.namespace, {"status": status})

    def closes(self, image, seconds=30):
        """Wait until the API server takes no pod any more: new rules reach it after a while."""
        pod = {"containers": [{"name": "probe", "image": image}]}
        body = {"metadata": {"generateName": "probe-"}, "spec": pod}

        def is_closed():
            try:
                self._core.create_namespaced_pod(self.namespace, body, dry_run="All")
            except ApiException:
                return True
            return False

        until(is_closed, lambda: f"{self.namespace} still takes pods", within_s=seconds)

    def evict(self, pod):
        """Ask for a pod's eviction, as `kubectl drain` does."""
        body = {"metadata": {"name": pod, "namespace": self.namespace}}
        self._core.create_namespaced_pod_eviction(pod, self.namespace, body)

    def ungate(self, pod):
        """Take the scheduling gates off a pod."""
        gone = [{"op": "remove", "path": "/spec/schedulingGates"}]
        self.kubectl("patch", "pod", pod, "--type=json", "-p", json.dumps(gone))

    def kill(self, pod, image):
        """Kill the process of a pod from outside, once it is there."""
        self.apply(killer(pod, image))
        done = "--for=jsonpath={.status.phase}=Succeeded"
        self.kubectl("wait", done, "pod/killer", "--timeout=90s")

    # -- kubectl ----------------------------------------------------------------------------------

    def apply(self, manifest):
        """Create or change an object."""
        text = json.dumps(manifest)
        self.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=text)

    def kubectl(self, *words, stdin=None):
        """Run the command in this namespace; return what it prints."""
        return self.cluster.kubectl(*words, stdin=stdin)
