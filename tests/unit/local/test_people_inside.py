"""Questions of a workflow that a task executes: it is that task that asks (section 9)."""

import contextvars
import os
import threading
from contextlib import contextmanager

import pytest

from graflow import chain, parallel, task, workflow
from graflow.core.checkpoint import CheckpointManager
from graflow.exceptions import FeedbackTimeoutError, GraflowRuntimeError, QuestionChangedError
from graflow.hitl.manager import FeedbackManager
from graflow.hitl.types import AnswerWith, FeedbackHandler, FeedbackResponse, FeedbackType, GoTo
from graflow.local.deadline import Deadline

SOON = 0.02
"""A person's deadline that nobody keeps, in seconds."""

ran: list[object] = []
"""What tasks did; those of this module are imported when a run goes on, not copied."""

words: dict[str, str] = {}
"""What a task asks in, where a test changes it."""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "fsync", lambda file: None)  # a busy disk takes a minute
    ran.clear()
    words.clear()


def questions():
    return FeedbackManager().list_requests()


def answer(prompt, text):
    """Answer the question that says so and that nobody has answered."""
    (request,) = [r for r in questions() if r.prompt == prompt and r.status != "completed"]
    given = FeedbackResponse(request.feedback_id, FeedbackType.TEXT, text=text, responded_by="ann")
    FeedbackManager().answer(request.feedback_id, given)


def run(*tasks):
    """Run tasks one after the other."""
    with workflow("outer") as wf:
        for one in tasks:
            wf.add_node(one.task_id, one)
        if len(tasks) > 1:
            chain(*tasks)
    return wf.execute(ret_context=True)


def goes_on(context):
    found, _ = CheckpointManager.resume_from_checkpoint(context.last_checkpoint_path)
    return found.execute(), found


@task(inject_context=True)
def review(ctx, of="it"):
    ran.append(f"asks {of}")
    return ctx.request_text_input(words.get("prompt", f"How is {of}?"), timeout=SOON)


@task
def told(review):
    ran.append("told")
    return f"they say: {review}"


def inner(name="inner"):
    with workflow(name) as wf:
        _ = review >> told
    return wf


@task
def asks_inside():
    ran.append("begun")
    value = inner().execute()
    ran.append("not left")
    return value


@task
def last(asks_inside):
    ran.append("last")
    return asks_inside


def test_a_question_inside_suspends_the_run_around_at_the_task_that_executes():
    value, context = run(asks_inside, last)
    assert value is None
    assert ran == ["begun", "asks it"], "the outer task went on with a result that is none"
    assert context.completed_tasks == []
    assert context.checkpoint_metadata["user_metadata"]["task_id"] == "asks_inside"
    (request,) = questions()
    assert (request.session_id, request.task_id) == (context.session_id, "asks_inside")
    assert request.metadata["checkpoint_path"] == context.last_checkpoint_path


def test_the_answer_begins_the_task_around_anew_and_goes_to_the_call_inside():
    _, context = run(asks_inside, last)
    answer("How is it?", "fine")
    assert goes_on(context)[0] == "they say: fine"
    assert ran[2:] == ["begun", "asks it", "told", "not left", "last"]
    assert len(questions()) == 1


@task
def in_three():
    with workflow("two") as two:
        task("middle")(inner("three").execute)
    return two.execute()


def test_a_workflow_in_a_workflow_in_a_task_asks_through_all_of_them():
    value, context = run(in_three)
    assert value is None
    answer("How is it?", "fine")
    assert goes_on(context)[0] == "they say: fine"


def careful_of(execute, kind):
    try:
        return execute()
    except kind:
        ran.append("swallowed")
        return "swallowed"


@task
def catches_exceptions():
    return careful_of(inner().execute, Exception)


@task
def catches_everything():
    return careful_of(inner().execute, BaseException)


def test_what_catches_exceptions_does_not_catch_the_wait_inside():
    value, context = run(catches_exceptions)
    assert (value, "swallowed" in ran) == (None, False)
    answer("How is it?", "fine")
    assert goes_on(context)[0] == "they say: fine"


def test_a_task_that_swallows_the_wait_inside_waits_all_the_same():
    value, context = run(catches_everything)
    assert (value, "swallowed" in ran) == (None, True)
    answer("How is it?", "fine")
    assert goes_on(context)[0] == "they say: fine"


@task
def branches_inside():
    with workflow("inner") as wf:
        one, other = review(task_id="one", of="one"), review(task_id="other", of="other")
        _ = parallel(one, other, unasked) >> both
    return wf.execute()


@task
def unasked():
    ran.append("unasked")
    return "done"


@task
def both(one, other, unasked):
    return one, other, unasked


def test_branches_inside_ask_at_once_and_all_else_inside_runs_to_its_end_first():
    _, context = run(branches_inside)
    assert sorted(r.prompt for r in questions()) == ["How is one?", "How is other?"]
    assert "unasked" in ran
    answer("How is other?", "bad")
    value, context = goes_on(context)
    assert value is None
    answer("How is one?", "fine")
    assert goes_on(context)[0] == ("fine", "bad", "done")


@task(inject_context=True)
def same(ctx):
    return ctx.request_text_input("Well?", timeout=SOON)


@task
def pair(first, second):
    return first, second


@task
def asks_the_same():
    with workflow("inner") as wf:
        _ = chain(same(task_id="first"), same(task_id="second"), pair)
    return wf.execute()


def answered_in_turn(first, how_often):
    """Return what a task returns whose questions are answered with 0, 1, …"""
    _, context = run(first)
    for n in range(how_often):
        assert len(questions()) == n + 1, "a question has the answer of another one"
        answer("Well?", str(n))
        value, context = goes_on(context)
    return value


def test_two_tasks_inside_that_ask_the_same_never_share_an_answer():
    assert answered_in_turn(asks_the_same, 2) == ("0", "1")


def asking(name="inner"):
    with workflow(name) as wf:
        wf.add_node("same", same)
    return wf


@task
def again_and_again():
    return [asking().execute() for _ in range(3)]


def test_workflows_of_one_name_that_a_task_executes_one_after_the_other_are_told_apart():
    assert answered_in_turn(again_and_again, 3) == ["0", "1", "2"]


@task(inject_context=True)
def in_steps(ctx):
    return [ctx.step(key, asking().execute) for key in ("a", "b", "c")]


def test_a_workflow_whose_value_a_step_has_kept_leaves_its_answers_to_itself():
    assert answered_in_turn(in_steps, 3) == ["0", "1", "2"]


@task(inject_context=True)
def passes(ctx):
    found = ctx.request_text_input("Well?", timeout=SOON)
    ran.append(found)
    if ctx.cycle_count < 2:
        ctx.next_iteration()
    return found


@task
def two_passes_inside():
    with workflow("inner") as wf:
        wf.add_node("passes", passes)
    return wf.execute()


def test_each_pass_of_a_task_inside_has_answers_of_its_own():
    assert answered_in_turn(two_passes_inside, 2) == "1"
    assert ran[-2:] == ["0", "1"]


@task(inject_context=True)
def both_ask(ctx):
    return ctx.request_text_input("Well?", timeout=SOON), asking().execute()


def test_the_task_around_and_a_task_inside_never_share_an_answer():
    assert answered_in_turn(both_ask, 2) == ("0", "1")


def test_an_answer_does_not_count_for_a_question_inside_in_other_words():
    _, context = run(asks_inside)
    answer("How is it?", "fine")
    words["prompt"] = "How is the other?"
    with pytest.raises(QuestionChangedError, match="'q1' of task 'review' was asked in other"):
        goes_on(context)


@task(inject_context=True)
def drafts(ctx):
    draft = ctx.step("draft", lambda: ran.append("drafted") or {"n": len(ran)})
    return draft, ctx.request_text_input("Well?", timeout=SOON)


@task
def drafts_twice():
    with workflow("inner") as wf:
        _ = chain(drafts(task_id="first"), drafts(task_id="second"), pair)
    return wf.execute()


def test_a_step_inside_is_kept_for_the_attempts_of_the_task_around_for_each_task_its_own():
    found = answered_in_turn(drafts_twice, 2)
    assert found == (({"n": 1}, "0"), ({"n": 2}, "1"))
    assert ran == ["drafted", "drafted"]


@task(inject_context=True)
def goes_without(ctx):
    try:
        return ctx.request_text_input("Quick?", timeout=SOON)
    except FeedbackTimeoutError:
        return "without"


@task(inject_context=True)
def by_default(ctx):
    return ctx.request_text_input("Or?", timeout=SOON, on_timeout=AnswerWith("default"))


@task
def elsewhere():
    return "elsewhere"


@task(inject_context=True)
def goes_elsewhere(ctx):
    ctx.request_text_input("Go?", timeout=SOON, on_timeout=GoTo(elsewhere))
    ran.append("not left")


@pytest.mark.parametrize(
    ("asks", "value"),
    [(goes_without, "without"), (by_default, "default"), (goes_elsewhere, "elsewhere")],
    ids=lambda one: getattr(one, "task_id", ""),
)
def test_what_happens_at_a_deadline_happens_inside(asks, value):
    def outer():
        with workflow("inner") as wf:
            wf.add_node("asks", asks)
            wf.add_node("elsewhere", elsewhere)
        return wf.execute(start_node="asks")

    found, context = run(task("outer")(outer))
    assert (found, context.last_checkpoint_path, ran) == (value, None, [])


class Answering(FeedbackHandler):
    """Somebody who has answered before the task has begun to wait."""

    def on_request_created(self, request):
        answer(request.prompt, "at once")


def test_an_answer_that_comes_while_a_task_inside_waits_lets_it_go_on():
    def outer():
        with workflow("inner") as wf:

            @task(inject_context=True)
            def asks(ctx):
                return ctx.request_feedback("text", "Well?", handler=Answering()).text

        return wf.execute()

    value, context = run(task("outer")(outer))
    assert (value, context.last_checkpoint_path) == ("at once", None)


def test_a_retry_inside_and_one_around_have_the_answers_that_were_given_before():
    def outer():
        with workflow("inner") as wf:

            @task(inject_context=True, max_retries=1)
            def asks(ctx):
                found = ctx.request_feedback("text", "Well?", handler=Answering()).text
                ran.append(found)
                if len(ran) < 4:
                    raise ValueError("flaky")
                return found

        return wf.execute()

    assert run(task("outer", max_retries=1)(outer))[0] == "at once"
    assert len(ran) == 4
    assert len(questions()) == 1


def test_while_somebody_is_asked_the_time_of_both_tasks_stands_still(monkeypatch):
    paused = []
    pause = Deadline.paused

    @contextmanager
    def noted(limit):
        with pause(limit):
            paused.append(limit)
            yield
            paused.remove(limit)

    monkeypatch.setattr(Deadline, "paused", noted)

    class Looking(Answering):
        def on_request_created(self, request):
            ran.extend(paused)
            super().on_request_created(request)

    def outer():
        with workflow("inner") as wf:

            @task(inject_context=True, timeout=600)
            def asks(ctx):
                return ctx.request_feedback("text", "Well?", handler=Looking()).text

        return wf.execute()

    assert run(task("outer", timeout=600)(outer))[0] == "at once"
    assert len(set(ran)) == 2


@task
def fails():
    raise ValueError("broken")


@task
def one_fails():
    with workflow("inner") as wf:
        _ = review | fails
    return wf.execute()


def test_what_fails_inside_fails_the_task_around_once_the_others_have_their_answer():
    _, context = run(one_fails)
    answer("How is it?", "fine")
    with pytest.raises(GraflowRuntimeError, match="broken"):
        goes_on(context)


@task
def in_a_thread():
    found = []
    here = contextvars.copy_context()
    thread = threading.Thread(target=lambda: here.run(careful_of, into(found), BaseException))
    thread.start()
    thread.join()
    return found


def into(found):
    return lambda: found.append(inner().execute())


def test_a_workflow_in_a_thread_of_the_task_asks_through_the_task_too():
    value, context = run(in_a_thread)
    assert value is None
    answer("How is it?", "fine")
    assert goes_on(context)[0] == ["they say: fine"]


gone_on = threading.Event()


@task
def leaves_one_running():
    def later():
        gone_on.wait()
        ran.append(inner().execute(ret_context=True))

    thread = threading.Thread(target=contextvars.copy_context().run, args=(later,))
    thread.start()
    ran.append(thread)


def test_a_workflow_that_begins_when_its_task_has_ended_is_a_run_of_its_own():
    run(leaves_one_running)
    thread = ran.pop()
    gone_on.set()
    thread.join()
    value, context = ran[-1]
    assert (value, bool(context.last_checkpoint_path)) == (None, True)
