"""Values that are shared by copy: what one reader changes, no other sees (C1)."""

import pickle
import threading
import warnings
from dataclasses import dataclass
from typing import Any

ATOMS = frozenset({type(None), bool, int, float, complex, str, bytes})
"""Types of values that never change, and need no copy."""


class UncopyableValueWarning(UserWarning):
    """A value is passed as it is, since it cannot be pickled: it could not go to a pod."""


@dataclass(frozen=True, slots=True)
class Frozen:
    """A value at one moment."""

    held: Any
    pickled: bool

    def thaw(self) -> Any:  # noqa: ANN401 - any value
        """Return a copy of the value, its own for each caller."""
        return pickle.loads(self.held) if self.pickled else self.held  # noqa: S301 - made below


def freeze(value: object, owner: str, warned: "Warned") -> Frozen:
    """Take a copy of a value.

    Args:
        value: The value; one that cannot be pickled is kept as it is, with one warning for each
            owner.
        owner: Whose value it is, in words for the warning: `task 'load'`.
        warned: The owners that were warned about.
    """
    if type(value) in ATOMS:
        return Frozen(value, pickled=False)
    data = _pickled(value)
    if data is not None:
        return Frozen(data, pickled=True)
    if warned.first(owner):
        kind = type(value)
        warnings.warn(
            f"the value of {owner} has the type {kind.__module__}.{kind.__qualname__}, which "
            "cannot be copied: tasks share it as it is, and it could not go to a pod",
            UncopyableValueWarning,
            stacklevel=2,
        )
    return Frozen(value, pickled=False)


class Warned:
    """Who was warned about already."""

    def __init__(self) -> None:
        self._owners: set[str] = set()
        self._lock = threading.Lock()

    def first(self, owner: str) -> bool:
        """Return whether the owner is new, and remember it."""
        with self._lock:
            if owner in self._owners:
                return False
            self._owners.add(owner)
            return True


def _pickled(value: object) -> bytes | None:
    """Return a pickle that loads: of the fast kind, else by value as a pod would get it.

    Exceptions with arguments of their own, among others, can be pickled and not loaded.
    """
    try:
        data = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
        pickle.loads(data)  # noqa: S301 - made the line before
    except Exception:  # noqa: BLE001 - __reduce__ of any class may raise anything
        return _pickled_by_value(value)
    return data


def _pickled_by_value(value: object) -> bytes | None:
    try:
        import cloudpickle  # noqa: PLC0415 - 20 ms that most programs never need

        data: bytes = cloudpickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
        pickle.loads(data)  # noqa: S301 - made the line before
    except Exception:  # noqa: BLE001 - as above
        return None
    return data
