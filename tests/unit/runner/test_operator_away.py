import base64
import hashlib
import json
import pickle
import socket

from graflow import task
from unit.runner.fake_operator import FakeOperator, busy, usual_but_reply_lost
from unit.runner.harness import bundle, checked, script, with_bundle


def test_an_operator_that_is_not_ready_is_asked_again(operator, runners):
    operator.next("claim", busy, busy)
    operator.next("report", busy)
    runner = runners.run()
    assert runner.process.returncode == 0
    assert len(operator.reports) == 1
    assert (
        runner.stderr.count("waiting to claim the attempt: HTTP 503 NotLeading: no replica leads")
        == 1
    )


def test_something_else_at_the_operators_address_is_not_taken_for_it(operator, runners):
    operator.next("claim", lambda request: request.answer(404, b"404 page not found"))
    runner = runners.run()
    assert runner.process.returncode == 0
    assert "HTTP 404 from something that is not the operator" in runner.stderr
    assert len(operator.reports) == 1


def test_a_report_whose_answer_was_lost_is_repeated_as_the_same_call(operator, runners):
    operator.next("report", usual_but_reply_lost)
    assert runners.run().process.returncode == 0
    assert len(operator.reports) == 2
    assert operator.reports[0] == operator.reports[1]


def test_a_claim_whose_answer_was_lost_is_repeated_with_the_same_nonce(operator, runners):
    operator.next("claim", usual_but_reply_lost)
    assert runners.run().process.returncode == 0
    assert next(claim["nonce"] for claim in operator.claims) == operator.claims[1]["nonce"]


def test_an_operator_that_comes_back_gets_the_report(operator, runners):
    script(
        operator,
        "import http.client, os\n"
        "c = http.client.HTTPConnection(os.environ['GRAFLOW_API'].removeprefix('http://'))\n"
        "c.request('POST', '/told/stop', body=b'')\nc.getresponse().read()\nreturn 5",
    )
    operator.has_store()
    runner = runners.start()
    operator.wait_for(lambda: operator.told, "user code ran")
    operator.stop()
    operator.start()
    assert runner.wait() == 0
    assert operator.reports == [{"outcome": "Succeeded", "value": {"json": 5}}]


def test_an_outcome_that_cannot_be_reported_is_stored_and_left_as_message(operator, runners):
    store = FakeOperator()
    store.start()
    operator.has_store(store.url)
    operator.next("report", *[busy] * 10_000)
    runner = runners.run(GRAFLOW_STORE_AFTER_SECONDS="0", GRAFLOW_REPORT_PATIENCE_SECONDS="0.1")
    store.stop()
    assert runner.process.returncode == 0
    report = checked(operator, json.loads(store.store["/store/outcome"]))
    assert report == {"outcome": "Succeeded", "value": {"json": 1}}
    assert checked(operator, runner.message) == report
    assert "SECRETSIGNATURE" not in runner.stderr


def test_a_huge_value_that_cannot_be_reported_is_stored_whole(operator, runners):
    script(operator, "return 'v' * 300_000")
    operator.has_store()
    operator.next("blob", *[busy] * 10_000)
    runner = runners.run(GRAFLOW_STORE_AFTER_SECONDS="0", GRAFLOW_REPORT_PATIENCE_SECONDS="0.1")
    assert runner.process.returncode == 0
    data = operator.store["/store/outcome.value"]
    assert data == b'"' + b"v" * 300_000 + b'"'
    described = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "encoding": "json"}
    report = checked(operator, runner.message)
    assert report == {"outcome": "Succeeded", "outcomeValue": described}


def test_what_a_task_has_decided_is_stored_with_its_code_whole(operator, runners):
    def t(ctx):
        noise = __import__("random").Random(1).randbytes(300_000)
        ctx.next_task(task(lambda: len(noise), id="new"))
        return 1

    data, hashes = bundle(functions={"t": {"func": t, "inject_context": True}})
    with_bundle(operator, data)
    operator.order["call"] = {"function": hashes["t"]}
    operator.has_store()
    operator.next("blob", *[busy] * 10_000)
    runners.run(GRAFLOW_STORE_AFTER_SECONDS="0", GRAFLOW_REPORT_PATIENCE_SECONDS="0.1")
    report = checked(operator, json.loads(operator.store["/store/outcome"]))
    assert report["value"] == {"json": 1}
    (told,) = report["directives"]
    code = told["fragment"]["code"]["new"]["group"]["code"]
    form = pickle.loads(base64.b64decode(code["pickle"]))
    assert form["func"]() == 300_000


def test_an_outcome_that_is_in_the_store_already_is_not_an_error(operator, runners):
    operator.has_store()
    operator.store["/store/outcome"] = b"somebody's"
    operator.next("report", *[busy] * 10_000)
    runner = runners.run(GRAFLOW_STORE_AFTER_SECONDS="0", GRAFLOW_REPORT_PATIENCE_SECONDS="0.1")
    assert runner.process.returncode == 0
    assert operator.store["/store/outcome"] == b"somebody's"


def test_with_neither_operator_nor_store_the_message_is_left_and_the_exit_code_says_so(
    operator, runners
):
    operator.next("report", *[busy] * 10_000)
    runner = runners.run(GRAFLOW_REPORT_PATIENCE_SECONDS="0.05")
    assert runner.process.returncode == 69
    assert checked(operator, runner.message) == {"outcome": "Succeeded", "value": {"json": 1}}


def test_an_operator_that_never_answers_a_claim_is_given_up(operator, runners):
    operator.stop()
    runner = runners.run(GRAFLOW_CLAIM_PATIENCE_SECONDS="0.05")
    assert runner.process.returncode == 69
    assert "gave up claiming the attempt" in runner.stderr


def test_a_redirect_leads_to_the_leader_and_stays(operator, runners):
    follower = FakeOperator()
    follower.start()
    follower.next("claim", lambda r: r.answer(307, {}, Location=f"{operator.url}/runner/v1/claim"))
    runner = runners.run(GRAFLOW_API=follower.url)
    follower.stop()
    assert runner.process.returncode == 0
    assert len(operator.reports) == 1
    assert follower.calls == ["POST /runner/v1/claim"]


def test_a_leader_that_is_gone_is_looked_for_at_the_first_address(operator, runners):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        gone = f"http://127.0.0.1:{taken.getsockname()[1]}/runner/v1/claim"
        operator.next("claim", lambda r: r.answer(307, {}, Location=gone))
        assert runners.run().process.returncode == 0
    assert len(operator.claims) == 1


def test_a_value_that_the_operator_refuses_is_a_failure_in_its_words(operator, runners):
    operator.next("report", lambda r: r.refuse(413, "StoreRequired", "no store is configured"))
    assert runners.run().process.returncode == 1
    error = operator.reports[0]["error"]
    assert error["reason"] == "StoreRequired"
    assert "no store is configured" in error["message"]
    assert error["retryable"] is False


def test_a_value_that_nobody_takes_is_a_loss_that_the_message_tells(operator, runners):
    script(operator, "return 'v' * 300_000")
    operator.next("blob", *[busy] * 10_000)
    runner = runners.run(GRAFLOW_REPORT_PATIENCE_SECONDS="0.05")
    assert runner.process.returncode == 69
    error = checked(operator, runner.message)["error"]
    assert (error["reason"], error["retryable"]) == ("RunnerFailed", True)
    assert "300002 bytes" in error["message"]


def test_a_store_that_is_away_is_tried_again_without_showing_signatures(operator, runners):
    script(operator, "return 'v' * 300_000")
    operator.next("store", *[lambda r: r.answer(500, b"")] * 2)
    runner = runners.run()
    assert runner.process.returncode == 0
    assert list(operator.reports[0]["value"]) == ["blob"]
    assert "the store answered HTTP 500 to PUT" in runner.stderr
    assert "SECRETSIGNATURE" not in runner.stderr


def test_a_report_with_a_key_that_is_no_longer_good_leaves_the_true_outcome(operator, runners):
    operator.next("report", lambda r: r.refuse(403, "BadKey", "the key was rotated"))
    runner = runners.run()
    assert runner.process.returncode == 70
    assert checked(operator, runner.message) == {"outcome": "Succeeded", "value": {"json": 1}}


def test_a_large_value_without_a_store_is_a_failure_that_says_what_to_set(operator, runners):
    script(operator, "return 'v' * 300_000")
    operator.next("blob", lambda r: r.refuse(409, "StoreRequired", "configure a store"))
    assert runners.run().process.returncode == 1
    error = operator.reports[0]["error"]
    assert error["reason"] == "StoreRequired"
    assert "configure a store" in error["message"]
