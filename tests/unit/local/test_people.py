"""Questions to people in runs on this machine: answers, deadlines, runs that wait (section 9)."""

import io
import json
import os
import threading
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from graflow import chain, task, workflow
from graflow.core.checkpoint import CheckpointManager
from graflow.exceptions import (
    AnswerRefusedError,
    FeedbackTimeoutError,
    GraflowRuntimeError,
    QuestionChangedError,
    QuestionError,
)
from graflow.hitl.manager import FeedbackManager
from graflow.hitl.types import AnswerWith, FeedbackHandler, FeedbackResponse, FeedbackType, GoTo
from graflow.local import deadline, waits
from graflow.local.console import Terminal

SOON = 0.02
"""A person's deadline that nobody keeps, in seconds."""

YES = True

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


def response(request, value):
    name = {
        FeedbackType.APPROVAL: "approved",
        FeedbackType.TEXT: "text",
        FeedbackType.SELECTION: "selected",
        FeedbackType.MULTI_SELECTION: "selected_multiple",
        FeedbackType.CUSTOM: "custom_data",
    }[request.feedback_type]
    given = {name: value, "responded_by": "alice"}
    return FeedbackResponse(request.feedback_id, request.feedback_type, **given)


class Answering(FeedbackHandler):
    """Somebody who has answered before the task has begun to wait."""

    def __init__(self, *values):
        self.values = list(values)

    def on_request_created(self, request):
        FeedbackManager().answer(request.feedback_id, response(request, self.values.pop(0)))


def answer(prompt, value, **which):
    """Answer the question that says so."""
    found = [r for r in FeedbackManager().list_requests() if r.prompt == prompt]
    (request,) = [r for r in found if all(getattr(r, n) == v for n, v in which.items())]
    FeedbackManager().answer(request.feedback_id, response(request, value))


def files():
    return [file.name for file in Path().iterdir()]


def run(first, *others):
    """Run tasks one after the other."""
    with workflow("asking") as wf:
        if others:
            chain(first, *others)
        else:
            wf.add_node(first.task_id, first)
    return wf.execute(ret_context=True)


def alone(func, **options):
    """Run one task."""
    with workflow("asking") as wf:
        task(inject_context=True, **options)(func)
    return wf.execute(ret_context=True)


def goes_on(context):
    found, _ = CheckpointManager.resume_from_checkpoint(context.last_checkpoint_path)
    return found.execute(), found


@pytest.mark.parametrize(
    ("asked", "value"),
    [
        ({"feedback_type": "approval"}, False),
        ({"feedback_type": FeedbackType.TEXT}, "because"),
        ({"feedback_type": "selection", "options": ["a", "b"]}, "b"),
        ({"feedback_type": "multi_selection", "options": ["a", "b"]}, []),
        ({"feedback_type": "custom", "schema": {"type": "object"}}, {"n": 1}),
    ],
    ids=lambda one: str(one.get("feedback_type")) if isinstance(one, dict) else "",
)
def test_an_answer_that_comes_before_the_wait_begins_is_the_answer(asked, value):
    def ask(ctx):
        found = ctx.request_feedback(prompt="Well?", handler=Answering(value), **asked)
        return found.value, found.responded_by

    assert alone(ask)[0] == (value, "alice")


def test_short_forms_return_what_was_answered(monkeypatch):
    given = iter([True, "words", "b"])

    def answered(manager, request, handler):
        return response(request, next(given))

    monkeypatch.setattr(FeedbackManager, "answer_to", answered)

    def ask(ctx):
        return [
            ctx.request_approval("Do it?"),
            ctx.request_text_input("Why?"),
            ctx.request_selection("Which?", ["a", "b"]),
        ]

    assert alone(ask)[0] == [True, "words", "b"]


def test_the_task_writes_the_answer_to_the_channel_whoever_gave_it():
    def ask(ctx):
        ctx.request_feedback(
            "approval",
            "Ok?",
            channel_key="ok",
            write_to_channel=True,
            handler=Answering(YES),
        )

    channel = alone(ask)[1].channel
    assert channel.get("ok") is True
    assert channel.get("ok.__feedback_response__")["response_type"] == "approval"


@task(inject_context=True)
def two_questions(ctx):
    ran.append("begun")
    draft = ctx.step("draft", lambda: ran.append("drafted") or f"draft {len(ran)}")
    first = ctx.request_text_input("First?", timeout=SOON)
    ran.append(first)
    second = ctx.request_text_input("Second?", timeout=SOON)
    return draft, first, second


@task
def after(two_questions):
    ran.append("after")
    return two_questions[1:]


def test_a_timeout_that_leaves_a_task_suspends_the_run_and_is_no_failure():
    value, context = run(two_questions, after)
    assert value is None
    assert context.completed_tasks == []
    kept = context.checkpoint_metadata["user_metadata"]
    assert kept["reason"] == "feedback_timeout"
    assert (kept["task_id"], kept["timeout"]) == ("two_questions", SOON)
    (request,) = FeedbackManager().list_requests()
    assert (request.feedback_id, request.status) == (kept["feedback_id"], "timeout")
    assert request.metadata["checkpoint_path"] == context.last_checkpoint_path


def test_a_run_that_waits_for_people_is_to_be_seen():
    _, context = run(two_questions, after)
    state = json.loads(Path(context.last_checkpoint_path).with_suffix(".state.json").read_text())
    assert [(t["task_id"], t["status"]) for t in state["pending_tasks"]] == [
        ("two_questions", "waiting")
    ]


def test_a_suspended_run_says_what_it_waits_for_and_how_it_goes_on(caplog):
    _, context = run(two_questions, after)
    assert "waits for an answer to 'First?' of task 'two_questions'" in caplog.text
    assert f"graflow run --resume {context.last_checkpoint_path}" in caplog.text
    assert "answer with FeedbackManager().provide_feedback" in caplog.text


def test_whoever_waits_without_a_terminal_says_what_for_and_how_long(caplog):
    run(two_questions, after)
    (request,) = FeedbackManager().list_requests()
    assert caplog.messages[0] == (
        f"task 'two_questions' asks 'First?' ({request.feedback_id}) and waits for {SOON:g} s;"
        " another process answers with FeedbackManager().provide_feedback"
    )


def test_whoever_has_the_answer_already_does_not_say_that_it_waits(caplog):
    _, context = run(two_questions, after)
    answer("First?", "one")
    caplog.clear()
    goes_on(context)
    assert [" asks 'Second?'" in said for said in caplog.messages if " and waits " in said] == [
        True
    ]


def test_two_questions_of_a_task_never_share_an_answer():
    _, context = run(two_questions, after)
    answer("First?", "one")
    value, context = goes_on(context)
    assert value is None, "the second question has the answer of the first"
    answer("Second?", "two")
    assert goes_on(context)[0] == ("one", "two")


def test_what_a_step_did_before_a_question_is_not_done_twice():
    _, context = run(two_questions, after)
    answer("First?", "one")
    _, context = goes_on(context)
    answer("Second?", "two")
    goes_on(context)
    assert ran == ["begun", "drafted", "begun", "one", "begun", "one", "after"]


def test_a_run_that_goes_on_without_an_answer_asks_the_same_question_again():
    _, context = run(two_questions, after)
    value, context = goes_on(context)
    assert value is None
    (request,) = FeedbackManager().list_requests()
    assert request.status == "timeout"
    answer("First?", "one")
    goes_on(context)
    assert "one" in ran


def test_the_first_answer_counts_and_whoever_comes_second_is_told_who_gave_it():
    run(two_questions, after)
    answer("First?", "one")
    with pytest.raises(AnswerRefusedError, match=r"was answered by alice at .*; the first answer"):
        answer("First?", "other")
    manager = FeedbackManager()
    (request,) = manager.list_requests()
    assert not manager.provide_feedback(request.feedback_id, response(request, "other"))
    assert manager.get_response(request.feedback_id).text == "one"


def test_of_many_who_answer_at_once_one_wins():
    run(two_questions, after)
    (request,) = FeedbackManager().list_requests()
    together, won = threading.Barrier(8), []

    def give(n):
        together.wait()
        if FeedbackManager().provide_feedback(request.feedback_id, response(request, str(n))):
            won.append(str(n))

    threads = [threading.Thread(target=give, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert won == [FeedbackManager().get_response(request.feedback_id).text]


def test_an_answer_that_races_with_the_deadline_is_not_lost():
    class AtTheLastMoment(FeedbackManager):
        def _end(self, feedback_id, status):
            answer("Quick?", "just in time")
            return super()._end(feedback_id, status)

    request = waits.FeedbackRequest("racing", "t", "s", FeedbackType.TEXT, "Quick?", timeout=SOON)
    assert AtTheLastMoment().answer_to(request).text == "just in time"
    assert FeedbackManager().get_request("racing").status == "completed"


def test_an_answer_after_the_end_of_the_run_is_refused():
    def ask(ctx):
        try:
            ctx.request_text_input("Late?", timeout=SOON)
        except FeedbackTimeoutError:
            return "without"

    assert alone(ask)[0] == "without"
    with pytest.raises(AnswerRefusedError, match="is cancelled, and nobody waits"):
        answer("Late?", "late")


@task(inject_context=True)
def review(ctx, who="?"):
    ran.append(f"{who} begins")
    return ctx.request_text_input("How is it?", timeout=SOON, metadata={"who": who})


@task
def unasked():
    ran.append("unasked")
    return "done"


@task
def both(review_1, review_2, unasked):
    return [review_1, review_2, unasked]


def reviews():
    with workflow("reviews") as wf:
        group = review(task_id="review_1", who="alice") | review(task_id="review_2", who="bob")
        _ = (group | unasked).set_group_name("reviews") >> both
    return wf


def test_branches_that_ask_the_same_are_told_apart_and_asked_again_each_for_itself():
    _, context = reviews().execute(ret_context=True)
    answer("How is it?", "fine", task_id="review_1")
    _, context = goes_on(context)
    answer("How is it?", "bad", task_id="review_2")
    assert goes_on(context)[0] == ["fine", "bad", "done"]
    assert ran.count("alice begins") == 2
    assert ran.count("bob begins") == 3


def test_what_waits_for_people_keeps_nothing_else_from_running():
    with workflow("reviews") as wf:
        group = (review(task_id="review_1", who="alice") | unasked).set_group_name("reviews")
        group.with_execution(backend_config={"max_workers": 1})
    _, context = wf.execute(ret_context=True)
    assert "unasked" in ran
    assert context.last_checkpoint_path


class Clock:
    """Time that passes for the limits of tasks when a test says so."""

    def __init__(self):
        self.now = 0.0
        self.running = []

    def monotonic(self):
        return self.now

    def pass_by(self, seconds):
        self.now += seconds
        for alarm in [one for one in self.running if one.ends <= self.now]:
            alarm.cancel()
            alarm.call()


class Alarm:
    """A timer by such a clock."""

    def __init__(self, clock, interval, call):
        self.clock, self.interval, self.call = clock, interval, call

    def start(self):
        self.ends = self.clock.now + self.interval
        self.clock.running.append(self)

    def cancel(self):
        if self in self.clock.running:
            self.clock.running.remove(self)


class Slow(FeedbackHandler):
    """Somebody who has let an hour pass."""

    clock = Clock()

    def on_request_created(self, request):
        self.clock.pass_by(3600)


@task(inject_context=True, timeout=60, max_retries=0)
def slow_person(ctx):
    ran.append("begun")
    return ctx.request_text_input("Take your time?", timeout=SOON, handler=Slow())


def test_waiting_counts_neither_for_the_timeout_of_a_task_nor_as_a_retry(monkeypatch):
    monkeypatch.setattr(Slow, "clock", Clock())
    monkeypatch.setattr(deadline, "time", Slow.clock)
    monkeypatch.setattr(deadline.Deadline, "_timed", lambda of, s: Alarm(Slow.clock, s, of.stop))
    value, context = run(slow_person)
    assert (value, bool(context.last_checkpoint_path)) == (None, True)
    assert (ran, Slow.clock.now) == (["begun"], 3600)
    answer("Take your time?", "yes")
    assert goes_on(context)[0] == "yes"


@task(inject_context=True)
def changing(ctx):
    return ctx.request_text_input(words.get("prompt", "Pay 10?"), timeout=SOON)


def test_an_answer_does_not_count_for_a_question_in_other_words():
    _, context = run(changing)
    answer("Pay 10?", "yes")
    words["prompt"] = "Pay 1000?"
    with pytest.raises(QuestionChangedError, match=r"'q1' of task 'changing' was asked in other"):
        goes_on(context)


@task(inject_context=True, max_retries=1)
def failing(ctx):
    ran.append("begun")
    ok = ctx.request_feedback("approval", "Again?", handler=Answering(YES)).approved
    if len(ran) == 1:
        raise ValueError("flaky")
    return ok


def test_a_retry_has_the_answers_that_were_given_before():
    assert run(failing)[0] is True
    assert ran == ["begun", "begun"]
    assert len(FeedbackManager().list_requests()) == 1


def test_a_default_answers_at_the_deadline_and_a_later_answer_is_refused():
    def ask(ctx):
        found = ctx.request_feedback(
            "approval", "Ship?", timeout=SOON, on_timeout=AnswerWith(value=False)
        )
        return found.approved, found.responded_by

    assert alone(ask)[0] == (False, "default")
    with pytest.raises(AnswerRefusedError, match="nobody waits"):
        answer("Ship?", YES)


@task(inject_context=True)
def asks_or_goes(ctx):
    try:
        ctx.request_approval("Go?", timeout=SOON, on_timeout=GoTo(elsewhere))
    except Exception:  # noqa: BLE001 - as users write it
        ran.append("swallowed")
    ran.append("not left")


@task
def next_one():
    ran.append("next")


@task
def elsewhere():
    ran.append("elsewhere")
    return "there"


def test_the_deadline_can_lead_to_another_task():
    with workflow("leaving") as wf:
        _ = asks_or_goes >> next_one
        wf.add_node("elsewhere", elsewhere)
    assert wf.execute(start_node="asks_or_goes") == "there"
    assert ran == ["elsewhere"]


def test_a_jump_to_a_task_that_is_not_there_is_refused_before_anybody_is_asked():
    def ask(ctx):
        ctx.request_approval("Go?", on_timeout=GoTo("nowhere"))

    with pytest.raises(GraflowRuntimeError, match="'nowhere' is not in the workflow"):
        alone(ask)
    assert not Path("feedback_data").exists()


def test_no_folder_is_made_before_a_question_is_asked():
    def ask(ctx):
        ctx.step("nothing", lambda: None)
        return FeedbackManager().list_requests()

    assert alone(ask)[0] == []
    assert files() == []


def test_times_are_told_in_utc():
    run(two_questions, after)
    (request,) = FeedbackManager().list_requests()
    assert datetime.fromisoformat(request.created_at).utcoffset() == timedelta(0)


def test_a_handler_that_fails_is_logged_and_changes_nothing(caplog):
    class Broken(Answering):
        def on_response_received(self, request, response):
            raise OSError("no network")

    def ask(ctx):
        return ctx.request_feedback("text", "Well?", handler=Broken("fine")).text

    assert alone(ask)[0] == "fine"
    assert "no network" in caplog.text


def test_two_questions_under_one_key_are_an_error_that_names_it():
    def ask(ctx):
        for _ in range(2):
            ctx.request_feedback("text", "Well?", handler=Answering("yes"), key="why")

    with pytest.raises(GraflowRuntimeError, match="key is 'why', and this task has asked under it"):
        alone(ask)


def test_questions_from_several_threads_have_keys_of_their_own():
    class ByPrompt(FeedbackHandler):
        def on_request_created(self, request):
            given = response(request, request.prompt)
            FeedbackManager().answer(request.feedback_id, given)

    def ask(ctx):
        found = {}

        def one(n):
            found[n] = ctx.request_feedback("text", f"No. {n}", handler=ByPrompt()).text

        threads = [threading.Thread(target=one, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return found

    assert alone(ask)[0] == {n: f"No. {n}" for n in range(8)}
    assert len({r.key for r in FeedbackManager().list_requests()}) == 8


@pytest.fixture
def at_terminal(monkeypatch):
    """Type at a terminal; the end of what is typed is the end of its input."""
    typed, keys = os.pipe()
    terminal = Terminal(os.fdopen(typed), io.StringIO())
    monkeypatch.setattr(waits, "terminal", lambda: terminal)
    with terminal._typed:
        yield lambda text: (os.write(keys, text.encode()), os.close(keys))


def asks(kind, **options):
    def ask(ctx):
        return ctx.request_feedback(kind, "Well?", **options).value

    return alone(ask)[0]


@pytest.mark.parametrize(
    ("kind", "options", "typed", "value"),
    [
        ("approval", {}, "perhaps\nY\nlooks good\n", True),
        ("text", {}, "\nwords\n", "words"),
        ("selection", {"options": ["a", "b"]}, "3\n2\n", "b"),
        ("selection", {"options": ["2", "5"]}, "2\n", "5"),
        ("multi_selection", {"options": ["a", "b"]}, "2, a\n", ["b", "a"]),
        ("custom", {}, '{"n"\n{"n": 1}\n', {"n": 1}),
    ],
    ids=lambda one: one if isinstance(one, str) and "\n" not in one else "",
)
def test_a_terminal_asks_until_there_is_an_answer_of_the_kind(
    at_terminal, kind, options, typed, value
):
    at_terminal(typed)
    assert asks(kind, **options) == value
    assert files() == []


def test_the_end_of_the_input_leaves_the_question_open_and_suspends_the_run(at_terminal, caplog):
    at_terminal("")
    assert asks("approval") is None
    assert files() == ["checkpoints"]
    assert "FeedbackManager" not in caplog.text, "nobody else can answer what is in no folder"


def test_ctrl_c_leaves_the_question_open_and_what_is_said_of_it_is_a_line_of_its_own(
    at_terminal, monkeypatch
):
    def ctrl_c(*_args):
        raise KeyboardInterrupt

    monkeypatch.setattr("graflow.local.console.select.select", ctrl_c)
    shown = waits.terminal()._out
    assert asks("approval") is None
    assert shown.getvalue() == (
        "\nask asks: Well?\n  (answer within 180 s; Ctrl-C leaves it open)\nApprove? [y/n] \n"
    )
    at_terminal("")


@task(inject_context=True)
def swallows(ctx):
    try:
        return ctx.request_text_input("Well?")
    except:  # noqa: E722 - as users write it
        return "swallowed"


@task(inject_context=True)
def returns_at_last(ctx):
    try:
        ctx.request_text_input("Well?")
    finally:
        return "swallowed"  # noqa: B012 - as users write it


@pytest.mark.parametrize("asking", [swallows, returns_at_last], ids=lambda one: one.task_id)
def test_a_wait_that_user_code_swallows_is_a_wait_all_the_same(at_terminal, asking):
    at_terminal("")
    value, context = run(asking)
    assert (value, bool(context.last_checkpoint_path)) == (None, True)
    assert context.completed_tasks == []


def test_a_question_that_cannot_be_asked_is_not_tried_again():
    def ask(ctx):
        ran.append("begun")
        ctx.request_feedback("guess", "Well?")

    with pytest.raises(GraflowRuntimeError) as failed:
        alone(ask, max_retries=3)
    assert isinstance(failed.value.cause, QuestionError)
    assert ran == ["begun"]


@task(inject_context=True)
def asks_in_steps(ctx):
    kept = [ctx.step(key, lambda: ctx.request_text_input("Well?", timeout=SOON)) for key in "ab"]
    return [*kept, ctx.request_text_input("Well?", timeout=SOON)]


def test_questions_in_steps_that_later_attempts_do_not_run_leave_their_answers_to_themselves():
    _, context = run(asks_in_steps)
    for given in ("one", "two", "three"):
        answer("Well?", given, status="timeout")
        value, context = goes_on(context)
    assert value == ["one", "two", "three"]
