"""The channel: values that the tasks of one run share by key (C2)."""

from contextlib import AbstractContextManager
from typing import Any, Protocol


class Channel(Protocol):
    """Key-value store of one run, the same for every branch; each operation is atomic.

    What is read is a copy. `ttl` is in seconds; a key is gone when that time has passed.
    """

    def set(self, key: str, value: object, ttl: float | None = None) -> None:
        """Give the key a value."""

    def get(self, key: str, default: object = None) -> Any:  # noqa: ANN401 - whatever was set
        """Return the value of the key."""

    def delete(self, key: str) -> bool:
        """Forget the key; return whether it was there."""

    def exists(self, key: str) -> bool:
        """Return whether the key has a value; None is one."""

    def keys(self) -> list[str]:
        """Return the keys, in the order in which they came."""

    def clear(self) -> None:
        """Forget all keys."""

    def append(self, key: str, value: object, ttl: float | None = None) -> int:
        """Add to the end of the list of that key, made if need be; return its length."""

    def prepend(self, key: str, value: object, ttl: float | None = None) -> int:
        """Add to the beginning of the list of that key, made if need be; return its length."""

    def atomic_add(self, key: str, amount: float = 1) -> float:
        """Add to the number of that key, 0 if there is none; return the sum."""

    def lock(self, key: str, timeout: float = 10.0) -> AbstractContextManager[None]:
        """Hold the lock of that name in a `with`; TimeoutError after `timeout` seconds."""
