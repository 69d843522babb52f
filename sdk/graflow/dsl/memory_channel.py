"""The channel of a run in this process."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from graflow.dsl.copies import Frozen, Warned, freeze


@dataclass(frozen=True, slots=True)
class _Entry:
    value: Frozen
    expires: float | None
    """On the channel's clock."""


class MemoryChannel:
    """See `Channel`. Atomic across threads; values are copies."""

    def __init__(
        self,
        initial: Mapping[str, object] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._entries: dict[str, _Entry] = {}
        self._mutex = threading.RLock()
        self._locks: dict[str, threading.Lock] = {}
        self._warned = Warned()
        self._clock = clock
        for key, value in (initial or {}).items():
            self.set(key, value)

    def set(self, key: str, value: object, ttl: float | None = None) -> None:
        """Give the key a value."""
        entry = self._entry(key, value, ttl)
        with self._mutex:
            self._entries[key] = entry

    def get(self, key: str, default: object = None) -> Any:  # noqa: ANN401 - whatever was set
        """Return a copy of the value of the key."""
        with self._mutex:
            entry = self._live(key)
        return entry.value.thaw() if entry else default

    def delete(self, key: str) -> bool:
        """Forget the key; return whether it was there."""
        with self._mutex:
            there = self._live(key) is not None
            self._entries.pop(key, None)
            return there

    def exists(self, key: str) -> bool:
        """Return whether the key has a value; None is one."""
        with self._mutex:
            return self._live(key) is not None

    def keys(self) -> list[str]:
        """Return the keys, in the order in which they came."""
        with self._mutex:
            return [key for key in list(self._entries) if self._live(key)]

    def clear(self) -> None:
        """Forget all keys."""
        with self._mutex:
            self._entries.clear()

    def append(self, key: str, value: object, ttl: float | None = None) -> int:
        """Add to the end of the list of that key, made if need be; return its length."""
        with self._mutex:
            return self._put_list(key, [*self._list(key), value], ttl)

    def prepend(self, key: str, value: object, ttl: float | None = None) -> int:
        """Add to the beginning of the list of that key, made if need be; return its length."""
        with self._mutex:
            return self._put_list(key, [value, *self._list(key)], ttl)

    def atomic_add(self, key: str, amount: float = 1) -> float:
        """Add to the number of that key, 0 if there is none; return the sum."""
        with self._mutex:
            entry = self._live(key)
            number = entry.value.thaw() if entry else 0
            if isinstance(number, bool) or not isinstance(number, (int, float)):
                raise TypeError(f"channel key {key!r} holds {number!r}, which is not a number")
            total = number + amount
            expires = entry.expires if entry else None
            self._entries[key] = _Entry(
                freeze(total, f"channel key {key!r}", self._warned), expires
            )
            return total

    @contextmanager
    def lock(self, key: str, timeout: float = 10.0) -> Iterator[None]:
        """Hold the lock of that name in a `with`.

        Raises:
            TimeoutError: If another task holds it for longer than `timeout` seconds.
        """
        with self._mutex:
            found = self._locks.setdefault(key, threading.Lock())
        if not found.acquire(timeout=timeout):
            raise TimeoutError(f"the lock {key!r} was not free within {timeout} s")
        try:
            yield
        finally:
            found.release()

    def _live(self, key: str) -> _Entry | None:
        entry = self._entries.get(key)
        if entry and entry.expires is not None and entry.expires <= self._clock():
            del self._entries[key]
            return None
        return entry

    def _entry(self, key: str, value: object, ttl: float | None) -> _Entry:
        if not isinstance(key, str):
            raise TypeError(f"a channel key is a text, not {key!r}")
        expires = None if ttl is None else self._clock() + ttl
        return _Entry(freeze(value, f"channel key {key!r}", self._warned), expires)

    def _list(self, key: str) -> list[object]:
        entry = self._live(key)
        value = entry.value.thaw() if entry else []
        if not isinstance(value, list):
            raise TypeError(f"channel key {key!r} holds {value!r}, which is not a list")
        return value

    def _put_list(self, key: str, value: list[object], ttl: float | None) -> int:
        old = self._live(key)
        entry = self._entry(key, value, ttl)
        if ttl is None and old:
            entry = _Entry(entry.value, old.expires)
        self._entries[key] = entry
        return len(value)
