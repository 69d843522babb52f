"""The table of reasons: whole, and worth reading."""

import pytest

from graflow.machine import faults, reasons
from graflow.machine.faults import FAULTS, FaultKind

REASONS = {word for name, word in vars(reasons).items() if name.isupper()}


def test_every_reason_is_explained_and_nothing_else_is():
    assert set(FAULTS) == REASONS


def test_no_two_constants_are_one_reason():
    names = [name for name in vars(reasons) if name.isupper()]
    assert len(names) == len(REASONS)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=lambda fault: fault.reason)
def test_every_reason_has_a_sentence_on_what_it_is_and_one_on_what_to_do(fault):
    for sentence in (fault.meaning, fault.advice):
        assert sentence[0].isupper() or sentence[0] == "`"
        assert sentence.endswith(".")
        assert ". " not in sentence
        assert len(sentence) <= 100


def test_nothing_that_only_waits_ends_anything():
    assert not [f.reason for f in FAULTS.values() if f.kind is FaultKind.WAIT and f.at_once]


@pytest.mark.parametrize("reason", ["", "NobodyKnowsThis", "evicted"])
def test_a_reason_that_nobody_knows_is_the_programs_own(reason):
    assert faults.of(reason).kind is FaultKind.USER
    assert faults.of(reason).reason == reason
