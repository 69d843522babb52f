"""The operator is stopped at some points of every kind; `make crash-points` stops it at all."""

import pytest

from support.crashes import cases, page, scene
from support.crashes.observer import INVARIANTS
from support.crashes.points import FAULTS, Trial

SEED = 20261130
SOME = 2


@pytest.fixture(autouse=True)
def _quiet():
    scene.quiet()


@pytest.mark.parametrize(
    "name", ["02-diamond", "10-good-enough", "16-typed-channel", "state-in-store", "containers"]
)
def test_an_operator_stopped_anywhere_breaks_no_promise(name):
    trial = Trial(cases.case(name), SEED, most=SOME)
    assert trial.all().broken == []
    assert set(trial.effects) <= set(page.EFFECTS)


def test_a_run_under_one_seed_goes_the_same_way_each_time():
    first, again = (Trial(cases.case("state-in-store"), SEED) for _ in range(2))
    assert first.effects == again.effects
    assert len(first.effects) > 40


def test_the_page_tells_of_every_kind_of_effect_and_fault_and_of_no_broken_promise():
    """How many runs there were is not compared: `make crash-points` writes it."""
    head, _, columns, _, *rows = page.written()
    assert head.endswith("violations: 0.")
    assert [cell.strip() for cell in columns.strip("|").split("|")][2:] == list(FAULTS)
    told = [row.strip("| ").split(" | ")[0] for row in rows if row.startswith("| ")]
    assert told == [*page.EFFECTS, "all", "promise", "---", *INVARIANTS]
    promises = [row.strip("| ").split(" | ") for row in rows[-len(INVARIANTS) :]]
    assert all(int(asked) > 0 and broken == "0" for _, asked, broken in promises)
