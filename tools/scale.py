"""What runs of many tasks cost on a real API server, etcd and S3, without their pods' processes.

An operator of its own runs beside the cluster. Pods are bound to a node that is none, and this
program claims, reports and ends in their place. A table, and .bench/scale.json. What a step costs
is also told of the steps from 50 to 100, from 500 to 1 000, and so on, while it goes on.
"""

import argparse
import json
import os
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
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
PATIENCE_S = 6 * 3600
ENDS = (100, 1000, 10_000)
"""Steps after which it is told what the last half of them took."""

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


@dataclass
class Steps:
    """Counts the steps of a run, and says what the last half of them took, now and then."""

    number: int
    counted: Callable[[], dict[str, float]]
    told: Callable[[int, dict[str, float]], None]
    done: int = 0
    _seen: dict[int, dict[str, float]] = field(default_factory=dict)
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def step(self) -> int:
        """Note one more, and return how many there are."""
        with self._turn:
            self.done = done = self.done + 1
        ends = {*(n for n in ENDS if n <= self.number), self.number}
        if done in ends or done * 2 in ends:
            self._seen[done] = self.counted() | {"seconds": time.monotonic()}
        if done in ends and done // 2 in self._seen:
            half = done // 2
            took = {k: (v - self._seen[half][k]) / half for k, v in self._seen[done].items()}
            self.told(done, took)
        return done


Shape = Callable[[int, Steps], tuple[dict[str, Any], Work]]


def loop_of(number: int, steps: Steps) -> tuple[dict[str, Any], Work]:
    """Return a task that runs so many times, and what each pass does."""

    def work(_: Runner) -> dict[str, Any]:
        done = steps.step()
        again = [{"kind": "Iteration", "reason": "more"}] if done < number else []
        return {"outcome": "Succeeded", "value": {"json": done}, "directives": again}

    return large.loop(number), work


def tasks_of(shape: str) -> Shape:
    """Return what makes a plan of so many tasks, each of which returns a number."""

    def made(number: int, steps: Steps) -> tuple[dict[str, Any], Work]:
        def work(_: Runner) -> dict[str, Any]:
            return {"outcome": "Succeeded", "value": {"json": steps.step()}}

        return large.SHAPES[shape](number), work

    return made


def channel_of(number: int, steps: Steps) -> tuple[dict[str, Any], Work]:
    """Return a task that does so many operations on the channel, one after the other."""

    def work(runner: Runner) -> dict[str, Any]:
        for done in range(1, number + 1):
            operation = {"op": "add", "key": "n", "amount": wire.number(1)}
            runner.call("channel", {**operation, "stream": 0, "n": done}, done)
            steps.step()
        return {"outcome": "Succeeded", "value": {"json": number}}

    return large.loop(1), work


SHAPES: dict[str, Shape] = {
    "loop": loop_of,
    "chain": tasks_of("chain"),
    "fan": tasks_of("fan"),
    "group": tasks_of("group"),
    "channel": channel_of,
}
USUAL = ("loop", "chain", "fan", "channel")


@contextmanager
def prepared(*, stored: bool) -> Iterator[Bench]:
    """Have a namespace, a node and an operator, with a store or without; all go in the end."""
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
        url = store.url if stored else ""
        operator = OwnOperator(name, "none.example.com/none", folder, url, settings)
        bench = Bench(api, operator)
        stack.enter_context(store.fault(bench.count_put, where=lambda asked: asked.method == "PUT"))
        stack.enter_context(operator.running())
        operator.wait_until_ready()
        yield bench


def measure(bench: Bench, shape: str, number: int) -> dict[str, float]:
    """Run one program and return what it took."""
    name, halves = f"{shape}-{number}", {}

    def told(done: int, took: dict[str, float]) -> None:
        halves.update({f"{what} of {done // 2} to {done}": one for what, one in took.items()})
        print(name, done, json.dumps(took), file=sys.stderr, flush=True)

    plan, work = SHAPES[shape](number, Steps(number, bench.counted, told))
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
        **{what: round(one, 3) for what, one in halves.items() if not what.startswith("etcd")},
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
    parser.add_argument("--shapes", nargs="+", default=USUAL, choices=SHAPES)
    parser.add_argument("--without-store", action="store_true", help="what fits into the object")
    options = parser.parse_args()
    os.environ.setdefault("KUBECONFIG", str(kubeconfig()))
    err, found = Console(stderr=True), {}
    with prepared(stored=not options.without_store) as bench:
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
