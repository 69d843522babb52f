"""A watch that tells nothing any more, told apart from a cluster in which nothing happens."""

import pytest

from graflow_operator.hearing import Hearing


@pytest.fixture
def hearing():
    found = Hearing("pods")
    found.heard("a", 5)
    return found


def test_a_quiet_cluster_is_no_deaf_watch(hearing):
    assert [hearing.listed([("a", 5)]) for _ in range(5)] == [""] * 5


def test_a_watch_that_tells_nothing_of_what_lists_show_is_dead(hearing):
    answers = [hearing.listed([("a", 6)]) for _ in range(3)]
    assert answers[:2] == ["", ""]
    assert "the watch of pods has told nothing of what 3 lists show" in answers[2]


def test_a_watch_that_never_told_of_anything_is_dead():
    hearing = Hearing("pods")
    assert [bool(hearing.listed([("a", 6)])) for _ in range(3)] == [False, False, True]


def test_a_watch_that_is_late_but_tells_something_lives(hearing):
    for version in range(6, 20):
        assert hearing.listed([("a", version), ("b", 100)]) == ""
        hearing.heard("a", version)


def test_a_watch_that_has_caught_up_begins_anew(hearing):
    assert not hearing.listed([("a", 6)])
    assert not hearing.listed([("a", 6)])
    hearing.heard("a", 6)
    assert [hearing.listed([("a", 6)]) for _ in range(3)] == [""] * 3
    assert not hearing.listed([("a", 7)])


def test_what_is_made_while_a_list_is_read_is_not_forgotten(hearing):
    hearing.heard("b", 7)
    assert [hearing.listed(both) for both in ([("a", 5)], *[[("a", 5), ("b", 7)]] * 4)] == [""] * 5


def test_what_is_gone_is_forgotten(hearing):
    for _ in range(2):
        hearing.listed([])
    assert not hearing._heard
