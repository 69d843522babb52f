"""Runs that go on from others by commands and as the page shows, and what nothing refers to."""

import json
import os
import re

import pytest
import yaml

from e2e.conftest import PROGRAMS, ROOT, Cluster, Ran
from graflow.store.keys import RunKeys
from graflow.store.s3 import S3Location, S3Store

LAB = PROGRAMS / "lab.py"
PAGE = ROOT / "docs" / "how-to" / "checkpoint-and-resume.md"


def graflow(cluster: Cluster, *words: str) -> Ran:
    command, *others = words
    return cluster.graflow(command, "-n", cluster.namespace, *others)


def ran(cluster: Cluster, name: str) -> list[str]:
    """Return the tasks that a run had pods for, in order."""
    return sorted(pod["metadata"]["labels"]["graflow.dev/task"] for pod in cluster.pods(name))


def result(cluster: Cluster, name: str) -> object:
    told = graflow(cluster, "result", name, "-o", "json")
    assert told.code == 0, told.err
    return json.loads(told.out)


@pytest.fixture
def store() -> S3Store:
    """The store of `make cluster`, by its own keys."""
    lines = (ROOT / ".cluster" / "s3.env").read_text().splitlines()
    found = dict(line.split("=", 1) for line in lines if "=" in line)
    os.environ |= {key: value for key, value in found.items() if key.startswith("AWS_")}
    return S3Store(S3Location(found["S3_BUCKET"], found["S3_ENDPOINT"]))


@pytest.fixture
def failed(cluster: Cluster) -> str:
    """A run whose first task has succeeded, with a large value, and whose second has failed."""
    told = cluster.submit(LAB, "--name", "lab", "--quiet")
    assert told.code == 1, told.err
    return "lab"


@pytest.mark.timeout(600)  # six runs, one after the other
def test_k3_a_failed_run_goes_on_with_other_keys_and_other_code_and_repeats_nothing(
    cluster: Cluster, failed: str
) -> None:
    again = graflow(cluster, "resume", failed, "--wait", "--quiet")
    assert (again.code, again.out) == (1, "lab-resumed-1\n")  # what was wrong is wrong again
    assert ran(cluster, "lab-resumed-1") == ["train"]

    told = graflow(cluster, "fork", failed, "--set", "rate=2", "--wait", "--quiet")
    assert (told.code, told.out) == (0, "lab-fork-1\n"), told.err
    assert ran(cluster, "lab-fork-1") == ["report", "train"]
    origin = cluster.get("workflows.graflow.dev", "lab-fork-1")["status"]["resumedFrom"]
    assert origin["name"] == failed
    assert origin["changes"] == ["channel key 'rate' is 2"]

    file = ("--file", str(LAB))
    words = ("fork", failed, *file, "--name", "fixed", "--wait", "--quiet", "--", "fixed")
    fixed = graflow(cluster, *words)
    assert fixed.code == 0, fixed.err
    assert "task train is changed\n" in fixed.err
    assert ran(cluster, "fixed") == ["report", "train"]

    # They share nothing with the run that they come from.
    cluster.kubectl("delete", "workflows.graflow.dev", failed)
    told = graflow(cluster, "fork", "lab-fork-1", "--rerun", "train", "--wait", "--quiet")
    assert told.code == 0, told.err
    assert ran(cluster, "lab-fork-2") == ["report", "train"]
    assert result(cluster, "lab-fork-2") == [100_000, 2, "as it was"]
    assert result(cluster, "fixed") == [100_000, 0, "fixed"]


def test_k3_a_run_is_forked_from_the_checkpoint_that_a_task_has_asked_for(
    cluster: Cluster, failed: str
) -> None:
    listed = graflow(cluster, "checkpoints", failed, "--all", "-o", "json")
    assert listed.code == 0, listed.err
    asked, end = json.loads(listed.out)
    assert (asked["reason"], asked["task"], asked["path"]) == ("Asked", "prepare", "prepared")
    assert asked["metadata"]["rows"] == 3
    assert (end["reason"], end["seq"] > asked["seq"]) == ("End", True)
    shown = cluster.get("workflows.graflow.dev", failed)["status"]["checkpoints"]
    assert shown == [asked, end]

    changes = ("--set", "rate=3", "--result", "prepare=[1]")
    told = graflow(
        cluster, "fork", failed, "--at", str(asked["seq"]), *changes, "--wait", "--quiet"
    )
    assert told.code == 0, told.err
    assert ran(cluster, "lab-fork-1") == ["report", "train"]
    assert result(cluster, "lab-fork-1") == [1, 3, "as it was"]

    none = graflow(cluster, "fork", failed, "--at", "1")
    assert none.code == 4
    assert f"the nearest are {asked['seq']}, {end['seq']}" in none.err


def test_what_the_page_shows_for_kubectl_goes_on_and_what_cannot_is_refused_in_words(
    cluster: Cluster,
) -> None:
    blocks = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    first, again = (yaml.safe_load(block) for block in blocks)
    assert cluster.apply(first).code == 0
    assert cluster.wait("rates")["status"]["phase"] == "Failed"
    assert cluster.apply(again).code == 0
    assert cluster.wait("rates-again")["status"]["result"] == {"json": [2, 4, 6]}
    assert ran(cluster, "rates-again") == ["train"]

    again["spec"]["resumeFrom"]["set"] = {"rate": 9}
    assert "spec.resumeFrom cannot be changed" in cluster.apply(again).err
    again["metadata"]["name"] = "unknown"
    again["spec"]["resumeFrom"] = {"name": "rates", "rerun": ["trian"]}
    assert "did you mean 'train'?" in cluster.apply(again).err
    again["spec"]["resumeFrom"] = {"name": "rates", "checkpoint": 1}
    assert cluster.apply(again).code == 0
    status = cluster.wait("unknown")["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "ResumeRefused")
    assert "has no checkpoint 1; the nearest are" in status["message"]
    assert cluster.pods("unknown") == []


def test_gc_deletes_what_nothing_refers_to_and_the_run_keeps_all_that_it_has(
    cluster: Cluster, failed: str, store: S3Store
) -> None:
    uid = cluster.get("workflows.graflow.dev", failed)["metadata"]["uid"]
    run, stray = RunKeys(cluster.namespace, uid), RunKeys(cluster.namespace, "0a-1b")
    before = {*store.list(run.prefix)}
    orphan, unmarked = run.blob("0" * 64), stray.blob("0" * 64)
    for key in (orphan, unmarked):
        store.put(key, b"nobody knows")
    looked = graflow(cluster, "gc")
    assert looked.code == 0, looked.err
    assert "found: 2 objects, 24 B" in looked.err
    assert store.size(orphan) == 12
    deleted = graflow(cluster, "gc", "--delete")
    assert "deleted: 1 object, 12 B" in deleted.err
    assert {*store.list(run.prefix)} == before
    assert store.size(unmarked) == 12
    assert graflow(cluster, "gc", "--delete", "--unmarked").code == 0
    assert store.size(unmarked) is None
    told = graflow(cluster, "fork", failed, "--set", "rate=2", "--wait", "--quiet")
    assert told.code == 0, told.err
    assert result(cluster, "lab-fork-1") == [100_000, 2, "as it was"]
