"""Every example gives the same on both hosts."""

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from e2e.conftest import EXAMPLES, Cluster
from e2e.test_people import QUESTIONS, Town
from support import answered_example
from support.looking import until

PROGRAMS = sorted(EXAMPLES.glob("*/workflow.py"))


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.parent.name)
def test_the_same_file_gives_the_same_result_here_and_with_one_pod_for_each_task(
    cluster: Cluster, program: Path
) -> None:
    local = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, check=True
    )
    remote = cluster.submit(program)
    assert remote.code == 0, remote.err
    # What tasks print comes with --wait too; the runner's own words are not the program's.
    said = Counter(line for line in remote.out.splitlines() if not line.startswith("graflow: "))
    runs = cluster.get("workflows.graflow.dev")["items"]
    printed = Counter(local.stdout.splitlines())
    # Attempts that fail show their traceback as well.
    assert printed <= said if any(map(had_failures, runs)) else printed == said
    attempts = cluster.attempts()
    assert len(set(attempts)) == len(attempts), "two pods for one attempt"
    # Tasks that are declared and never reached, as the bare `sample` of the fan-out, get none;
    # neither do groups, unless a policy of the program's own judges them.
    reached = {task["name"] for run in runs for task in run["status"]["tasks"]}
    groups = {name for run in runs for name in groups_of(run)}
    pods = cluster.get("pods")["items"]
    tasks = {pod["metadata"]["annotations"]["graflow.dev/task-id"] for pod in pods}
    assert reached - groups <= tasks <= reached


def test_the_example_that_asks_goes_on_with_what_people_say_as_it_does_here(
    cluster: Cluster, tmp_path: Path
) -> None:
    town, answers = Town(cluster), answered_example.Answers()
    town.has("ann", "respond")
    with cluster.submitting(answered_example.with_patience(tmp_path)) as run:

        def has_ended() -> bool:
            for asked in cluster.get(QUESTIONS)["items"]:
                if (asked.get("status") or {}).get("phase") == "Pending":
                    said = answers.to(asked["metadata"]["uid"], asked["spec"]["key"])
                    assert town.http(asked, said, town.tokens["ann"]) == 200
            return run.poll() is not None

        until(has_ended, lambda: f"given: {answers.given}")
        out, err = run.communicate()
    assert answered_example.PRINTED in out.splitlines(), err
    assert sorted(answers.given) == ["approve", "approve", "where", "words"]


def groups_of(run: dict[str, Any]) -> set[str]:
    """Return the groups of a run: those of its program, and those that its tasks have made."""
    made = (t["name"] for t in run["status"]["tasks"] if "group" in t.get("result", {}))
    return {*made, *(group["name"] for group in run["spec"].get("groups", ()))}


def had_failures(run: dict[str, Any]) -> bool:
    return any(
        task["phase"] == "Failed" or task.get("attempt", 1) > 1 for task in run["status"]["tasks"]
    )
