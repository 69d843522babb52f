"""What the store keeps from a run, for people: a run that stands still says why."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from graflow.machine import reasons
from graflow.machine.state import Error, State
from graflow.store import StoreError
from graflow_operator import folding
from graflow_operator.dispatch import Dispatch
from graflow_operator.errands import INQUIRY
from graflow_operator.refs import AttemptRef


class Withheld:
    """How the store fails one run: its commits, its runners, and inquiries about their ends."""

    def __init__(self, dispatch: Dispatch, ring: Callable[[], None]) -> None:
        self.commit: StoreError | None = None
        """How it failed the last commit, if it did."""

        self._dispatch = dispatch
        self._ring = ring
        self._runners: dict[AttemptRef, StoreError] = {}
        """By attempt, how it failed the runner the last time."""

    @contextmanager
    def asking(self, attempt: AttemptRef) -> Iterator[None]:
        """Take note of how it fails the runner of an attempt, until it does no more."""
        try:
            yield
        except StoreError as error:
            self._runners[attempt] = error
            self._ring()
            raise
        if self._runners.pop(attempt, None) is not None:
            self._ring()

    def why(self, state: State) -> Error | None:
        """Return why the run, or an attempt of it, waits for the store; None if nothing does."""
        if self.commit is not None:
            return _unavailable(self.commit)
        failures = self._dispatch.store_failures(INQUIRY) | self._runners
        for attempt, error in failures.items():
            if folding.current(state, attempt) is not None:
                return _unavailable(error)
        self._runners.clear()
        return None


def _unavailable(error: StoreError) -> Error:
    return Error(reasons.STORE_UNAVAILABLE, str(error))
