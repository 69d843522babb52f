"""The operator dies while tasks run; what was done is not done again."""

import re
from collections import Counter

from e2e.conftest import PROGRAMS, Cluster

OPERATOR = ("-n", "graflow-system")
SELECTOR = "app.kubernetes.io/name=graflow"


def test_twenty_tasks_run_exactly_once_though_the_operator_is_killed(cluster: Cluster) -> None:
    with cluster.submitting(PROGRAMS / "twenty.py") as submitted:
        cluster.first_running_pod()
        # Without grace the kubelet sends SIGKILL: nothing of the operator gets a last word.
        killed = cluster.run(
            *(cluster.kubectl_path, *OPERATOR, "delete", "pod", "-l", SELECTOR),
            *("--grace-period=0", "--force"),
        )
        assert killed.code == 0, killed.err
        out, err = submitted.communicate(timeout=240)
    assert submitted.returncode == 0, err
    assert out.splitlines()[-1] == str(sum(range(20)))
    said: Counter[str] = Counter()
    for pod in cluster.get("pods")["items"]:
        log = cluster.kubectl("logs", pod["metadata"]["name"])
        said.update(re.findall(r"^ran \d+$", log, re.MULTILINE))
    assert said == Counter({f"ran {n}": 1 for n in range(20)})
    attempts = cluster.attempts()
    assert len(set(attempts)) == len(attempts) == 21, "an attempt has no pod, or more than one"
