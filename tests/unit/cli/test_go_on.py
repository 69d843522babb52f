"""Commands that go on from where a run stood: what they ask for, say, and refuse."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from graflow.cli.main import cli
from graflow.ledger import wire
from graflow.ledger.state import Entry, State

TASKS = [{"name": "load", "script": "return 1"}, {"name": "sum", "after": ["load"], "script": "x"}]
TAKEN = {"seq": 12, "time": "2026-01-01T00:00:00Z", "reason": "Asked", "task": "load"}
CURSOR = {"seq": 12, "checkpoint": f"12-{'a' * 64}"}


def workflow(phase: str = "Failed", spec: Any = None, **status: Any) -> dict[str, Any]:
    return {
        "apiVersion": "graflow.dev/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": "etl", "namespace": "team", "uid": "u1", "resourceVersion": "1"},
        "spec": {"tasks": TASKS, **(spec or {})},
        "status": {"phase": phase, "checkpoints": [TAKEN], "cursor": CURSOR, **status},
    }


def taken(*names: str) -> Any:
    """Return how an API server answers that has a run, and on which these names are taken."""

    def answer(method: str, path: str, body: Any) -> tuple[int, Any]:
        if path.endswith("/selfsubjectreviews"):
            return 201, {"status": {"userInfo": {"username": "bob"}}}
        if method == "POST":
            name = body["metadata"]["name"]
            if name in names:
                return 409, {"message": f'workflows.graflow.dev "{name}" already exists'}
            return 201, {"metadata": {"name": name, "uid": "u2", "namespace": "team"}}
        ended = workflow("Succeeded") if path.endswith("-1") else workflow()
        if path.endswith("-1"):
            ended["metadata"].update(name="etl-resumed-1", uid="u2")
        return 200, ended

    return answer


def run(runner: CliRunner, *args: str) -> Result:
    return runner.invoke(cli, list(args))


def test_resume_creates_a_run_that_goes_on_and_prints_its_name(
    fake: Any, runner: CliRunner
) -> None:
    fake.answers = [taken("etl-resumed-1", "etl-resumed-2")]
    told = run(runner, "resume", "etl")
    assert (told.exit_code, told.stdout) == (0, "etl-resumed-3\n")
    assert told.stderr == "workflow etl-resumed-3 goes on from etl\n"
    method, _, body = fake.requests[-1]
    assert (method, body["spec"]["resumeFrom"]) == ("POST", {"name": "etl", "uid": "u1"})
    assert body["spec"]["submitter"] == "bob"


def test_resume_waits_for_the_end(fake: Any, runner: CliRunner) -> None:
    fake.answers = [taken()]
    told = run(runner, "resume", "etl", "--wait", "--quiet")
    assert told.exit_code == 0, told.stderr
    assert told.stdout == "etl-resumed-1\n"


def test_a_name_that_is_taken_is_told(fake: Any, runner: CliRunner) -> None:
    fake.answers = [taken("again")]
    told = run(runner, "resume", "etl", "--name", "again")
    assert (told.exit_code, told.stdout) == (2, "")
    assert "there is a workflow 'again' in namespace 'team' already" in told.stderr


@pytest.mark.parametrize(
    ("found", "code", "words"),
    [
        (workflow("Running"), 5, "`graflow watch etl -n team` waits for its end"),
        (workflow("Running", {"suspend": True}), 5, "`graflow unsuspend etl -n team` lets it go"),
        (workflow("Succeeded"), 2, "has succeeded, and nothing of it is left to run"),
    ],
    ids=["running", "suspended", "succeeded"],
)
def test_a_run_that_cannot_be_resumed_has_an_exit_code_and_a_way_out(
    fake: Any, runner: CliRunner, found: Any, code: int, words: str
) -> None:
    fake.answers = [(200, found)]
    told = run(runner, "resume", "etl")
    assert (told.exit_code, told.stdout) == (code, "")
    assert words in told.stderr
    assert {method for method, _, _ in fake.requests} == {"GET"}


def test_fork_sends_values_as_json_or_else_as_text(fake: Any, runner: CliRunner) -> None:
    fake.answers = [taken()]
    sets = ("--set", "rate=0.5", "--set", "mode=slow", "--set", 'deep={"a": [1]}', "--set", "x=a=b")
    sets += ("--set", "odd=NaN", "--set", "none=null", "--set", "empty=")
    told = run(runner, "fork", "etl", "--at", "12", *sets, "--result", "load=3", "--rerun", "sum")
    assert told.exit_code == 0, told.stderr
    assert told.stdout == "etl-fork-1\n"
    assert fake.requests[-1][2]["spec"]["resumeFrom"] == {
        "name": "etl",
        "uid": "u1",
        "checkpoint": 12,
        "set": {
            "rate": 0.5,
            "mode": "slow",
            "deep": {"a": [1]},
            "x": "a=b",
            "odd": "NaN",
            "none": None,
            "empty": "",
        },
        "results": {"load": 3},
        "rerun": ["sum"],
    }
    assert "channel key 'rate' is 0.5\n" in told.stderr
    assert "task 'sum' runs again\n" in told.stderr


def test_fork_says_where_a_key_is_new_and_which_is_the_nearest(
    fake: Any, runner: CliRunner
) -> None:
    kept = base64.b64encode(wire.pack(State({"rate": Entry(0, "int")}))).decode()
    channel = {"seq": 3, "epoch": "e", "state": kept}
    fake.answers = [(200, workflow(cursor={**CURSOR, "channel": channel}))]
    words = ("fork", "etl", "--set", "rate=1", "--set", "raet=2", "--dry-run")
    told = run(runner, *words)
    assert "channel key 'rate' is 1\n" in told.stderr
    assert "channel key 'raet', which is new (did you mean 'rate'?), is 2\n" in told.stderr
    given = {"input": {"rate": 0}, "exactInput": {"raet": {"exact": "1.0"}}}
    fake.answers = [(200, workflow(spec=given))]
    told = run(runner, *words)
    assert "channel key 'raet' is 2\n" in told.stderr, "no task has used the channel"


def test_fork_leaves_it_to_the_operator_which_keys_are_new_where_it_does_not_know_them(
    fake: Any, runner: CliRunner
) -> None:
    unreadable = {"seq": 3, "epoch": "e", "state": "AAAA"}
    goes_on = workflow("Running", {"input": {"rate": 0}})
    for found, at in (
        (workflow(cursor={**CURSOR, "channel": unreadable}), ()),
        (workflow(spec={"input": {"rate": 0}}), ("--at", "12")),
        (goes_on, ()),
    ):
        fake.answers = [(200, found)]
        told = run(runner, "fork", "etl", *at, "--set", "raet=2", "--dry-run")
        assert "channel key 'raet' is 2\n" in told.stderr


def test_fork_for_programs_says_all_in_one_line(fake: Any, runner: CliRunner) -> None:
    fake.answers = [taken()]
    told = run(runner, "fork", "etl", "--rerun", "sum", "-o", "json")
    assert json.loads(told.stdout) == {
        "name": "etl-fork-1",
        "namespace": "team",
        "uid": "u2",
        "from": {"name": "etl", "uid": "u1"},
        "changes": ["it goes on from its latest state", "task 'sum' runs again"],
    }


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--set", "rate"], 2, "'rate' is not of the form KEY=VALUE"),
        (["--result", "=1"], 2, "'=1' is not of the form TASK=VALUE"),
        (["--set", "k=1", "--set", "k=2"], 2, "--set gives 'k' twice"),
        (["--rerun", "smu"], 2, "task 'smu' is not in the workflow; did you mean 'sum'?"),
        (["--", "--rows", "3"], 2, "arguments after -- are those of the program that --file names"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_sent(
    fake: Any, runner: CliRunner, words: list[str], code: int, said: str
) -> None:
    fake.answers = [(200, workflow())]
    told = run(runner, "fork", "etl", *words)
    assert told.exit_code == code
    assert said in told.stderr
    assert {method for method, _, _ in fake.requests} <= {"GET"}


def test_a_checkpoint_that_there_is_not_is_told_with_the_nearest(
    fake: Any, runner: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAFLOW_SERVICE", "ops/graflow")
    page = json.dumps({"checkpoints": [TAKEN, {**TAKEN, "seq": 4}], "previous": None}).encode()
    fake.answers = [(200, workflow()), (200, workflow()), page, page]
    told = run(runner, "fork", "etl", "--at", "5")
    assert told.exit_code == 4
    assert "workflow 'etl' has no checkpoint 5; the nearest are 4, 12" in told.stderr


def test_a_fork_whose_checkpoints_cannot_be_asked_for_leaves_it_to_the_operator(
    fake: Any, runner: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAFLOW_SERVICE", "ops/graflow")
    answer = taken()

    def without_operator(method: str, path: str, body: Any) -> Any:
        away = (404, {"message": 'services "graflow" not found'})
        return away if "/proxy/" in path else answer(method, path, body)

    fake.answers = [without_operator]
    assert run(runner, "fork", "etl", "--at", "5").stdout == "etl-fork-1\n"


def test_a_dry_run_prints_what_would_be_applied(
    fake: Any, runner: CliRunner, tmp_path: Path
) -> None:
    fake.answers = [(200, workflow())]
    told = run(runner, "fork", "etl", "--at", "12", "--dry-run")
    assert told.exit_code == 0
    made = yaml.safe_load(told.stdout)
    assert (made["kind"], made["metadata"]) == ("Workflow", {"name": "etl-fork"})
    assert made["spec"]["resumeFrom"]["checkpoint"] == 12
    assert {method for method, _, _ in fake.requests} == {"GET"}


PROGRAM = """
import sys
from graflow import task, workflow

with workflow("etl") as wf:
    @task
    def load():
        return {argument}

    @task
    def report(load):
        return load

    load >> report
    wf.execute()
"""


def test_a_fork_with_other_code_says_which_tasks_are_other_ones(
    fake: Any, runner: CliRunner, tmp_path: Path
) -> None:
    program = tmp_path / "fixed.py"
    program.write_text(PROGRAM.replace("{argument}", "sys.argv[1]"))
    fake.answers = [(200, workflow())]
    told = run(runner, "fork", "etl", "--file", str(program), "--dry-run", "--", "7")
    assert told.exit_code == 0, told.stderr
    bundle, made = yaml.safe_load_all(told.stdout)
    assert made["spec"]["bundle"]["name"] == bundle["metadata"]["name"]
    assert [one["name"] for one in made["spec"]["tasks"]] == ["load", "report"]
    assert "task load is changed\ntask report is new\ntask sum is gone\n" in told.stderr


def test_a_run_that_is_deleted_is_forked_by_its_uid_and_the_program(
    fake: Any, runner: CliRunner, tmp_path: Path
) -> None:
    fake.answers = [lambda *_: (404, {"message": 'workflows.graflow.dev "etl" not found'})]
    told = run(runner, "fork", "etl", "--uid", "0a-1b", "--dry-run")
    assert told.exit_code == 4
    assert "`graflow fork etl --uid 0a-1b --file PROGRAM` goes on" in told.stderr
    program = tmp_path / "etl.py"
    program.write_text(PROGRAM.replace("{argument}", "1"))
    words = ("--uid", "0a-1b", "--at", "12", "--file", str(program), "--dry-run")
    told = run(runner, "fork", "etl", *words)
    assert told.exit_code == 0, told.stderr
    _, made = yaml.safe_load_all(told.stdout)
    assert made["spec"]["resumeFrom"] == {"name": "etl", "uid": "0a-1b", "checkpoint": 12}


def test_checkpoints_are_listed_oldest_first_from_the_status(fake: Any, runner: CliRunner) -> None:
    other = {**TAKEN, "seq": 14, "reason": "End", "metadata": {"loss": 0.1}, "path": "best"}
    fake.answers = [(200, workflow(checkpoints=[TAKEN, other]))]
    told = run(runner, "checkpoints", "etl")
    assert [line.split() for line in told.stdout.splitlines()] == [
        ["SEQ", "TAKEN", "BECAUSE", "TASK", "LABEL", "METADATA"],
        ["12", "2026-01-01T00:00:00Z", "Asked", "load"],
        ["14", "2026-01-01T00:00:00Z", "End", "load", "best", '{"loss":', "0.1}"],
    ]
    told = run(runner, "checkpoints", "etl", "-o", "json")
    assert json.loads(told.stdout) == [TAKEN, other]


def test_all_checkpoints_are_asked_for_page_by_page(
    fake: Any, runner: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAFLOW_SERVICE", "ops/graflow")
    older = f"4-{'b' * 64}"
    pages = {
        "/checkpoints": {"checkpoints": [TAKEN], "previous": older},
        f"/checkpoints/{older}": {"checkpoints": [{**TAKEN, "seq": 4}], "previous": None},
    }

    def answer(_method: str, path: str, _body: Any) -> Any:
        page = next((one for end, one in pages.items() if path.endswith(end)), None)
        return (200, workflow()) if page is None else json.dumps(page).encode()

    fake.answers = [answer]
    told = run(runner, "checkpoints", "etl", "--all", "-o", "json")
    assert [one["seq"] for one in json.loads(told.stdout)] == [4, 12], told.stderr


def test_that_there_is_no_checkpoint_yet_is_said(fake: Any, runner: CliRunner) -> None:
    fake.answers = [(200, workflow(checkpoints=[], cursor={"seq": 1}))]
    told = run(runner, "checkpoints", "etl", "--all")
    assert (told.exit_code, told.stdout) == (0, "")
    assert "has no checkpoint yet" in told.stderr


def test_status_shows_where_a_run_comes_from_and_its_newest_checkpoint(
    fake: Any, runner: CliRunner
) -> None:
    source = {"name": "old", "uid": "u0", "checkpoint": 4, "changes": ["channel key 'k' is 1"]}
    fake.answers = [(200, workflow(resumedFrom=source))]
    told = run(runner, "status", "etl").stdout
    assert "Goes on   from checkpoint 4 of old: channel key 'k' is 1\n" in told
    assert "Saved     checkpoint 12, 2026-01-01T00:00:00Z (Asked by load)\n" in told
