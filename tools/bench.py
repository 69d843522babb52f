"""What a task costs on the cluster: seconds a hop, API writes, the runner's start and size.

A chain of no-op tasks is set against bare pods that are created one after the other in the same
run, so that the machine's mood cancels out. Prints a table and writes .bench/latest.json.
"""

import argparse
import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from kubernetes import client
from kubernetes.watch import Watch
from rich.console import Console
from rich.table import Table

from cluster_access import ROOT, audit_log, connect, reachable_address

NAMESPACE = "graflow-bench"
RUNNER_IMAGE = "localhost/graflow-runner:dev"
AIM_RATIO = 1.3
AIM_WRITES = 5


@dataclass(frozen=True)
class Bare:
    """Seconds from creating a bare pod until it is known to have ended, by two ways."""

    status_s: float
    report_s: float


class Reports:
    """An HTTP server on this machine that notes when each pod has called."""

    def __init__(self) -> None:
        self.arrived: dict[str, float] = {}
        self.changed = threading.Condition()
        reports = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                with reports.changed:
                    reports.arrived[self.path.strip("/")] = time.monotonic()
                    reports.changed.notify_all()
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Keep quiet: a line per pod would end up between the results."""

        self.server = ThreadingHTTPServer(("0.0.0.0", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def wait(self, name: str) -> float:
        """Return when the pod called, in monotonic seconds."""
        with self.changed:
            if not self.changed.wait_for(lambda: name in self.arrived, timeout=120):
                raise TimeoutError(f"pod {name!r} has not called within 120 s")
            return self.arrived[name]


def bare_pod(name: str, url: str) -> dict[str, Any]:
    """Return a pod like a task's, that does nothing but call home."""
    call = (
        f"import http.client, urllib.parse as p; u = p.urlsplit({url!r}); "
        "c = http.client.HTTPConnection(u.hostname, u.port); c.request('POST', u.path); "
        "c.getresponse().read()"
    )
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "containers": [
                {
                    "name": "task",
                    "image": RUNNER_IMAGE,
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["/opt/graflow/bin/python", "-c", call],
                }
            ],
        },
    }


def measure_bare(api: client.ApiClient, count: int) -> Bare:
    """Create bare pods one after the other, each when the one before has ended."""
    core = client.CoreV1Api(api)
    reports = Reports()
    address = f"http://{reachable_address(api)}:{reports.server.server_port}"
    watched: list[float] = []
    reported: list[float] = []
    for number in range(count):
        name = f"bare-{number}-{int(time.time())}"
        before = core.list_namespaced_pod(NAMESPACE, limit=1).metadata.resource_version
        created = time.monotonic()
        core.create_namespaced_pod(NAMESPACE, bare_pod(name, f"{address}/{name}"))
        for event in Watch().stream(
            core.list_namespaced_pod,
            NAMESPACE,
            field_selector=f"metadata.name={name}",
            resource_version=before,
            timeout_seconds=120,
        ):
            if event["object"].status.phase == "Succeeded":
                watched.append(time.monotonic() - created)
                break
        reported.append(reports.wait(name) - created)
        core.delete_namespaced_pod(name, NAMESPACE)
    reports.server.shutdown()
    return Bare(statistics.median(watched), statistics.median(reported))


def chain(name: str, length: int) -> dict[str, Any]:
    """Return a Workflow of no-op tasks, one after the other."""
    tasks = [
        {"name": f"t{n}", "script": "return None", "after": [f"t{n - 1}"] if n else []}
        for n in range(length)
    ]
    return {
        "apiVersion": "graflow.dev/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": name},
        "spec": {"tasks": tasks},
    }


def measure_chain(api: client.ApiClient, length: int) -> float:
    """Run a chain and return the seconds from its creation to its end, divided by its length."""
    custom = client.CustomObjectsApi(api)
    where = ("graflow.dev", "v1alpha1", NAMESPACE, "workflows")
    name = f"chain-{int(time.time())}"
    before = custom.list_namespaced_custom_object(*where, limit=1)["metadata"]["resourceVersion"]
    created = time.monotonic()
    custom.create_namespaced_custom_object(*where, chain(name, length))
    for event in Watch().stream(
        custom.list_namespaced_custom_object,
        *where,
        field_selector=f"metadata.name={name}",
        resource_version=before,
        timeout_seconds=300,
    ):
        status = event["object"].get("status", {})
        if status.get("phase") == "Succeeded":
            return (time.monotonic() - created) / length
        if status.get("phase") == "Failed":
            raise RuntimeError(f"the chain failed: {status['reason']}: {status['message']}")
    raise TimeoutError("the chain has not ended within 300 s")


def ensure_namespace(api: client.ApiClient) -> None:
    """Create the benchmark's namespace unless it is there."""
    core = client.CoreV1Api(api)
    if NAMESPACE not in {found.metadata.name for found in core.list_namespace().items}:
        core.create_namespace({"metadata": {"name": NAMESPACE}})


def writes_by_the_operator(since: datetime) -> int | None:
    """Count the operator's writes to the API server, leases apart, from the audit log."""
    log = audit_log()
    if log is None:
        return None
    return sum(1 for entry in audited(log, since) if is_write(entry))


def audited(log: Path, since: datetime) -> Iterator[dict[str, Any]]:
    """Yield the finished requests of the audit log from a moment on."""
    with log.open() as lines:
        for line in lines:
            entry = json.loads(line)
            received = datetime.fromisoformat(entry["requestReceivedTimestamp"])
            if entry["stage"] == "ResponseComplete" and received >= since:
                yield entry


def is_write(entry: dict[str, Any]) -> bool:
    """Whether a request of the operator's own account changes a run's objects."""
    return (
        entry["user"]["username"].endswith(":graflow-system:graflow")
        and entry["verb"] in {"create", "update", "patch", "delete"}
        and entry.get("objectRef", {}).get("resource") != "leases"
        and entry.get("responseStatus", {}).get("code", 0) < 400  # noqa: PLR2004
    )


RUNNER_IMPORTS = (
    "import graflow_runner.lifecycle, graflow_runner.claim, cloudpickle, graflow_runner.attempt"
)
"""What a runner imports before user code, in its order."""


def runner_import_s(tries: int = 5) -> float:
    """Return the seconds that the runner's imports take before user code, the best of some tries.

    Measured with this checkout's interpreter, which is of the image's minor version.
    """
    return min(_imports_s() for _ in range(tries))


def _imports_s() -> float:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", RUNNER_IMPORTS],
        capture_output=True,
        text=True,
        check=True,
    )
    rows = [line.split("|") for line in done.stderr.splitlines() if line.startswith("import time:")]
    own = [int(row[0].removeprefix("import time:")) for row in rows if "self" not in row[0]]
    return sum(own) / 1e6


def runner_image_mb(api: client.ApiClient) -> float | None:
    """Return the size of the runner's image as the node reports it, in MB."""
    for node in client.CoreV1Api(api).list_node().items:
        for image in node.status.images:
            if any(name.startswith(RUNNER_IMAGE) for name in image.names or ()):
                return round(image.size_bytes / 1e6, 1)
    return None


def measure(length: int, rounds: int) -> dict[str, Any]:
    """Measure everything; say on stderr what is going on."""
    err = Console(stderr=True)
    api = connect()
    ensure_namespace(api)
    err.print(f"{length} bare pods, one after the other")
    bare = measure_bare(api, length)
    hops = []
    since = datetime.now(UTC)
    for number in range(rounds):
        err.print(f"chain of {length} no-op tasks, {number + 1} of {rounds}")
        hops.append(measure_chain(api, length))
    writes = writes_by_the_operator(since)
    return {
        "hop_s": round(statistics.median(hops), 3),
        "hops_s": [round(hop, 3) for hop in hops],
        "bare_status_s": round(bare.status_s, 3),
        "bare_report_s": round(bare.report_s, 3),
        "hop_over_bare_report": round(statistics.median(hops) / bare.report_s, 2),
        "api_writes_per_task": writes and round(writes / (length * rounds), 2),
        "runner_import_s": round(runner_import_s(), 3),
        "runner_image_mb": runner_image_mb(api),
        "chain_length": length,
        "measured_at": since.isoformat(timespec="seconds"),
    }


def table(found: dict[str, Any]) -> Table:
    """Return the numbers with their aims."""
    shown = Table("what", "measured", "aim")
    ratio = f"at most {AIM_RATIO} x a bare pod's report"
    shown.add_row("seconds a hop (chain)", f"{found['hop_s']}", ratio)
    shown.add_row("  over a bare pod's report", f"{found['hop_over_bare_report']}", f"{AIM_RATIO}")
    shown.add_row("bare pod, create to Succeeded seen, s", f"{found['bare_status_s']}", "")
    shown.add_row("bare pod, create to its report, s", f"{found['bare_report_s']}", "")
    shown.add_row("API writes a task", f"{found['api_writes_per_task']}", f"at most {AIM_WRITES}")
    shown.add_row("runner imports, s", f"{found['runner_import_s']}", "under 0.1")
    shown.add_row("runner image, MB", f"{found['runner_image_mb']}", "small")
    return shown


def main() -> None:
    """Parse the command line, measure, print and keep the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--length", type=int, default=10, help="tasks in the chain")
    parser.add_argument("--rounds", type=int, default=3, help="how often the chain runs")
    options = parser.parse_args()
    found = measure(options.length, options.rounds)
    latest = ROOT / ".bench" / "latest.json"
    latest.parent.mkdir(exist_ok=True)
    latest.write_text(json.dumps(found, indent=2) + "\n")
    Console().print(table(found))


if __name__ == "__main__":
    main()
