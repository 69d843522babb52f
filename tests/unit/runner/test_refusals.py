import io
import json
import zipfile

import pytest

from unit.runner.fake_operator import busy
from unit.runner.harness import PYTHON, bundle, script, with_bundle


@pytest.fixture
def marked(operator, tmp_path):
    """User code that leaves a mark when it runs."""
    mark = tmp_path / "ran"
    script(operator, f"open({str(mark)!r}, 'w').close()")
    return mark


def test_a_fenced_claim_runs_no_user_code(operator, runners, marked):
    operator.next("claim", lambda r: r.refuse(409, "Fenced", "attempt 1 is over"))
    runner = runners.run()
    assert runner.process.returncode == 65
    assert "HTTP 409 Fenced: attempt 1 is over" in runner.stderr
    assert not marked.exists()
    assert operator.calls == ["POST /runner/v1/claim"]


def test_a_wrong_key_is_refused_without_running_user_code(operator, runners, marked):
    runner = runners.run(GRAFLOW_KEY="22" * 32)
    assert runner.process.returncode == 64
    assert "GRAFLOW_KEY" in runner.stderr
    assert "22" * 32 not in runner.stderr
    assert not marked.exists()


def test_a_fenced_report_ends_the_runner_quietly(operator, runners):
    operator.next("report", lambda r: r.refuse(409, "Fenced", "attempt 1 was lost"))
    runner = runners.run()
    assert runner.process.returncode == 65
    assert runner.stderr == (
        "graflow: the attempt is over, and what this pod did does not count: "
        "HTTP 409 Fenced: attempt 1 was lost\n"
    )
    assert operator.reports == []


def test_a_pod_fenced_while_user_code_asks_cannot_be_caught_by_it(operator, runners):
    script(operator, "try:\n    return missing\nexcept Exception:\n    return 'caught'", "missing")
    operator.next("results", lambda r: r.refuse(409, "Fenced", "over"))
    assert runners.run().process.returncode == 65
    assert operator.reports == []


@pytest.mark.parametrize(
    "name", ["GRAFLOW_API", "GRAFLOW_POD_NAME", "GRAFLOW_POD_UID", "GRAFLOW_RUN", "GRAFLOW_KEY"]
)
def test_a_missing_variable_is_named(runners, name):
    runner = runners.run(**{name: None})
    assert runner.process.returncode == 64
    assert name in runner.stderr
    assert runner.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "value"), [("GRAFLOW_API", "ftp://x"), ("GRAFLOW_GRACE_SECONDS", "soon")]
)
def test_a_variable_with_a_wrong_value_is_named_with_it(runners, name, value):
    runner = runners.run(**{name: value})
    assert runner.process.returncode == 64
    assert f"{name} must be" in runner.stderr
    assert repr(value) in runner.stderr


def test_a_bundle_with_other_bytes_is_not_opened(operator, runners):
    data, _ = bundle({"m.py": b"def f(): return 1"})
    with_bundle(operator, data)
    operator.bundle = data[:-1] + b"?"
    operator.order["call"] = {"entrypoint": "m:f"}
    assert runners.run().process.returncode == 66
    error = operator.reports[0]["error"]
    assert (error["reason"], error["retryable"]) == ("BundleCorrupt", False)
    assert operator.order["bundle"]["sha256"] in error["message"]


@pytest.mark.parametrize(
    "path", ["../evil.py", "/tmp/evil.py", "files/../../evil.py", "files\\evil.py"]
)
def test_a_path_that_leads_out_of_the_folder_is_refused_and_nothing_is_written(
    operator, runners, tmp_path, path
):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("manifest.json", json.dumps({"format": 2, "python": PYTHON}))
        archive.writestr("files/good.py", "x = 1")
        archive.writestr(path, "x = 1")
    with_bundle(operator, buffer.getvalue())
    assert runners.run().process.returncode == 66
    assert operator.reports[0]["error"]["reason"] == "BundleCorrupt"
    assert repr(path) in operator.reports[0]["error"]["message"]
    assert not (tmp_path / "code").exists()


def test_a_bundle_that_grows_too_large_is_refused(operator, runners, tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", json.dumps({"format": 2, "python": PYTHON}))
        archive.writestr("files/zeros", bytes(65 * 1024 * 1024))
    with_bundle(operator, buffer.getvalue())
    assert runners.run().process.returncode == 66
    assert "64 MiB" in operator.reports[0]["error"]["message"]
    assert not (tmp_path / "code").exists()


@pytest.mark.parametrize(
    ("manifest", "made", "here"),
    [
        ({"python": "3.9"}, "Python 3.9", f"Python {PYTHON}"),
        ({"cloudpickle": "2.2.1"}, "cloudpickle 2.2.1", "cloudpickle 3."),
    ],
)
def test_functions_pickled_by_other_versions_are_refused_with_both(
    operator, runners, manifest, made, here
):
    data, hashes = bundle(functions={"t": {"func": int}}, **manifest)
    with_bundle(operator, data)
    operator.order["call"] = {"function": hashes["t"]}
    assert runners.run().process.returncode == 66
    error = operator.reports[0]["error"]
    assert error["reason"] == "PythonVersionMismatch"
    assert made in error["message"]
    assert here in error["message"]


def test_a_later_bundle_format_names_both(operator, runners):
    data, _ = bundle(format=3)
    with_bundle(operator, data)
    assert runners.run().process.returncode == 66
    assert "format 3" in operator.reports[0]["error"]["message"]


def test_a_function_that_is_not_in_the_bundle_is_named(operator, runners):
    data, _ = bundle()
    with_bundle(operator, data)
    operator.order["call"] = {"function": "ab" * 32}
    assert runners.run().process.returncode == 66
    assert "ab" * 32 in operator.reports[0]["error"]["message"]


def test_a_function_without_a_bundle_says_what_to_set(operator, runners):
    operator.order["call"] = {"function": None}
    assert runners.run().process.returncode == 66
    assert "spec.bundle" in operator.reports[0]["error"]["message"]


def test_a_busy_operator_is_asked_for_the_bundle_again(operator, runners):
    data, _ = bundle({"m.py": b"def f(): return 1"})
    with_bundle(operator, data)
    operator.order["call"] = {"entrypoint": "m:f"}
    operator.next("bundle", busy)
    assert runners.run().process.returncode == 0
