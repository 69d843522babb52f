"""The operator is stopped at some points of every kind; `make crash-points` stops it at all."""

import pkgutil

import pytest

from graflow_operator import questions
from support.crashes import cases, observer, page, scene, script, timeline
from support.crashes.points import FAULTS, Sample, Trial
from support.crashes.process import Point
from support.crashes.promises import (
    ANSWERS,
    ENDS,
    INVARIANTS,
    KEPT,
    NEVER_AGAIN,
    NOBODY,
    PODLESS,
    TOLD,
)
from support.crashes.script import Script

SEED = 20261130
SOME = Sample.of(1)


@pytest.fixture(autouse=True)
def _quiet():
    scene.quiet()


@pytest.mark.parametrize(
    "name",
    [
        *("02-diamond", "10-good-enough", "16-typed-channel", "state-in-store", "containers"),
        *("asks", "asks-in-parallel"),
    ],
)
def test_an_operator_stopped_anywhere_breaks_no_promise(name):
    trial = Trial(cases.case(name), SEED, sample=SOME)
    assert trial.all().broken == []
    assert set(trial.effects) <= set(page.EFFECTS)


def _without_what_was_kept(order):
    return lambda *known: {**order(*known), "kept": {}}


async def _tell_nobody(*_):
    return ""


async def _hear_otherwise(*_):
    return {"json": {"approved": True, "text": "otherwise", "respondedBy": ["nobody"]}}


@pytest.mark.parametrize(
    ("name", "broken", "how", "promise"),
    [
        ("asks", "graflow_operator.orders.order", _without_what_was_kept, KEPT),
        ("asks", "graflow_operator.hands._has_parked", lambda _: lambda *_: False, PODLESS),
        ("asks", "graflow_operator.run_questions.settle", lambda _: _hear_otherwise, ANSWERS),
        ("asks", "graflow_operator.deliveries.Deliveries._refusal", lambda _: _tell_nobody, TOLD),
        ("asks-in-vain", "graflow_operator.people.People._due", lambda _: _due_in_time, NOBODY),
    ],
)
def test_an_operator_that_breaks_a_promise_about_questions_is_found(
    monkeypatch, name, broken, how, promise
):
    where, _, what = broken.rpartition(".")
    whole = pkgutil.resolve_name(where)
    monkeypatch.setattr(whole, what, how(getattr(whole, what)))
    seeds = (str(number) for number in range(10))
    runs = (timeline.run(scene.Scene(cases.case(name), Script(seed)).play()) for seed in seeds)
    assert any(found == promise for seen in runs for found, _ in seen.violations)


def _due_in_time(people, request):
    """Never withdraw a question."""
    step = questions.step(request, people._parts.clock(), people._parts.settings.notifications)
    return step.status, step.next_at


def test_a_success_of_a_pod_that_was_made_when_its_attempt_was_over_need_not_count():
    """An operator that slept makes the pod of a container whose attempt another one gave up."""
    slept = Script("1.4", (Point(3, after=False),), deed=script.SLEEP)
    seen = timeline.run(scene.Scene(cases.case("containers"), slept).play())
    assert seen.violations == []


def test_an_order_for_what_had_ended_when_it_left_is_a_broken_promise(monkeypatch):
    monkeypatch.setattr(observer.Observer, "_is_over", lambda *_: True)
    seen = timeline.run(scene.Scene(cases.case("storeless"), Script("1")).play())
    assert (NEVER_AGAIN, "1/1 runs, and its activation had ended") in seen.violations


def test_a_run_under_one_seed_goes_the_same_way_each_time():
    first, again = (Trial(cases.case("state-in-store"), SEED) for _ in range(2))
    assert first.effects == again.effects
    assert len(first.effects) > 40


def test_all_parts_of_the_work_are_the_work():
    case = cases.case("storeless")
    whole = Trial(case, SEED, sample=Sample(kills=5, pairs=3, away=1, others=1)).all()
    parts = [
        Trial(case, SEED, sample=Sample(kills=5, pairs=3, away=1, others=1), part=(n, 2)).all()
        for n in range(2)
    ]
    for fault in FAULTS:
        runs = [sum(n for (_, f), n in t.runs.items() if f == fault) for t in (whole, *parts)]
        assert runs[0] == runs[1] + runs[2] > 0


def test_a_run_that_never_ends_or_breaks_off_is_a_broken_promise_with_its_command(monkeypatch):
    monkeypatch.setattr(timeline, "MOST_TURNS", 50)
    [(promise, words, command)] = Trial(cases.case("storeless"), SEED).tally.broken
    assert promise == ENDS
    assert "storeless --seed 20261130: too many turns of the loop" in words
    assert command.endswith("crash_points.py storeless --seed 20261130")


def test_the_page_tells_of_every_kind_of_effect_and_fault_and_of_no_broken_promise():
    """How many runs there were is not compared: `make crash-points` writes it."""
    lines = page.written()
    end = max(n for n, line in enumerate(lines) if line.startswith(f"| {INVARIANTS[-1]} |"))
    head, _, columns, _, *rows = lines[: end + 1]
    assert head.endswith("violations: 0.")
    assert [cell.strip() for cell in columns.strip("|").split("|")][2:] == list(FAULTS)
    told = [row.strip("| ").split(" | ")[0] for row in rows if row.startswith("| ")]
    assert told == [*page.EFFECTS, "all", "promise", "---", *INVARIANTS]
    promises = [row.strip("| ").split(" | ") for row in rows[-len(INVARIANTS) :]]
    assert all(int(asked) > 0 and broken == "0" for _, asked, broken in promises)
