"""A channel's state, and what each operation does to it. Pure: time is an argument.

Values are the host's: this module looks into none but numbers, and knows of a list only the runs
that it is made of. An operation is applied to a state that its caller owns, once; `call` makes
that true for callers that ask again because an answer was lost.
"""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeAlias

from graflow.ledger.runs import Run, Runs

STREAMS = 256
"""Processes of one attempt whose last answer is remembered; those that asked last."""

STALE = "StaleCall"
"""Error of a call that came after a newer one of the same caller: nobody waits for its answer."""


class Entry(NamedTuple):
    """The value of a key."""

    content: Any
    """An int or a float, `Runs`, or anything else of the host's."""

    kind: str
    """Name of the value's type, for people."""

    size: int = 0
    """Bytes that it takes, where the host counts them."""

    expires: float | None = None
    """When it is gone, in seconds since the epoch."""


class Caller(NamedTuple):
    """One process of one attempt; it makes one call after the other."""

    activation: int
    attempt: int
    stream: int = 0
    """Tells processes apart, where user code forks."""


class Owner(NamedTuple):
    """Who has a lock, or waits for it."""

    caller: Caller
    ticket: int
    """Tells the locks of one caller apart: number of the call that asked for it."""


class Answer(NamedTuple):
    """What an operation gives back."""

    value: int | float | bool | None = None
    error: str = ""
    """Name of the exception that its caller gets; empty: none."""

    message: str = ""


@dataclass(frozen=True, slots=True)
class Set:
    """Give a key a value. None."""

    key: str
    entry: Entry
    ttl: float | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Forget a key. Whether it was there."""

    key: str


@dataclass(frozen=True, slots=True)
class Clear:
    """Forget all keys. None."""


@dataclass(frozen=True, slots=True)
class Extend:
    """Add a run to one end of a list. Its length."""

    key: str
    run: Run
    front: bool = False
    size: int = 0
    ttl: float | None = None


@dataclass(frozen=True, slots=True)
class Add:
    """Add to a number. The sum."""

    key: str
    amount: float


@dataclass(frozen=True, slots=True)
class Lock:
    """Ask for a lock; whoever cannot have it waits for its turn. Whether it is held now."""

    key: str


@dataclass(frozen=True, slots=True)
class Unlock:
    """Give a lock back, or stop waiting for it. Whether it is still held."""

    key: str
    ticket: int
    unless_held: bool = False
    """Only stop waiting: what has been given meanwhile is kept."""


@dataclass(frozen=True, slots=True)
class End:
    """Attempts have ended: their locks are free, and they will not ask again. None."""

    attempts: frozenset[tuple[int, int]]


Op: TypeAlias = Set | Delete | Clear | Extend | Add | Lock | Unlock | End


@dataclass(slots=True)
class State:
    """A channel at one moment. Owned by one place; `copy` gives another its own."""

    entries: dict[str, Entry] = field(default_factory=dict)
    """By key, in the order in which they came."""

    locks: dict[str, tuple[Owner, ...]] = field(default_factory=dict)
    """The holder of each lock, then who waits, in order of arrival."""

    seen: dict[Caller, tuple[int, Answer]] = field(default_factory=dict)
    """Number and answer of the last call of each caller, in the order of these calls."""

    size: int = 0
    """Bytes of all entries, where the host counts them."""

    clock: float = 0.0
    """The latest time of any operation: time does not go back when another host goes on."""

    soonest: float | None = None
    """When the next entry is gone."""

    def copy(self) -> "State":
        """Return a state that changes by itself."""
        return replace(
            self, entries=dict(self.entries), locks=dict(self.locks), seen=dict(self.seen)
        )

    def live(self, key: str, now: float) -> Entry | None:
        """Return the entry of a key, unless its time is over."""
        entry = self.entries.get(key)
        return None if entry is None or _is_over(entry, max(now, self.clock)) else entry

    def keys(self, now: float) -> list[str]:
        """Return the keys, in the order in which they came."""
        now = max(now, self.clock)
        return [key for key, entry in self.entries.items() if not _is_over(entry, now)]

    def holds(self, key: str, owner: Owner) -> bool:
        """Return whether somebody has a lock."""
        return self.locks.get(key, ())[:1] == (owner,)

    def waits(self, key: str, owner: Owner) -> bool:
        """Return whether somebody has a lock or waits for it."""
        return owner in self.locks.get(key, ())

    def attempts(self) -> set[tuple[int, int]]:
        """Return the attempts that have locks, or wait for one."""
        return {owner.caller[:2] for owners in self.locks.values() for owner in owners}

    def known(self) -> set[tuple[int, int]]:
        """Return the attempts of which anything is kept."""
        return {caller[:2] for caller in self.seen} | self.attempts()


def call(state: State, by: Caller, number: int, op: Op, now: float) -> tuple[Answer, bool]:
    """Apply an operation unless it was applied before; return its answer, and whether it was new.

    Args:
        state: Is changed.
        by: Who calls.
        number: Of the call; each caller counts up.
        op: What is asked.
        now: Seconds since the epoch.
    """
    last, answer = state.seen.get(by, (0, Answer()))
    if number == last:
        return answer, False
    if number < last:
        words = f"call {number} came after call {last} of the same process"
        return Answer(error=STALE, message=words), False
    answer = apply(state, op, now, Owner(by, number))
    state.seen.pop(by, None)  # so that the last to ask stands last
    state.seen[by] = (number, answer)
    _forget_streams(state, by)
    return answer, True


def apply(state: State, op: Op, now: float, owner: Owner) -> Answer:  # noqa: PLR0911 - a table
    """Apply an operation and return its answer; one that is refused changes nothing.

    Args:
        state: Is changed.
        op: What is asked.
        now: Seconds since the epoch.
        owner: Whose a lock would be.
    """
    now = state.clock = max(now, state.clock)
    _sweep(state, now)
    match op:
        case Set(key=key, entry=entry, ttl=ttl):
            put(state, key, entry._replace(expires=None if ttl is None else now + ttl))
            return Answer()
        case Delete(key=key):
            return Answer(value=_drop(state, key))
        case Clear():
            state.entries.clear()
            state.size, state.soonest = 0, None
            return Answer()
        case Extend():
            return _extend(state, op, now)
        case Add(key=key, amount=amount):
            return _add(state, key, amount)
        case Lock(key=key):
            state.locks[key] = (*state.locks.get(key, ()), owner)
            return Answer(value=state.holds(key, owner))
        case Unlock(key=key, ticket=ticket, unless_held=unless_held):
            return _unlock(state, key, Owner(owner.caller, ticket), unless_held=unless_held)
        case End(attempts=attempts):
            _end(state, attempts)
            return Answer()


def _extend(state: State, op: Extend, now: float) -> Answer:
    old = state.entries.get(op.key)
    if old is not None and not isinstance(old.content, Runs):
        return _not_a(op.key, old, "list")
    old = old or Entry(Runs.of(), "list")
    runs = old.content.prepended(op.run) if op.front else old.content.appended(op.run)
    expires = old.expires if op.ttl is None else now + op.ttl
    put(state, op.key, Entry(runs, "list", old.size + op.size, expires))
    return Answer(value=runs.count)


def _add(state: State, key: str, amount: float) -> Answer:
    old = state.entries.get(key) or Entry(0, "int")
    if type(old.content) not in (int, float):
        return _not_a(key, old, "number")
    try:
        total = old.content + amount
    except OverflowError as error:
        words = f"channel key {key!r}: {amount!r} cannot be added: {error}"
        return Answer(error="OverflowError", message=words)
    put(state, key, old._replace(content=total, kind=type(total).__name__))
    return Answer(value=total)


def _not_a(key: str, entry: Entry, wanted: str) -> Answer:
    words = f"channel key {key!r} holds a value of type {entry.kind}, which is not a {wanted}"
    return Answer(error="TypeError", message=words)


def _unlock(state: State, key: str, owner: Owner, *, unless_held: bool) -> Answer:
    if unless_held and state.holds(key, owner):
        return Answer(value=True)
    rest = tuple(other for other in state.locks.get(key, ()) if other != owner)
    _queue(state, key, rest)
    return Answer(value=False)


def _end(state: State, attempts: Collection[tuple[int, int]]) -> None:
    for key, owners in tuple(state.locks.items()):
        _queue(state, key, tuple(o for o in owners if o.caller[:2] not in attempts))
    for caller in tuple(state.seen):
        if caller[:2] in attempts:
            del state.seen[caller]


def _queue(state: State, key: str, owners: tuple[Owner, ...]) -> None:
    if owners:
        state.locks[key] = owners
    else:
        state.locks.pop(key, None)


def put(state: State, key: str, entry: Entry) -> None:
    """Give a key its entry as it is, and count it in."""
    old = state.entries.get(key)
    state.size += entry.size - (old.size if old else 0)
    state.entries[key] = entry
    if entry.expires is not None:
        soonest = state.soonest
        state.soonest = entry.expires if soonest is None else min(soonest, entry.expires)


def _drop(state: State, key: str) -> bool:
    entry = state.entries.pop(key, None)
    state.size -= entry.size if entry else 0
    return entry is not None


def _sweep(state: State, now: float) -> None:
    """Drop what is over; a look at all entries, made only when one of them may be."""
    if state.soonest is None or now < state.soonest:
        return
    for key in [key for key, entry in state.entries.items() if _is_over(entry, now)]:
        _drop(state, key)
    times = [entry.expires for entry in state.entries.values() if entry.expires is not None]
    state.soonest = min(times, default=None)


def _is_over(entry: Entry, now: float) -> bool:
    return entry.expires is not None and entry.expires <= now


def _forget_streams(state: State, by: Caller) -> None:
    """Keep the number of processes of an attempt that are remembered within bounds."""
    if by.stream == 0:
        return
    mine = [caller for caller in state.seen if caller[:2] == by[:2] and caller.stream]
    for caller in mine[: max(0, len(mine) - STREAMS)]:
        del state.seen[caller]
