import base64
import hashlib
import json

import cloudpickle
import pytest

from unit.runner.fake_operator import busy
from unit.runner.harness import bundle, script, with_bundle


def result(value):
    return {"result": {"json": value}}


def test_b4_a_function_of_the_program_runs_with_its_bound_arguments(operator, runners):
    def add(x, y):
        return x + y

    data, hashes = bundle(
        functions={"t": {"func": add, "inject_context": False, "bound": {"y": 2}}}
    )
    with_bundle(operator, data)
    operator.order["call"] = {"function": hashes["t"]}
    operator.order["names"] = {"x": result(1)}
    assert runners.run().process.returncode == 0
    assert operator.reports[0]["value"] == {"json": 3}


def test_a2_an_async_function_is_awaited(operator, runners):
    async def later():
        import asyncio

        return await asyncio.to_thread(int, "7")

    data, hashes = bundle(functions={"t": {"func": later}})
    with_bundle(operator, data)
    operator.order["call"] = {"function": hashes["t"]}
    runners.run()
    assert operator.reports[0]["value"] == {"json": 7}


def test_files_beside_the_program_are_there_and_importable(operator, runners):
    data, _ = bundle(
        {
            "helpers/maths.py": b"from pathlib import Path\n"
            b"def f():\n    return Path('data/x.csv').read_text()\n",
            "data/x.csv": b"1,2",
        }
    )
    with_bundle(operator, data)
    operator.order["call"] = {"entrypoint": "helpers.maths:f"}
    assert runners.run().process.returncode == 0
    assert operator.reports[0]["value"] == {"json": "1,2"}


@pytest.mark.parametrize(
    ("entrypoint", "words"),
    [
        ("m:missing", "m has no 'missing'"),
        ("nowhere:f", "nowhere"),
        ("m:answer", "42"),
        ("m", "'m'"),
    ],
)
def test_an_entrypoint_that_is_not_there_is_named(operator, runners, entrypoint, words):
    data, _ = bundle({"m.py": b"answer = 42\n"})
    with_bundle(operator, data)
    operator.order["call"] = {"entrypoint": entrypoint}
    assert runners.run().process.returncode == 1
    error = operator.reports[0]["error"]
    assert (error["reason"], error["retryable"]) == ("Invalid", False)
    assert words in error["message"]


def test_an_entrypoint_whose_module_raises_shows_the_modules_lines(operator, runners):
    data, _ = bundle({"m.py": b"import json\n1 / 0\n"})
    with_bundle(operator, data)
    operator.order["call"] = {"entrypoint": "m:f"}
    assert runners.run().process.returncode == 1
    error = operator.reports[0]["error"]
    assert error["type"] == "ZeroDivisionError"
    assert "line 2" in error["traceback"]


def test_an_entrypoint_that_is_a_task_runs_its_function(operator, runners):
    program = b"""
from graflow import task

class Jobs:
    @task(inject_context=True)
    def f(ctx, n):
        return [ctx.task_id, n]
"""
    data, _ = bundle({"m.py": program})
    with_bundle(operator, data)
    operator.order["call"] = {"entrypoint": "m:Jobs.f"}
    operator.order["names"] = {"n": result(4)}
    assert runners.run().process.returncode == 0
    assert operator.reports[0]["value"] == {"json": ["t", 4]}


def test_a1_names_that_the_order_did_not_resolve_are_asked(operator, runners):
    def late(**options):
        return options["x"]

    script(operator, "return [a, b]", "a", "b")
    operator.order["names"] = {"a": result(1)}
    operator.answers = {"b": {"channel": {"json": "from the channel"}}}
    assert runners.run().process.returncode == 0
    assert operator.reports[0]["value"] == {"json": [1, "from the channel"]}


def test_a1_what_the_only_predecessor_sent_fills_the_only_parameter(operator, runners):
    script(operator, "return data", "data")
    operator.order["sent"] = [{"task": "extract", "value": {"json": {"data": [1, 2]}}}]
    operator.order["senders"] = ["extract"]
    operator.order["names"] = {}
    assert runners.run().process.returncode == 0
    assert operator.reports[0]["value"] == {"json": {"data": [1, 2]}}


def test_a1_several_senders_fill_nothing_and_are_named(operator, runners):
    script(operator, "return data", "data")
    operator.order["senders"] = ["left", "right"]
    assert runners.run().process.returncode == 1
    message = operator.reports[0]["error"]["message"]
    assert "left" in message
    assert "right" in message


def test_values_of_every_form_are_read(operator, runners):
    script(operator, "return [a == (1, 2), b, c]", "a", "b", "c")
    data = json.dumps("big").encode()
    sha256 = hashlib.sha256(data).hexdigest()
    operator.store[f"/store/blobs/{sha256}"] = data
    blob = {
        "sha256": sha256,
        "size": len(data),
        "encoding": "json",
        "url": f"{operator.url}/store/blobs/{sha256}?X-Amz-Signature=SECRETSIGNATURE",
    }
    pickled = base64.b64encode(cloudpickle.dumps((1, 2))).decode()
    operator.order["names"] = {
        "a": {"result": {"pickle": pickled}},
        "b": {"result": {"blob": blob}},
        "c": {"result": {"group": {"m": {"json": 1}, "n": {"group": {}}}}},
    }
    assert runners.run().process.returncode == 0, operator.reports
    assert operator.reports[0]["value"] == {"json": [True, "big", {"m": 1, "n": {}}]}


@pytest.mark.parametrize("status", [400, 403])
def test_an_address_of_a_value_that_has_run_out_is_asked_for_anew(operator, runners, status):
    script(operator, "return len(a)", "a")
    data = json.dumps("v" * 500).encode()
    sha256 = hashlib.sha256(data).hexdigest()
    operator.store[f"/store/blobs/{sha256}"] = data
    url = f"{operator.url}/old?X-Amz-Signature=SECRETSIGNATURE"
    blob = {"sha256": sha256, "size": len(data), "encoding": "json", "url": url}
    operator.order["names"] = {"a": {"result": {"blob": blob}}}
    operator.next("old", lambda r: r.answer(status, b"over"))
    assert runners.run().process.returncode == 0, operator.reports
    assert operator.reports[0]["value"] == {"json": 500}
    assert operator.calls.count("POST /runner/v1/address") == 1


def test_a_value_is_not_put_twice_to_one_address(operator, runners):
    script(operator, "return 'v' * 1_000_000")
    assert puts_of_a_value(operator, runners) == ["/first", "/second", "/third"]


def test_a_value_of_the_channel_is_not_put_twice_to_one_address(operator, runners):
    def f(ctx):
        ctx.get_channel().set("k", "v" * 1_000_000)

    data, hashes = bundle(functions={"t": {"func": f, "inject_context": True}})
    with_bundle(operator, data)
    operator.order["call"] = {"function": hashes["t"]}
    operator.next("channel", lambda r: r.answer(200, {"answer": {"json": None}}))
    assert puts_of_a_value(operator, runners) == ["/first", "/second", "/third"]


def puts_of_a_value(operator, runners):
    """Return where a value is put that the store takes at the third try, each time elsewhere."""
    places = ["first", "second", "third"]
    signed = [f"{operator.url}/{one}?X-Amz-Signature=SECRETSIGNATURE" for one in places]
    operator.next("blob", *[lambda r, u=url: r.answer(200, {"url": u}) for url in signed])
    for name in places[:2]:
        operator.next(name, busy)
    runner = runners.run(GRAFLOW_RETRY_MOST_SECONDS="0.01")
    assert runner.process.returncode == 0, runner.stderr
    puts = [call for call in operator.calls if call.startswith("PUT")]
    return [call.partition("?")[0].removeprefix("PUT ") for call in puts]


def test_a_blob_with_other_bytes_is_refused_without_showing_its_signature(operator, runners):
    script(operator, "return a", "a")
    operator.store["/store/blobs/x"] = b"1"
    url = f"{operator.url}/store/blobs/x?X-Amz-Signature=SECRETSIGNATURE"
    blob = {"sha256": "00" * 32, "size": 1, "encoding": "json", "url": url}
    operator.order["names"] = {"a": {"result": {"blob": blob}}}
    runner = runners.run()
    assert runner.process.returncode == 1
    error = operator.reports[0]["error"]
    assert (error["reason"], error["retryable"]) == ("ObjectCorrupt", False)
    named = (url.partition("?")[0], "00" * 32, hashlib.sha256(b"1").hexdigest())
    assert all(word in error["message"] for word in named)
    assert "SECRETSIGNATURE" not in json.dumps(error) + runner.stderr
    assert operator.calls.count("GET /store/blobs/x") == 3, "it may have been changed on the way"


def test_c3_the_context_knows_its_task_and_reads_results(operator, runners):
    def f(ctx):
        return [
            ctx.task_id,
            ctx.cycle_count,
            ctx.max_cycles,
            ctx.retry_count,
            ctx.max_retries,
            ctx.get_result("other"),
            ctx.get_result("other"),
            ctx.get_result("nobody", "default"),
        ]

    data, hashes = bundle(functions={"t": {"func": f, "inject_context": True}})
    with_bundle(operator, data)
    operator.order["call"] = {"function": hashes["t"]}
    operator.order["task"] = {
        "id": "t",
        "iteration": 3,
        "maxCycles": 7,
        "maxAttempts": 4,
        "failures": 2,
    }
    operator.answers = {"other": result([1])}
    runner = runners.run()
    assert runner.process.returncode == 0, runner.stderr
    assert operator.reports[0]["value"] == {"json": ["t", 3, 7, 2, 3, [1], [1], "default"]}


def test_a_huge_value_goes_to_the_store_and_is_reported_by_its_hash(operator, runners):
    script(operator, "return 'v' * 10_000_000")
    runner = runners.run()
    assert runner.process.returncode == 0, runner.stderr
    data = b'"' + b"v" * 10_000_000 + b'"'
    sha256 = hashlib.sha256(data).hexdigest()
    assert operator.store == {f"/store/blobs/{sha256}": data}
    blob = {"sha256": sha256, "size": len(data), "encoding": "json"}
    assert operator.reports == [{"outcome": "Succeeded", "value": {"blob": blob}}]


def test_a_huge_value_that_is_stored_already_is_not_sent_again(operator, runners):
    script(operator, "return 'v' * 1_000_000")
    data = b'"' + b"v" * 1_000_000 + b'"'
    key = f"/store/blobs/{hashlib.sha256(data).hexdigest()}"
    operator.store[key] = data
    assert runners.run().process.returncode == 0
    assert f"PUT {key}" not in operator.calls
