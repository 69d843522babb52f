"""The diagrams of the phases show what the machine does now."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_diagrams_of_the_phases_are_those_that_the_machine_shows() -> None:
    done = subprocess.run(
        [sys.executable, "tools/state_diagram.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
