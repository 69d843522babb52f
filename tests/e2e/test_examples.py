"""Every example gives the same on both hosts."""

import subprocess
import sys
from pathlib import Path

import pytest

from e2e.conftest import EXAMPLES, Cluster

PROGRAMS = sorted(EXAMPLES.glob("*/workflow.py"))


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.parent.name)
def test_the_same_file_gives_the_same_result_here_and_as_pods(
    cluster: Cluster, program: Path
) -> None:
    local = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, check=True
    )
    remote = cluster.submit(program)
    assert remote.code == 0, remote.err
    # What tasks print goes to their pods' logs; what the program prints comes here.
    logs = "".join(cluster.kubectl("logs", p["metadata"]["name"]) for p in every_pod(cluster))
    assert sorted((remote.out + logs).splitlines()) == sorted(local.stdout.splitlines())


def every_pod(cluster: Cluster) -> list[dict]:
    return cluster.get("pods")["items"]
