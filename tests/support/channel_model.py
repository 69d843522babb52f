"""What a channel means, without a thought for cost; and operations to try on it."""

from dataclasses import dataclass, field

from hypothesis import strategies as st

from graflow.ledger import wire

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
