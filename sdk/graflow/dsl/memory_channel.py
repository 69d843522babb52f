"""The channel of a run in this process."""

import itertools
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from graflow.dsl.channel import checked_amount, checked_key, checked_ttl, error_of, kind_of
from graflow.dsl.channel_locks import Locks, not_free
from graflow.dsl.copies import Warned, freeze
from graflow.dsl.handles import ChannelHandle
from graflow.ledger.runs import Run, Runs
from graflow.ledger.state import (
    Add,
    Answer,
    Caller,
    Clear,
    Delete,
    End,
    Entry,
    Extend,
    Lock,
    Op,
    Owner,
    Set,
    State,
    Unlock,
    apply,
)


class _Core:
    """What all handles of one channel share."""

    def __init__(self, name: str, state: State, clock: Callable[[], float]) -> None:
        self.name = name
        self.state = state
        self.clock = clock
        self.changed = threading.Condition(threading.RLock())
        self.tickets = itertools.count(1)
        self.warned = Warned()


class MemoryChannel:
    """See `Channel`. Atomic across threads; values are copies."""

    def __init__(
        self,
        name: str = "memory",
        *,
        initial: Mapping[str, object] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make a channel.

        Args:
            name: For people.
            initial: Keys that it has from the beginning.
            clock: Seconds; tells when keys are gone.
        """
        self._bind(_Core(name, State(), clock), None)
        for key, value in (initial or {}).items():
            self.set(key, value)

    @classmethod
    def of(cls, name: str, state: State, epoch: float | None = None) -> "MemoryChannel":
        """Return a channel whose values, whatever made them, have a `thaw()` that copies them.

        Args:
            name: For people.
            state: Its keys; locks and callers in it are not kept.
            epoch: When the clock of the state was 0, in seconds since the epoch; None: it is the
                clock of this process. Keys are gone when their time has passed, here or there.
        """
        clock = time.monotonic
        later = 0.0 if epoch is None else epoch - _epoch_of(clock)
        channel = cls.__new__(cls)
        channel._bind(_Core(name, _shifted(state, later), clock), None)  # noqa: SLF001 - of this class
        return channel

    def copied(self) -> "MemoryChannel":
        """Return a channel with the keys of this moment, and nobody's locks."""
        return MemoryChannel.of(*self._portable())

    def _portable(self) -> tuple[str, State, float]:
        core = self._core
        with core.changed:
            return core.name, _shifted(core.state, 0.0), _epoch_of(core.clock)

    def of_attempt(self, activation: int, attempt: int) -> "MemoryChannel":
        """Return a handle on the same channel, whose locks belong to an attempt."""
        channel = type(self).__new__(type(self))
        channel._bind(self._core, (activation, attempt))  # noqa: SLF001 - of this class
        return channel

    def _bind(self, core: _Core, attempt: tuple[int, int] | None) -> None:
        self._core = core
        self._attempt = attempt
        self._caller = Caller(*(attempt or (0, 0)))
        self._locks = Locks(self._acquire, self._release)

    def end(self) -> None:
        """Give back every lock of the handle's attempt, which has ended."""
        if self._attempt is not None:
            self._apply(End(frozenset({self._attempt})))

    @property
    def name(self) -> str:
        """Name of the channel."""
        return self._core.name

    def set(self, key: str, value: object, ttl: float | None = None) -> None:
        """Give the key a value."""
        kind, owner = kind_of(value), f"channel key {checked_key(key)!r}"
        if type(value) is list:
            run = Run(len(value), freeze(value, owner, self._core.warned))
            entry = Entry(Runs.of(run), kind)
        elif type(value) in (int, float):
            entry = Entry(value, kind)
        else:
            entry = Entry(freeze(value, owner, self._core.warned), kind)
        self._apply(Set(key, entry, checked_ttl(ttl)))

    def get(self, key: str, default: object = None) -> Any:  # noqa: ANN401 - whatever was set
        """Return a copy of the value of the key."""
        core = self._core
        with core.changed:
            entry = core.state.live(checked_key(key), core.clock())
        return default if entry is None else thawed(entry)

    def delete(self, key: str) -> bool:
        """Forget the key; return whether it was there."""
        return bool(self._apply(Delete(checked_key(key))).value)

    def exists(self, key: str) -> bool:
        """Return whether the key has a value; None is one."""
        core = self._core
        with core.changed:
            return core.state.live(checked_key(key), core.clock()) is not None

    def keys(self) -> list[str]:
        """Return the keys, in the order in which they came."""
        with self._core.changed:
            return self._core.state.keys(self._core.clock())

    def clear(self) -> None:
        """Forget all keys."""
        self._apply(Clear())

    def append(self, key: str, value: object, ttl: float | None = None) -> int:
        """Add to the end of the list of that key, made if need be; return its length."""
        return self._extend(key, value, ttl, front=False)

    def prepend(self, key: str, value: object, ttl: float | None = None) -> int:
        """Add to the beginning of the list of that key, made if need be; return its length."""
        return self._extend(key, value, ttl, front=True)

    def atomic_add(self, key: str, amount: float = 1) -> float:
        """Add to the number of that key, 0 if there is none; return the sum."""
        answer = self._apply(Add(checked_key(key), checked_amount(amount)))
        total: float = answer.value  # type: ignore[assignment]  # the answer to this is a number
        return total

    def lock(self, key: str, timeout: float = 10.0) -> AbstractContextManager[None]:
        """Hold the lock of that name in a `with`; see `Channel`."""
        return self._locks.hold(checked_key(key), timeout)

    def _extend(self, key: str, value: object, ttl: float | None, *, front: bool) -> int:
        owner = f"channel key {checked_key(key)!r}"
        run = Run(1, freeze([value], owner, self._core.warned))
        return int(self._apply(Extend(key, run, front, ttl=checked_ttl(ttl))).value or 0)

    def _acquire(self, key: str, timeout: float) -> int:
        core, ticket = self._core, next(self._core.tickets)
        owner = Owner(self._caller, ticket)
        with core.changed:
            self._apply(Lock(key), ticket)
            try:
                if core.changed.wait_for(lambda: core.state.holds(key, owner), timeout):
                    return ticket
            except BaseException:
                self._apply(Unlock(key, ticket), ticket)
                raise
            self._apply(Unlock(key, ticket), ticket)
        raise not_free(key, timeout)

    def _release(self, key: str, ticket: int) -> None:
        self._apply(Unlock(key, ticket), ticket)

    def _apply(self, op: Op, ticket: int = 0) -> Answer:
        core = self._core
        with core.changed:
            answer = apply(core.state, op, core.clock(), Owner(self._caller, ticket))
            if isinstance(op, Unlock | End):
                core.changed.notify_all()
        if answer.error:
            raise error_of(answer)
        return answer

    def __reduce__(self) -> tuple[object, ...]:
        if self._attempt is not None:
            return ChannelHandle, ()
        return MemoryChannel.of, self._portable()


def _epoch_of(clock: Callable[[], float]) -> float:
    return time.time() - clock()


def _shifted(state: State, later: float) -> State:
    """Return the keys of a state, with each time so many seconds later; lists share no store."""
    entries = {}
    for key, entry in state.entries.items():
        content = Runs.of(*entry.content) if isinstance(entry.content, Runs) else entry.content
        expires = None if entry.expires is None else entry.expires + later
        entries[key] = entry._replace(content=content, expires=expires)
    soonest = None if state.soonest is None else state.soonest + later
    return State(entries, size=state.size, clock=state.clock + later, soonest=soonest)


def thawed(entry: Entry) -> Any:  # noqa: ANN401 - any value
    """Return a copy of an entry's value."""
    content = entry.content
    if isinstance(content, Runs):
        return [item for run in content for item in run.items.thaw()]
    if type(content) in (int, float):
        return content
    return content.thaw()
