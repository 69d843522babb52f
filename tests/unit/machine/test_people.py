"""Questions to people, and attempts that let their runner go meanwhile (section 9)."""

import pytest

from graflow.machine.commands import AskPerson
from graflow.machine.directives import Jump
from graflow.machine.events import (
    AttemptParked,
    AttemptSucceeded,
    QuestionAnswered,
    QuestionAsked,
    ValueKept,
)
from graflow.machine.plan import Retry
from graflow.machine.revive import revived, without_answers
from graflow.machine.state import Phase, Question, RunPhase
from support.plans import Host, plan_of


def ask(host, node, *keys):
    for key in keys:
        task = host.find(node)
        question = Question(key, f"digest of {key}", {"prompt": key})
        host.hear(QuestionAsked(task.number, task.attempt, question, 0.0))


def park(host, node, *waits_for):
    task = host.find(node)
    host.hear(AttemptParked(task.number, task.attempt, 0.0, waits_for))


def answer(host, node, key, given="yes", *, lapsed=False):
    host.hear(QuestionAnswered(host.find(node).number, key, given, 0.0, lapsed))


def keep(host, node, key, value):
    task = host.find(node)
    host.hear(ValueKept(task.number, task.attempt, key, value, 0.0))


def parked(plan, node="a", *keys):
    host = Host(plan)
    host.claim(node)
    ask(host, node, *(keys or ("q1",)))
    park(host, node)
    return host


def answers(host, node):
    return {question.key: question.answer for question in host.find(node).questions}


def test_an_attempt_that_parks_begins_again_with_the_answer_and_spends_nothing():
    host = parked(plan_of("a >> b", retry=Retry(max_attempts=1)))
    a = host.find("a")
    assert (a.phase, a.claim, host.starting()) == (Phase.PARKED, "", [])
    assert host.due() == (AskPerson(a.number, "q1"),)
    answer(host, "a", "q1")
    again = host.find("a")
    assert (again.phase, again.attempt, again.failures, again.losses) == (Phase.STARTING, 2, 0, 0)
    assert again.iteration == 1
    assert answers(host, "a") == {"q1": "yes"}
    assert host.go().ran == ["a", "b"]
    assert host.state.phase is RunPhase.SUCCEEDED


def test_an_answer_that_comes_before_the_runner_has_left_begins_the_next_attempt_at_once():
    host = Host(plan_of("a"))
    host.claim("a")
    ask(host, "a", "q1")
    answer(host, "a", "q1")
    assert host.find("a").phase is Phase.RUNNING
    park(host, "a")
    assert (host.starting(), host.find("a").attempt) == (["a"], 2)


@pytest.mark.parametrize(
    ("waits_for", "phase"),
    [(("q1", "q2"), Phase.STARTING), (("q2",), Phase.PARKED), ((), Phase.PARKED)],
)
def test_an_answer_that_a_leaving_runner_had_not_heard_begins_the_next_attempt_whatever_is_open(
    waits_for, phase
):
    host = Host(plan_of("a"))
    host.claim("a")
    ask(host, "a", "q1", "q2")
    answer(host, "a", "q1")
    park(host, "a", *waits_for)
    assert host.find("a").phase is phase


def test_the_first_answer_holds():
    host = parked(plan_of("a"))
    answer(host, "a", "q1", "yes")
    before = host.state
    answer(host, "a", "q1", "no")
    assert host.state is before


def test_a_question_says_when_it_was_first_asked():
    host = Host(plan_of("a"))
    host.claim("a")
    task = host.find("a")
    for at in (5.0, 6.0):
        asked = Question("q1", "digest", {"prompt": "q1"})
        host.hear(QuestionAsked(task.number, task.attempt, asked, at))
    assert [question.at for question in host.find("a").questions] == [5.0]


def test_the_first_answer_holds_while_another_question_is_open():
    host = parked(plan_of("a"), "a", "q1", "q2")
    answer(host, "a", "q1", "yes")
    before = host.state
    answer(host, "a", "q1", "no")
    assert host.state is before


def test_questions_of_one_task_are_told_apart_and_any_answer_wakes_it():
    host = parked(plan_of("a"), "a", "q1", "q2")
    answer(host, "a", "q2", "second")
    assert answers(host, "a") == {"q1": None, "q2": "second"}
    assert host.starting() == ["a"]
    host.claim("a")
    park(host, "a")
    assert [command.key for command in host.due()] == ["q1"]


def test_a_question_is_asked_once_however_often_its_attempts_ask_it():
    host = parked(plan_of("a"))
    answer(host, "a", "q1")
    host.claim("a")
    before = host.state
    ask(host, "a", "q1")
    assert host.state is before


def test_branches_that_wait_are_woken_one_by_one():
    host = Host(plan_of("G", {"G": "a b"}))
    for node in "ab":
        host.claim(node)
        ask(host, node, "q1")
        park(host, node)
    answer(host, "b", "q1")
    assert host.starting() == ["b"]
    assert answers(host, "a") == {"q1": None}


def test_each_pass_asks_anew():
    host = parked(plan_of("a >> a", start=("a",), max_steps=3))
    answer(host, "a", "q1")
    host.end("a")
    assert host.find("a").questions == ()


def test_who_waits_for_a_person_keeps_its_turn():
    host = parked(plan_of("a; b; x", start=("a", "b", "x")), "x")
    host.end("a", Jump("x"))
    assert host.starting() == ["b"]
    answer(host, "x", "q1")
    assert host.starting() == ["b", "x"]


def test_who_waits_for_a_person_does_not_keep_a_run_that_has_failed_alive():
    host = parked(plan_of("a; b", start=("a", "b")))
    host.fail("b")
    assert host.state.phase is RunPhase.FAILED
    assert not [command for command in host.due() if isinstance(command, AskPerson)]


def test_nobody_is_asked_where_nothing_goes_on_any_more():
    host = Host(plan_of("a; b", start=("a", "b")))
    host.claim("a")
    host.fail("b")
    ask(host, "a", "q1")
    assert host.find("a").questions == ()
    park(host, "a")
    assert host.state.phase is RunPhase.FAILED


def test_a_question_that_its_task_leaves_behind_is_open_no_more():
    host = Host(plan_of("a >> b"))
    host.claim("a")
    ask(host, "a", "q1")
    a = host.find("a")
    host.hear(AttemptSucceeded(a.number, a.attempt, "v", 0.0))
    assert [*host.state.asking] == []
    answered = host.state
    host.hear(QuestionAnswered(a.number, "q1", "yes", 0.0))
    assert host.state is answered


def test_an_attempt_that_failed_while_a_question_is_open_asks_it_in_its_next_one():
    host = Host(plan_of("a", retry=Retry(max_attempts=2, initial_s=0.0)))
    host.claim("a")
    ask(host, "a", "q1")
    host.hear_failure("a")
    assert (host.starting(), answers(host, "a")) == (["a"], {"q1": None})


def test_waiting_does_not_make_the_next_loss_wait_longer():
    host = Host(plan_of("a"))
    for n in range(4):
        host.claim("a")
        ask(host, "a", f"q{n}")
        park(host, "a")
        answer(host, "a", f"q{n}")
    host.lose("a")
    assert host.find("a").not_before == 1.0


def test_what_was_kept_is_there_for_later_attempts_and_the_first_value_holds():
    host = Host(plan_of("a"))
    host.claim("a")
    keep(host, "a", "draft", 1)
    keep(host, "a", "draft", 2)
    ask(host, "a", "q1")
    park(host, "a")
    host.reload()
    answer(host, "a", "q1")
    assert host.find("a").kept == (("draft", 1),)


def test_a_run_that_is_resumed_keeps_answers_and_asks_what_was_open_again():
    plan = plan_of("a")
    host = parked(plan, "a", "q1", "q2")
    answer(host, "a", "q1")
    made = revived(plan, host.state, 5.0)
    [a] = made.activations.values()
    assert [(known.key, known.answer) for known in a.questions] == [("q1", "yes")]
    assert (a.phase, [*made.asking]) == (Phase.STARTING, [])


def test_a_run_that_is_resumed_asks_again_what_nobody_has_answered_in_time():
    plan = plan_of("a")
    host = parked(plan, "a", "q1", "q2")
    answer(host, "a", "q1")
    answer(host, "a", "q2", "too late", lapsed=True)
    assert answers(host, "a") == {"q1": "yes", "q2": "too late"}
    host.reload()
    for keep_open in (False, True):
        made = revived(plan, host.state, 5.0, keep_open_questions=keep_open)
        [a] = made.activations.values()
        assert [known.key for known in a.questions] == ["q1"]


def test_a_fork_asks_everything_again_and_keeps_what_was_kept():
    plan = plan_of("a")
    host = Host(plan)
    host.claim("a")
    keep(host, "a", "draft", 1)
    ask(host, "a", "q1")
    answer(host, "a", "q1")
    made = revived(plan, without_answers(host.state), 5.0)
    [a] = made.activations.values()
    assert (a.questions, a.kept) == ((), (("draft", 1),))
    assert answers(host, "a") == {"q1": "yes"}
