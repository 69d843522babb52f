"""The operator dies while tasks run; what was done is not done again."""

import re
import subprocess
import sys
from collections import Counter

from e2e.conftest import PROGRAMS, ROOT, Cluster

OPERATOR = ("-n", "graflow-system")
SELECTOR = "app.kubernetes.io/name=graflow"


def test_twenty_tasks_run_exactly_once_though_the_operator_is_killed(cluster: Cluster) -> None:
    with subprocess.Popen(
        [
            sys.executable,
            "-m",
            "graflow",
            "submit",
            str(PROGRAMS / "twenty.py"),
            "--wait",
            "-n",
            cluster.namespace,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as submitted:
        wait_for_running_tasks(cluster)
        # Without grace the kubelet sends SIGKILL: nothing of the operator gets a last word.
        cluster.run(
            cluster.kubectl_path,
            *OPERATOR,
            "delete",
            "pod",
            "-l",
            SELECTOR,
            "--grace-period=0",
            "--force",
        )
        out, err = submitted.communicate(timeout=240)
    assert submitted.returncode == 0, err
    assert out.strip() == str(sum(range(20)))
    said: Counter[str] = Counter()
    for pod in cluster.get("pods")["items"]:
        log = cluster.kubectl("logs", pod["metadata"]["name"])
        said.update(re.findall(r"^ran \d+$", log, re.MULTILINE))
    assert said == Counter({f"ran {n}": 1 for n in range(20)})


def wait_for_running_tasks(cluster: Cluster) -> None:
    """Wait until at least one pod of the run has started."""
    for _ in range(60):
        done = cluster.run(
            cluster.kubectl_path,
            "-n",
            cluster.namespace,
            "wait",
            "pod",
            "--all",
            "--for=jsonpath={.status.phase}=Running",
            "--timeout=2s",
        )
        if done.code == 0:
            return
    raise AssertionError(f"no pod of the run started: {done.err}")
