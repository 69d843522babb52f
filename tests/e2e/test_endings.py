"""However a task ends, the run ends as it should and says why."""

import json

from e2e.conftest import PROGRAMS, RUNNER_IMAGE, Cluster, condition
from support.killer import killer


def only_workflow(cluster: Cluster) -> dict:
    (found,) = cluster.get("workflows.graflow.dev")["items"]
    return found


def test_a_task_that_raises_leaves_its_traceback_in_the_status_the_condition_and_the_error(
    cluster: Cluster,
) -> None:
    ran = cluster.submit(PROGRAMS / "raises.py")
    assert ran.code == 1
    assert "ZeroDivisionError: division by zero" in ran.err
    found = only_workflow(cluster)
    succeeded = condition(found, "Succeeded")
    assert (succeeded["status"], succeeded["reason"]) == ("False", "TaskFailed")
    assert "return a / b" in succeeded["message"]
    status = cluster.graflow("status", found["metadata"]["name"], "-n", cluster.namespace)
    assert "ZeroDivisionError" in status.out
    assert "return divide(1, fine)" in status.out


def test_a_task_that_calls_sys_exit_fails_with_its_code(cluster: Cluster) -> None:
    ran = cluster.submit(PROGRAMS / "exits.py")
    assert ran.code == 1
    succeeded = condition(only_workflow(cluster), "Succeeded")
    assert succeeded["reason"] == "SystemExit"
    assert "3" in succeeded["message"]


def test_a_task_whose_process_is_killed_fails_and_names_the_signal(cluster: Cluster) -> None:
    # The process is its container's init, which only somebody outside the container can kill.
    with cluster.submitting(PROGRAMS / "killed.py") as submitted:
        pod = cluster.first_running_pod()
        cluster.kubectl("apply", "-f", "-", stdin=json.dumps(killer(pod, RUNNER_IMAGE)))
        submitted.communicate(timeout=120)
    assert submitted.returncode == 1
    succeeded = condition(only_workflow(cluster), "Succeeded")
    assert succeeded["reason"] == "Killed"
    assert "SIGKILL" in succeeded["message"]


def test_a_task_that_takes_more_memory_than_it_may_fails_with_oom_killed(cluster: Cluster) -> None:
    ran = cluster.submit(PROGRAMS / "hungry.py")
    assert ran.code == 1
    succeeded = condition(only_workflow(cluster), "Succeeded")
    assert succeeded["reason"] == "OOMKilled"
    assert "64Mi" in succeeded["message"] or "memory" in succeeded["message"]


def test_a_task_that_prints_100_mb_succeeds(cluster: Cluster) -> None:
    ran = cluster.submit(PROGRAMS / "loud.py")
    assert (ran.code, ran.out.splitlines()[-1]) == (0, "done"), ran.err
