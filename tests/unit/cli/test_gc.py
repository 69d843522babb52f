"""What nothing refers to in the store: shown by default, deleted when asked, and what was left."""

import json
from typing import Any

import pytest
from click.testing import CliRunner

from graflow.cli.main import cli

COUNTED = {"objects": 3, "bytes": 2048, "folders": {"blobs": 2, "state": 1}}
ENDED = {"uid": "u1", "name": "etl", "why": "Unreferenced", **COUNTED}
STRAY = {"uid": "u2", "why": "Unmarked", **COUNTED}
FOREIGN = {"uid": "u3", "left": "it is marked as a run of another installation, c2", **COUNTED}
DONE = {"done": True, "goingOn": 2}


@pytest.fixture(autouse=True)
def service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAFLOW_SERVICE", "ops/graflow")


def told(*lines: Any, deleted: bool = False) -> bytes:
    made = [{**line, "deleted": deleted} if "uid" in line else line for line in lines]
    return b"".join(json.dumps(line).encode() + b"\n" for line in made)


def test_without_delete_it_only_looks_and_says_how_to_go_on(fake: Any, runner: CliRunner) -> None:
    fake.answers = [told(ENDED, FOREIGN, DONE)]
    shown = runner.invoke(cli, ["gc", "-n", "other"])
    assert shown.exit_code == 0, shown.stderr
    assert [line.split() for line in shown.stdout.splitlines()] == [
        ["RUN", "WHY", "OBJECTS", "SIZE", "OF", "WHICH", "DELETED"],
        ["etl", "Unreferenced", "3", "2", "KiB", "2", "in", "blobs,", "1", "in", "state"],
    ]
    assert shown.stderr.splitlines() == [
        "left alone: u3: it is marked as a run of another installation, c2",
        "not looked at: runs that go on, 2",
        "found: 3 objects, 2 KiB",
        "--delete deletes them",
    ]
    [(method, path, _)] = fake.requests
    assert method == "GET"
    assert path.endswith("/services/https:graflow:http/proxy/user/v1/namespaces/other/garbage")
    assert fake.headers[0]["X-Graflow-Token"] == "t0ken"


def test_what_is_deleted_is_told_and_what_has_no_owner_needs_another_word(
    fake: Any, runner: CliRunner
) -> None:
    fake.answers = [told(ENDED, deleted=True) + told(STRAY, {"done": True, "goingOn": 0})]
    shown = runner.invoke(cli, ["gc", "--delete"])
    assert shown.exit_code == 0, shown.stderr
    assert shown.stderr.splitlines() == [
        "deleted: 3 objects, 2 KiB",
        "found: 3 objects, 2 KiB",
        "--unmarked deletes them, too",
    ]
    assert fake.requests[0][0] == "DELETE"
    assert "unmarked" not in fake.requests[0][1]
    runner.invoke(cli, ["gc", "--delete", "--unmarked"])
    assert fake.requests[1][1].endswith("/garbage?unmarked=1")
    assert runner.invoke(cli, ["gc", "--unmarked"]).exit_code == 2


def test_that_there_is_nothing_is_said(fake: Any, runner: CliRunner) -> None:
    fake.answers = [told({"done": True, "goingOn": 0})]
    shown = runner.invoke(cli, ["gc"])
    assert (shown.exit_code, shown.stdout) == (0, "")
    assert shown.stderr == "nothing in the store of namespace team is left over\n"


def test_programs_get_all_of_it(fake: Any, runner: CliRunner) -> None:
    fake.answers = [told(ENDED, FOREIGN, DONE)]
    found = json.loads(runner.invoke(cli, ["gc", "-o", "json"]).stdout)
    assert [one["uid"] for one in found["found"]] == ["u1", "u3"]
    assert found["goingOn"] == 2


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (
            told(ENDED, {"error": "the store is away"}),
            3,
            "halfway, after 1 runs: the store is away",
        ),
        (told(ENDED), 3, "came to its end halfway; call it again"),
        (b"nonsense\n", 3, "cannot be read"),
        ((403, {"message": "alice may not delete workflows in team"}), 3, "alice may not delete"),
    ],
    ids=["error", "cut", "nonsense", "forbidden"],
)
def test_an_answer_that_is_not_whole_is_no_success(
    fake: Any, runner: CliRunner, answer: Any, code: int, words: str
) -> None:
    fake.answers = [answer]
    shown = runner.invoke(cli, ["gc", "--delete"])
    assert shown.exit_code == code
    assert words in shown.stderr
