"""Runners that wait a moment for an answer before they let go of their attempt."""

import asyncio
from contextlib import suppress

from graflow.machine.state import Question, State

Which = tuple[int, str]
"""Activation, and key of its question."""


class Replies:
    """Who waits for what comes of the questions of one run."""

    def __init__(self) -> None:
        self._waiting: dict[Which, set[asyncio.Future[None]]] = {}

    def look(self, state: State) -> None:
        """Wake whoever waits for something that has come, or will not come any more."""
        for which, waiting in self._waiting.items():
            question = question_of(state, *which)
            if question is None or question.answer is not None:
                for one in waiting:
                    if not one.done():
                        one.set_result(None)

    async def wait(self, which: Which, within_s: float) -> None:
        """Return when something has come of a question, or that takes too long."""
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        others = self._waiting.setdefault(which, set())
        others.add(waiting)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(within_s):
                    await waiting
        finally:
            others.discard(waiting)
            if not others:
                self._waiting.pop(which, None)


def question_of(state: State, activation: int, key: str) -> Question | None:
    """Return a question of an activation that is alive; None if there is none."""
    found = state.activations.get(activation)
    return next((q for q in found.questions if q.key == key), None) if found else None
