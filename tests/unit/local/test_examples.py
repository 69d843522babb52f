"""Each example runs as it is and prints what it is known to print."""

import subprocess
import sys
from pathlib import Path

import pytest

from support import answered_example

EXAMPLES = Path(__file__).parents[3] / "examples"
PRINTED = {
    "01-etl": "Loaded: [2, 4, 6]",
    "02-diamond": "{'mean': 3.875, 'median': 3.5, 'skewed': True}",
    "03-fan-out": "pi is about 3.143",
    "04-nested-groups": "north 30, south 7",
    "05-local-module": "market sold most: 20.00",
    "06-large-value": "10485760 bytes, sha256 ab62c0c71b738cf5",
    "07-low-level-api": "385 in 3 steps, result 385",
    "08-retries": "oslo: 4 degrees after 3 attempts, rome: 21 degrees after 3 attempts",
    "09-agent-loop": "(2 + 3) * (10 - 4) - 7 * 2 = 16 after 5 steps",
    "10-good-enough": "'we happy announce our new parser is fast' scores 0.75 in pass 7",
    "11-error-handler": "3 rows, 23.00 in all",
    "12-dynamic-fan-out": "3 parts: the 4, dog 3",
    "13-group-policies": "most 21.0, the sensor 21.0, trusted 21.0",
    "14-early-stopping": "y = 2.42 x + 1.88 after 7 epochs, best loss 0.1831",
    "15-channel-counters": (
        "62 words in alice, dracula, emma, moby, walden; most have 3 letters; "
        "the longest is deliberately"
    ),
    "16-typed-channel": "4.875 degrees from 2 sensors, refused: cellar",
    "17-nested-workflow": "63 sold, closed: east",
    "18-checkpoints": "1229 primes below 10000, by parts [303, 247, 233, 224, 222]",
    "19-fail-and-go-on": "failed after read\n512.50 in all, read 1 time",
    "20-ask-a-person": "10 % of the users, north first: We are making things better.",
}
WAITS = "another process answers with FeedbackManager"
"""In what a program says on stderr while it waits for people."""


def complaints(err):
    """Return what is on stderr and should not be."""
    return [line for line in err.splitlines() if WAITS not in line]


@pytest.mark.parametrize("name", PRINTED)
def test_an_example_prints_its_result(name, tmp_path):
    done = subprocess.run(
        [sys.executable, EXAMPLES / name / "workflow.py"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout == PRINTED[name] + "\n"
    assert complaints(done.stderr) == []


def test_the_example_that_asks_goes_on_with_what_people_say(tmp_path):
    program = answered_example.with_patience(tmp_path)
    with subprocess.Popen(
        [sys.executable, program], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        try:
            said = answered_example.answer_here(tmp_path, lambda: running.poll() is None)
            out, err = running.communicate()
        finally:
            running.kill()
    assert (out.decode(), complaints(err.decode())) == (answered_example.PRINTED + "\n", [])
    assert said == ["approve", "approve", "where", "words"]


def test_every_example_is_listed_with_one_line():
    listed = (EXAMPLES / "README.md").read_text()
    for name in PRINTED:
        assert f"]({name}/workflow.py): " in listed
