"""The ledger finds what must not be: else that it has found nothing says nothing."""

from support.ledger import BEGAN, ENDED, Commit, Entry, commits, judged, seconds

AT = seconds("2026-11-30T08:00:00Z")
SUCCEEDED = {
    "name": "a",
    "activation": 1,
    "attempt": 1,
    "phase": "Succeeded",
    "completionTime": "2026-11-30T08:00:00Z",
}


def entries(*rows):
    return [Entry(AT + after, "run", 1, attempt, what) for after, attempt, what in rows]


def test_an_attempt_that_ran_before_its_commit_is_no_fault():
    found = judged(entries((-2, 1, BEGAN), (-1, 1, ENDED)), {"run": {1: Commit(1, AT)}})
    assert (found.attempts, found.repeated, found.faults) == (1, 0, [])


def test_an_attempt_that_was_lost_may_be_made_again_before_the_commit():
    rows = ((-3, 1, BEGAN), (-2, 2, BEGAN), (-1, 2, ENDED))
    found = judged(entries(*rows), {"run": {1: Commit(2, AT)}})
    assert (found.attempts, found.repeated, found.again, found.faults) == (2, 1, {"run"}, [])


def test_user_code_that_begins_after_the_commit_is_a_fault():
    rows = ((-2, 1, BEGAN), (-1, 1, ENDED), (0.5, 2, BEGAN))
    [fault] = judged(entries(*rows), {"run": {1: Commit(1, AT)}}).faults
    assert fault == "run, activation 1: attempt 2 began 0.500 s after 1's commit"


def test_one_attempt_that_runs_user_code_twice_is_a_fault():
    [fault] = judged(entries((-2, 1, BEGAN), (-1, 1, BEGAN)), {"run": {1: Commit(1, AT)}}).faults
    assert fault == "run, activation 1: attempt 1 ran user code 2 times"


def test_a_commit_of_an_attempt_that_never_ran_is_a_fault():
    [fault] = judged(entries((-2, 1, BEGAN)), {"run": {1: Commit(2, AT)}}).faults
    assert fault == "run, activation 1: attempt 2 is committed, and never ran user code"


def test_user_code_that_its_run_knows_nothing_of_is_a_fault():
    [fault] = judged(entries((-2, 1, BEGAN)), {"run": {}}).faults
    assert fault == "run, activation 1 ran user code, and its run says nothing of it"


def test_code_of_a_lost_attempt_that_ends_after_another_ones_commit_is_counted():
    rows = ((-3, 1, BEGAN), (-2, 2, BEGAN), (-1, 2, ENDED), (1, 1, ENDED))
    found = judged(entries(*rows), {"run": {1: Commit(2, AT)}})
    assert (found.ran_on, found.faults) == (1, [])


def test_a_status_tells_when_an_activation_was_committed():
    assert commits([(AT + 1, {"tasks": [SUCCEEDED]})]) == {1: Commit(1, AT)}
