"""Lists that are never taken apart: runs of items, each run as one value of its host."""

from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple


class Run(NamedTuple):
    """Neighbouring items of a list."""

    length: int
    """How many there are."""

    items: Any
    """The list of them, as the host keeps values: nobody looks into it."""


class Runs:
    """A list, made longer at either end in constant time. What was made stays as it was.

    All versions of a list share two stores and differ in how much of them is theirs; a version
    that is no longer the latest takes a copy when it grows.
    """

    __slots__ = ("_back", "_back_count", "_front", "_front_count", "count")

    def __init__(
        self, front: list[Run], front_count: int, back: list[Run], back_count: int, count: int
    ) -> None:
        self._front = front
        self._front_count = front_count
        self._back = back
        self._back_count = back_count
        self.count = count
        """Items in all runs."""

    @classmethod
    def of(cls, *runs: Run) -> "Runs":
        """Return the list of these runs, in this order; those without items do not count."""
        back = [run for run in runs if run.length]
        return cls([], 0, back, len(back), sum(run.length for run in back))

    def appended(self, run: Run) -> "Runs":
        """Return the list with a run behind it."""
        count = self._back_count
        back = self._back if len(self._back) == count else self._back[:count]
        back.append(run)
        return Runs(self._front, self._front_count, back, count + 1, self.count + run.length)

    def prepended(self, run: Run) -> "Runs":
        """Return the list with a run before it."""
        count = self._front_count
        front = self._front if len(self._front) == count else self._front[:count]
        front.append(run)
        return Runs(front, count + 1, self._back, self._back_count, self.count + run.length)

    def __iter__(self) -> Iterator[Run]:
        for index in range(self._front_count - 1, -1, -1):
            yield self._front[index]
        yield from islice(self._back, self._back_count)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Runs) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment]  # what it holds need not have one

    def __repr__(self) -> str:
        return f"Runs.of({', '.join(map(repr, self))})"
