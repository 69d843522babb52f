"""Commands about runs: what they print where, and their exit codes."""

import base64
import importlib
import json
import pickle
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import graflow as dsl
from graflow.cli.main import cli
from graflow.compile.place import Place
from graflow.compile.program import Options, compile_program

UID = "u1"


def workflow(phase: str = "", **status: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "name": "etl",
            "uid": UID,
            "resourceVersion": "1",
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "status": {"phase": phase, **status} if phase else {},
    }


def task(name: str, phase: str, **fields: Any) -> dict[str, Any]:
    times = {"startTime": "2026-01-01T00:00:00Z", "completionTime": "2026-01-01T00:00:01.5Z"}
    return {"name": name, "phase": phase, "attempt": 1, "pod": f"etl-{name}-x", **times, **fields}


FAILED = workflow(
    "Failed",
    reason="TaskFailed",
    message="task 'transform' failed:\nTraceback (most recent call last):\nValueError: no",
    progress="1/3",
    tasks=[
        task("transform", "Failed", reason="TaskFailed", node="n1"),
        task("extract", "Succeeded"),
    ],
    waiting=[{"task": "load", "reason": "Unschedulable", "message": "0/1 nodes are available"}],
)


def run(runner: CliRunner, *args: str) -> Result:
    return runner.invoke(cli, list(args))


def test_status_shows_tasks_waits_and_the_traceback(fake: Any, runner: CliRunner) -> None:
    fake.answers = [(200, FAILED)]
    shown = run(runner, "status", "etl")
    assert shown.exit_code == 0
    lines = [line.split() for line in shown.stdout.splitlines()]
    assert ["Workflow", "etl", "(namespace", "team)"] in lines
    assert ["TASK", "PHASE", "ATTEMPT", "POD", "TOOK", "REASON"] in lines
    assert ["transform", "Failed", "1", "etl-transform-x", "1.5s", "TaskFailed"] in lines
    assert "load: Unschedulable  0/1 nodes are available" in shown.stdout
    assert shown.stdout.rstrip().endswith("ValueError: no")
    assert "\x1b" not in shown.stdout


def test_status_as_json_is_the_status_itself(fake: Any, runner: CliRunner) -> None:
    fake.answers = [(200, FAILED)]
    found = json.loads(run(runner, "status", "etl", "-o", "json").stdout)
    assert found["name"] == "etl"
    assert found["uid"] == UID
    assert found["tasks"][0]["reason"] == "TaskFailed"


def test_wide_status_names_nodes(fake: Any, runner: CliRunner) -> None:
    fake.answers = [(200, FAILED)]
    assert "n1" in run(runner, "status", "etl", "-o", "wide").stdout


def moved(sequence: int, **fields: Any) -> dict[str, Any]:
    known = {"from": "agent", "to": "tool", "kind": "Jump", "iteration": sequence}
    return {"sequence": sequence, "time": "2026-01-01T00:00:00Z", **known, **fields}


def test_status_shows_what_tasks_have_decided_last_and_how_much_there_was_before(
    fake: Any, runner: CliRunner
) -> None:
    moves = [moved(n, reason=f"score\n0.{n}") for n in range(11, 31)]
    fake.answers = [(200, workflow("Running", transitions=moves))]
    shown = run(runner, "status", "etl").stdout
    assert "30  agent #30   Jump  tool  2026-01-01T00:00:00Z  score 0.30" in shown
    assert "agent #25 " not in shown
    assert "and 25 before; --transitions shows all" in shown


def test_all_that_tasks_have_decided_comes_from_the_store_and_the_latest_from_the_status(
    fake: Any, runner: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAFLOW_SERVICE", "ops/graflow")
    first, second = f"4-{'a' * 64}", f"9-{'b' * 64}"
    segments = {
        first: [{"previous": None}, moved(1), moved(2)],
        second: [{"previous": first}, moved(3, to=None, kind="Termination")],
    }

    def answer(_method: str, path: str, _body: Any) -> Any:
        if "/history/" not in path:
            told = [moved(2), moved(3), moved(4, reason="enough")]
            found = workflow("Running", cursor={"seq": 9, "history": second}, transitions=told)
            return (200, found)
        lines = segments[path.rpartition("/")[2]]
        return "".join(f"{json.dumps(line)}\n" for line in lines).encode()

    fake.answers = [answer]
    found = json.loads(run(runner, "status", "etl", "--transitions", "-o", "json").stdout)
    assert [(one["sequence"], one["kind"]) for one in found] == [
        (1, "Jump"),
        (2, "Jump"),
        (3, "Termination"),
        (4, "Jump"),
    ]
    assert found[0]["from"] == "agent"
    shown = run(runner, "status", "etl", "--transitions")
    assert len(shown.stdout.splitlines()) == 5
    assert shown.stdout.splitlines()[-1].split()[-1] == "enough"


def test_without_a_store_the_last_moves_are_shown_and_the_others_counted(
    fake: Any, runner: CliRunner
) -> None:
    fake.answers = [(200, workflow("Running", transitions=[moved(21), moved(22)]))]
    shown = run(runner, "status", "etl", "--transitions")
    assert len(shown.stdout.splitlines()) == 3
    assert "20 before these are not known" in shown.stderr


def test_a_run_whose_tasks_have_decided_nothing_says_so(fake: Any, runner: CliRunner) -> None:
    fake.answers = [(200, FAILED)]
    shown = run(runner, "status", "etl", "--transitions")
    assert (shown.stdout, shown.exit_code) == ("", 0)
    assert "no task of etl has decided anything" in shown.stderr


def test_the_namespace_is_the_one_given_or_the_contexts(fake: Any, runner: CliRunner) -> None:
    fake.answers = [(200, FAILED)]
    run(runner, "status", "etl")
    run(runner, "status", "etl", "-n", "other")
    assert "/namespaces/team/" in fake.requests[0][1]
    assert "/namespaces/other/" in fake.requests[-1][1]


@pytest.mark.parametrize(
    ("value", "text", "as_json"),
    [
        ("plain", "plain\n", '"plain"\n'),
        ([1, None], "[1, null]\n", "[1, null]\n"),
        (None, "null\n", "null\n"),
    ],
)
def test_result_prints_the_value_alone(
    fake: Any, runner: CliRunner, value: Any, text: str, as_json: str
) -> None:
    fake.answers = [(200, workflow("Succeeded", result={"json": value}))]
    assert run(runner, "result", "etl").stdout == text
    assert run(runner, "result", "etl", "-o", "json").stdout == as_json


def test_a_pickled_result_stays_closed_unless_asked_for(fake: Any, runner: CliRunner) -> None:
    ref = {"pickle": base64.b64encode(pickle.dumps({1, 2, 3})).decode()}
    fake.answers = [(200, workflow("Succeeded", result=ref))]
    closed = run(runner, "result", "etl", "-o", "json")
    assert set(json.loads(closed.stdout)) == {"pickle"}
    assert "--unpickle" in closed.stderr
    assert run(runner, "result", "etl", "--unpickle").stdout == "{1, 2, 3}\n"


def test_a_pickled_result_finds_the_modules_of_this_folder(
    fake: Any, runner: CliRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What pickle writes for an instance of `beside_the_program.Total`.
    data = b"\x80\x04cbeside_the_program\nTotal\n)\x81."
    ref = {"pickle": base64.b64encode(data).decode()}
    fake.answers = [(200, workflow("Succeeded", result=ref))]
    monkeypatch.chdir(tmp_path)
    elsewhere = run(runner, "result", "etl", "--unpickle")
    assert elsewhere.exit_code == 2
    assert "No module named 'beside_the_program'" in elsewhere.stderr
    assert "in the folder of the program" in elsewhere.stderr
    (tmp_path / "beside_the_program.py").write_text(
        "class Total:\n    def __repr__(self):\n        return 'a total'\n"
    )
    importlib.invalidate_caches()
    assert run(runner, "result", "etl", "--unpickle").stdout == "a total\n"
    del sys.modules["beside_the_program"]


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        ((200, FAILED), 1, "ValueError: no"),
        ((200, workflow("Running")), 5, "has no result yet"),
        ((404, {"message": 'workflows "etl" not found'}), 4, "no workflow 'etl'"),
        ((403, {"message": "not you"}), 3, "not you"),
        ((500, {"message": "down"}), 3, "down"),
    ],
)
def test_exit_codes_and_errors_of_result(
    fake: Any, runner: CliRunner, answer: Any, code: int, words: str
) -> None:
    fake.answers = [answer]
    ended = run(runner, "result", "etl")
    assert ended.exit_code == code
    assert ended.stdout == ""
    assert ended.stderr.startswith("graflow: ")
    assert words in ended.stderr


def test_no_cluster_is_exit_code_3_with_what_to_do(
    runner: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    ended = run(runner, "status", "etl")
    assert ended.exit_code == 3
    assert "KUBECONFIG" in ended.stderr


def test_a_context_that_does_not_exist_is_named(fake: Any, runner: CliRunner) -> None:
    fake.answers = [(200, FAILED)]
    ended = run(runner, "status", "etl", "--context", "nope")
    assert ended.exit_code == 3
    assert "nope" in ended.stderr


def test_watch_says_how_it_goes_on_stderr_and_ends_with_the_runs_own_code(
    fake: Any, runner: CliRunner
) -> None:
    running = workflow("Running", tasks=[task("extract", "Running")])
    fake.answers = [
        (200, running),
        (200, running),
        [{"type": "MODIFIED", "object": FAILED}],
    ]
    ended = run(runner, "watch", "etl")
    assert ended.exit_code == 1
    assert ended.stdout == ""
    assert [line.strip() for line in ended.stderr.splitlines()][:3] == [
        "extract Running",
        "transform Failed, TaskFailed:",
        "extract Succeeded",
    ]
    assert "load waits, Unschedulable: 0/1 nodes are available" in ended.stderr


def test_list_shows_one_line_for_each_run(fake: Any, runner: CliRunner) -> None:
    fake.answers = [(200, {"items": [FAILED, workflow()]})]
    shown = run(runner, "list")
    assert [line.split()[:2] for line in shown.stdout.splitlines()] == [
        ["NAME", "PHASE"],
        ["etl", "Failed"],
        ["etl", "Pending"],
    ]
    assert [one["name"] for one in json.loads(run(runner, "list", "-o", "json").stdout)] == [
        "etl",
        "etl",
    ]


def test_an_empty_list_says_so_on_stderr(fake: Any, runner: CliRunner) -> None:
    fake.answers = [(200, {"items": []})]
    assert run(runner, "list").stdout == ""
    assert "no workflows in namespace team" in run(runner, "list").stderr
    assert run(runner, "list", "-o", "json").stdout == "[]\n"


def pod(name: str, activation: int) -> dict[str, Any]:
    return {
        "metadata": {
            "name": f"etl-{name}",
            "namespace": "team",
            "uid": name,
            "labels": {
                "graflow.dev/task": name,
                "graflow.dev/activation": str(activation),
                "graflow.dev/attempt": "1",
            },
        },
        "status": {"containerStatuses": [{"name": "task", "state": {"terminated": {}}}]},
    }


def logs_of(_method: str, path: str, _body: Any) -> Any:
    if path.endswith("/workflows/etl"):
        return (200, workflow("Succeeded"))
    if "/log" in path:
        return f"hello from {path.split('/')[-2]}\nand more".encode()
    pods = [pod("load", 10), pod("extract", 2)]
    if "task%3Dload" in path:
        pods = pods[:1]
    return (200, {"items": [] if "nobody" in path else pods})


@pytest.mark.parametrize("flags", [(), ("-f",)])
def test_logs_come_task_by_task_with_their_names(
    fake: Any, runner: CliRunner, flags: tuple[str, ...]
) -> None:
    fake.answers = [logs_of]
    lines = run(runner, "logs", "etl", *flags).stdout.splitlines()
    expected = [
        "[extract] hello from etl-extract",
        "[extract] and more",
        "[load] hello from etl-load",
        "[load] and more",
    ]
    assert (sorted(lines) if flags else lines) == (sorted(expected) if flags else expected)


def test_logs_of_one_task_are_its_own_words(fake: Any, runner: CliRunner) -> None:
    fake.answers = [logs_of]
    assert run(runner, "logs", "etl", "load").stdout == "hello from etl-load\nand more\n"


def test_logs_of_a_task_without_a_pod_are_not_found(fake: Any, runner: CliRunner) -> None:
    fake.answers = [logs_of]
    ended = run(runner, "logs", "etl", "nobody")
    assert ended.exit_code == 4
    assert "has no task 'nobody'" in ended.stderr


def test_graph_draws_a_run_of_the_cluster(fake: Any, runner: CliRunner) -> None:
    found = workflow("Running")
    found |= {"apiVersion": "graflow.dev/v1alpha1", "kind": "Workflow"}
    found["spec"] = {
        "tasks": [{"name": "a", "script": "return 1"}, {"name": "b", "script": "x", "after": ["a"]}]
    }
    fake.answers = [(200, found)]
    assert run(runner, "graph", "etl").stdout == "a\n-> b\n"


def test_graph_draws_a_run_whose_plan_is_in_its_bundle(
    fake: Any, runner: CliRunner, tmp_path: Path
) -> None:
    with dsl.workflow("large") as wf:
        dsl.chain(*(dsl.task(lambda: None, id=f"t{n}") for n in range(1001)))
    compiled = compile_program(wf.program(), Options(), where=Place(tmp_path, ""))
    assert "tasks" not in compiled.workflow["spec"]
    fake.answers = [(200, compiled.workflow), (200, compiled.bundle.resource())]
    drawn = run(runner, "graph", "large").stdout.splitlines()
    assert (len(drawn), drawn[-1]) == (1001, "-> t1000")
