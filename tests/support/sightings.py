"""What a watch of a namespace's Workflows showed, so that tests see what lasts but a moment."""

import base64
import json
import threading
import time
import zlib
from collections import defaultdict

from kubernetes import client, config, watch
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from support.provoked import Outcome

CHUNK_S = 60


class Sightings:
    """Every version of every Workflow of a namespace that the watch has shown, in order."""

    def __init__(self, kubeconfig, namespace):
        self._api = client.CustomObjectsApi(config.new_client_from_config(kubeconfig))
        self._namespace = namespace
        self._seen = defaultdict(list)
        self._seen_at = defaultdict(list)
        self._news = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self):
        self._stopped = True

    def _watch(self):
        where = ("graflow.dev", "v1alpha1", self._namespace, "workflows")
        version = "0"
        while not self._stopped:
            try:
                for event in watch.Watch().stream(
                    self._api.list_namespaced_custom_object,
                    *where,
                    resource_version=version,
                    timeout_seconds=CHUNK_S,
                ):
                    version = self._take(event["object"])
            except (ApiException, HTTPError):
                version = "0"  # the API server was away, or has forgotten that version

    def _take(self, workflow):
        with self._news:
            self._seen[workflow["metadata"]["name"]].append(workflow)
            self._seen_at[workflow["metadata"]["name"]].append(time.time())
            self._news.notify_all()
        return workflow["metadata"]["resourceVersion"]

    def until(self, name, shows, seconds):
        """Wait until a version of the Workflow shows something; return that version."""
        deadline = time.monotonic() + seconds
        with self._news:
            looked = 0
            while True:
                for workflow in self._seen[name][looked:]:
                    if shows(workflow.get("status") or {}):
                        return workflow
                looked = len(self._seen[name])
                if not self._news.wait(max(0.0, deadline - time.monotonic())):
                    told = self._seen[name][-1].get("status") if looked else "it was never seen"
                    raise AssertionError(f"not within {seconds} s; {name} is {_brief(told)}")

    def versions(self, name):
        """Return when each version of a run's status came, in seconds since the epoch, and that."""
        with self._news:
            statuses = [workflow.get("status") or {} for workflow in self._seen[name]]
            return list(zip(self._seen_at[name], statuses, strict=True))

    def outcome(self, name):
        """Return what came of a run that has ended: its end, and what its attempts went through."""
        with self._news:
            statuses = [workflow.get("status") or {} for workflow in self._seen[name]]
        tries = [one for status in statuses for one in activations(status)]
        attempts = [one.get("attempt", 1) for one in tries]
        attempts += [t["attempt"] for s in statuses for t in s.get("tasks", ()) if "attempt" in t]
        why = _changes(one["error"]["reason"] for one in tries if "error" in one)
        return Outcome(
            reason=" → ".join(why) or statuses[-1].get("reason", ""),
            run=statuses[-1]["phase"],
            attempts=max(attempts, default=0),
            failures=max((one.get("failures", 0) for one in tries), default=0),
            losses=max((one.get("losses", 0) for one in tries), default=0),
            waited=tuple(_changes(w["reason"] for s in statuses for w in s.get("waiting", ()))),
        )


def activations(status):
    """Return the activations of the machine's state that a status holds."""
    packed = (status.get("cursor") or {}).get("state")
    if packed is None:
        return []
    document = json.loads(zlib.decompress(base64.b64decode(packed)))
    return list(document["machine"]["activations"])


def _changes(words):
    """Return words in their order, each once.

    >>> _changes(["a", "a", "b", "a"])
    ['a', 'b']
    """
    return list(dict.fromkeys(words))


def _brief(status):
    told = (
        {k: v for k, v in status.items() if k != "cursor"} if isinstance(status, dict) else status
    )
    return json.dumps(told)[:600]
