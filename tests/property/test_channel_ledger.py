"""C2: the operations of a channel, against a naive model of them."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from graflow.ledger import wire
from graflow.ledger.runs import Run, Runs
from graflow.ledger.state import Caller, End, Owner, State, Unlock, apply, call

KEYS = st.sampled_from(["a", "b", "c"])
NUMBERS = st.one_of(
    st.integers(-(2**80), 2**80), st.floats(allow_nan=False), st.just(2**9000), st.just(1e308)
)
ITEMS = st.one_of(st.integers(0, 3), st.text(max_size=3), st.just({"k": [1]}))
TTLS = st.sampled_from([None, None, None, 1, 5])
VALUES = st.one_of(
    st.none(), st.booleans(), NUMBERS, st.text(max_size=3), st.lists(ITEMS, max_size=3)
)


def on_wire(value):
    return wire.number(value) if type(value) in (int, float) else {"json": value}


OPS = st.one_of(
    st.builds(lambda k, v, t: {"op": "set", "key": k, "value": on_wire(v), "ttl": t},
              KEYS, VALUES, TTLS),
    st.builds(lambda k: {"op": "delete", "key": k}, KEYS),
    st.just({"op": "clear"}),
    st.builds(lambda o, k, v, t: {"op": o, "key": k, "items": {"json": [v]}, "ttl": t},
              st.sampled_from(["append", "prepend"]), KEYS, ITEMS, TTLS),
    st.builds(lambda k, n: {"op": "add", "key": k, "amount": wire.number(n)}, KEYS, NUMBERS),
)  # fmt: skip
STEPS = st.lists(st.tuples(st.sampled_from([0, 0, 1, 3]), OPS), max_size=30)


@dataclass
class Model:
    """What a channel means, without a thought for cost."""

    values: dict = field(default_factory=dict)
    until: dict = field(default_factory=dict)
    now: float = 0.0

    def apply(self, op):
        for key in [k for k, t in self.until.items() if t <= self.now]:
            del self.values[key], self.until[key]
        key, ttl = op.get("key"), op.get("ttl")
        match op["op"]:
            case "set":
                self.values[key] = plain(op["value"])
                self.until.pop(key, None)
                answer = None
            case "delete":
                self.until.pop(key, None)
                return self.values.pop(key, self) is not self
            case "clear":
                self.values, self.until = {}, {}
                return None
            case "add":
                old = self.values.get(key, 0)
                if type(old) not in (int, float):
                    return TypeError
                try:
                    answer = self.values[key] = old + plain(op["amount"])
                except OverflowError:
                    return OverflowError
            case which:
                old = self.values.get(key, [])
                if type(old) is not list:
                    return TypeError
                new = op["items"]["json"]
                self.values[key] = [*old, *new] if which == "append" else [*new, *old]
                answer = len(self.values[key])
        if ttl is not None:
            self.until[key] = self.now + ttl
        return answer

    def seen(self):
        return {k: v for k, v in self.values.items() if self.until.get(k, self.now + 1) > self.now}


def plain(value):
    entry = wire.entry(value)
    return entry.content if type(entry.content) in (int, float) else value["json"]


def contents(state, now):
    found = {key: wire.value_of(state.live(key, now)) for key in state.keys(now)}
    return {key: plain(value) for key, value in found.items()}


def same(one, other):
    return repr(one) == repr(other)  # 1 is not 1.0 is not True here


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
