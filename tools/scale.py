"""What runs of many tasks cost on a real API server, etcd and S3, without their pods' processes.

An operator of its own runs beside the cluster. Pods are bound to a node that is none, and this
program claims, reports and ends in their place. A table, and .bench/scale.json.
"""

import argparse
import json
import os
import secrets
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web
from kubernetes import client, watch
from kubernetes.client.exceptions import ConflictException
from rich.console import Console
from rich.table import Table

from cluster_access import ROOT, binary, connect, kubeconfig
from graflow.api import names
from graflow.ledger import wire
from support import large
from support.faulty_proxy import Exchange, FaultyProxy
from support.own_operator import OwnOperator, address, store_of_cluster
from support.played_nodes import TOLERATION, PlayedNodes
from support.scripted_runners import Runner, ScriptedRunners, Work

ENDED = ("Succeeded", "Failed", "Cancelled")
NODE_LABEL = "graflow.test/scale"
PATIENCE_S = 3600
TICKS = os.sysconf("SC_CLK_TCK")
KIND = (names.GROUP, "v1alpha1")


@dataclass
class Bench:
    """A namespace with an operator of its own, and what is counted of it."""

    api: client.ApiClient
    operator: OwnOperator
    put_bytes: int = 0
    puts: int = 0

    @property
    def namespace(self) -> str:
        """Where the runs are."""
        return self.operator.namespace

    def counted(self) -> dict[str, float]:
        """Return all counters as they are now."""
        assert self.operator.process is not None
        stat = Path(f"/proc/{self.operator.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return {
            "cpu_ms": (int(stat[11]) + int(stat[12])) * 1000 / TICKS,
            "put_bytes": self.put_bytes,
            "puts": self.puts,
            "commits": self.operator.metric("graflow_status_bytes_count"),
            "patched_bytes": self.operator.metric("graflow_status_bytes_sum"),
            "revision": self._revision(),
            "etcd_bytes": self._etcd_bytes(),
        }

    def _revision(self) -> int:
        found = client.CoreV1Api(self.api).list_namespace(limit=1)
        return int(found.metadata.resource_version)

    def _etcd_bytes(self) -> float:
        words = (binary("kubectl"), "--kubeconfig", str(kubeconfig()), "get", "--raw", "/metrics")
        text = subprocess.run(words, check=True, capture_output=True, text=True).stdout
        sizes = (line for line in text.splitlines() if line.startswith("apiserver_storage_size_b"))
        return sum(float(line.rsplit(" ", 1)[1]) for line in sizes)

    async def count_put(self, exchange: Exchange) -> web.StreamResponse:
        """Pass on what is put into the store, and count it."""
        self.puts += 1
        self.put_bytes += len(exchange.body)
        return await exchange.passed_on()


def loop_of(number: int) -> tuple[dict[str, Any], Work]:
    """Return a task that runs so many times, and what each pass does."""
    passes = iter(range(1, number + 1))

    def work(_: Runner) -> dict[str, Any]:
        done = next(passes)
        again = [{"kind": "Iteration", "reason": "more"}] if done < number else []
        return {"outcome": "Succeeded", "value": {"json": done}, "directives": again}

    return large.loop(number), work


def fan_of(number: int) -> tuple[dict[str, Any], Work]:
    """Return so many tasks, all but the last side by side."""
    return large.fan(number), lambda _: {"outcome": "Succeeded", "value": {"json": 1}}


def channel_of(number: int) -> tuple[dict[str, Any], Work]:
    """Return a task that does so many operations on the channel, one after the other."""

    def work(runner: Runner) -> dict[str, Any]:
        for done in range(1, number + 1):
            operation = {"op": "add", "key": "n", "amount": wire.number(1)}
            runner.call("channel", {**operation, "stream": 0, "n": done}, done)
        return {"outcome": "Succeeded", "value": {"json": number}}

    return large.loop(1), work


SHAPES = {"loop": loop_of, "fan": fan_of, "channel": channel_of}


@contextmanager
def prepared() -> Iterator[Bench]:
    """Have a namespace, a node and an operator; all of them go in the end."""
    api, name = connect(), f"graflow-scale-{secrets.token_hex(3)}"
    core = client.CoreV1Api(api)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        core.create_namespace({"metadata": {"name": name}})
        stack.callback(core.delete_namespace, name)
        nodes = PlayedNodes(str(kubeconfig()))
        stack.callback(nodes.close)
        nodes.add(name, {NODE_LABEL: name})
        store = FaultyProxy(store_of_cluster()["S3_ENDPOINT"], host=address())
        stack.enter_context(store)
        settings = {"GRAFLOW_CHECK_PEER": "false", "GRAFLOW_RUNNER_RESOURCES": "{}"}
        operator = OwnOperator(name, "none.example.com/none", folder, store.url, settings)
        bench = Bench(api, operator)
        stack.enter_context(store.fault(bench.count_put, where=lambda asked: asked.method == "PUT"))
        stack.enter_context(operator.running())
        operator.wait_until_ready()
        yield bench


def measure(bench: Bench, shape: str, number: int) -> dict[str, float]:
    """Run one program and return what it took."""
    plan, work = SHAPES[shape](number)
    name = f"{shape}-{number}"
    url = f"http://{bench.operator.host}:{bench.operator.port}"
    runners = ScriptedRunners(str(kubeconfig()), bench.namespace, url, work)
    with runners:
        before, began = bench.counted(), time.monotonic()
        create(bench, name, plan)
        largest = watched(bench, name, runners)
        after = bench.counted()
    took = {key: after[key] - before[key] for key in after}
    return {
        "seconds": round(time.monotonic() - began, 1),
        "operator_cpu_ms_per_step": round(took["cpu_ms"] / number, 2),
        "commits": took["commits"],
        "patched_bytes_per_commit": round(took["patched_bytes"] / max(1, took["commits"])),
        "puts": took["puts"],
        "put_bytes_per_step": round(took["put_bytes"] / number),
        "largest_status_bytes": largest,
        "etcd_bytes_before": before["etcd_bytes"],
        "etcd_bytes_after": after["etcd_bytes"],
        "revisions_of_the_cluster": took["revision"],
    }


def create(bench: Bench, name: str, plan: dict[str, Any]) -> None:
    """Make the Workflow and its code, whose plan is in it."""
    custom = client.CustomObjectsApi(bench.api)
    body, sha256 = large.bundle(plan)
    body["metadata"]["name"] = bundle = f"code-{sha256[:40]}"
    with suppress(ConflictException):  # another run of the same program
        custom.create_namespaced_custom_object(*KIND, bench.namespace, "codebundles", body)
    pod = {"nodeSelector": {NODE_LABEL: bench.namespace}, "tolerations": [TOLERATION]}
    spec = large.spec(sha256, operator=bench.operator.instance, pod=pod)
    spec["bundle"]["name"] = bundle
    workflow = {"apiVersion": names.API_VERSION, "kind": names.WORKFLOW_KIND,
                "metadata": {"name": name}, "spec": spec}  # fmt: skip
    custom.create_namespaced_custom_object(*KIND, bench.namespace, "workflows", workflow)


def watched(bench: Bench, name: str, runners: ScriptedRunners) -> int:
    """Wait for the end of a run, and return the bytes of the largest status that was seen."""
    custom, largest = client.CustomObjectsApi(bench.api), 0
    for event in watch.Watch().stream(
        custom.list_namespaced_custom_object,
        *KIND,
        bench.namespace,
        "workflows",
        field_selector=f"metadata.name={name}",
        timeout_seconds=PATIENCE_S,
    ):
        if runners.broken:
            raise SystemExit(f"a scripted runner broke: {runners.broken[0]}")
        status = event["object"].get("status", {})
        largest = max(largest, len(json.dumps(status, separators=(",", ":"))))
        if status.get("phase") == "Succeeded":
            return largest
        if status.get("phase") in ENDED:
            raise SystemExit(f"{name}: {status['phase']}: {status.get('message')}")
    raise SystemExit(f"{name} has not ended in {PATIENCE_S} s; {bench.operator.log[-2000:]}")


def table(found: dict[str, dict[str, float]]) -> Table:
    """Return the numbers, a column for each run."""
    shown = Table("what", *found)
    for row in next(iter(found.values())):
        shown.add_row(row.replace("_", " "), *(f"{one[row]:g}" for one in found.values()))
    return shown


def main() -> None:
    """Parse the command line, measure, print and keep the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--numbers", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--shapes", nargs="+", default=[*SHAPES], choices=SHAPES)
    options = parser.parse_args()
    os.environ.setdefault("KUBECONFIG", str(kubeconfig()))
    err, found = Console(stderr=True), {}
    with prepared() as bench:
        for number in options.numbers:
            for shape in options.shapes:
                err.print(f"{shape} of {number}")
                found[f"{shape} {number}"] = measure(bench, shape, number)
                err.print(found[f"{shape} {number}"])
    kept = ROOT / ".bench" / "scale.json"
    kept.parent.mkdir(exist_ok=True)
    kept.write_text(json.dumps(found, indent=2) + "\n")
    Console().print(table(found))


if __name__ == "__main__":
    main()
