"""C5: with `--isolated` every attempt has a copy of what it captured, as in a pod."""

import sys
import threading
import types
from pathlib import Path

import pytest
from click.testing import CliRunner

from graflow import task
from graflow.cli.main import cli
from graflow.compile.errors import CaptureError
from graflow.dsl.call import Callee
from graflow.local.isolation import Isolation


def attempts(made, times=2):
    """Call the function of a task as so many attempts would, and return what they return."""
    isolation = Isolation({made.task_id: made})
    copies = [isolation.copy(made.task_id, made.callee) for _ in range(times)]
    return [copy.func(**copy.bound) for copy in copies]


def test_c5_globals_closures_defaults_and_arguments_are_fresh_in_each_attempt(module):
    names = module(
        """
        from graflow import task

        COUNT, ROWS = 0, []

        def helper():
            ROWS.append(1)

        @task
        def counts(seen, kept=[]):
            global COUNT
            COUNT += 1
            helper()
            seen.append(1)
            kept.append(1)
            return COUNT, ROWS, seen, kept
        """
    )
    assert attempts(names["counts"](task_id="t", seen=[0])) == [(1, [1], [0, 1], [1])] * 2
    assert (names["COUNT"], names["ROWS"]) == (0, [])


def test_c5_what_the_program_changed_before_the_run_is_seen():
    rows = []
    made = task("t")(lambda: rows)
    rows.append("before")
    assert attempts(made) == [["before"]] * 2


def test_c5_modules_are_the_same_for_all_and_need_not_travel(monkeypatch):
    beside = types.ModuleType("beside_the_program")
    beside.lock = threading.Lock()
    monkeypatch.setitem(sys.modules, beside.__name__, beside)
    first, second = attempts(task("t")(lambda: beside.lock))
    assert first is second is beside.lock


def test_c5_classes_stay_the_same_so_that_values_are_still_of_them():
    class Point:
        pass

    made = task("t")(Point)
    assert all(isinstance(point, Point) for point in attempts(made))


def test_c5_what_could_not_go_to_a_pod_is_refused_and_named():
    lock = threading.Lock()
    with pytest.raises(
        CaptureError, match=r"task 't' uses the variable 'lock' \(a _thread\.lock\)"
    ):
        Isolation({"t": task("t")(lambda: lock)})


def test_c5_a_task_made_at_run_time_is_copied_too():
    rows = []
    isolation, callee = Isolation({}), Callee(func=lambda: rows.append(1) or rows)
    assert [isolation.copy("t", callee).func() for _ in range(2)] == [[1], [1]]
    assert rows == []


def test_c5_a_function_of_a_module_beside_the_program_has_globals_of_its_own(tmp_path, monkeypatch):
    (tmp_path / "counting_module.py").write_text(
        "SEEN = []\ndef count():\n    SEEN.append(1)\n    return len(SEEN)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import counting_module

    try:
        assert attempts(task("t")(counting_module.count)) == [1, 1]
        assert counting_module.SEEN == []
    finally:
        del sys.modules["counting_module"]


def test_c5_a_module_that_holds_what_pods_make_anew_is_shared(tmp_path, monkeypatch):
    (tmp_path / "locking_module.py").write_text(
        "import threading\nLOCK = threading.Lock()\ndef held():\n    return LOCK.locked()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import locking_module

    try:
        assert attempts(task("t")(locking_module.held)) == [False, False]
    finally:
        del sys.modules["locking_module"]


EXAMPLES = sorted((Path(__file__).parents[3] / "examples").glob("*/workflow.py"))


@pytest.mark.parametrize("program", EXAMPLES, ids=lambda program: program.parent.name)
def test_c5_examples_count_on_nothing_that_a_pod_has_not(program):
    before = set(sys.modules)
    try:
        shared, isolated = (
            CliRunner().invoke(cli, ["run", *words, str(program)]) for words in ([], ["--isolated"])
        )
    finally:
        for name in set(sys.modules) - before:
            if str(program.parent) in str(getattr(sys.modules[name], "__file__", "")):
                del sys.modules[name]
    assert isolated.exit_code == 0, isolated.output
    assert isolated.stdout == shared.stdout != ""
