"""Whatever a run waits for, or failed by, is said: in the words of who makes it wait."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from e2e.conftest import RUNNER_IMAGE, Cluster
from support.looking import until

PATIENCE_S = 60.0


def script(name: str, text: str = "return 1", **more: Any) -> dict[str, Any]:
    return {"name": name, "script": text, **more}


def container(name: str, command: str, image: str = RUNNER_IMAGE, **more: Any) -> dict[str, Any]:
    return {"name": name, "container": {"image": image, "command": ["sh", "-c", command]}, **more}


@pytest.fixture
def started(cluster: Cluster, workflow: Callable[..., dict[str, Any]]) -> Callable[..., None]:
    def start(name: str, *tasks: dict[str, Any], **spec: Any) -> None:
        applied = cluster.apply(workflow(name, list(tasks), **spec))
        assert applied.code == 0, applied.err

    return start


def until_it_waits(cluster: Cluster, name: str, reason: str) -> dict[str, Any]:
    """Return what a run says of a wait, as soon as it says it."""

    def status() -> dict[str, Any]:
        return cluster.get("workflows.graflow.dev", name).get("status") or {}

    def said() -> dict[str, Any] | None:
        waits = [one for one in status().get("waiting", ()) if one["reason"] == reason]
        return waits[0] if waits and waits[0].get("message") else None

    found: dict[str, Any] = until(said, status, within_s=PATIENCE_S)
    return found


def why(cluster: Cluster, *words: str) -> str:
    ran = cluster.graflow("why", *words, "-n", cluster.namespace)
    assert ran.code == 0, ran.err
    return ran.out


def without_pods(cluster: Cluster) -> None:
    cluster.kubectl("delete", "pods", "--all", "--wait=true")


def test_an_unsatisfiable_selector_is_told_in_the_schedulers_words_within_five_seconds(
    cluster: Cluster, started: Callable[..., None]
) -> None:
    nowhere = {"nodeSelector": {"e2e.graflow.dev/nowhere": "true"}}
    started("selects", script("a", pod=nowhere), script("b", after=["a"]))
    began = cluster.get("workflows.graflow.dev", "selects")["metadata"]["creationTimestamp"]
    wait = until_it_waits(cluster, "selects", "Unschedulable")
    assert "didn't match Pod's node affinity/selector" in wait["message"]
    assert began[:19] <= wait["since"][:19]
    found = cluster.get("workflows.graflow.dev", "selects", "--show-managed-fields")
    written = found["metadata"]["managedFields"]
    told = max(one["time"] for one in written if one.get("subresource") == "status")
    assert seconds(told) - seconds(began) <= 5
    line = cluster.kubectl("get", "workflows.graflow.dev", "selects", "-o", "wide")
    assert "didn't match Pod's node affinity/selector" in line
    shown = why(cluster, "selects")
    assert "a waits: Unschedulable, for " in shown
    assert wait["advice"] in shown
    assert "b comes after 'a' (waits)" in shown


def seconds(moment: str) -> int:
    hours, minutes, rest = (int(part) for part in re.findall(r"T(\d\d):(\d\d):(\d\d)", moment)[0])
    return hours * 3600 + minutes * 60 + rest


def test_a_missing_image_is_told_in_the_kubelets_words_with_the_time_when_it_is_given_up(
    cluster: Cluster, started: Callable[..., None]
) -> None:
    started("pulls", container("a", "true", image="registry.invalid/nothing:1"))
    wait = until_it_waits(cluster, "pulls", "ImagePull")
    assert "registry.invalid/nothing:1" in wait["message"]
    assert wait["until"] > wait["since"]
    assert f"until {wait['until']}" in why(cluster, "pulls", "a")


def test_a_missing_secret_is_named(cluster: Cluster, started: Callable[..., None]) -> None:
    started("reads", script("a", pod={"envFrom": [{"secretRef": {"name": "not-there"}}]}))
    wait = until_it_waits(cluster, "reads", "ConfigMissing")
    assert 'secret "not-there" not found' in wait["message"]
    assert 'secret "not-there" not found' in why(cluster, "reads")


def test_a_suspended_run_says_that_it_is(cluster: Cluster, started: Callable[..., None]) -> None:
    started("rests", script("a"), suspend=True)
    until_it_waits(cluster, "rests", "Suspended")
    assert "the run waits: Suspended" in why(cluster, "rests")


def test_a_task_in_its_back_off_says_until_when_and_why(
    cluster: Cluster, started: Callable[..., None]
) -> None:
    retry = {"maxAttempts": 2, "initialSeconds": 600, "maxSeconds": 600}
    started("again", script("a", "raise ValueError('no such column')", retry=retry))
    wait = until_it_waits(cluster, "again", "BackOff")
    assert wait["until"] > wait["since"]
    shown = why(cluster, "again")
    assert f"until {wait['until']}" in shown
    assert "ValueError: no such column" in shown


def test_a_python_task_that_failed_is_explained_after_its_pods_are_gone(
    cluster: Cluster, started: Callable[..., None]
) -> None:
    text = "print('reading the file', flush=True)\nraise ValueError('no such column')"
    retry = {"maxAttempts": 2, "initialSeconds": 1}
    started("fails", script("a"), script("b", text, after=["a"], retry=retry))
    cluster.wait("fails")
    without_pods(cluster)
    failure = json.loads(why(cluster, "fails", "-o", "json"))["failure"]
    assert (failure["task"], failure["attempt"], failure["class"]) == ("b", 2, "User")
    assert "reading the file" in failure["log"]
    assert [one["attempt"] for one in failure["attempts"]] == [1, 2]
    assert len({one["pod"] for one in failure["attempts"]}) == 2
    shown = why(cluster, "fails")
    assert "Failed first: task b, attempt 2" in shown
    assert "ValueError: no such column" in shown
    logs = cluster.graflow("logs", "fails", "b", "-n", cluster.namespace)
    assert "its pod is gone" in logs.out
    assert "reading the file" in logs.out
    typo = cluster.graflow("logs", "fails", "bb", "-n", cluster.namespace)
    assert typo.code == 4
    assert "did you mean 'b'?" in typo.err


def test_a_container_task_that_failed_is_explained_after_its_pod_is_gone(
    cluster: Cluster, started: Callable[..., None]
) -> None:
    started("exits", container("a", "echo begun >&2; echo no such table >&2; exit 3"))
    cluster.wait("exits")
    without_pods(cluster)
    failure = cluster.get("workflows.graflow.dev", "exits")["status"]["failure"]
    assert (failure["reason"], failure["exitCode"]) == ("ExitCode", 3)
    assert failure["log"] == "begun\nno such table"
    shown = why(cluster, "exits")
    assert "exit code 3" in shown
    assert "  begun\n  no such table" in shown


def test_a_task_that_ran_out_of_memory_is_explained_after_its_pod_is_gone(
    cluster: Cluster, started: Callable[..., None]
) -> None:
    text = "print('allocating', flush=True)\nx = []\nwhile True: x.append(bytearray(10_000_000))"
    started("eats", script("a", text, pod={"resources": {"limits": {"memory": "96Mi"}}}))
    cluster.wait("eats")
    without_pods(cluster)
    shown = why(cluster, "eats")
    assert "OOMKilled (User)" in shown
    assert "exit code 137 (SIGKILL)" in shown
    assert "allocating" in shown


def test_a_run_that_no_operator_takes_says_so(
    cluster: Cluster, started: Callable[..., None]
) -> None:
    started("alone", script("a"), operator="nobody")
    until(
        lambda: "no operator of instance 'nobody'" in why(cluster, "alone"),
        lambda: why(cluster, "alone"),
    )
