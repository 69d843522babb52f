"""C2: the operations of a channel, against a naive model of them."""

from hypothesis import given, settings
from hypothesis import strategies as st

from graflow.ledger import wire
from graflow.ledger.runs import Run, Runs
from graflow.ledger.state import Caller, End, Owner, State, Unlock, apply, call
from support.channel_model import OPS, STEPS, Model, plain


def contents(state, now):
    found = {key: wire.value_of(state.live(key, now)) for key in state.keys(now)}
    return {key: plain(value) for key, value in found.items()}


def same(one, other):
    return repr(one) == repr(other)  # 1 is not 1.0 is not True here


@settings(deadline=None)
@given(STEPS)
def test_c2_any_sequence_of_operations_does_what_the_model_does(steps):
    model, state = Model(), State()
    for wait, body in steps:
        model.now += wait
        expected = model.apply(body)
        answer = apply(state, wire.op_of(body), model.now, Owner(Caller(1, 1), 0))
        if isinstance(expected, type):
            assert answer.error == expected.__name__
        else:
            assert same(answer.value, expected)
        assert same(contents(state, model.now), model.seen())


@settings(deadline=None)
@given(STEPS)
def test_c2_what_is_packed_and_unpacked_goes_on_as_it_would_have(steps):
    now, state, other = 0.0, State(), State()
    for number, (wait, body) in enumerate(steps, 1):
        now += wait
        op = wire.op_of(body)
        again = wire.op_of(wire.body_of(op))
        assert same(call(state, Caller(1, 1), number, op, now),
                    call(other, Caller(1, 1), number, again, now))  # fmt: skip
        other = wire.unpack(wire.pack(other))
        assert wire.pack(other) == wire.pack(state)
        assert same(contents(other, now), contents(state, now))


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 3), OPS, st.integers(1, 3)), max_size=20))
def test_c2_a_repeated_call_gets_the_answer_of_the_first_and_changes_nothing(steps):
    state, numbers = State(), {}
    for activation, body, times in steps:
        by = Caller(activation, 1)
        number = numbers[by] = numbers.get(by, 0) + 1
        first, new = call(state, by, number, wire.op_of(body), 0.0)
        assert new
        before = wire.pack(state)
        for _ in range(times):
            assert call(state, by, number, wire.op_of(body), 0.0) == (first, False)
            if number > 1:
                assert call(state, by, number - 1, wire.op_of(body), 0.0)[0].error == "StaleCall"
        assert wire.pack(state) == before


@settings(deadline=None)
@given(STEPS)
def test_c2_a_copy_changes_nothing_of_the_state_that_it_was_taken_of(steps):
    now, state = 0.0, State()
    for wait, body in steps:
        now += wait
        before, draft = wire.pack(state), state.copy()
        apply(draft, wire.op_of(body), now, Owner(Caller(1, 1), 0))
        assert wire.pack(state) == before
        twice = state.copy()
        apply(twice, wire.op_of(body), now, Owner(Caller(1, 1), 0))
        assert wire.pack(twice) == wire.pack(draft)
        state = draft


LOCKING = st.lists(
    st.tuples(st.integers(1, 4), st.sampled_from(["lock", "unlock", "give up", "end"])), max_size=40
)


@settings(deadline=None)
@given(LOCKING)
def test_c2_a_lock_has_one_holder_the_first_of_those_who_came_and_went_not(steps):
    state, queue, tickets, ended = State(), [], {}, set()
    for number, (activation, what) in enumerate(steps, 1):
        by = Caller(activation, 1)
        if activation in ended:
            continue
        if what == "end":
            ended.add(activation)
            apply(state, End(frozenset({(activation, 1)})), 0.0, Owner(by, 0))
            queue = [a for a in queue if a != activation]
        elif what == "lock" and activation not in queue:
            tickets[activation] = number
            queue.append(activation)
            answer, _ = call(state, by, number, wire.op_of({"op": "lock", "key": "l"}), 0.0)
            assert answer.value == (queue[0] == activation)
        elif what != "lock" and activation in queue:
            op = Unlock("l", tickets[activation], unless_held=what == "give up")
            answer, _ = call(state, by, number, op, 0.0)
            kept = what == "give up" and queue[0] == activation
            assert answer.value == kept
            queue = queue if kept else [a for a in queue if a != activation]
        owners = [Owner(Caller(a, 1), tickets[a]) for a in queue]
        assert state.locks.get("l", ()) == tuple(owners)
        assert [o for o in owners if state.holds("l", o)] == owners[:1]
        assert ended.isdisjoint(a for a, _ in state.known())


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.integers()), max_size=40))
def test_c2_all_versions_of_a_list_stay_as_they_were(steps):
    versions = [(Runs.of(Run(1, 0)), [0])]
    for front, from_first, item in steps:
        runs, items = versions[0 if from_first else -1]
        new = runs.prepended(Run(1, item)) if front else runs.appended(Run(1, item))
        versions.append((new, [item, *items] if front else [*items, item]))
    for runs, items in versions:
        assert [run.items for run in runs] == items
        assert runs.count == len(items)
