"""What is known of pods, whatever the order in which it is heard."""

from graflow_operator.facts import Ended, PodFact
from graflow_operator.podbook import PodBook
from graflow_operator.refs import AttemptRef

ATTEMPT = AttemptRef(1, 1)


def fact(version, ended=None):
    return PodFact("pod", "uid-1", "run", ATTEMPT, version, ended=ended, running=True)


def test_an_end_is_never_undone():
    book = PodBook(lambda: None)
    book.seen(fact(2, Ended(0)))
    book.seen(fact(3))
    assert book.facts[ATTEMPT].ended == Ended(0)


def test_a_list_from_before_its_end_does_not_bring_a_pod_back_that_is_done_with():
    book = PodBook(lambda: None)
    book.seen(fact(1))
    known = book.uids()
    book.seen(fact(2, Ended(0)))
    book.forget(ATTEMPT)
    book.listed([fact(1)], known)
    assert book.facts == {}, "it would be stopped as one that runs without being wanted"
    book.seen(fact(2, Ended(0)))
    assert book.facts[ATTEMPT].ended == Ended(0)


def test_a_pod_that_is_gone_is_missing_unless_it_had_ended():
    book = PodBook(lambda: None)
    book.seen(fact(1))
    book.gone(ATTEMPT, "uid-1")
    assert (book.facts, book.missing) == ({}, {ATTEMPT})
    book.seen(fact(2, Ended(0)))
    book.gone(ATTEMPT, "uid-1")
    assert book.facts[ATTEMPT].deleting
    assert book.missing == set()
