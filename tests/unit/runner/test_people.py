"""Section 9 in a pod: a task that asks parks, and goes on with the answer in its next attempt."""

from graflow import task
from graflow.dsl.questions import question_of
from graflow.exceptions import FeedbackTimeoutError
from graflow.hitl.types import FeedbackHandler
from unit.runner.fake_operator import usual_but_reply_lost
from unit.runner.harness import bundle, with_bundle

YES = {"json": {"approved": True, "respondedBy": ["alice"], "respondedAt": "2026-01-01T00:00:00Z"}}
SHA256 = question_of("approval", "Deploy?", timeout=180.0).sha256


def carries(operator, func):
    portable = task("t", inject_context=True)(func).portable()
    data, hashes = bundle(functions={"t": portable})
    with_bundle(operator, data)
    operator.order["call"] = {"function": hashes["t"]}


def reported(operator, runners, code=0):
    runner = runners.run()
    assert runner.process.returncode == code, runner.stderr
    return operator.reports[-1]


def asked_before(operator, answer, key="q1", sha256=SHA256):
    operator.order["questions"] = {key: {"name": "r-q1", "sha256": sha256, "answer": answer}}


def approving():
    def approves(ctx):
        return ctx.request_approval("Deploy?")

    return approves


def test_an_attempt_whose_question_is_open_parks(operator, runners):
    carries(operator, approving())
    assert reported(operator, runners) == {"outcome": "Parked"}
    [asked] = operator.asked
    assert (asked["key"], asked["sha256"]) == ("q1", SHA256)
    assert asked["question"]["prompt"] == "Deploy?"


def test_an_answer_that_the_order_has_is_returned_at_once(operator, runners):
    carries(operator, approving())
    asked_before(operator, YES)
    assert reported(operator, runners)["value"] == {"json": True}
    assert operator.asked == []


def test_a_pod_is_kept_a_while_for_a_quick_answer(operator, runners):
    carries(operator, approving())
    operator.hold_s, operator.given = 5.0, {"q1": YES}
    assert reported(operator, runners)["value"] == {"json": True}
    assert [asked["waitSeconds"] > 0 for asked in operator.asked] == [False, True]


def test_a_program_that_swallows_the_wait_parks_all_the_same(operator, runners):
    def swallows(ctx):
        try:
            ctx.request_approval("Deploy?")
        except:  # noqa: E722 - what careless programs do
            return "deployed"

    carries(operator, swallows)
    assert reported(operator, runners) == {"outcome": "Parked"}


def test_a_program_that_catches_exceptions_does_not_catch_the_wait(operator, runners):
    def careful(ctx):
        try:
            return ctx.request_approval("Deploy?")
        except Exception:  # noqa: BLE001 - what careful programs do
            return "failed"

    carries(operator, careful)
    assert reported(operator, runners) == {"outcome": "Parked"}


def test_a_question_in_other_words_than_before_fails_the_task_and_no_attempt_follows(
    operator, runners
):
    carries(operator, approving())
    asked_before(operator, YES, sha256="0" * 64)
    error = reported(operator, runners, code=1)["error"]
    assert (error["reason"], error["retryable"]) == ("QuestionChanged", False)


def test_a_deadline_that_has_passed_raises_and_fails_the_task_if_nobody_catches_it(
    operator, runners
):
    carries(operator, approving())
    asked_before(operator, {"json": {"expired": True}})
    error = reported(operator, runners, code=1)["error"]
    assert (error["reason"], error["retryable"]) == ("FeedbackTimeout", False)


def test_a_question_that_was_withdrawn_says_so_and_by_whom(operator, runners):
    carries(operator, approving())
    asked_before(operator, {"json": {"expired": True, "reason": "withdrawn by bob"}})
    error = reported(operator, runners, code=1)["error"]
    assert error["reason"] == "FeedbackTimeout"
    assert error["message"].endswith("Feedback request r-q1: withdrawn by bob")


def test_a_deadline_that_has_passed_can_be_caught(operator, runners):
    def catches(ctx):
        try:
            ctx.request_approval("Deploy?")
        except FeedbackTimeoutError as error:
            return error.feedback_id

    carries(operator, catches)
    asked_before(operator, {"json": {"expired": True}})
    assert reported(operator, runners)["value"] == {"json": "r-q1"}


def test_a_step_is_kept_before_the_question_and_not_done_again_after_it(operator, runners):
    def drafts(ctx):
        draft = ctx.step("draft", lambda: {"n": 1})
        assert ctx.step("draft", lambda: {"n": 2}) == draft
        ctx.request_approval("Deploy?")
        return draft

    carries(operator, drafts)
    assert reported(operator, runners) == {"outcome": "Parked"}
    assert operator.kept == [{"key": "draft", "value": {"json": {"n": 1}}}]
    operator.next_attempt()
    asked_before(operator, YES)
    operator.order["kept"] = {"draft": {"json": {"n": 1}}}
    assert reported(operator, runners)["value"] == {"json": {"n": 1}}
    assert len(operator.kept) == 1


def test_a_question_whose_answer_was_lost_is_asked_again_and_counts_once(operator, runners):
    carries(operator, approving())
    operator.next("ask", usual_but_reply_lost)
    assert reported(operator, runners) == {"outcome": "Parked"}
    assert [asked["key"] for asked in operator.asked] == ["q1", "q1"]


def test_a_large_payload_is_in_the_store_before_the_question_is_asked(operator, runners):
    def shows(ctx):
        ctx.request_approval("Read this", payload="x" * 100_000)

    carries(operator, shows)
    assert reported(operator, runners) == {"outcome": "Parked"}
    blob = operator.asked[0]["question"]["payload"]["blob"]
    assert len(operator.store[f"/store/blobs/{blob['sha256']}"]) == blob["size"]


def test_a_task_in_a_pod_tells_nobody_itself(operator, runners):
    def tells(ctx):
        class Loud(FeedbackHandler):
            def on_request_created(self, request):
                print("told", request)

        ctx.request_approval("Deploy?", handler=Loud())

    carries(operator, tells)
    runner = runners.run()
    assert "let the operator tell people" in operator.reports[-1]["error"]["message"]
    assert operator.asked == []
    assert "told" not in runner.stdout
