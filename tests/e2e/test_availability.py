"""Another replica takes over, whatever becomes of the one that leads, and nothing is lost by it.

The bounds are read from the Lease, in which each replica writes when it took it, and renewed it.
What was measured is in .bench/availability.json.
"""

import json
import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from e2e.conftest import ROOT, RUNNER_IMAGE, Cluster, manifest
from support.installation import SYSTEM, installed_beside
from support.replicas import Replicas
from support.sightings import Sightings

INSTANCE = "available"
TAKEN_OVER_S = {signal.SIGKILL: 20.0, signal.SIGTERM: 3.0}
"""After the leader was killed, and after it was told to stop."""

FROZEN_S = 60.0
WRITES = ("create", "update", "patch", "delete")
RECORD = ROOT / ".bench" / "availability.json"


@pytest.fixture
def replicas(cluster: Cluster, tmp_path: Path) -> Iterator[Replicas]:
    with Replicas(cluster.namespace, tmp_path, RUNNER_IMAGE, INSTANCE) as found:
        found.leader()
        yield found


def chain(name: str, length: int, seconds: float) -> dict[str, Any]:
    """Return a run of tasks that follow one another, each with some seconds of work."""
    script = f"import time\ntime.sleep({seconds})"
    names = [f"t{n}" for n in range(length)]
    tasks = [
        {"name": one, "script": script, **({"after": [before]} if before else {})}
        for before, one in zip(["", *names], names, strict=False)
    ]
    return manifest(name, tasks, operator=INSTANCE)


def ran_once(cluster: Cluster, name: str, tasks: int) -> None:
    """Wait for a run, and see that each of its tasks ran in one pod, and failed in none.

    An attempt whose pod may or may not have been asked for when the leader died is none that ran:
    its number is given up.
    """
    status = cluster.wait(name, seconds=180)["status"]
    assert status["phase"] == "Succeeded", status
    assert [task.get("failures", 0) for task in status["tasks"]] == [0] * tasks
    assert len(cluster.pods(name)) == tasks


def measured(what: str, seconds: float) -> None:
    """Keep a number for whoever writes it down."""
    found = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    RECORD.parent.mkdir(exist_ok=True)
    RECORD.write_text(json.dumps(found | {what: round(seconds, 2)}, indent=2) + "\n")
    print(f"{what}: {seconds:.2f} s")


@pytest.mark.parametrize("ending", TAKEN_OVER_S, ids=lambda ending: ending.name)
def test_another_replica_leads_soon_after_the_leader_is_killed_and_at_once_after_it_stops(
    cluster: Cluster, replicas: Replicas, ending: signal.Signals
) -> None:
    assert cluster.apply(chain("chain", 4, 1)).code == 0
    cluster.first_running_pod()
    leader = replicas.leader()
    ended_at = datetime.now(UTC)
    replicas.send(leader, ending)
    taken = replicas.taken_by_another(leader)
    took_s = (taken.acquire_time - ended_at).total_seconds()
    measured(f"taken over after {ending.name}", took_s)
    assert took_s < TAKEN_OVER_S[ending]
    ran_once(cluster, "chain", 4)


@pytest.mark.own_cluster
def test_a_leader_that_was_frozen_for_a_minute_writes_nothing_when_it_wakes(
    cluster: Cluster, replicas: Replicas
) -> None:
    seen = Sightings(os.environ["KUBECONFIG"], cluster.namespace)
    for n in range(5):
        assert cluster.apply(chain(f"chain-{n}", 10, 0.2)).code == 0
    seen.until("chain-0", lambda status: status.get("progress") == "2/10", 60)
    leader = replicas.leader()
    frozen_at = datetime.now(UTC)
    replicas.send(leader, signal.SIGSTOP)
    replicas.taken_by_another(leader)
    left_s = FROZEN_S - (datetime.now(UTC) - frozen_at).total_seconds()
    # The rest of the minute is the run of a task, which nobody need wait for twice.
    assert cluster.apply(chain("clock", 1, left_s)).code == 0
    cluster.wait("clock")
    woken_at = datetime.now(UTC)
    replicas.send(leader, signal.SIGCONT)
    replicas.says(leader, "the Lease is lost; no longer leading")
    assert cluster.apply(chain("after", 2, 0.2)).code == 0
    for n in range(5):
        ran_once(cluster, f"chain-{n}", 10)
    ran_once(cluster, "after", 2)
    assert not written(leader.name, woken_at)
    assert written(replicas.leader().name, woken_at), "the audit log names no replica"


BESIDE = "graflow-avail"
CLUSTER_WIDE = (
    "clusterroles,clusterrolebindings,priorityclasses,flowschemas,"
    "validatingwebhookconfigurations,validatingadmissionpolicies"
)


@pytest.fixture(scope="module")
def beside(kubectl_path: str) -> Iterator[Cluster]:
    """Another installation in the same cluster, with two replicas."""
    with installed_beside(kubectl_path, INSTANCE, BESIDE, {"replicas": 2}):
        yield Cluster(kubectl_path, BESIDE)


def test_runs_go_on_while_the_operator_is_rolled_out_anew(
    cluster: Cluster, beside: Cluster
) -> None:
    for n in range(3):
        assert cluster.apply(chain(f"chain-{n}", 10, 1)).code == 0
    cluster.first_running_pod()
    old = {pod["metadata"]["name"] for pod in beside.get("pods")["items"]}
    beside.kubectl("rollout", "restart", "deployment", "graflow")
    beside.kubectl("rollout", "status", "deployment", "graflow", "--timeout=120s")
    new = {pod["metadata"]["name"] for pod in beside.get("pods")["items"] if alive(pod)}
    assert len(new) == 2
    assert not old & new
    for n in range(3):
        ran_once(cluster, f"chain-{n}", 10)


def alive(pod: dict[str, Any]) -> bool:
    return "deletionTimestamp" not in pod["metadata"]


def test_each_of_two_installations_drives_its_own_runs_and_no_others(
    cluster: Cluster, beside: Cluster
) -> None:
    own = chain("own", 2, 0.2)
    assert cluster.apply(own).code == 0
    theirs = {**own, "metadata": {"name": "theirs"}, "spec": {"tasks": own["spec"]["tasks"]}}
    assert cluster.apply(theirs).code == 0
    nobodys = {**own, "metadata": {"name": "nobodys"}}
    nobodys["spec"] = {**own["spec"], "operator": "nobody"}
    assert cluster.apply(nobodys).code == 0
    for name, instance in (("own", INSTANCE), ("theirs", "")):
        ran_once(cluster, name, 2)
        found = cluster.get("workflows.graflow.dev", name)
        assert found["status"]["instance"] == instance
        labels = [pod["metadata"]["labels"] for pod in cluster.pods(name)]
        assert [one.get("graflow.dev/operator", "") for one in labels] == [instance] * 2
    assert "status" not in cluster.get("workflows.graflow.dev", "nobodys")


def test_two_installations_share_the_definitions_and_no_other_object_of_the_cluster(
    cluster: Cluster, beside: Cluster
) -> None:
    found = cluster.get(CLUSTER_WIDE, "", "-l", "app.kubernetes.io/name=graflow")["items"]
    of = {
        namespace: {
            (one["kind"], one["metadata"]["name"])
            for one in found
            if one["metadata"]["annotations"]["meta.helm.sh/release-namespace"] == namespace
        }
        for namespace in (BESIDE, SYSTEM)
    }
    kinds = [sorted(kind for kind, _ in ones) for ones in of.values()]
    assert kinds[0] == kinds[1] != []
    definitions = cluster.get("crds", "", "-l", "app.kubernetes.io/name=graflow")["items"]
    assert {
        one["metadata"]["annotations"]["meta.helm.sh/release-namespace"] for one in definitions
    } == {SYSTEM}


def written(replica: str, since: datetime) -> list[str]:
    """Return what a replica has written since then, or tried to, as the API server noted it."""
    found = []
    with (ROOT / ".cluster" / "logs" / "audit.log").open() as log:
        lines = [line for line in log if f"({replica})" in line]
    for request in map(json.loads, lines):
        at = datetime.fromisoformat(request["requestReceivedTimestamp"])
        if at >= since and request["verb"] in WRITES:
            answer = request["responseStatus"].get("code")
            found.append(f"{request['verb']} {request['requestURI']}: {answer}")
    return found
