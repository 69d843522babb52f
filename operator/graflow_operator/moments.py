"""The moment at which a turn happens: that of its first try, so that another try writes the same.

What a commit puts into the store is named by what is in it, times and all. A turn that is tried
again at another moment would leave one more object that nothing names with each try.
"""

from collections.abc import Callable, Sequence

from graflow_operator.letters import Letter


class Moments:
    """Knows the moment of the turn that is being tried."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._tried: tuple[Letter, ...] | None = None
        """What the turn was tried with last; None: no turn is being tried."""

        self._at = 0.0

    def of(self, letters: Sequence[Letter]) -> float:
        """Return when a turn with these letters happens, in seconds since the epoch.

        More letters make it another turn, which does not happen before they have come.
        """
        if self._tried is None or self._tried != tuple(letters):
            self._tried, self._at = tuple(letters), self._clock()
        return self._at

    def over(self) -> None:
        """Take note that the turn is committed, or that it is not to be tried again."""
        self._tried = None
