"""What is remembered of attempts stays within bounds, and the end of a log is its last lines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graflow.api import cut
from graflow.api.attempts import (
    LOG_BYTES,
    LOG_LINES,
    MESSAGE_BYTES,
    MOST_ATTEMPTS,
    MOST_IN_ALL,
    MOST_LOGS,
    Attempt,
    AttemptHistory,
    last_lines,
)
from graflow.machine.events import RunStarted
from graflow.machine.plan import Plan, TaskPlan
from graflow.machine.reducer import reduce
from graflow.machine.state import State


def attempt(number, ended_at=0.0, message="no"):
    return Attempt(number, "TaskFailed", message, ended_at)


def running(count):
    names = tuple(f"t{number}" for number in range(count))
    return reduce(Plan(tuple(map(TaskPlan, names)), start=names), State(), RunStarted(1.0))


def test_the_last_attempts_of_an_activation_are_remembered():
    history = AttemptHistory()
    for number in range(1, 31):
        history = history.with_attempt(1, attempt(number, message="x" * 5000))
    kept = history.attempts[1]
    assert [one.number for one in kept] == list(range(31 - MOST_ATTEMPTS, 31))
    assert all(cut.size_of(one.message) <= MESSAGE_BYTES for one in kept)


def test_of_very_many_attempts_the_oldest_are_forgotten():
    state, history = running(30), AttemptHistory()
    for number in range(1, 11):
        for activation in range(1, 31):
            ended_at = float(number * 100 + activation)
            history = history.with_attempt(activation, attempt(number, ended_at))
    kept = history.of(state).attempts
    assert sum(map(len, kept.values())) == MOST_IN_ALL
    assert {one.number for found in kept.values() for one in found} == {7, 8, 9, 10}


def test_what_is_no_more_is_forgotten():
    history = AttemptHistory({1: (attempt(1),), 9: (attempt(1),)}, {9: "words"})
    assert history.of(running(3)) == AttemptHistory({1: (attempt(1),)}, {})


def test_few_logs_are_remembered_and_the_first_ones():
    history = AttemptHistory()
    for number in range(1, 10):
        history = history.with_log(number, f"log {number}")
    assert list(history.logs) == list(range(1, MOST_LOGS + 1))


@pytest.mark.parametrize(
    ("log", "end"),
    [
        ("one\ntwo\n", "one\ntwo"),
        ("\x1b[31mred\x1b[0m\tend\r\n", "[31mred[0m\tend"),
        ("\n".join(f"line {n}" for n in range(50)), "\n".join(f"line {n}" for n in range(30, 50))),
        ("", ""),
    ],
    ids=["short", "control characters", "many lines", "empty"],
)
def test_the_end_of_a_log_is_its_last_lines_as_text(log, end):
    assert last_lines(log) == end


@given(st.text(max_size=6000) | st.text(alphabet='\n"\\é', min_size=3000, max_size=6000))
def test_the_end_of_a_log_is_small_whatever_it_is(log):
    end = last_lines(log)
    assert cut.size_of(end) <= LOG_BYTES
    assert len(end.splitlines()) <= LOG_LINES
