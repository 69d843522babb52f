"""The channel: values that the tasks of one run share by key (C2)."""

import math
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from graflow.exceptions import GraflowRuntimeError

if TYPE_CHECKING:  # a pod that asks for no channel needs none of it
    from graflow.ledger.state import Answer


class Channel(Protocol):
    """Key-value store of one run, the same for every branch; each operation is atomic.

    What is read is a copy. `ttl` is in seconds; a key is gone when that time has passed.
    """

    @property
    def name(self) -> str:
        """Name of the channel."""

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
        """Hold the lock of that name in a `with`; TimeoutError after `timeout` seconds.

        It belongs to the attempt and to the thread, which may enter it again, and ends with the
        attempt. It keeps others out of the lock, not away from the key.
        """


def checked_key(key: object) -> str:
    """Return a channel key.

    Raises:
        TypeError: If it is no text.
    """
    if not isinstance(key, str):
        raise TypeError(f"a channel key is a text, not {key!r}")
    return key


def checked_ttl(ttl: object) -> float | None:
    """Return a time to live in seconds.

    Raises:
        TypeError: If it is no number.
        ValueError: If it is no time.
    """
    if ttl is None:
        return None
    if isinstance(ttl, bool) or not isinstance(ttl, int | float):
        raise TypeError(f"ttl is a number of seconds or None, not {ttl!r}")
    if not math.isfinite(ttl):
        raise ValueError(f"ttl is a number of seconds, not {ttl!r}; None keeps a key for good")
    return ttl


def checked_amount(amount: object) -> float:
    """Return what is to be added.

    Raises:
        TypeError: If it is no number.
    """
    if not isinstance(amount, bool):
        if isinstance(amount, float):
            return float(amount)
        if hasattr(amount, "__index__"):
            return int(amount)
    raise TypeError(f"atomic_add adds an int or a float, not {amount!r}")


def kind_of(value: object) -> str:
    """Return the name of a value's type, for people."""
    kind = type(value)
    if kind.__module__ == "builtins":
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"


def error_of(answer: "Answer") -> Exception:
    """Return the exception that an answer of a channel stands for."""
    for kind in (TypeError, ValueError, OverflowError):
        if kind.__name__ == answer.error:
            return kind(answer.message)
    return GraflowRuntimeError(answer.message)
