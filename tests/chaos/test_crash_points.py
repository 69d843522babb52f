"""The operator is stopped at some points of every kind; `make crash-points` stops it at all."""

import pytest

from support.crashes import cases, page, scene
from support.crashes.points import Trial

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
