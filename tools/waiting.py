"""What runs cost that wait for people, and what it is like when all are answered at once.

As tools/scale.py, beside a real API server, etcd and S3: an operator of its own, and pods that this
program plays. So many runs each ask a question and are looked at while nobody answers; then
everybody answers within a moment. A table, and .bench/waiting.json.
"""

import argparse
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from kubernetes import client
from rich.console import Console

from cluster_access import ROOT, kubeconfig
from graflow import questions
from graflow.api import names
from graflow.api.moment import rfc3339
from scale import KIND, NODE_LABEL, Bench, prepared, table
from support.looking import until
from support.played_nodes import TOLERATION
from support.scripted_runners import Runner, ScriptedRunners

ASKED = {"type": "approval", "prompt": "Shall we?"}
WITHIN_S = 3600.0
AT_ONCE = 16


def work(runner: Runner) -> dict[str, Any]:
    """Ask, and park; end once there is an answer."""
    digest = questions.digest(ASKED)
    found = runner.call("ask", {"key": "q1", "sha256": digest, "question": ASKED}, 1)
    if found["answer"] is None:
        return {"outcome": "Parked", "waitsFor": ["q1"]}
    return {"outcome": "Succeeded", "value": {"json": 1}}


class Waiting:
    """So many runs in the namespace of a bench."""

    def __init__(self, bench: Bench, runs: int) -> None:
        self._bench = bench
        self._runs = runs
        self._custom = client.CustomObjectsApi(bench.api)
        self._core = client.CoreV1Api(bench.api)

    def begin(self) -> None:
        """Create the runs."""
        spec = {
            "operator": self._bench.operator.instance,
            "tasks": [{"name": "ask", "script": "return 1"}],
            "pod": {
                "nodeSelector": {NODE_LABEL: self._bench.namespace},
                "tolerations": [TOLERATION],
            },
        }
        head = {"apiVersion": names.API_VERSION, "kind": names.WORKFLOW_KIND, "spec": spec}
        for number in range(self._runs):
            body = {**head, "metadata": {"name": f"asks-{number}"}}
            self._custom.create_namespaced_custom_object(
                *KIND, self._bench.namespace, names.WORKFLOWS, body
            )

    def count(self, plural: str, phase: str) -> int:
        """Return how many objects of a kind are in a phase."""
        found = self._custom.list_namespaced_custom_object(*KIND, self._bench.namespace, plural)
        return sum((one.get("status") or {}).get("phase") == phase for one in found["items"])

    def pods(self) -> int:
        """Return how many pods there are that have not ended."""
        alive = "status.phase!=Succeeded,status.phase!=Failed"
        found = self._core.list_namespaced_pod(self._bench.namespace, field_selector=alive)
        return len(found.items)

    def answer(self) -> None:
        """Answer everything, several at a time."""
        me = client.AuthenticationV1Api(self._bench.api).create_self_subject_review({})
        yes = {"by": me.status.user_info.username, "at": rfc3339(time.time()), "how": "Patch",
               "sha256": questions.digest(ASKED), "approved": True}  # fmt: skip
        found = self._custom.list_namespaced_custom_object(
            *KIND, self._bench.namespace, names.FEEDBACK_REQUESTS
        )

        def patch(one: dict[str, Any]) -> None:
            self._custom.patch_namespaced_custom_object_status(
                *KIND, self._bench.namespace, names.FEEDBACK_REQUESTS, one["metadata"]["name"],
                {"status": {"responses": [yes]}},
            )  # fmt: skip

        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(patch, found["items"]))


class Most:
    """Watches the largest of a number, until it is told to stop."""

    def __init__(self, look: Callable[[], int]) -> None:
        self.most = 0
        self._look = look
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._go)
        self._thread.start()

    def _go(self) -> None:
        while not self._over.wait(0.2):
            self.most = max(self.most, self._look())

    def stop(self) -> int:
        """Return the largest."""
        self._over.set()
        self._thread.join()
        return self.most


def measured(bench: Bench, runs: int, idle_s: float) -> dict[str, float]:
    """Return what so many runs cost: to come to their question, to wait, to go on."""
    waiting, say = Waiting(bench, runs), Console(stderr=True).print
    url = f"http://{bench.operator.host}:{bench.operator.port}"

    def counted() -> dict[str, float]:
        return bench.counted() | {"asked": bench.operator.metric("graflow_api_requests_total")}

    with ScriptedRunners(str(kubeconfig()), bench.namespace, url, work) as runners:

        def broken() -> str:
            return "\n".join(runners.broken[:3]) or bench.operator.log[-2000:]

        began = time.monotonic()
        waiting.begin()
        pending = lambda: waiting.count(names.FEEDBACK_REQUESTS, "Pending") == runs  # noqa: E731
        until(pending, broken, within_s=WITHIN_S, pause_s=2)
        until(lambda: waiting.pods() == 0, broken, within_s=WITHIN_S, pause_s=1)
        asked_s = time.monotonic() - began
        say(f"{runs} runs wait after {asked_s:.0f} s; now nobody answers for {idle_s:.0f} s")
        before = counted()
        threading.Event().wait(idle_s)
        after = counted()
        idle = {key: after[key] - before[key] for key in after}
        say(idle)
        say("everybody answers")
        began, most = time.monotonic(), Most(waiting.pods)
        waiting.answer()
        answered_s = time.monotonic() - began
        done = lambda: waiting.count(names.WORKFLOWS, "Succeeded") == runs  # noqa: E731
        until(done, broken, within_s=WITHIN_S, pause_s=1)
        return {
            "seconds until all wait": round(asked_s, 1),
            "pods while they wait": 0,
            "idle seconds": idle_s,
            "idle operator cpu ms per second": round(idle["cpu_ms"] / idle_s, 2),
            "idle commits": idle["commits"],
            "idle requests to the API server": idle["asked"],
            "idle puts": idle["puts"],
            "idle revisions of the cluster": idle["revision"],
            "seconds to answer all": round(answered_s, 1),
            "seconds from the first answer to the last end": round(time.monotonic() - began, 1),
            "most pods at one time": most.stop(),
        }


def main() -> None:
    """Parse the command line, measure, print and keep the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, nargs="+", default=[1000])
    parser.add_argument("--idle-seconds", type=float, default=120.0)
    parser.add_argument("--pods", type=int, default=100, help="limit of a namespace")
    options = parser.parse_args()
    os.environ.setdefault("KUBECONFIG", str(kubeconfig()))
    os.environ["GRAFLOW_HOLD_SECONDS"] = "0"
    os.environ["GRAFLOW_PODS_PER_NAMESPACE"] = str(options.pods)
    found = {}
    for runs in options.runs:
        with prepared(stored=True) as bench:
            found[f"{runs} runs"] = measured(bench, runs, options.idle_seconds)
            print(json.dumps(found), file=sys.stderr, flush=True)
    kept = ROOT / ".bench" / "waiting.json"
    kept.parent.mkdir(exist_ok=True)
    kept.write_text(json.dumps(found, indent=2) + "\n")
    Console().print(table(found))


if __name__ == "__main__":
    main()
