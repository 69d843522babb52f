import signal
import sys

import pytest

from unit.runner.fake_operator import RUN_KEY
from unit.runner.harness import TELL, bundle, checked, script, with_bundle


def test_a_value_is_reported_and_left_as_termination_message(operator, runners):
    script(operator, "return {'data': [1, 2, 3]}")
    runner = runners.run()
    assert runner.process.returncode == 0, runner.stderr
    assert operator.reports == [{"outcome": "Succeeded", "value": {"json": {"data": [1, 2, 3]}}}]
    assert checked(operator, runner.message) == operator.reports[0]
    assert (runner.stdout, runner.stderr) == ("", "")


def test_the_claim_says_who_asks_and_with_what(operator, runners):
    runners.run()
    claim = operator.claims[0]
    assert claim["run"] == "0b0e6f4e-run"
    assert claim["namespace"] == "ns"
    assert claim["pod"] == {"name": "r-t-abc", "uid": "77aa-pod"}
    assert claim["python"] == ".".join(map(str, sys.version_info[:3]))
    assert claim["cloudpickle"].startswith("3.")
    assert len(claim["nonce"]) == 32


def test_c4_a_value_that_json_would_change_goes_as_a_pickle(operator, runners):
    script(operator, "return (1, float('nan'), {2: 'x'})")
    runners.run()
    assert list(operator.reports[0]["value"]) == ["pickle"]


def test_f4_a_failure_is_reported_with_the_lines_of_the_users_script(operator, runners):
    script(operator, "def inner(x):\n    return 1 / x\n\nreturn inner(0)\n")
    runner = runners.run()
    assert runner.process.returncode == 1
    error = operator.reports[0]["error"]
    assert (error["reason"], error["type"]) == ("TaskFailed", "ZeroDivisionError")
    assert error["message"] == "division by zero"
    assert error["retryable"] is True
    assert error["traceback"].startswith(
        'Traceback (most recent call last):\n  File "<script of t>"'
    )
    assert "line 2, in inner\n    return 1 / x" in error["traceback"]
    assert "line 4, in main\n    return inner(0)" in error["traceback"]
    assert "graflow_runner" not in error["traceback"]
    assert runner.stderr == error["traceback"]
    assert checked(operator, runner.message) == operator.reports[0]


def test_a_long_traceback_keeps_its_head_and_its_tail(operator, runners):
    script(operator, "raise ValueError('begin ' + 'x' * 100_000 + ' end')")
    runner = runners.run()
    error = operator.reports[0]["error"]
    assert len(error["traceback"].encode()) <= 32 * 1024
    assert error["message"].startswith("begin")
    assert error["message"].endswith("end")
    assert error["traceback"].startswith("Traceback")
    assert error["traceback"].rstrip().endswith("end")
    short = checked(operator, runner.message)["error"]
    assert short["type"] == "ValueError"
    assert short["message"].startswith("begin")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("sys.exit(3)", "sys.exit(3)"),
        ("sys.exit()", "sys.exit(0)"),
        ("sys.exit('no data')", "no data"),
    ],
)
def test_f4_leaving_by_sys_exit_is_a_failure_that_names_the_code(operator, runners, call, words):
    script(operator, f"import sys\n{call}")
    assert runners.run().process.returncode == 1
    error = operator.reports[0]["error"]
    assert error["reason"] == "SystemExit"
    assert words in error["message"]


@pytest.mark.parametrize(
    ("raising", "kind", "retryable"),
    [
        (
            "from graflow.exceptions import NonRetryableError\nraise NonRetryableError('no')",
            "graflow.exceptions.NonRetryableError",
            False,
        ),
        ("raise KeyboardInterrupt", "KeyboardInterrupt", True),
        ("raise MemoryError('all of it')", "MemoryError", True),
        ("class Odd(Exception):\n  def __str__(self): raise RuntimeError\nraise Odd", "Odd", True),
    ],
)
def test_f4_every_exception_is_reported(operator, runners, raising, kind, retryable):
    script(operator, raising)
    assert runners.run().process.returncode == 1
    error = operator.reports[0]["error"]
    assert error["type"].endswith(kind)
    assert error["retryable"] is retryable


def test_a2_a_parameter_without_a_value_fails_before_user_code_and_is_not_tried_again(
    operator, runners
):
    script(operator, "print('ran')\nreturn rows", "rows")
    runner = runners.run()
    assert runner.process.returncode == 1
    error = operator.reports[0]["error"]
    assert error["reason"] == "ArgumentsMissing"
    assert error["retryable"] is False
    assert "rows" in error["message"]
    assert runner.stdout == ""


def test_a_value_that_cannot_travel_is_named_by_its_place(operator, runners):
    script(operator, "import threading\nreturn {'rows': [1, {'lock': threading.Lock()}]}")
    assert runners.run().process.returncode == 1
    error = operator.reports[0]["error"]
    assert error["reason"] == "ValueNotSerializable"
    assert "['rows'][1]['lock']" in error["message"]
    assert "lock" in error["message"]


def test_a_script_that_is_no_python_names_the_line(operator, runners):
    script(operator, "x = 1\nreturn x +\n")
    assert runners.run().process.returncode == 1
    error = operator.reports[0]["error"]
    assert (error["reason"], error["retryable"]) == ("Invalid", False)
    assert "line 2" in error["message"]


def test_threads_that_go_on_do_not_keep_the_pod(operator, runners):
    script(
        operator,
        "import threading\nthreading.Thread(target=threading.Event().wait).start()\nreturn 1",
    )
    assert runners.run().process.returncode == 0
    assert len(operator.reports) == 1


def test_exit_handlers_of_user_code_run(operator, runners):
    script(operator, "import atexit\natexit.register(print, 'flushed')\nreturn 1")
    assert runners.run().stdout == "flushed\n"


def test_a_forked_child_that_comes_back_does_not_report(operator, runners):
    script(
        operator,
        "import os\nchild = os.fork()\nif child: os.waitpid(child, 0)\nreturn child and 'parent'",
    )
    assert runners.run().process.returncode == 0
    assert [report["value"] for report in operator.reports] == [{"json": "parent"}]


def test_a_process_that_was_killed_has_told_nothing(operator, runners):
    script(operator, TELL + "import threading\ntell('ready')\nthreading.Event().wait()")
    runner = runners.start()
    operator.wait_for(lambda: operator.told, "user code ran")
    runner.process.send_signal(signal.SIGKILL)
    assert runner.wait() == -signal.SIGKILL
    assert operator.reports == []
    assert runner.message == {}


def test_a_hundred_megabytes_of_output_arrive_whole(operator, runners):
    script(operator, "line = 'x' * 999\nfor _ in range(100_000): print(line)\nreturn 'done'")
    runner = runners.run()
    assert runner.process.returncode == 0
    assert len(runner.stdout) == 100_000_000
    assert operator.reports[0]["value"] == {"json": "done"}


def test_output_without_an_end_of_line_is_there_when_the_process_is_killed(operator, runners):
    script(operator, TELL + "import os\nprint('half', end='')\nos._exit(0)")
    runner = runners.run()
    assert runner.stdout == "half"
    assert operator.reports == []


def test_user_code_finds_the_runs_key_in_no_environment(operator, runners):
    script(
        operator,
        """
import os, subprocess
def processes():
    return [f"/proc/{p}/environ" for p in os.listdir("/proc") if p.isdecimal()
            and f"({os.getpid()})" == "(" + parent(p) + ")"]
def parent(p):
    try:
        return open(f"/proc/{p}/stat").read().rpartition(")")[2].split()[1]
    except OSError:
        return ""
return [
    repr(os.environ),
    open("/proc/self/environ").read(),
    open("/proc/self/cmdline").read(),
    subprocess.run(["env"], capture_output=True, text=True).stdout,
    processes(),
]
""",
    )
    runner = runners.run()
    assert runner.process.returncode == 0, runner.stderr
    *texts, children = operator.reports[0]["value"]["json"]
    assert RUN_KEY not in "".join(texts)
    assert "GRAFLOW_POD_UID" in texts[1]
    assert children == []


def test_the_memory_of_the_process_that_runs_user_code_never_held_the_runs_key(operator, runners):
    script(operator, TELL + "import threading\ntell('ready')\nthreading.Event().wait()")
    runner = runners.start()
    operator.wait_for(lambda: operator.told, "user code ran")
    memory = runner.memory
    assert bytes.fromhex(operator.attempt_key) in memory, "the search finds what is there"
    assert RUN_KEY.encode() not in memory
    assert bytes.fromhex(RUN_KEY) not in memory


def test_arguments_of_the_runner_are_not_those_of_the_program(operator, runners):
    data, _ = bundle({"m.py": b"def f():\n    import sys\n    return sys.argv\n"})
    with_bundle(operator, data)
    operator.order["call"] = {"entrypoint": "m:f"}
    runners.run()
    assert operator.reports[0]["value"] == {"json": ["workflow.py"]}
