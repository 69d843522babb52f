"""Code that goes by value: what a task's function finds in a clean interpreter."""

import builtins
import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from graflow.cli.programs import run_file
from graflow.compile import relocation
from graflow.compile.bundle import Contents, pack
from graflow.compile.errors import CaptureError
from graflow.compile.files import nothing, select
from graflow.compile.functions import pickle_all
from graflow.dsl.task import TaskWrapper

AFTER = """

take(t)
globals().get("after", int)()
"""

# What the runner does with it, in few words.
POD = """
import json, pickle, sys, zipfile
from pathlib import Path
archive, code = zipfile.ZipFile(sys.argv[1]), Path(sys.argv[2])
manifest = json.loads(archive.read("manifest.json"))
for name in archive.namelist():
    if name.startswith("files/"):
        path = code / name.removeprefix("files/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(archive.read(name))
sys.path[0] = str(code)
(sha256,) = manifest["functions"]
form = pickle.loads(archive.read(f"functions/{sha256}.pkl"))
if "t" in manifest["arguments"]:
    form["bound"] = pickle.loads(archive.read("arguments.bin"))
print(json.dumps(form["func"](**form["bound"])))
"""


class Machine:
    """A folder with a program, and a pod that is elsewhere."""

    def __init__(self, tmp_path: Path) -> None:
        self.tmp_path = tmp_path
        self.root = tmp_path / "here" / "project"
        self.code = tmp_path / "there" / "code"
        self.zip = tmp_path / "bundle.zip"
        self.root.mkdir(parents=True)
        self.code.mkdir(parents=True)

    def put(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))

    def bundle(self, program: str, *, files: bool = True) -> None:
        """Run the program as `__main__`, with its task `t` bundled at its last line."""

        def take(found: TaskWrapper) -> None:
            selection = select(self.root) if files else nothing(self.root)
            pickles = pickle_all({"t": found.portable()}, selection)
            self.zip.write_bytes(pack(pickles, selection, Contents("program.py", {})).data)

        self.put("program.py", textwrap.dedent(program) + AFTER)
        before = set(sys.modules)
        builtins.take = take  # type: ignore[attr-defined]
        try:
            run_file(self.root / "program.py", (), None)
        finally:
            del builtins.take  # type: ignore[attr-defined]
            for name in set(sys.modules) - before:
                del sys.modules[name]

    def run(self, program: str, *, files: bool = True) -> Any:
        self.bundle(program, files=files)
        self.root.rename(self.tmp_path / "gone")  # nothing of this machine is left to the pod
        pod = subprocess.run(
            [sys.executable, "-c", POD, str(self.zip), str(self.code)],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.code,
        )
        assert pod.returncode == 0, pod.stderr
        return json.loads(pod.stdout)

    def refusal(self, program: str) -> str:
        with pytest.raises(CaptureError) as caught:
            self.bundle(program)
        return str(caught.value)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path)
    monkeypatch.setattr(relocation, "CODE_DIR", str(made.code))
    return made


def test_a_function_travels_with_the_globals_functions_and_classes_it_uses(
    machine: Machine,
) -> None:
    assert machine.run("""
        from dataclasses import dataclass
        from graflow.dsl.task import task

        FACTOR = 3

        @dataclass
        class Point:
            x: int
            def scaled(self):
                return Point(self.x * FACTOR)

        def helper(n):
            return lambda m: Point(n + m).scaled().x

        @task
        def t():
            return helper(1)(2)
    """) == 9  # fmt: skip


def test_closures_defaults_and_bound_arguments_travel(machine: Machine) -> None:
    assert machine.run("""
        from graflow.dsl.task import task

        def make(n):
            @task
            def inner(a, b=[1], *, c={"k": 2}):
                return [n, a, b, c]
            return inner

        t = make(7)(task_id="bound", a=5)
    """) == [7, 5, [1], {"k": 2}]  # fmt: skip


def test_a_file_beside_the_program_is_found_by_the_programs_own_path(machine: Machine) -> None:
    machine.put("data/sales.csv", "1,2,3")
    assert machine.run("""
        import os
        from pathlib import Path
        from graflow.dsl.task import task

        HERE = Path(__file__).parent
        TEXT = os.path.dirname(__file__)
        CONFIG = {"path": HERE / "data"}

        class Settings:
            folder = HERE / "data"

        def outer():
            inside = str(HERE / "data")
            @task
            def t(where=str(HERE)):
                return [
                    (Path(__file__).parent / "data" / "sales.csv").read_text(),
                    (HERE / "data" / "sales.csv").read_text(),
                    open(os.path.join(TEXT, "data", "sales.csv")).read(),
                    (CONFIG["path"] / "sales.csv").read_text(),
                    (Settings.folder / "sales.csv").read_text(),
                    open(inside + "/sales.csv").read(),
                    open(where + "/data/sales.csv").read(),
                    Path("data/sales.csv").read_text(),
                ]
            return t

        t = outer()
    """) == ["1,2,3"] * 8  # fmt: skip


def test_the_program_itself_keeps_its_paths(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.bundle("""
        from pathlib import Path
        from graflow.dsl.task import task

        HERE = Path(__file__).parent

        @task
        def t():
            return str(HERE)

        def after():
            print(HERE, __file__, t.run())
    """)
    root = str(machine.root)
    assert capsys.readouterr().out.split() == [root, f"{root}/program.py", root]


def test_paths_elsewhere_stay_as_they_are(machine: Machine) -> None:
    machine.put("../project-2/x", "")
    assert machine.run(f"""
        from pathlib import Path
        from graflow.dsl.task import task

        OTHER = Path(__file__).parent.parent / "project-2"
        TMP = "/tmp"

        @task
        def t():
            return [str(OTHER) == {str(machine.root) + "-2"!r}, TMP]
    """) == [True, "/tmp"]  # fmt: skip


def test_a_second_module_of_the_project_is_imported_from_its_file(machine: Machine) -> None:
    machine.put("helpers/__init__.py", "import threading\nLOCK = threading.Lock()\n")
    machine.put(
        "helpers/shapes.py",
        """
        from . import LOCK

        class Square:
            def __init__(self, a): self.a = a
            def area(self):
                with LOCK:
                    return self.a ** 2
        """,
    )
    assert machine.run("""
        import helpers.shapes
        from helpers.shapes import Square
        from graflow.dsl.task import task

        @task
        def t():
            return [Square(3).area(), helpers.shapes.Square is Square, Square.__module__]
    """) == [9, True, "helpers.shapes"]  # fmt: skip


def test_a_task_in_a_second_module_is_found_there(machine: Machine) -> None:
    machine.put(
        "steps.py",
        """
        import threading
        from graflow.dsl.task import task
        LOCK = threading.Lock()

        @task
        def fetch():
            with LOCK:
                return __name__
        """,
    )
    assert machine.run("from steps import fetch as t") == "steps"


@pytest.mark.parametrize("files", [True, False])
def test_a_module_that_does_not_travel_as_a_file_goes_by_value(
    machine: Machine, *, files: bool
) -> None:
    machine.put("../library/tools/deep.py", "SCALE = 4\ndef scale(n): return n * SCALE\n")
    machine.put("beside.py", "def plus(n): return n + 1\n")
    assert machine.run(
        """
        import sys
        from pathlib import Path
        sys.path.insert(0, str(Path(__file__).parent.parent / "library"))
        from tools.deep import scale
        import tools.deep as deep
        import beside
        from graflow.dsl.task import task

        @task
        def t():
            return [scale(2), deep.scale(3), beside.plus(1)]
    """,
        files=files,
    ) == [8, 12, 2]


def test_a_module_that_is_on_the_path_under_another_folder_goes_by_value(machine: Machine) -> None:
    machine.put("src/inner.py", "def f(): return 'inner'\n")
    assert machine.run("""
        import sys
        from pathlib import Path
        sys.path.insert(0, str(Path(__file__).parent / "src"))
        from inner import f
        from graflow.dsl.task import task

        @task
        def t():
            return f()
    """) == "inner"  # fmt: skip


def test_a_task_that_names_another_task_takes_it_along(machine: Machine) -> None:
    assert machine.run("""
        from graflow.dsl.task import task

        @task
        def other():
            return 5

        @task
        def t():
            return other.run() + 1
    """) == 6  # fmt: skip


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (
            "import threading\nLOCK = threading.Lock()\n@task\ndef t():\n    return LOCK\n",
            ["task 't'", "variable 'LOCK'", "_thread.lock", "inside the task"],
        ),
        (
            (
                "import threading\nLOCK = threading.Lock()\ndef helper():\n    return LOCK\n"
                "@task\ndef t():\n    return helper()\n"
            ),
            ["task 't'", "variable 'LOCK', the variable 'helper'"],
        ),
        (
            "FILE = open(1, 'wb', 0, closefd=False)\n@task\ndef t():\n    return FILE\n",
            ["variable 'FILE'", "open it inside the task"],
        ),
        (
            (
                "import threading\nclass Client:\n    def __init__(self):\n"
                "        self.lock = threading.Lock()\n"
                "client = Client()\n@task\ndef t():\n    return client\n"
            ),
            ["its 'lock', the variable 'client'"],
        ),
        (
            "g = (n for n in [1])\n@task\ndef t():\n    return list(g)\n",
            ["variable 'g'", "make a list"],
        ),
        (
            (
                "import threading\n@task\ndef s(a):\n    return 1\n"
                "t = s(task_id='x', a=threading.Lock())\n"
            ),
            ["task 't'", "'a'", "_thread.lock"],
        ),
        (
            (
                "import threading\nclass Odd:\n    def __reduce__(self):\n"
                "        raise ValueError('no way')\n"
                "odd = Odd()\n@task\ndef t():\n    return odd\n"
            ),
            ["variable 'odd'", "no way"],
        ),
    ],
)
def test_what_cannot_travel_is_named_with_its_task_and_the_way_out(
    machine: Machine, program: str, words: list[str]
) -> None:
    refusal = machine.refusal(f"from graflow.dsl.task import task\n{program}")
    for word in words:
        assert word in refusal
    assert len(refusal.splitlines()) == 1


def test_a_traceback_in_a_pod_names_the_file_there_and_shows_the_line(machine: Machine) -> None:
    lines = machine.run("""
        import traceback
        from graflow.dsl.task import task

        def helper():
            raise ValueError("no")

        @task
        def t():
            try:
                helper()
            except ValueError:
                return traceback.format_exc().splitlines()
    """)
    assert f'  File "{machine.code}/program.py", line 11, in t' in lines
    assert '    raise ValueError("no")' in lines


def test_an_object_that_comes_back_is_of_the_class_that_the_program_has(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.bundle("""
        from graflow.dsl.task import task

        class Point:
            pass

        @task
        def t():
            return Point()

        def after():
            import pickle, subprocess, sys
            from pathlib import Path
            from graflow.compile.files import nothing
            from graflow.compile.functions import pickle_all
            data = pickle_all({"t": t.portable()}, nothing(Path(__file__).parent))["t"].code
            pod = "import sys, pickle, cloudpickle; form = pickle.loads(sys.stdin.buffer.read())"
            pod += "; sys.stdout.buffer.write(cloudpickle.dumps(form['func']()))"
            there = subprocess.run([sys.executable, "-c", pod], input=data, capture_output=True)
            print(isinstance(pickle.loads(there.stdout), Point))
    """)
    assert capsys.readouterr().out == "True\n"
