import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

import graflow_runner
from graflow.api import names
from graflow_runner import calls, failure, outcome, termination
from unit.runner.harness import bundle, with_bundle

HEAVY = {
    "aiohttp",
    "asyncio",
    "boto3",
    "click",
    "kubernetes",
    "pydantic",
    "rich",
    "urllib.request",
    "yaml",
}


def imported(statement: str) -> set[str]:
    code = f"import sys; before = set(sys.modules); {statement}; print(*set(sys.modules) - before)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(out.stdout.split())


def test_nothing_heavy_is_imported_before_user_code():
    assert not imported("import graflow_runner.lifecycle, graflow_runner.attempt") & HEAVY


def test_what_decides_packs_and_judges_is_not_imported_before_a_task_does_so():
    found = imported(
        "import graflow_runner.lifecycle, graflow_runner.attempt, graflow_runner.bundle"
    )
    later = ("decided", "handover", "judging", "known", "renewal")
    assert not found & {f"graflow_runner.{name}" for name in later}
    assert not found & {f"graflow.dsl.{name}" for name in ("decisions", "flow", "graph", "task")}
    assert not {name for name in found if name.startswith("graflow.compile")}
    assert "graflow.machine.faults" not in found


def test_the_first_stage_needs_no_site_packages(operator, runners):
    runners.command = [sys.executable, "-I", "-S", graflow_runner.__path__[0] + "/__main__.py"]
    assert runners.run().process.returncode == 0
    assert len(operator.reports) == 1


def test_nothing_of_graflow_is_imported_before_the_claim_is_sent():
    found = imported("import graflow_runner.lifecycle, graflow_runner.claim")
    assert not {name for name in found if name.partition(".")[0] in ("graflow", "cloudpickle")}


def test_headers_and_paths_are_those_that_the_operator_knows():
    signer = calls.Signer("00", run="r", activation=1, attempt=1, claim="u/n")
    sent = set(signer.headers("POST", "/x", b"", 1)) - {"Content-Type"}
    assert sent == {
        names.HEADER_RUN,
        names.HEADER_ACTIVATION,
        names.HEADER_ATTEMPT,
        names.HEADER_CLAIM,
        names.HEADER_NUMBER,
        names.HEADER_MAC,
    }
    assert calls.PREFIX == names.RUNNER_PREFIX


@given(message=st.text(), traceback=st.text(), times=st.integers(1, 5_000))
def test_a_failure_of_any_size_fits_the_termination_message(message, traceback, times):
    signer = calls.Signer("00", run="r", activation=1, attempt=1, claim="u/n")
    report = failure.failed("R", "T", message * times, text=traceback * times)
    sealed = outcome.message(outcome.Outcome(report), signer)
    assert sealed is not None
    assert len(sealed) <= termination.MAX_BYTES


def test_processes_that_user_code_spawns_find_its_modules(operator, runners):
    program = b"""
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

def double(x):
    return 2 * x

def f():
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return list(pool.map(double, [1, 2]))
"""
    data, _ = bundle({"m.py": program})
    with_bundle(operator, data)
    operator.order["call"] = {"entrypoint": "m:f"}
    runner = runners.run()
    assert runner.process.returncode == 0, runner.stderr
    assert operator.reports[0]["value"] == {"json": [2, 4]}
