"""Replicas of the operator as processes of this machine, so that a test may kill them as it likes.

They are the operator as it is, beside the cluster instead of in it: a kubelet would wait ever
longer before it starts one again that dies every other second. Pods reach them by a Service, as
in a cluster, and a replica that is started again keeps its name, as a container does in its pod.
"""

import multiprocessing.process
import os
import signal
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from graflow.api import names
from support.looking import WITHIN_S, until
from support.operating import started
from support.own_operator import address, free_port, store_of_cluster

PORT = 8090
SERVICE = "graflow"
ASK_S = 0.5


def store_settings():
    """Return flags and environment for the store that `make cluster` has started."""
    store = store_of_cluster()
    flags = ["--store-bucket", store["S3_BUCKET"], "--store-endpoint", store["S3_ENDPOINT"]]
    keys = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    return flags, {key: store[key] for key in keys}


@dataclass
class Replica:
    """One process, or what is left of it."""

    name: str
    port: int
    log: Path
    process: multiprocessing.process.BaseProcess | None = None
    starts: int = 0

    @property
    def lives(self):
        return self.process is not None and self.process.is_alive()


@dataclass
class Replicas:
    """The replicas of one installation, which serves the Workflows of one namespace.

    Args:
        namespace: Where the runs are, and the operator's own objects.
        folder: For logs.
        image: The runner image.
        instance: What the Workflows name as `spec.operator`.
        settings: More flags of the operator.
    """

    namespace: str
    folder: Path
    image: str
    instance: str
    count: int = 2
    settings: tuple = ()
    all: list = field(default_factory=list)

    def __enter__(self):
        api = config.new_client_from_config(os.environ["KUBECONFIG"])
        self._core, self._leases = client.CoreV1Api(api), client.CoordinationV1Api(api)
        self.address = address()
        for number in range(self.count):
            name = f"{self.instance}-{number}"
            log = self.folder / f"{name}.log"
            self.all.append(Replica(name, free_port(self.address), log))
        self._service_ip = self._make_service(client.DiscoveryV1Api(api))
        for replica in self.all:
            self.start(replica)
        return self

    def __exit__(self, *_):
        for replica in self.all:
            if replica.lives:
                self.send(replica, signal.SIGKILL)

    def _make_service(self, discovery):
        ports = [{"name": "http", "port": PORT}]
        made = self._core.create_namespaced_service(
            self.namespace, {"metadata": {"name": SERVICE}, "spec": {"ports": ports}}
        )
        # One slice for each: a slice has one port for all of its addresses.
        for replica in self.all:
            discovery.create_namespaced_endpoint_slice(
                self.namespace,
                {
                    "metadata": {
                        "name": replica.name,
                        "labels": {"kubernetes.io/service-name": SERVICE},
                    },
                    "addressType": "IPv4",
                    "ports": [{"name": "http", "port": replica.port}],
                    "endpoints": [{"addresses": [self.address], "conditions": {"ready": True}}],
                },
            )
        return made.spec.cluster_ip

    # -- processes --------------------------------------------------------------------------------

    def start(self, replica):
        """Start a replica, again if it has run before."""
        store, keys = store_settings()
        own = f"https://{self.address}:{replica.port}"
        words = [
            *("--instance", self.instance, "--namespaces", self.namespace),
            *("--operator-namespace", self.namespace),
            *("--identity", replica.name, "--replica-url", own),
            *("--advertise", f"https://{self._service_ip}:{PORT}"),
            *("--listen", f"{self.address}:{replica.port}", "--metrics-port", "0"),
            *("--runner-image", self.image, *store, *self.settings),
        ]
        replica.process = started(words, keys, replica.log)
        replica.starts += 1

    def send(self, replica, number):
        """Send a signal to a replica; SIGKILL and SIGTERM take effect before this returns."""
        os.kill(replica.process.pid, number)
        if number in (signal.SIGKILL, signal.SIGTERM):
            replica.process.join(WITHIN_S)

    # -- the Lease --------------------------------------------------------------------------------

    def lease(self):
        """Return the Lease; None while there is none, or nobody says."""
        name = names.of_instance(names.LEASE, self.instance)
        with suppress(ApiException, HTTPError):
            return self._leases.read_namespaced_lease(name, self.namespace, _request_timeout=ASK_S)
        return None

    def leads(self, replica):
        """Whether a replica holds the Lease, as far as anybody says."""
        lease = self.lease()
        return bool(lease and lease.spec.holder_identity == replica.name)

    def leader(self, *, other_than=""):
        """Wait until a replica leads; return it."""

        def one():
            lease = self.lease()
            holder = (lease and lease.spec.holder_identity) or other_than
            return next((one for one in self.all if one.name == holder != other_than), None)

        return until(one, lambda: f"none but {other_than!r} leads: {self.words()}", pause_s=0.05)

    def taken_by_another(self, replica):
        """Wait until another replica leads; return what the Lease says then."""
        self.leader(other_than=replica.name)
        return self.lease().spec

    def says(self, replica, words):
        """Wait until a replica logs something."""
        until(
            lambda: words in replica.log.read_text(),
            lambda: f"{replica.name} does not say it: {self.words()}",
        )

    def words(self, lines=15):
        """Return the last lines of the logs."""
        logs = (one.log.read_text().splitlines()[-lines:] for one in self.all)
        return "\n".join(line for log in logs for line in log)
