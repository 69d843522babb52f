"""Everything dies at once, again and again, and a ledger outside of the cluster keeps account.

`make chaos` goes on for ten minutes, with fifty runs of the examples. The replicas that are killed
are processes beside the cluster: a kubelet would wait ever longer to start them again.
GRAFLOW_CHAOS_SEED draws other lots. What was counted is in .bench/chaos.json.
"""

import dataclasses
import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, config

from e2e.conftest import EXAMPLES, ROOT, RUNNER_IMAGE, Cluster
from graflow.api import names
from graflow.store.s3 import S3Location, S3Store
from support import witness
from support.chaos import Chaos, patiently
from support.example_runs import ADD_TO_THE_CHANNEL, Runs, compiled, ended, example_of
from support.ledger import Ledger, Verdict, commits, judged
from support.looking import until
from support.own_operator import address
from support.replicas import Replicas, store_settings
from support.sightings import Sightings

SEED = int(os.environ.get("GRAFLOW_CHAOS_SEED", "20261130"))
SECONDS = float(os.environ.get("GRAFLOW_CHAOS_SECONDS", "45"))
MANY = int(os.environ.get("GRAFLOW_CHAOS_RUNS", "6"))
AT_ONCE = 8
PATIENCE_S = 300.0
"""No fault lasts longer than some seconds; what has not ended by then never will."""

RECORD = ROOT / ".bench" / "chaos.json"
INSTANCE = "chaos"
FAN_OUT = "fan-out"
"""Its fifty pods at once take two cores a while: only where there are many runs."""

PROGRAMS = {
    example: path
    for path in sorted(EXAMPLES.glob("*/workflow.py"))
    if (example := example_of(path)) != FAN_OUT or MANY >= 50
}
ORDER = list(PROGRAMS)[:MANY]


@dataclass
class Scene:
    """What the chaos is about to meet with."""

    cluster: Cluster
    replicas: Replicas
    ledger: Ledger
    runs: Runs
    sightings: Sightings

    @property
    def namespace(self) -> str:
        return self.cluster.namespace


@pytest.fixture
def scene(cluster: Cluster, tmp_path: Path) -> Iterator[Scene]:
    """Two replicas of an installation of their own, a ledger, and the code of the examples."""
    with Ledger(address()) as ledger:
        manifests = {}
        for example in ORDER:
            program = PROGRAMS[example]
            folder = shutil.copytree(program.parent, tmp_path / example)
            workflow, others = compiled(witness.witnessed(Path(folder), ledger.address))
            workflow["spec"] |= {"operator": INSTANCE, "pod": {"env": witness.ENV}}
            manifests[example] = workflow
            for one in others:
                assert cluster.apply(one).code == 0
        runs = Runs(connected(), cluster.namespace, manifests)
        settings = ("--store-deleted-runs-seconds", "5")
        with Replicas(
            cluster.namespace, tmp_path, RUNNER_IMAGE, INSTANCE, settings=settings
        ) as replicas:
            replicas.leader()
            sightings = Sightings(os.environ["KUBECONFIG"], cluster.namespace)
            yield Scene(cluster, replicas, ledger, runs, sightings)
            sightings.stop()


def connected() -> client.ApiClient:
    return config.new_client_from_config(os.environ["KUBECONFIG"])


@pytest.mark.own_cluster
@pytest.mark.timeout(2400)
def test_no_work_is_lost_or_done_twice_while_operator_api_server_store_and_pods_die(
    scene: Scene,
) -> None:
    expected = {example: witness.local_result(PROGRAMS[example]) for example in ORDER}
    began = time.monotonic()
    with Chaos(connected(), scene.namespace, scene.replicas, SEED) as chaos:
        keep_running(scene.runs)
    took_s = time.monotonic() - began
    stuck = wait_for_the_end(scene.runs)
    statuses = patiently(scene.runs.seen)
    committed = {run: commits(scene.sightings.versions(run)) for run in scene.runs.begun}
    verdict = judged(scene.ledger.entries, committed)
    lost = losses(scene.runs, statuses, expected, verdict)
    record(scene, chaos, verdict, took_s, stuck, lost)
    assert not chaos.broken
    assert not stuck, f"seed {SEED}: {[(name, statuses[name]) for name in stuck]}"
    assert not lost, f"seed {SEED}: {lost}"
    assert not verdict.faults, f"seed {SEED}: {verdict.faults}"
    nothing_is_left(scene)


def keep_running(runs: Runs) -> None:
    """Keep several runs going for the whole time, and begin as many as asked for by its end."""
    began = time.monotonic()
    while (passed := (time.monotonic() - began) / SECONDS) < 1 or len(runs.begun) < MANY:
        if len(runs.begun) < MANY * passed or len(patiently(runs.going)) < AT_ONCE:
            patiently(lambda: runs.begin(ORDER[len(runs.begun) % len(ORDER)]))
        else:
            time.sleep(0.5)


def wait_for_the_end(runs: Runs) -> list[str]:
    """Wait for all runs, without any more faults; return those that do not end."""
    with suppress(AssertionError):
        until(lambda: not patiently(runs.going), within_s=PATIENCE_S)
    return list(patiently(runs.going))


def losses(
    runs: Runs, statuses: dict[str, Any], expected: dict[str, Any], verdict: Verdict
) -> list[str]:
    """Return the runs that did not come to what they come to without faults, in words."""
    found = []
    for name, example in runs.begun.items():
        status = statuses.get(name, {})
        if not ended(status):
            continue
        if status["phase"] != "Succeeded":
            found.append(f"{name}: {status['phase']}, {status.get('reason')}: {status}")
        elif example in ADD_TO_THE_CHANNEL and name in verdict.again:
            continue
        elif status.get("result", {}).get("json") != expected[example]:
            found.append(f"{name}: {status.get('result')} instead of {expected[example]!r}")
    return found


def record(  # noqa: PLR0913, PLR0917 - all that was counted
    scene: Scene, chaos: Chaos, verdict: Verdict, took_s: float, stuck: list[str], lost: list[str]
) -> None:
    """Write what was counted, for the page."""
    found = {
        "seed": SEED,
        "seconds": round(took_s, 1),
        "faults": dict(sorted(chaos.injected.items())),
        "faults in all": sum(chaos.injected.values()),
        "starts of operator processes": sum(one.starts for one in scene.replicas.all),
        "runs": len(scene.runs.begun),
        "runs by example": dict(Counter(scene.runs.begun.values())),
        **{k: v for k, v in dataclasses.asdict(verdict).items() if isinstance(v, int)},
        "ran after a commit, or twice": len(verdict.faults),
        "lost": len(lost),
        "stuck": len(stuck),
    }
    RECORD.parent.mkdir(exist_ok=True)
    RECORD.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))


def nothing_is_left(scene: Scene) -> None:
    """Delete all runs; their pods, keys and objects in the store go with them."""
    patiently(lambda: scene.cluster.kubectl("delete", "workflows.graflow.dev", "--all"))
    flags, keys = store_settings()
    os.environ.update(keys)
    store = S3Store(S3Location(flags[1], flags[3], "us-east-1"))
    kinds = ("get", "workflows.graflow.dev,pods,secrets", "-l", names.LABEL_RUN, "-o", "name")

    def left() -> list[str]:
        return [*scene.cluster.kubectl(*kinds).split(), *store.list(f"{scene.namespace}/")]

    until(lambda: not left(), lambda: f"left over: {left()}", within_s=PATIENCE_S)
