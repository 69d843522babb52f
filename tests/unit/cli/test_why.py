"""`graflow why`, and what `status` and `logs` say when something is amiss; objects as recorded."""

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from graflow.cli.main import cli

BEGAN = "2026-01-01T00:00:00Z"
SINCE = "2026-01-01T00:00:05Z"
WORDS = "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector."
TASKS = [
    {"name": "extract", "script": "return 1"},
    {"name": "transform", "script": "return 1", "after": ["extract"]},
    {"name": "load", "script": "return 1", "after": ["transform"]},
]


def workflow(status: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "graflow.dev/v1alpha1",
        "kind": "Workflow",
        "metadata": {
            "name": "etl",
            "namespace": "team",
            "uid": "u1",
            "resourceVersion": "1",
            "generation": 1,
            "creationTimestamp": BEGAN,
        },
        "spec": {"tasks": TASKS, **spec},
        "status": status,
    }


def running(**fields: Any) -> dict[str, Any]:
    done = {"name": "extract", "phase": "Succeeded", "completionTime": SINCE}
    waits = {"name": "transform", "phase": "Pending", "activation": 2, "attempt": 1}
    wait = {
        "task": "transform",
        "activation": 2,
        "reason": "Unschedulable",
        "message": WORDS,
        "since": SINCE,
    }
    return {
        "phase": "Running",
        "startTime": BEGAN,
        "progress": "1/3",
        "observedGeneration": 1,
        "counts": {"starting": 1},
        "tasks": [waits | {"reason": "Unschedulable", "pod": "etl-transform-x"}, done],
        "waiting": [wait],
        "waitingCount": 1,
        **fields,
    }


FAILURE = {
    "task": "transform",
    "activation": 2,
    "iteration": 1,
    "attempt": 2,
    "pod": "etl-transform-y",
    "node": "n1",
    "reason": "OOMKilled",
    "message": "pod etl-transform-y used more memory than its limit",
    "exitCode": 137,
    "log": "reading\nparsing",
    "time": SINCE,
    "attempts": [
        {"attempt": 1, "pod": "etl-transform-x", "reason": "Evicted", "message": "node pressure"},
        {"attempt": 2, "pod": "etl-transform-y", "reason": "OOMKilled", "exitCode": 137},
    ],
}
FAILED = {
    "phase": "Failed",
    "reason": "OOMKilled",
    "message": "task 'transform' failed after 2 attempts: too much memory",
    "startTime": BEGAN,
    "completionTime": SINCE,
    "progress": "1/3",
    "observedGeneration": 1,
    "tasks": [
        {
            "name": "transform",
            "phase": "Failed",
            "activation": 2,
            "attempt": 2,
            "reason": "OOMKilled",
            "completionTime": SINCE,
        }
    ],
    "failure": FAILURE,
}


def run(runner: CliRunner, *args: str) -> Result:
    return runner.invoke(cli, list(args))


@pytest.fixture
def asked(fake: Any, runner: CliRunner) -> Any:
    def ask(status: dict[str, Any], *args: str, **spec: Any) -> Result:
        fake.answers = [(200, workflow(status, **spec))]
        return run(runner, *(args or ("why", "etl")))

    return ask


def test_a_task_that_waits_is_told_in_the_schedulers_words_with_advice(asked: Any) -> None:
    shown = asked(running())
    assert shown.exit_code == 0
    assert "transform waits: Unschedulable, for " in shown.stdout
    assert f"(since {SINCE})" in shown.stdout
    assert f"\n  {WORDS}\n" in shown.stdout
    assert "→ Wait for room, add a node" in shown.stdout
    assert "load comes after 'transform' (waits)" in shown.stdout
    assert "extract" not in shown.stdout


def test_until_and_deadline_are_told(asked: Any) -> None:
    [wait] = running()["waiting"]
    late = wait | {"reason": "ImagePull", "until": "2026-01-01T00:05:00Z"}
    shown = asked(running(waiting=[late]), activeDeadlineSeconds=3600)
    assert "until 2026-01-01T00:05:00Z" in shown.stdout
    assert "Deadline  2026-01-01T01:00:00+00:00" in shown.stdout


def test_a_task_that_runs_is_one_line(asked: Any) -> None:
    task = {"name": "transform", "phase": "Running", "activation": 2, "attempt": 1}
    task |= {"startTime": SINCE, "pod": "p1", "node": "n1"}
    shown = asked(running(tasks=[task], waiting=[], waitingCount=None))
    [line] = [line for line in shown.stdout.splitlines() if line.startswith("transform")]
    assert line.endswith("on node n1, pod p1, attempt 1")


def test_only_the_asked_task_is_told(asked: Any) -> None:
    shown = asked(running(), "why", "etl", "load")
    assert "load comes after" in shown.stdout
    assert WORDS not in shown.stdout


def test_an_unknown_task_is_not_found_and_the_nearest_named(asked: Any) -> None:
    shown = asked(running(), "why", "etl", "trasform")
    assert shown.exit_code == 4
    assert "no task 'trasform'; did you mean 'transform'?" in shown.stderr


def test_without_an_operator_it_says_so_and_how_to_look(asked: Any) -> None:
    shown = asked({}, operator="blue")
    assert shown.exit_code == 0
    assert "no operator of instance 'blue' has taken it in" in shown.stdout
    assert "kubectl get pods -A -l app.kubernetes.io/name=graflow" in shown.stdout


def test_a_change_that_no_operator_has_seen_is_told(asked: Any) -> None:
    shown = asked(running(observedGeneration=0))
    assert "the status is about generation 0 of the spec, and it is at 1" in shown.stdout


def test_what_holds_up_the_whole_run_is_told_first(asked: Any) -> None:
    away = {"reason": "StoreUnavailable", "message": "no answer from s3", "since": SINCE}
    shown = asked(running(waiting=[away, *running()["waiting"]], waitingCount=2))
    assert shown.stdout.index("the run waits: StoreUnavailable") < shown.stdout.index(WORDS)


def test_waits_that_have_no_room_are_counted(asked: Any) -> None:
    shown = asked(running(waitingCount=300))
    assert "and 299 more that wait" in shown.stdout


def test_a_failed_run_says_what_failed_first_with_its_attempts_and_last_lines(asked: Any) -> None:
    shown = asked(FAILED)
    assert shown.exit_code == 0
    assert f"Failed first: task transform, attempt 2 at {SINCE}" in shown.stdout
    assert "OOMKilled (User): " in shown.stdout
    assert "exit code 137 (SIGKILL), pod etl-transform-y, node n1" in shown.stdout
    lines = [line.split() for line in shown.stdout.splitlines()]
    assert ["1", "Evicted", "etl-transform-x", "node", "pressure"] in lines
    assert shown.stdout.index("  reading\n  parsing\n") > shown.stdout.index("Last lines")


def test_json_has_all_of_it_and_the_class_of_the_failure(asked: Any) -> None:
    found = json.loads(asked(FAILED, "why", "etl", "-o", "json").stdout)
    assert found["failure"]["class"] == "User"
    assert found["failure"]["log"] == "reading\nparsing"
    assert [one["attempt"] for one in found["failure"]["attempts"]] == [1, 2]
    waiting = json.loads(asked(running(), "why", "etl", "-o", "json").stdout)["tasks"]
    assert [(one["task"], one["reason"]) for one in waiting] == [
        ("transform", "Unschedulable"),
        ("load", "WaitingForTasks"),
    ]
    assert waiting[1]["after"] == ["transform"]


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        ({"phase": "Succeeded", "progress": "3/3"}, "It succeeded; 3/3 tasks succeeded."),
        (
            {"phase": "Cancelled", "reason": "Cancelled", "message": "spec.cancel was set"},
            "It was cancelled: spec.cancel was set.",
        ),
    ],
    ids=["succeeded", "cancelled"],
)
def test_of_a_run_that_has_nothing_to_explain_one_sentence_is_said(
    asked: Any, status: dict[str, Any], sentence: str
) -> None:
    times = {"startTime": BEGAN, "completionTime": SINCE, "observedGeneration": 1}
    shown = asked(status | times)
    assert shown.stdout.splitlines()[2].strip() == sentence
    assert len(shown.stdout.splitlines()) == 3


def test_a_run_that_is_not_there_is_not_found(fake: Any, runner: CliRunner) -> None:
    fake.answers = [(404, {"message": 'workflows.graflow.dev "etl" not found'})]
    assert run(runner, "why", "etl").exit_code == 4


def test_status_tells_waits_and_the_first_failure_in_short(asked: Any) -> None:
    waits = asked(running(), "status", "etl")
    assert f"{WORDS}\n  what to do: graflow why etl -n team" in waits.stdout
    failed = asked(FAILED, "status", "etl")
    words = "Failed first: task transform, attempt 2, exit code 137: OOMKilled"
    assert words in failed.stdout


def logs(kept: bytes | None) -> Any:
    def answer(_method: str, path: str, _body: Any) -> Any:
        if "/proxy/" in path:
            return kept if kept is not None else (404, {"message": "the store has no such log"})
        if "/services" in path:
            return (200, {"items": [{"metadata": {"name": "graflow", "namespace": "g"}}]})
        if "/pods" in path:
            return (200, {"items": []})
        return (200, workflow(FAILED))

    return answer


def test_logs_whose_pod_is_gone_are_the_end_that_was_kept(fake: Any, runner: CliRunner) -> None:
    fake.answers = [logs(b"one\ntwo\n")]
    shown = run(runner, "logs", "etl", "transform")
    assert shown.stdout.splitlines() == [
        "==> last lines of attempt 1 of transform; its pod is gone <==",
        "one",
        "two",
        "==> last lines of attempt 2 of transform; its pod is gone <==",
        "one",
        "two",
    ]


def test_with_no_store_the_logs_are_the_few_lines_of_the_status(
    fake: Any, runner: CliRunner
) -> None:
    fake.answers = [logs(None)]
    shown = run(runner, "logs", "etl", "transform")
    assert shown.stdout.splitlines()[1:] == ["reading", "parsing"]


def test_logs_of_a_misspelt_task_name_the_nearest(fake: Any, runner: CliRunner) -> None:
    fake.answers = [logs(None)]
    shown = run(runner, "logs", "etl", "trasform")
    assert shown.exit_code == 4
    assert "did you mean 'transform'?" in shown.stderr


def test_who_waits_for_people_does_not_count_as_one_that_is_tried_again(
    fake: Any, runner: CliRunner
) -> None:
    asked = {"task": "transform", "activation": 2, "since": SINCE, "message": "waits for q"}
    waits = [{**asked, "reason": "WaitingForPerson"}, {**asked, "reason": "BackOff"}]
    fake.answers = [(200, workflow(running(counts={"waiting": 2}, waiting=waits, waitingCount=2)))]
    told = runner.invoke(cli, ["why", "etl"])
    assert "It goes on: 1 waiting for people, 1 waiting for the next attempt;" in told.stdout
