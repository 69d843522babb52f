"""Every example gives the same on both hosts."""

import subprocess
import sys
from pathlib import Path

import pytest

from e2e.conftest import EXAMPLES, Cluster

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
    said = [line for line in remote.out.splitlines() if not line.startswith("graflow: ")]
    assert sorted(said) == sorted(local.stdout.splitlines())
    runs = cluster.get("workflows.graflow.dev")["items"]
    attempts = cluster.attempts()
    assert len(set(attempts)) == len(attempts), "two pods for one attempt"
    # Tasks that are declared and never reached, as the bare `sample` of the fan-out, get none.
    ran = sum(task.get("attempt", 1) for run in runs for task in run["status"]["tasks"])
    assert len(attempts) == ran
