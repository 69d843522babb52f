"""The run's channel, as a task in a pod uses it: each operation is one call to the operator.

Imported when a task first asks for it.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Final

from graflow import values
from graflow.dsl.channel import checked_amount, checked_key, checked_ttl, error_of, kind_of
from graflow.dsl.channel_locks import Locks, not_free
from graflow.dsl.handles import ChannelHandle
from graflow.ledger import wire
from graflow.ledger.runs import Runs
from graflow.ledger.state import Answer
from graflow_runner.calls import Operator
from graflow_runner.numbering import Numbers
from graflow_runner.outcome import Leaf
from graflow_runner.refs import Fetch, value_of

INLINE_BYTES: Final = 128 * 1024
"""Larger values go to the store, and not through the operator."""

WAIT_S: Final = 5.0
"""Longest time that one call waits for a lock."""

Json = dict[str, Any]


class PodChannel:
    """See `Channel`. An operation whose answer was lost is made again, and counts once."""

    def __init__(self, operator: Operator, fetch: Fetch) -> None:
        self._operator = operator
        self._fetch = fetch
        self._locks = Locks(self._acquire, self._release)
        self._numbers = Numbers()

    @property
    def name(self) -> str:
        """Name of the channel."""
        return "run"

    def set(self, key: str, value: object, ttl: float | None = None) -> None:
        """Give the key a value."""
        body = {"op": "set", "key": checked_key(key), "ttl": checked_ttl(ttl)}
        self._change({**body, "value": self._value(key, value), "type": kind_of(value)})

    def get(self, key: str, default: object = None) -> Any:  # noqa: ANN401 - whatever was set
        """Return the value of the key, or the result that it names; a new object at each call."""
        found = self._operator.channel({"op": "get", "key": checked_key(key)})
        if "result" in found:
            return value_of(found["result"], self._fetch)
        return decoded(found["value"], self._fetch) if "value" in found else default

    def delete(self, key: str) -> bool:
        """Forget the key; return whether it was there."""
        return bool(self._change({"op": "delete", "key": checked_key(key)}).value)

    def exists(self, key: str) -> bool:
        """Return whether the key has a value, or names a result."""
        return bool(self._ask({"op": "exists", "key": checked_key(key)}))

    def keys(self) -> list[str]:
        """Return the keys that were set, in the order in which they came."""
        return list(self._ask({"op": "keys"}))

    def clear(self) -> None:
        """Forget all keys."""
        self._change({"op": "clear"})

    def append(self, key: str, value: object, ttl: float | None = None) -> int:
        """Add to the end of the list of that key, made if need be; return its length."""
        return self._extend("append", key, value, ttl)

    def prepend(self, key: str, value: object, ttl: float | None = None) -> int:
        """Add to the beginning of the list of that key, made if need be; return its length."""
        return self._extend("prepend", key, value, ttl)

    def atomic_add(self, key: str, amount: float = 1) -> float:
        """Add to the number of that key, 0 if there is none; return the sum."""
        number = wire.number(checked_amount(amount))
        total: Any = self._change({"op": "add", "key": checked_key(key), "amount": number}).value
        return float(total) if isinstance(total, float) else int(total)

    def lock(self, key: str, timeout: float = 10.0) -> AbstractContextManager[None]:
        """Hold the lock of that name in a `with`; see `Channel`."""
        return self._locks.hold(checked_key(key), timeout)

    def __reduce__(self) -> tuple[object, ...]:
        return ChannelHandle, ()

    # -- locks ------------------------------------------------------------------------------------

    def _acquire(self, key: str, timeout: float) -> int:
        answer, ticket = self._numbered({"op": "lock", "key": key})
        held, waited = bool(answer.value), 0.0
        asking = {"op": "wait", "key": key, "stream": self._numbers.stream, "ticket": ticket}
        try:
            # Only what the operator has waited counts: while it is away, nobody can let go either.
            while not held and timeout > waited:
                within = min(timeout - waited, WAIT_S)
                held = bool(self._ask({**asking, "within": within}))
                waited += within
        except Exception:
            self._release(key, ticket)
            raise
        if not held:
            leaving = {"op": "unlock", "key": key, "ticket": ticket, "unlessHeld": True}
            held = bool(self._change(leaving).value)
        if not held:
            raise not_free(key, timeout)
        return ticket

    def _release(self, key: str, ticket: int) -> None:
        self._change({"op": "unlock", "key": key, "ticket": ticket})

    # -- calls ------------------------------------------------------------------------------------

    def _extend(self, op: str, key: str, value: object, ttl: float | None) -> int:
        body = {"op": op, "key": checked_key(key), "ttl": checked_ttl(ttl)}
        items = {"list": [{"n": 1, "of": self._ref(key, [value])}]}
        return int(self._change({**body, "items": items}).value or 0)

    def _ask(self, body: Json) -> Any:  # noqa: ANN401 - any JSON
        return self._operator.channel(body)["answer"]["json"]

    def _change(self, body: Json) -> Answer:
        return self._numbered(body)[0]

    def _numbered(self, body: Json) -> tuple[Answer, int]:
        """Make a call that counts once, however often it is sent; return its number too."""
        with self._numbers.next() as number:
            found = self._operator.channel({**body, **number})
        answer = wire.answer_of(found)
        if answer.error:
            raise error_of(answer)
        return answer, number["n"]

    # -- values -----------------------------------------------------------------------------------

    def _value(self, key: str, value: object) -> Json:
        if isinstance(value, int | float) and type(value) in (int, float):
            return wire.number(value)
        if type(value) is not list:
            return self._ref(key, value)
        return {"list": [{"n": len(value), "of": self._ref(key, value)}] if value else []}

    def _ref(self, key: str, value: object) -> Json:
        """Return a value as a call has it, or a reference to where it was put."""
        try:
            encoded = values.encode(value)
        except values.ValueNotSerializableError as error:
            words = f"channel key {key!r}: {error}"
            raise values.ValueNotSerializableError(words) from error
        leaf = Leaf(encoded)
        if len(encoded.data) > INLINE_BYTES:
            self._operator.upload(encoded.data, leaf.description["sha256"])
            leaf.is_stored = True
        return leaf.reference()


def decoded(value: Mapping[str, Any], fetch: Fetch) -> Any:  # noqa: ANN401 - a user's value
    """Return the value that a channel's value on the wire stands for; a new object at each call."""
    content = wire.entry(value).content
    if isinstance(content, Runs):
        return [item for run in content for item in value_of(run.items, fetch)]
    return value_of(content, fetch) if isinstance(content, Mapping) else content
