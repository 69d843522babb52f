"""C2: the run's channel, shared by pods."""

import json
import subprocess
import sys

from e2e.conftest import PROGRAMS, Cluster

OPERATOR = ("-n", "graflow-system")
SELECTOR = "app.kubernetes.io/name=graflow"


def test_c2_five_hundred_increments_from_five_pods_are_five_hundred(cluster: Cluster) -> None:
    ran = cluster.submit(PROGRAMS / "channel_counts.py")
    assert ran.code == 0, ran.err
    timings, told = ran.out.splitlines()[-2:]
    assert told == "500 ['alone', 'total']"
    assert len(json.loads(timings)) == 6


def test_c2_values_in_the_channel_are_the_same_in_pods_as_locally(cluster: Cluster) -> None:
    program = PROGRAMS / "channel_values.py"
    here = cluster.run(sys.executable, str(program))
    there = cluster.submit(program)
    assert (here.code, there.code) == (0, 0), there.err
    assert there.out.splitlines()[-1] == here.out.splitlines()[-1]
    logs = [
        cluster.kubectl("logs", pod["metadata"]["name"]) for pod in cluster.get("pods")["items"]
    ]
    said = {line for log in logs for line in log.splitlines()}
    assert said >= set(here.out.splitlines()[:-1])


def test_c2_what_was_answered_survives_that_the_operator_is_killed(cluster: Cluster) -> None:
    with cluster.submitting(PROGRAMS / "channel_survives.py") as submitted:
        cluster.first_running_pod()
        for _ in range(2):
            # Without grace the kubelet sends SIGKILL: nothing of the operator gets a last word.
            killed = cluster.run(
                *(cluster.kubectl_path, *OPERATOR, "delete", "pod", "-l", SELECTOR),
                *("--grace-period=0", "--force", "--wait=true"),
            )
            assert killed.code == 0, killed.err
            cluster.run(
                *(cluster.kubectl_path, *OPERATOR, "wait", "pod", "-l", SELECTOR),
                *("--for=condition=Ready", "--timeout=60s"),
            )
        out, err = submitted.communicate(timeout=240)
    assert submitted.returncode == 0, err
    assert out.splitlines()[-1] == "[80, 80, 80, 240]"
    attempts = cluster.attempts()
    assert len(set(attempts)) == len(attempts) == 4


def test_c2_a_lock_keeps_pods_apart_and_ends_with_its_holder(cluster: Cluster) -> None:
    with cluster.submitting(PROGRAMS / "channel_locks.py") as submitted:
        pod = holder(cluster)
        cluster.kubectl("delete", "pod", pod, "--grace-period=0", "--force", "--wait=false")
        out, err = submitted.communicate(timeout=240)
    assert submitted.returncode == 0, err
    assert out.splitlines()[-1] == "[30, 'in', 'second attempt']"


def holder(cluster: Cluster) -> str:
    """Wait until the task `holder` holds its lock, and return the name of its pod."""
    selector = "graflow.dev/task=holder"
    words = (cluster.kubectl_path, "-n", cluster.namespace)
    with subprocess.Popen(
        [*words, "get", "pods", "-l", selector, "-w", "-o", "name"],
        stdout=subprocess.PIPE,
        text=True,
    ) as watching:
        assert watching.stdout is not None
        pod = watching.stdout.readline().strip().removeprefix("pod/")
        watching.kill()
    cluster.kubectl("wait", "pod", pod, "--for=condition=Ready", "--timeout=120s")
    with subprocess.Popen(
        [*words, "logs", "-f", pod], stdout=subprocess.PIPE, text=True
    ) as following:
        assert following.stdout is not None
        assert "held\n" in following.stdout
        following.kill()
    return pod
