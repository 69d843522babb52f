"""Where an actor's letters come in, and where those who wait for an answer get it."""

import asyncio
from collections.abc import Callable

from graflow.ledger.state import Caller
from graflow.machine.state import Question
from graflow_operator.checkpoint import Wish
from graflow_operator.laps import Laps
from graflow_operator.letters import (
    Ask,
    Call,
    Claim,
    Json,
    Judged,
    Keep,
    Letter,
    NotYetError,
    ProfileAwaited,
    Refused,
    Report,
    Save,
    Unstartable,
)
from graflow_operator.refs import AttemptRef
from graflow_operator.values import ValueRef
from graflow_operator.verdicts import Told


class Desk:
    """The letters of one run that were not folded yet."""

    def __init__(self, ring: Callable[[], None], laps: Laps) -> None:
        self._ring = ring
        self._laps = laps
        self._letters: list[Letter] = []
        self._closed: Exception | None = None

    def __len__(self) -> int:
        return len(self._letters)

    def deliver(self, letter: Letter) -> None:
        """Lay a letter down."""
        self._letters.append(letter)
        self._ring()

    async def claim(self, attempt: AttemptRef, claim: str, python: str) -> Json:
        """Ask for an attempt; returns its order when the claim is committed."""
        return await self._ask(Claim(attempt, claim, python, _future()))

    async def report(self, attempt: AttemptRef, claim: str, report: Told, log: str = "") -> Json:
        """Tell how an attempt ended, and what it printed last; returns when that is committed."""
        return await self._ask(Report(attempt, claim, report, log, _future()))

    async def save(
        self, attempt: AttemptRef, claim: str, number: tuple[int, int], wish: Wish
    ) -> Json:
        """Ask for a checkpoint; returns when it is committed."""
        by = Caller(attempt.activation, attempt.attempt, number[0])
        return await self._ask(Save(attempt, claim, by, number[1], wish, _future()))

    async def ask(self, attempt: AttemptRef, claim: str, question: Question) -> Json:
        """Ask a person something; returns when it is committed that it is asked."""
        return await self._ask(Ask(attempt, claim, question, _future()))

    async def keep(self, attempt: AttemptRef, claim: str, key: str, value: ValueRef) -> Json:
        """Keep a value for later attempts; returns when that is committed."""
        return await self._ask(Keep(attempt, claim, key, value, _future()))

    async def _ask(self, letter: Call) -> Json:
        if self._closed is not None:
            raise self._closed
        self.deliver(letter)
        return await letter.answer

    def without_pod(self) -> set[AttemptRef]:
        """Return the attempts of letters that say that there is no pod.

        Whoever is sent off for one before that is folded asks for what was just refused.
        """
        kinds = Refused | ProfileAwaited | Unstartable
        return {letter.attempt for letter in self._letters if isinstance(letter, kinds)}

    def take(self) -> list[Letter]:
        """Take up all letters."""
        letters, self._letters = self._letters, []
        return letters

    def put_back(self, letters: list[Letter]) -> None:
        """Lay letters down again that could not be dealt with; they come before newer ones."""
        self._letters[:0] = letters

    def answer(self, letter: Letter, error: Exception | None, order: Json | None) -> None:
        """Tell a letter's sender, if it waits, what is committed now."""
        if isinstance(letter, Call) and not letter.answer.done():
            if error is not None:
                letter.answer.set_exception(error)
            else:
                letter.answer.set_result(order or {"committed": True})
        if error is None:
            self._count(letter)

    def _count(self, letter: Letter) -> None:
        match letter:
            case Claim():
                self._laps.mark(letter.attempt, "claimed")
            case Report() | Judged():
                self._laps.mark(letter.attempt, "committed")
            case _:
                pass

    def close(self, reason: Exception | None = None) -> None:
        """Turn away whoever waits, and whoever comes from now on."""
        self._closed = reason or NotYetError("the operator is stopping")
        for letter in self.take():
            self.answer(letter, self._closed, None)


def _future() -> asyncio.Future[Json]:
    return asyncio.get_running_loop().create_future()
