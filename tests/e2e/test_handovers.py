"""Code that a running task hands over, as pods and here."""

import subprocess
import sys

from e2e.conftest import PROGRAMS, Cluster


def test_t3_what_a_task_builds_means_the_same_in_the_pods_that_run_it(cluster: Cluster) -> None:
    program = PROGRAMS / "handovers.py"
    local = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, check=True
    )
    remote = cluster.submit(program)
    assert remote.code == 0, remote.err
    said = local.stdout.splitlines()
    assert len(said) == 7
    # The traceback of the task that fails comes before it.
    assert remote.out.splitlines()[-7:] == said
