"""Faults of several kinds at once, each kind with a rhythm and a lot of its own."""

import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

from kubernetes import client
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from graflow.api import names
from support.looking import until

CLUSTER = (Path(__file__).resolve().parents[2] / ".cluster").resolve().parent
ASK_S = 3.0
"""An API server that stands still must not keep faults of other kinds waiting for long."""

KILL_S = (1.0, 3.0)
"""Between two kills of a process of the operator."""

DELETE_S = (3.0, 8.0)
"""Between two deletions of a pod."""

SPARED = 4
"""The attempt of an activation whose pod is let live, and those after it: five losses are what an
activation may have, and a slow machine gives a lot enough time to find one pod again and again."""

OUTAGES_S = (10.0, 25.0)
"""Between two outages of the API server or of the store."""

OUTAGE_S = 10.0


class Chaos:
    """Injects faults from when it is entered until it is left.

    Args:
        api: The cluster.
        namespace: Where pods are deleted.
        replicas: Processes of the operator, killed and started again.
        seed: Of all lots; how they meet with what goes on is not drawn.
    """

    def __init__(self, api, namespace, replicas, seed):
        self._core = client.CoreV1Api(api)
        self._namespace = namespace
        self._replicas = replicas
        self._seed = seed
        self._over = threading.Event()
        self._threads = []
        self.injected = Counter()
        """Faults by kind."""

        self.broken = []
        """Errors of the injecting itself."""

    def __enter__(self):
        for kind, gap in (
            (self._kill_operator, KILL_S),
            (self._delete_pod, DELETE_S),
            (self._outage, OUTAGES_S),
        ):
            lot = random.Random(f"{self._seed} {kind.__name__}")
            thread = threading.Thread(target=self._keep, args=(kind, gap, lot), daemon=True)
            self._threads.append(thread)
            thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _keep(self, kind, gap, lot):
        while not self._over.wait(lot.uniform(*gap)):
            try:
                if injected := kind(lot):
                    self.injected[injected] += 1
            except (ApiException, HTTPError):
                pass  # the API server is away: another kind sees to that
            except Exception as error:
                self.broken.append(repr(error))
                raise

    def _kill_operator(self, lot):
        """Kill a process of the operator, whichever; another one is started at once."""
        replica = lot.choice(self._replicas.all)
        leads = self._replicas.leads(replica)
        self._replicas.send(replica, signal.SIGKILL)
        self._replicas.start(replica)
        return "kill -9 of the leader" if leads else "kill -9 of the other replica"

    def _delete_pod(self, lot):
        found = self._core.list_namespaced_pod(self._namespace, _request_timeout=ASK_S).items
        living = [
            pod.metadata.name
            for pod in found
            if pod.status.phase in ("Pending", "Running")
            and not pod.metadata.deletion_timestamp
            and int(pod.metadata.labels[names.LABEL_ATTEMPT]) < SPARED
        ]
        if not living:
            return ""
        name = lot.choice(sorted(living))
        grace_s, words = lot.choice(
            ((None, "pod deleted"), (1, "pod deleted, 1 s of grace"), (0, "pod deleted by force"))
        )
        try:
            self._core.delete_namespaced_pod(
                name, self._namespace, grace_period_seconds=grace_s, _request_timeout=ASK_S
            )
        except ApiException as error:
            if error.status == 404:
                return ""
            raise
        return words

    def _outage(self, lot):
        part, words = lot.choice(
            (("kube-apiserver", "API server away 10 s"), ("versitygw", "S3 away 10 s"))
        )
        with paused(part):
            self._over.wait(OUTAGE_S)
        return words


@contextmanager
def paused(part):
    """Let a part of `make cluster`'s cluster stand still, as when it cannot be reached."""
    command = (sys.executable, CLUSTER / "tools" / "cluster" / "cluster.py")
    subprocess.run([*command, "pause", part], check=True)
    try:
        yield
    finally:
        subprocess.run([*command, "go-on", part], check=True)


def patiently(ask, patience_s=300.0):
    """Return what is asked of the API server, which may be away for a while."""
    away = (ApiException, HTTPError)
    [answer] = until(
        lambda: [ask()], lambda: "the API server is away", within_s=patience_s, despite=away
    )
    return answer
