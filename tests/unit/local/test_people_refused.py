"""What is refused where a cluster would refuse it: questions, answers, and waits that are over."""

import asyncio
import contextlib
import os
import threading

import pytest

from graflow import task, workflow
from graflow.core.checkpoint import CheckpointManager
from graflow.core.handlers.group_policy import GroupExecutionPolicy
from graflow.exceptions import (
    AnswerRefusedError,
    FeedbackTimeoutError,
    GraflowRuntimeError,
    GraflowWorkflowCanceledError,
    QuestionError,
)
from graflow.hitl.manager import FeedbackManager
from graflow.hitl.types import AnswerWith, FeedbackHandler, FeedbackResponse, FeedbackType, GoTo

SOON = 0.02
"""A person's deadline that nobody keeps, in seconds."""

YES = True


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "fsync", lambda file: None)  # a busy disk takes a minute


def run(func, *others):
    """Run a task, with others that its deadlines may lead to."""
    with workflow("asking") as wf:
        wf.add_node("first", task("first", inject_context=True)(func))
        for other in others:
            wf.add_node(other.task_id, other)
    return wf.execute(start_node="first", ret_context=True)


def asks(kind, **more):
    """Run a task that asks what nobody answers in time; return the question."""
    run(lambda ctx: ctx.request_feedback(kind, "Well?", timeout=SOON, **more))
    return FeedbackManager().list_requests()[0]


@task
def elsewhere():
    return "elsewhere"


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"schema": {"$ref": "https://example.com/x.json"}}, r"schema.\$ref: .* cannot be used"),
        ({"schema": {"properties": {"a": {"pattern": "a+"}}}}, "schema.properties.a.pattern"),
        ({"schema": {"type": "strin"}}, "schema.type"),
        (
            {"schema": {"required": ["n"]}, "on_timeout": AnswerWith({})},
            "on_timeout.custom: 'n' is a required property",
        ),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_what_a_cluster_would_not_ask_is_not_asked_here(asked, told):
    with pytest.raises(GraflowRuntimeError, match=told) as raised:
        asks("custom", **asked)
    assert isinstance(raised.value.__cause__, QuestionError)
    assert FeedbackManager().list_requests() == []


def test_a_key_that_calls_without_one_have_is_refused():
    with pytest.raises(GraflowRuntimeError, match="key is 'q1', which questions without a key hav"):
        asks("approval", key="q1")


@pytest.mark.parametrize(
    ("kind", "said", "told"),
    [
        ("approval", {"approved": "no"}, "approved is 'no': Input should be a valid boolean"),
        ("approval", {"approved": 1}, "approved is 1: Input should be a valid boolean"),
        ("text", {"text": "\ud800"}, "the answer is .*: Invalid JSON"),
        ("custom", {"custom_data": {"a": object()}}, "the answer is no JSON: .* object"),
        (
            "custom",
            {"custom_data": {"a": float("nan")}},
            "the answer is no JSON: .*not JSON compliant",
        ),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_an_answer_of_another_kind_is_refused_and_never_taken_for_a_yes(kind, said, told):
    request = asks(kind)
    with pytest.raises(AnswerRefusedError, match=told):
        FeedbackManager().answer(
            request.feedback_id, FeedbackResponse(request.feedback_id, kind, **said)
        )
    assert FeedbackManager().get_response(request.feedback_id) is None


def test_an_answer_to_one_question_is_not_kept_for_another():
    first, second = asks("approval"), asks("text")
    given = FeedbackResponse(second.feedback_id, FeedbackType.APPROVAL, approved=YES)
    with pytest.raises(AnswerRefusedError, match="answer each by its own id"):
        FeedbackManager().answer(first.feedback_id, given)
    assert FeedbackManager().get_response(second.feedback_id) is None


class Withdrawing(FeedbackHandler):
    def __init__(self):
        self.told = []

    def on_request_created(self, request):
        late = threading.Timer(SOON, FeedbackManager().withdraw, [request.feedback_id])
        late.start()

    def on_request_timeout(self, request):
        self.told.append(request.status)


def test_nobody_waits_for_what_was_withdrawn_whatever_the_deadline_says():
    handler = Withdrawing()
    end = AnswerWith(YES)
    _, left = run(
        lambda ctx: ctx.request_approval("Well?", timeout=5, on_timeout=end, handler=handler)
    )
    assert left.last_checkpoint_path is not None
    assert handler.told == ["cancelled"]


class Telling(FeedbackHandler):
    """Says when a question is there, and keeps what it was when nobody waits any more."""

    def __init__(self):
        self.asked = threading.Event()
        self.told = []

    def on_request_created(self, request):
        self.asked.set()

    def on_request_timeout(self, request):
        self.told.append(request.status)


@pytest.mark.parametrize("ends", ["terminate_workflow", "cancel_workflow"])
def test_nobody_waits_for_people_in_a_run_that_a_branch_has_ended(ends):
    handler, went_on = Telling(), []

    @task(inject_context=True)
    def asking(ctx):
        try:
            ctx.request_approval("Well?", timeout=5, handler=handler)
        except FeedbackTimeoutError:
            went_on.append(1)

    @task(inject_context=True)
    def ending(ctx):
        handler.asked.wait()
        getattr(ctx, ends)("enough")
        return "enough"

    with workflow("ended") as wf:
        _ = asking | ending
    if ends == "terminate_workflow":
        assert wf.execute() == "enough"
    else:
        with pytest.raises(GraflowWorkflowCanceledError):
            wf.execute()
    assert (handler.told, went_on) == (["cancelled"], [])


def test_a_suspended_run_names_what_it_waits_for_and_not_what_a_task_went_on_without(caplog):
    @task(inject_context=True)
    def asks_again(ctx):
        with contextlib.suppress(FeedbackTimeoutError):
            ctx.request_approval("Given up?", timeout=SOON)
        ctx.next_task(waits)

    @task(inject_context=True)
    def waits(ctx):
        ctx.request_approval("Well?", timeout=SOON)

    with workflow("asking") as wf:
        wf.add_node("asks_again", asks_again)
        wf.add_node("waits", waits)
    wf.execute(start_node="asks_again")
    assert "waits for an answer to 'Well?' of task 'waits'" in caplog.text
    assert "1 more" not in caplog.text
    known = {one.prompt: one.metadata for one in FeedbackManager().list_requests()}
    assert ["checkpoint_path" in known[prompt] for prompt in ("Given up?", "Well?")] == [
        False,
        True,
    ]


def test_a_retry_does_not_wait_again_for_what_nobody_has_answered_in_time():
    handler, attempts = Telling(), []

    def impatient(ctx):
        try:
            ctx.request_approval("Well?", timeout=SOON, handler=handler)
        except FeedbackTimeoutError:
            attempts.append(ctx.retry_count)
        if len(attempts) < 3:
            raise ValueError
        return attempts

    with workflow("asking") as wf:
        task("impatient", inject_context=True, max_retries=2)(impatient)
    assert wf.execute() == [0, 1, 2]
    assert handler.told == ["timeout"]


@pytest.mark.parametrize(
    ("form", "options", "value"),
    [("approval", (), False), ("text_input", (), "no"), ("selection", (["yes", "no"],), "no")],
    ids=["approval", "text_input", "selection"],
)
def test_short_forms_pass_on_all_that_they_are_given(form, options, value):
    end = AnswerWith(value)

    def asking(ctx):
        asked = getattr(ctx, f"request_{form}")
        return asked("Well?", *options, {"a": 1}, SOON, "word", YES, on_timeout=end)

    answered, left = run(asking)
    assert (answered, left.get_channel().get("word")) == (value, value)
    [request] = FeedbackManager().list_requests()
    assert (request.metadata["a"], request.timeout) == (1, SOON)


def test_the_metadata_of_a_question_stay_as_the_program_gave_them():
    assert asks("text", metadata={"where": "Berlin"}).metadata["where"] == "Berlin"


def test_a_default_is_what_would_come_back_from_people():
    found, _ = run(
        lambda ctx: (
            ctx.request_feedback(
                "multi_selection", "Which?", ["a", "b"], timeout=SOON, on_timeout=AnswerWith(("b",))
            ).selected_multiple
        )
    )
    assert found == ["b"]


async def both(ctx, **more):
    """Ask twice at once."""
    async with asyncio.TaskGroup() as group:
        asked = [
            group.create_task(
                asyncio.to_thread(ctx.request_text_input, key, None, SOON, key=key, **more)
            )
            for key in ("a", "b")
        ]
    return [one.result() for one in asked]


def test_timeouts_that_leave_a_task_together_suspend_the_run():
    _, left = run(both)
    for request in FeedbackManager().list_requests():
        given = FeedbackResponse(request.feedback_id, "text", text=request.prompt * 2)
        FeedbackManager().answer(request.feedback_id, given)
    found, _ = CheckpointManager.resume_from_checkpoint(left.last_checkpoint_path)
    assert found.execute() == ["aa", "bb"]


def test_jumps_of_deadlines_may_leave_a_task_together():
    async def asking(ctx):
        async with asyncio.TaskGroup() as group:
            end = GoTo(elsewhere)
            group.create_task(
                asyncio.to_thread(ctx.request_approval, "Well?", None, SOON, on_timeout=end)
            )

    assert run(asking, elsewhere)[0] == "elsewhere"


def test_a_task_whose_deadline_leads_elsewhere_has_no_value_whatever_it_makes_of_that():
    def swallows(ctx):
        try:
            ctx.request_approval("Well?", timeout=SOON, on_timeout=GoTo(elsewhere))
        except:  # noqa: E722 - what careless programs do
            return "done"

    value, left = run(swallows, elsewhere)
    assert (value, left.get_result("first")) == ("elsewhere", None)


class Asking(GroupExecutionPolicy):
    def on_group_finished(self, group_id, tasks, results, context):
        context.request_approval("Well?", timeout=SOON)


def test_the_policy_of_a_group_may_not_ask():
    with workflow("judged") as wf:
        group = task("a")(lambda: 1) | task("b")(lambda: 2)
        group.with_execution(policy=Asking())
    with pytest.raises(GraflowRuntimeError, match="asks 'q1', and only tasks may ask"):
        wf.execute()
