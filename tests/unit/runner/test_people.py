"""Section 9 in a pod: a task that asks parks, and goes on with the answer in its next attempt."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from graflow import task, workflow
from graflow.dsl.questions import question_of
from graflow.exceptions import FeedbackTimeoutError
from graflow.hitl.types import FeedbackHandler, GoTo
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


def parks(operator, runners):
    return reported(operator, runners)["outcome"] == "Parked"


def approving():
    def approves(ctx):
        return ctx.request_approval("Deploy?")

    return approves


def test_an_attempt_whose_question_is_open_parks(operator, runners):
    carries(operator, approving())
    assert parks(operator, runners)
    [asked] = operator.asked
    assert (asked["key"], asked["sha256"]) == ("q1", SHA256)
    assert asked["question"]["prompt"] == "Deploy?"


def test_a_report_of_parking_names_the_questions_of_which_it_has_heard_no_answer(operator, runners):
    def asks(ctx):
        with ThreadPoolExecutor(2) as pool:
            asked = {
                key: pool.submit(ctx.request_approval, f"{key}?", key=key)
                for key in ("known", "quick", "first", "second")
            }
        return [one.result() for one in asked.values()]

    carries(operator, asks)
    asked_before(
        operator, YES, key="known", sha256=question_of("approval", "known?", timeout=180.0).sha256
    )
    operator.answer_of = lambda asked: {
        "name": "r",
        "answer": YES if asked["key"] == "quick" else None,
        "holdSeconds": 0.0,
    }
    report = reported(operator, runners)
    assert (report["outcome"], sorted(report["waitsFor"])) == ("Parked", ["first", "second"])


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
    assert parks(operator, runners)


def test_a_program_that_catches_exceptions_does_not_catch_the_wait(operator, runners):
    def careful(ctx):
        try:
            return ctx.request_approval("Deploy?")
        except Exception:  # noqa: BLE001 - what careful programs do
            return "failed"

    carries(operator, careful)
    assert parks(operator, runners)


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


def test_deadlines_that_pass_together_are_told_as_one_does(operator, runners):
    async def asks_twice(ctx):
        async with asyncio.TaskGroup() as group:
            for key in ("a", "b"):
                group.create_task(asyncio.to_thread(ctx.request_approval, "Deploy?", key=key))

    carries(operator, asks_twice)
    open_still = {"name": "r-a", "sha256": SHA256, "answer": {"json": {"expired": True}}}
    operator.order["questions"] = {"a": open_still, "b": open_still}
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
    assert parks(operator, runners)
    assert operator.kept == [{"key": "draft", "value": {"json": {"n": 1}}}]
    operator.next_attempt()
    asked_before(operator, YES)
    operator.order["kept"] = {"draft": {"json": {"n": 1}}}
    assert reported(operator, runners)["value"] == {"json": {"n": 1}}
    assert len(operator.kept) == 1


def test_a_step_whose_value_cannot_be_kept_is_named(operator, runners):
    def locks(ctx):
        ctx.step("lock", threading.Lock)

    carries(operator, locks)
    error = reported(operator, runners, code=1)["error"]
    assert "the task kept in step 'lock' a value that cannot go" in error["message"]


def test_a_question_whose_answer_was_lost_is_asked_again_and_counts_once(operator, runners):
    carries(operator, approving())
    operator.next("ask", usual_but_reply_lost)
    assert parks(operator, runners)
    assert [asked["key"] for asked in operator.asked] == ["q1", "q1"]


def test_a_large_payload_is_in_the_store_before_the_question_is_asked(operator, runners):
    def shows(ctx):
        ctx.request_approval("Read this", payload="x" * 100_000)

    carries(operator, shows)
    assert parks(operator, runners)
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


def asking_inside(ask, *others, swallows=()):
    """Return a task that executes a workflow whose tasks call this function, one after another."""

    def outer(_):
        with workflow("inner") as wf:
            tasks = [task(name, inject_context=True)(ask) for name in ("first", "second")]
            _ = tasks[0] >> tasks[1]
            for other in others:
                wf.add_node(other.__name__, task(other))
        try:
            return wf.execute(start_node="first")
        except swallows:
            return "swallowed"

    return outer


def deploying():
    def deploys(ctx):
        ctx.step("draft", lambda: ctx.task_id)
        return ctx.request_approval("Deploy?")

    return deploys


def key_of(operator):
    """Return the key of what was asked last."""
    return operator.asked[-1]["key"]


@pytest.mark.parametrize("swallows", [Exception, BaseException], ids=lambda one: one.__name__)
def test_an_attempt_parks_whose_task_executes_a_workflow_that_asks(operator, runners, swallows):
    carries(operator, asking_inside(deploying(), swallows=swallows))
    assert parks(operator, runners)
    [asked] = operator.asked
    assert asked["key"].startswith("inner.first.q1-")
    assert (asked["sha256"], asked["question"]["prompt"]) == (SHA256, "Deploy?")


def test_the_task_goes_on_inside_with_the_answers_of_each_task_there(operator, runners):
    carries(operator, asking_inside(deploying()))
    answers, steps = {}, {}
    for n in range(2):
        assert parks(operator, runners)
        assert (len(operator.asked), len(operator.kept)) == (n + 1, n + 1)
        answers[key_of(operator)] = {"name": f"r-{n}", "sha256": SHA256, "answer": YES}
        steps[operator.kept[-1]["key"]] = operator.kept[-1]["value"]
        operator.next_attempt()
        operator.order |= {"questions": answers, "kept": steps}
    assert reported(operator, runners)["value"] == {"json": True}
    assert list(steps.values()) == [{"json": "first"}, {"json": "second"}]
    assert (len(operator.asked), len(operator.kept)) == (2, 2)


def test_a_quick_answer_is_waited_for_inside(operator, runners):
    carries(operator, asking_inside(deploying()))
    operator.hold_s = 5.0
    operator.answer_of = lambda asked: {"name": "r", "answer": YES, "holdSeconds": 5.0}
    assert reported(operator, runners)["value"] == {"json": True}


def test_a_deadline_inside_that_nobody_catches_fails_the_task_and_no_attempt_follows(
    operator, runners
):
    carries(operator, asking_inside(deploying()))
    reported(operator, runners)
    operator.next_attempt()
    asked_before(operator, {"json": {"expired": True}}, key=key_of(operator))
    error = reported(operator, runners, code=1)["error"]
    assert (error["reason"], error["retryable"]) == ("FeedbackTimeout", False)


@pytest.mark.parametrize(
    ("why", "outcome"), [({}, "Succeeded"), ({"reason": "withdrawn by bob"}, "Failed")]
)
def test_a_deadline_inside_leads_to_a_task_that_only_the_inner_workflow_knows(
    operator, runners, why, outcome
):
    def asks(ctx):
        ctx.request_approval("Deploy?", on_timeout=GoTo("other"))

    def other():
        return "other"

    carries(operator, asking_inside(asks, other))
    assert parks(operator, runners)
    assert "onDeadline" not in operator.asked[-1]["question"]
    operator.next_attempt()
    asked_before(operator, {"json": {"expired": True} | why}, key=key_of(operator))
    assert reported(operator, runners, code=int(bool(why)))["outcome"] == outcome


def test_a_workflow_in_a_thread_of_the_task_asks_through_the_task(operator, runners):
    deploys = deploying()

    def outer(_):
        with workflow("inner") as wf:
            wf.add_node("first", task("first", inject_context=True)(deploys))
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(wf.execute).result()

    carries(operator, outer)
    assert parks(operator, runners)
    assert key_of(operator).startswith("inner.first.q1-")


def test_a_workflow_inside_a_task_in_a_pod_tells_nobody_itself(operator, runners):
    def tells(ctx):
        ctx.request_approval("Deploy?", handler=FeedbackHandler())

    carries(operator, asking_inside(tells))
    error = reported(operator, runners, code=1)["error"]
    assert "let the operator tell people" in error["message"]
    assert operator.asked == []
