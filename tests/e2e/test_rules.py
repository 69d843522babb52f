"""Rules that a host could break, on a real cluster: arguments, context, captured values, time."""

import subprocess
import sys

from e2e.conftest import PROGRAMS, Cluster, condition
from support.signatures import A2_MESSAGE


def here(program: str, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, *words, str(PROGRAMS / program)],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_a1_and_c3_tasks_are_given_and_know_the_same_in_pods(cluster: Cluster) -> None:
    remote = cluster.submit(PROGRAMS / "arguments.py")
    assert remote.code == 0, remote.err
    assert remote.out == here("arguments.py")


def test_a2_a_missing_argument_is_told_in_the_same_words_and_not_tried_again(
    cluster: Cluster,
) -> None:
    assert cluster.submit(PROGRAMS / "missing.py").code == 1
    (found,) = cluster.get("workflows.graflow.dev")["items"]
    succeeded = condition(found, "Succeeded")
    assert succeeded["reason"] == "ArgumentsMissing"
    assert A2_MESSAGE in succeeded["message"]
    assert len(cluster.attempts()) == 2


def test_c5_each_attempt_has_globals_of_its_own(cluster: Cluster) -> None:
    remote = cluster.submit(PROGRAMS / "counts.py")
    assert remote.out == "[1, 1] {'n': 0}\n", remote.err
    assert here("counts.py", "-m", "graflow", "run", "--isolated") == remote.out


def test_f3_an_attempt_that_takes_too_long_is_stopped_and_has_failed(cluster: Cluster) -> None:
    remote = cluster.submit(PROGRAMS / "slow.py", "--quiet")
    assert remote.out == "slow 2 1\nRemoteTaskError True\n", remote.err
    (found,) = cluster.get("workflows.graflow.dev")["items"]
    assert found["status"]["reason"] == "DeadlineExceeded"
    assert len(cluster.attempts()) == 2
    assert here("slow.py") == "slow 2 1\nTimeoutError True\n"


def test_agents_reach_pods_and_what_a_cluster_ignores_is_named_once(cluster: Cluster) -> None:
    remote = cluster.submit(PROGRAMS / "agents.py")
    assert remote.code == 0, remote.err
    assert remote.out == here("agents.py")
    assert remote.err.count("ignored on a cluster: the tracer, a NoopTracer") == 1
    assert remote.err.count("ignored on a cluster: the backend 'direct' of group 'both'") == 1
