"""A mapping that is cheap to change a little: the old and the new one share almost everything."""

from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar, overload

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")

_LOAD = 64
"""Entries a bucket holds on average before the buckets are doubled: copying a dict of this size and
a tuple of the buckets of 10 000 entries take about a microsecond each."""


class Shelf(Mapping[K, V], Generic[K, V]):
    """An immutable mapping; `put` and `drop` return a changed copy in near-constant time.

    Iteration follows the hash of the keys, which Python randomises: sort where order matters.
    """

    __slots__ = ("_buckets", "_size")

    def __init__(self, items: Mapping[K, V] | None = None) -> None:
        self._buckets: tuple[dict[K, V], ...] = ({},)
        self._size = 0
        if items:
            self._fill(dict(items))

    def _fill(self, items: dict[K, V]) -> None:
        count = 1
        while count * _LOAD < len(items):
            count *= 2
        buckets: tuple[dict[K, V], ...] = tuple({} for _ in range(count))
        for key, value in items.items():
            buckets[hash(key) & (count - 1)][key] = value
        self._buckets, self._size = buckets, len(items)

    def __getitem__(self, key: K) -> V:
        return self._buckets[hash(key) & (len(self._buckets) - 1)][key]

    @overload
    def get(self, key: K, default: None = None, /) -> V | None: ...

    @overload
    def get(self, key: K, default: V | T, /) -> V | T: ...

    def get(self, key: K, default: V | T | None = None, /) -> V | T | None:
        """Return the value of a key, or the default; without the detour of `Mapping.get`."""
        return self._buckets[hash(key) & (len(self._buckets) - 1)].get(key, default)

    def __iter__(self) -> Iterator[K]:
        for bucket in self._buckets:
            yield from bucket

    def __len__(self) -> int:
        return self._size

    def __repr__(self) -> str:
        return f"Shelf({dict(self)!r})"

    def put(self, key: K, value: V) -> "Shelf[K, V]":
        """Return a copy in which the key has the value."""
        at = hash(key) & (len(self._buckets) - 1)
        bucket = dict(self._buckets[at])
        size = self._size + (key not in bucket)
        bucket[key] = value
        return self._with(at, bucket, size)

    def drop(self, key: K) -> "Shelf[K, V]":
        """Return a copy without the key, or this one when it does not have it."""
        at = hash(key) & (len(self._buckets) - 1)
        if key not in self._buckets[at]:
            return self
        bucket = dict(self._buckets[at])
        del bucket[key]
        return self._with(at, bucket, self._size - 1)

    def _with(self, at: int, bucket: dict[K, V], size: int) -> "Shelf[K, V]":
        changed: Shelf[K, V] = Shelf()
        changed._buckets = (*self._buckets[:at], bucket, *self._buckets[at + 1 :])
        changed._size = size
        if size > _LOAD * len(changed._buckets):
            changed._fill(dict(changed))
        return changed
