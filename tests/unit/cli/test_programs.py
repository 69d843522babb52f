"""Commands that run a program's file."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from graflow.cli.main import cli

ETL = """
from graflow import task, workflow

@task
def extract():
    return {"data": [1, 2, 3]}

@task
def load(data):
    print(f"Loaded: {data}")
    return "done"

print("hello from the program")
with workflow("my_etl") as wf:
    extract >> load
    print("result:", wf.execute())
"""


@dataclass
class Ended:
    returncode: int
    stdout: str
    stderr: str


class Shell:
    """Runs `graflow` in a folder of its own."""

    def __init__(self, folder: Path, runner: CliRunner) -> None:
        self.folder = folder
        self.runner = runner

    def put(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def __call__(self, *args: str) -> Ended:
        before = set(sys.modules)
        result = self.runner.invoke(cli, list(args))
        for name in set(sys.modules) - before:
            if str(self.folder) in str(getattr(sys.modules[name], "__file__", "")):
                del sys.modules[name]
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ended(result.exit_code, result.stdout, result.stderr)


@pytest.fixture
def graflow(tmp_path: Path, runner: CliRunner, monkeypatch: pytest.MonkeyPatch) -> Shell:
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    shell = Shell(folder, runner)
    shell.put("etl.py", ETL)
    return shell


def test_run_is_what_python_does(graflow: Shell) -> None:
    graflow.put(
        "show.py",
        "import sys, beside\nprint(sys.argv, __name__, __file__, sys.path[0])\nsys.exit(7)\n",
    )
    graflow.put("beside.py", "")
    ran = graflow("run", "show.py", "--rows", "3", "-x")
    python = subprocess.run(
        [sys.executable, "show.py", "--rows", "3", "-x"],
        capture_output=True,
        text=True,
        check=False,
        cwd=graflow.folder,
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (7, python.stdout, python.stderr)


def test_run_runs_the_workflow_here(graflow: Shell) -> None:
    ran = graflow("run", "etl.py")
    assert ran.returncode == 0
    assert ran.stdout.splitlines() == [
        "hello from the program",
        "Loaded: {'data': [1, 2, 3]}",
        "result: done",
    ]


COUNTS = """
from graflow import task, workflow
COUNTED = []
@task
def first():
    COUNTED.append(1)
@task
def second():
    COUNTED.append(2)
    return COUNTED
with workflow("counts") as wf:
    first >> second
    print(wf.execute(), COUNTED, __import__("sys").argv[1:])
"""


def test_c5_run_isolated_gives_every_attempt_a_copy_of_what_it_captured(graflow: Shell) -> None:
    graflow.put("counts.py", COUNTS)
    assert graflow("run", "counts.py").stdout == "[1, 2] [1, 2] []\n"
    ran = graflow("run", "--isolated", "counts.py", "--isolated", "x")
    assert (ran.returncode, ran.stdout) == (0, "[2] [] ['--isolated', 'x']\n"), ran.stderr
    assert ran.stderr == ""


def test_c5_run_isolated_refuses_what_could_not_go_to_a_pod(graflow: Shell) -> None:
    text = COUNTS.replace("COUNTED = []", "import threading\nCOUNTED = threading.Lock()")
    graflow.put("counts.py", text)
    ran = graflow("run", "--isolated", "counts.py")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "task 'first' uses the variable 'COUNTED' (a _thread.lock)" in ran.stderr


def test_c5_run_isolated_shows_a_failure_as_python_does(graflow: Shell) -> None:
    graflow.put("counts.py", COUNTS.replace("COUNTED.append(2)", "1 / 0"))
    for words in (["run"], ["run", "--isolated"]):
        ran = graflow(*words, "counts.py")
        assert ran.returncode == 1
        last = ran.stderr.splitlines()[-2]
        assert last.startswith("graflow.exceptions.GraflowRuntimeError: An error occurred")


def test_an_exception_of_the_program_is_shown_as_python_shows_it(graflow: Shell) -> None:
    graflow.put("bad.py", "def f():\n    raise KeyError('x')\nf()\n")
    ran = graflow("run", "bad.py")
    python = subprocess.run(
        [sys.executable, str(graflow.folder / "bad.py")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (1, python.stderr)


def test_a_program_that_python_cannot_read_is_shown_as_python_shows_it(graflow: Shell) -> None:
    graflow.put("bad.py", "def f(:\n")
    ran = graflow("run", "bad.py")
    assert ran.returncode == 1
    assert ran.stderr.splitlines()[-1] == "SyntaxError: invalid syntax"
    assert "graflow" not in ran.stderr.replace(str(graflow.folder), "")


def test_a_workflow_that_cannot_run_is_one_line_and_code_2(graflow: Shell) -> None:
    graflow.put(
        "bad.py",
        "from graflow import task, workflow\n"
        "with workflow('w') as wf:\n"
        "    a = task(lambda: 1, id='a')\n    b = task(lambda: 1, id='b')\n"
        "    a >> b >> a\n    wf.execute()\n",
    )
    for command in ("run", "compile", "submit"):
        ran = graflow(command, "bad.py")
        assert ran.returncode == 2
        assert ran.stdout == ""
        assert ran.stderr.startswith("graflow: ")
        assert "start_node" in ran.stderr
        assert len(ran.stderr.splitlines()) == 1


def test_times_are_written_as_people_say_them(graflow: Shell) -> None:
    compiled = graflow("compile", "etl.py", "--deadline", "90m", "--ttl", "7d")
    _, workflow = yaml.safe_load_all(compiled.stdout)
    assert workflow["spec"]["activeDeadlineSeconds"] == 5400
    assert workflow["spec"]["ttlSecondsAfterFinished"] == 604_800


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--deadline", "soon", "write seconds, or 90m, 12h, 7d"),
        ("--deadline", "0", "not between 1 s and"),
        ("--ttl", "99999d", "not between 0 s and"),
    ],
)
def test_what_is_no_time_is_refused_with_what_would_be(
    graflow: Shell, option: str, value: str, words: str
) -> None:
    refused = graflow("compile", "etl.py", option, value)
    assert refused.returncode == 2
    assert words in refused.stderr


def test_compile_prints_yaml_alone_on_stdout(graflow: Shell) -> None:
    graflow.put(".env", "SECRET=1")
    graflow.put("data.csv", "1,2")
    compiled = graflow("compile", "etl.py", "-n", "team")
    assert compiled.returncode == 0
    bundle, workflow = yaml.safe_load_all(compiled.stdout)
    assert bundle["kind"] == "CodeBundle"
    assert workflow["kind"] == "Workflow"
    assert workflow["metadata"] == {"name": "my-etl", "namespace": "team"}
    assert workflow["spec"]["bundle"]["sha256"] == bundle["spec"]["sha256"]
    assert "hello from the program" in compiled.stderr
    assert "code of 2 tasks and 2 files" in compiled.stderr
    assert "left out .env: looks like a secret" in compiled.stderr


def test_the_same_program_gives_the_same_text_in_every_process_and_place(tmp_path: Path) -> None:
    program = """
from dataclasses import dataclass
from enum import Enum
from graflow import task, workflow

class Colour(Enum):
    RED = 1

@dataclass(frozen=True)
class Point:
    x: int = 1
    colour: Colour = Colour.RED

A, B = {"x": 1}, "text"

def helper():
    return B

@task
def t(a=1, b=2):
    return A, helper(), a, b, Point()

with workflow("w") as wf:
    wf.register(t)
    wf.execute()
"""
    texts = set()
    for folder in (tmp_path / "here", tmp_path / "there"):
        folder.mkdir()
        (folder / "w.py").write_text(program)
        command = [sys.executable, "-m", "graflow", "compile", str(folder / "w.py")]
        texts.add(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert len(texts) == 1


def test_a_program_stops_at_its_first_execute(graflow: Shell) -> None:
    graflow.put(
        "two.py",
        ETL
        + "\nprint('never')\nwith workflow('other') as second:\n    extract >> load\n"
        + "    second.execute()\n",
    )
    compiled = graflow("compile", "two.py")
    assert "never" not in compiled.stderr
    assert "name: my-etl" in compiled.stdout


@pytest.mark.parametrize("command", ["compile", "submit", "graph"])
def test_a_program_that_executes_nothing_is_refused(graflow: Shell, command: str) -> None:
    graflow.put("idle.py", "x = 1\n")
    ran = graflow(command, "idle.py")
    assert ran.returncode == 2
    assert "without executing a workflow; call wf.execute()" in ran.stderr


def test_dry_run_lists_what_would_go_and_needs_no_cluster(graflow: Shell) -> None:
    graflow.put("data.csv", "1,2")
    graflow.put("id_rsa", "-----BEGIN")
    listed = graflow("submit", "etl.py", "--dry-run", "--include", "id_rsa")
    assert listed.returncode == 0
    assert [line.split()[:2] for line in listed.stdout.splitlines()] == [
        ["task", "extract"],
        ["task", "load"],
        ["file", "data.csv"],
        ["file", "etl.py"],
        ["file", "id_rsa"],
    ]


def test_dry_run_lists_a_plan_that_a_workflow_has_no_room_for(graflow: Shell) -> None:
    graflow.put(
        "large.py",
        "from graflow import chain, task, workflow\n"
        "with workflow('large') as wf:\n"
        "    chain(*(task(lambda: None, id=f't{n}') for n in range(1200)))\n"
        "wf.execute()\n",
    )
    listed = graflow("submit", "large.py", "--dry-run", "--no-files")
    assert listed.stdout.splitlines() == [f"task t{n}" for n in range(1200)]
    assert "code of 1200 tasks" in listed.stderr


def test_no_files_sends_the_code_alone(graflow: Shell) -> None:
    listed = graflow("submit", "etl.py", "--dry-run", "--no-files")
    assert "file" not in listed.stdout
    assert "no files" in listed.stderr


def test_submit_without_a_cluster_is_code_3(graflow: Shell) -> None:
    ran = graflow("submit", "etl.py")
    assert ran.returncode == 3
    assert "KUBECONFIG" in ran.stderr
    assert ran.stdout == ""


def test_a_variable_that_cannot_travel_is_code_2(graflow: Shell) -> None:
    graflow.put(
        "bad.py",
        "import threading\nfrom graflow import task, workflow\nLOCK = threading.Lock()\n"
        "@task\ndef t():\n    return LOCK\n"
        "with workflow('w') as wf:\n    t.run\n    wf.register(t)\n    wf.execute()\n",
    )
    ran = graflow("compile", "bad.py")
    assert ran.returncode == 2
    assert "graflow: task 't' uses the variable 'LOCK'" in ran.stderr


def test_arguments_after_two_dashes_are_the_programs_own(graflow: Shell) -> None:
    graflow.put("args.py", "import sys\n" + ETL.replace('"my_etl"', '"w" + sys.argv[2]'))
    compiled = graflow("compile", "args.py", "--", "--rows", "42")
    assert "name: w42" in compiled.stdout


def test_graph_draws_a_program(graflow: Shell) -> None:
    drawn = graflow("graph", "etl.py", "-o", "mermaid")
    assert drawn.stdout.splitlines() == [
        "flowchart TD",
        '  n0["extract"]',
        '  n1["load"]',
        "  n0 --> n1",
    ]


def test_a_file_that_does_not_exist_is_code_2(graflow: Shell) -> None:
    for command in ("run", "submit", "compile", "graph"):
        ran = graflow(command, "nothing.py")
        assert ran.returncode == 2
        assert "nothing.py" in ran.stderr


def succeeded(path: str, body: Any, seen: dict[str, Any]) -> Any:
    """Be a cluster on which every run succeeds at once with the value [2, 4]."""
    if "/workflows" in path and body is not None:
        seen["workflow"] = body
        return (201, {"metadata": {**body["metadata"], "uid": "u1", "resourceVersion": "1"}})
    if "/workflows/" in path:
        return (200, {
            "metadata": {"name": "x", "uid": "u1", "resourceVersion": "2"},
            "status": {"phase": "Succeeded", "result": {"json": [2, 4]}, "tasks": [
                {"name": "extract", "phase": "Succeeded", "result": {"json": {"data": [1]}}}]},
        })  # fmt: skip
    if "/codebundles/" in path:
        seen.setdefault("bundle", body)
        return (200, {"metadata": {"name": "c", "resourceVersion": "1"}})
    if "/log" in path:
        return b"printed in a pod\n"
    pod = {
        "metadata": {"name": "p", "namespace": "team", "uid": "p", "labels": {}},
        "status": {"containerStatuses": [{"name": "task", "state": {"terminated": {}}}]},
    }
    return (200, {"items": [pod]})


@pytest.fixture
def seen(graflow: Shell, fake: Any) -> dict[str, Any]:
    del graflow  # before the cluster, since it sets KUBECONFIG to nothing
    found: dict[str, Any] = {}
    fake.answers = [lambda _method, path, body: succeeded(path, body, found)]
    return found


def test_submit_prints_the_name_alone_and_ends_the_program(
    graflow: Shell, seen: dict[str, Any]
) -> None:
    sent = graflow("submit", "etl.py")
    assert sent.returncode == 0, sent.stderr
    assert sent.stdout.strip() == seen["workflow"]["metadata"]["name"]
    assert sent.stdout.startswith("my-etl-")
    assert "the program ends here" in sent.stderr
    assert "hello from the program" in sent.stderr
    assert seen["bundle"]["metadata"]["name"] == seen["workflow"]["spec"]["bundle"]["name"]


def test_submit_and_wait_goes_on_with_the_value(graflow: Shell, seen: dict[str, Any]) -> None:
    sent = graflow("submit", "etl.py", "--wait", "--name", "exact")
    assert sent.returncode == 0, sent.stderr
    assert sent.stdout.splitlines() == [
        "hello from the program",
        "printed in a pod",
        "result: [2, 4]",
    ]
    assert "workflow exact Succeeded" in sent.stderr
    assert seen["workflow"]["metadata"] == {"name": "exact"}


def test_a_context_that_comes_back_has_the_results_of_tasks(
    graflow: Shell, seen: dict[str, Any]
) -> None:
    graflow.put(
        "ctx.py",
        ETL.replace(
            'print("result:", wf.execute())',
            "value, ctx = wf.execute(ret_context=True, initial_channel={'k': 1})\n"
            "    import json\n"
            "    print(json.dumps([value, ctx.get_result('extract'), ctx.get_result('load', 7)]))",
        ),
    )
    sent = graflow("submit", "ctx.py", "--wait", "--quiet")
    assert sent.returncode == 0, sent.stderr
    assert json.loads(sent.stdout.splitlines()[-1]) == [[2, 4], {"data": [1]}, 7]
    assert seen["workflow"]["spec"]["input"] == {"k": 1}
