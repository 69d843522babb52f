"""Waiting for what nobody tells of."""

import gc
import weakref

import pytest

from support.looking import until


def test_what_is_found_in_the_end_is_returned():
    looks = iter([None, [], "it"])
    assert until(lambda: next(looks), pause_s=0) == "it"


def test_what_never_comes_is_told_with_what_there_is_instead():
    with pytest.raises(AssertionError, match="not within 0 s: two pods"):
        until(lambda: None, lambda: "two pods", within_s=0, pause_s=0)


def test_an_error_that_may_pass_is_passed_over_and_is_the_cause_if_it_does_not():
    answers = iter([OSError("away"), 3])

    def ask():
        if isinstance(answer := next(answers), OSError):
            raise answer
        return answer

    assert until(ask, despite=OSError, pause_s=0) == 3
    answers = iter([OSError("away")])
    with pytest.raises(AssertionError) as never:
        until(ask, despite=OSError, within_s=0, pause_s=0)
    assert str(never.value.__cause__) == "away"


def test_any_other_error_is_told_at_once():
    with pytest.raises(ZeroDivisionError):
        until(lambda: 1 / 0, despite=OSError)


def test_what_a_failed_look_raised_is_let_go_of_when_a_later_one_finds_it():
    alive = weakref.WeakSet()

    class AwayError(Exception):
        def __init__(self):
            alive.add(self)

    answers = iter([False, True])

    def look():
        if next(answers):
            return True
        raise AwayError

    gc.disable()
    try:
        until(look, pause_s=0, despite=AwayError)
        assert not alive
    finally:
        gc.enable()
