"""However a task ends, the run ends as it should and says why."""

from e2e.conftest import PROGRAMS, Cluster, condition


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


def test_a_task_that_is_killed_fails_and_names_the_signal(cluster: Cluster) -> None:
    ran = cluster.submit(PROGRAMS / "killed.py")
    assert ran.code == 1
    succeeded = condition(only_workflow(cluster), "Succeeded")
    assert succeeded["reason"] in {"Killed", "OOMKilled"}
    assert "SIGKILL" in succeeded["message"]


def test_a_task_that_prints_100_mb_succeeds(cluster: Cluster) -> None:
    ran = cluster.submit(PROGRAMS / "loud.py")
    assert (ran.code, ran.out.strip()) == (0, "done"), ran.err
