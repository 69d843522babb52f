"""An operator of the test's own, beside the cluster, for the Workflows of one namespace."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from support.looking import until

ROOT = Path(__file__).resolve().parents[2]


def store_of_cluster() -> dict[str, str]:
    """Return what `make cluster` says of its store."""
    lines = (Path(os.environ["KUBECONFIG"]).parent / "s3.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def address() -> str:
    """Return the address at which the cluster's pods reach this machine."""
    kubeconfig = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())
    url = urlsplit(kubeconfig["clusters"][0]["cluster"]["server"])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        asked.connect((url.hostname, url.port or 443))
        return str(asked.getsockname()[0])


def free_port(host: str) -> int:
    with socket.socket() as found:
        found.bind((host, 0))
        return int(found.getsockname()[1])


@dataclass
class OwnOperator:
    """One process.

    Args:
        namespace: Where the runs are, and its Lease and keys.
        image: The runner image.
        folder: Where its log goes.
        store: URL of its store; empty: it has none.
        environ: Beside the environment of the test.
        kubeconfig: How it reaches the API server; none: as the test does.
        entry: What Python runs.
        also: More namespaces with runs of its.
    """

    namespace: str
    image: str
    folder: Path
    store: str
    environ: Mapping[str, str] = field(default_factory=dict)
    kubeconfig: Path | None = None
    entry: tuple[str, ...] = ("-m", "graflow_operator")
    also: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.host = address()
        self.port, self.metrics_port = free_port(self.host), free_port(self.host)

    @property
    def instance(self) -> str:
        return self.namespace

    @property
    def log(self) -> str:
        return (self.folder / "operator.log").read_text()

    def start(self) -> None:
        store = store_of_cluster()
        url = f"http://{self.host}:{self.port}"
        words = [sys.executable, *self.entry]
        flags = {
            "instance": self.instance,
            "namespaces": ",".join((self.namespace, *self.also)),
            "identity": self.namespace,  # it keeps its name, as a container does in its pod
            "operator-namespace": self.namespace,
            "runner-image": self.image,
            "listen": f"{self.host}:{self.port}",
            "advertise": url,
            "metrics-port": str(self.metrics_port),
            "store-bucket": store["S3_BUCKET"] if self.store else "",
            "store-endpoint": self.store,
        }
        for flag, value in flags.items():
            words += [f"--{flag}", value]
        keys = {key: store[key] for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
        environ = {**os.environ, **keys, **self.environ}
        if self.kubeconfig is not None:
            environ["KUBECONFIG"] = str(self.kubeconfig)
        with (self.folder / "operator.log").open("ab") as log:
            self.process = subprocess.Popen(words, env=environ, stdout=log, stderr=log, cwd=ROOT)

    def wait_until_ready(self) -> None:
        until(lambda: self.ask("readyz")[0] == 200, lambda: self.log[-3000:])

    def ask(self, path: str) -> tuple[int, str]:
        """Return what its HTTP server says; 0 if nobody answers."""
        try:
            with urllib.request.urlopen(f"http://{self.host}:{self.port}/{path}", timeout=5) as a:
                return a.status, a.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def metric(self, name: str) -> float:
        """Return the sum of the samples of a metric whose names and labels match."""
        with urllib.request.urlopen(
            f"http://{self.host}:{self.metrics_port}/", timeout=5
        ) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if re.match(name, line))

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()

    @contextmanager
    def running(self) -> Iterator["OwnOperator"]:
        self.start()
        try:
            yield self
        finally:
            self.stop()

    def compiled(self, program: Path, name: str, **spec: Any) -> str:
        """Return a program's objects as JSON lines, for this operator."""
        words = (sys.executable, "-m", "graflow", "compile", str(program), "--name", name)
        done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=ROOT)
        found = list(yaml.safe_load_all(done.stdout))
        for one in found:
            if one["kind"] == "Workflow":
                one["spec"] |= {"operator": self.instance, **spec}
        return json.dumps({"apiVersion": "v1", "kind": "List", "items": found})
