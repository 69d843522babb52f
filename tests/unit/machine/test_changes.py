"""What is written of a move is what it changed, however much there is besides."""

import itertools
import json

import pytest

from graflow.machine.changes import applied, changes
from graflow.machine.codec import encode
from graflow.machine.directives import Jump
from graflow.machine.events import AttemptClaimed, AttemptSucceeded, RunStarted
from graflow.machine.plan import Plan, TaskPlan
from graflow.machine.reducer import fold, reduce
from graflow.machine.state import State
from support.plans import plan_of


def wide(number):
    """So many tasks that all lead to one."""
    names = [f"t{n}" for n in range(number)]
    tasks = tuple(TaskPlan(name) for name in (*names, "sink"))
    return Plan(tasks, tuple((name, "sink") for name in names), tuple(names))


def long(number):
    """A chain of so many tasks."""
    names = [f"t{n}" for n in range(number)]
    edges = tuple(itertools.pairwise(names))
    return Plan(tuple(map(TaskPlan, names)), edges, ("t0",))


def carried_out(plan, number):
    """Yield the states before and after each of so many tasks' claims and successes."""
    state = State()
    fold(plan, state, RunStarted(1.0))
    for _ in range(number):
        activation = next(iter(state.starting))
        for event in (
            AttemptClaimed(activation, 1, "pod", 2.0),
            AttemptSucceeded(activation, 1, {"json": activation}, 3.0),
        ):
            before = state.copy()
            fold(plan, state, event)
            yield before, state.copy()


@pytest.mark.parametrize("plan", [wide(30), long(30)], ids=["wide", "long"])
def test_changes_one_after_the_other_make_of_one_state_the_other(plan):
    moves = list(carried_out(plan, 30))
    made = [json.loads(json.dumps(changes(before, after))) for before, after in moves]
    for number in range(1, len(made) + 1):
        assert applied(encode(moves[0][0]), made[:number]) == encode(moves[number - 1][1])


def test_what_a_later_pass_returned_takes_the_place_of_what_an_earlier_one_did():
    plan = long(1)
    state, document = State(), encode(State())
    for event in (
        RunStarted(1.0),
        AttemptSucceeded(1, 1, {"json": "first"}, 2.0, (Jump("t0"),)),
        AttemptSucceeded(2, 1, {"json": "second"}, 3.0),
    ):
        before = state.copy()
        fold(plan, state, event)
        document = applied(document, [json.loads(json.dumps(changes(before, state)))])
        assert document == encode(state)
    assert "second" in json.dumps(document["scopes"])


@pytest.mark.parametrize("plan", [wide, long])
def test_what_a_task_costs_does_not_grow_with_those_that_have_finished(plan):
    sizes = [len(json.dumps(changes(*move))) for move in carried_out(plan(400), 399)]
    first, last = sum(sizes[20:120]), sum(sizes[-100:])
    assert last <= first * 1.05 + 100


def test_a_fold_copies_the_scopes_that_it_changes_and_shares_all_others():
    plan = plan_of("G >> after", {"G": " ".join(f"m{n}" for n in range(50))})
    before = reduce(plan, State(), RunStarted(1.0))
    written = encode(before)
    after = reduce(plan, before, AttemptSucceeded(2, 1, {"json": 2}, 2.0))
    copied = [n for n, scope in after.scopes.items() if scope is not before.scopes[n]]
    assert copied == [before.activations[2].scope]
    assert encode(before) == written
