"""Trying again: growing pauses, a limit in seconds, and a word now and then about why."""

import os
import time
from collections.abc import Callable
from typing import Final

from graflow_runner.environment import Settings, say
from graflow_runner.wire import Answer, UnreachableError

_WORDS_EVERY_S: Final = 10.0
_LONGEST_ASKED_S: Final = 30.0


class GaveUpError(Exception):
    """Patience ended; the message says with what."""


class Patience:
    """How long one thing is tried again, and how often.

    Args:
        what: What is being tried, as in "waiting to <what>".
        limit_s: Seconds after which it is given up.
        settings: First and longest pause.
        sleep: Waits for some seconds; may return early, when there is a reason to hurry.
    """

    def __init__(
        self,
        what: str,
        limit_s: float,
        settings: Settings,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._what = what
        self._sleep = sleep
        self._pause_s = settings.retry_first_s
        self._most_s = settings.retry_most_s
        self._began = time.monotonic()
        self._ends = self._began + limit_s
        self._last_words = -_WORDS_EVERY_S

    @property
    def spent_s(self) -> float:
        """Seconds since the first try."""
        return time.monotonic() - self._began

    @property
    def over(self) -> bool:
        """Whether the limit is reached."""
        return time.monotonic() >= self._ends

    def wait(self, why: str, *, at_least_s: float = 0.0) -> None:
        """Pause before the next try.

        Args:
            why: Why the last one did not do.
            at_least_s: What the peer asked for; followed up to half a minute.
        """
        now = time.monotonic()
        if now - self._last_words >= _WORDS_EVERY_S:
            self._last_words = now
            say(f"waiting to {self._what}: {why}")
        # Up to half as much again, so that a thousand pods do not come back in one moment.
        pause_s = self._pause_s * (1 + os.urandom(1)[0] / 512)
        pause_s = max(pause_s, min(at_least_s, _LONGEST_ASKED_S))
        self._sleep(max(0.0, min(pause_s, self._ends - now)))
        self._pause_s = min(self._pause_s * 2, self._most_s)


def until_answered(send: Callable[[], Answer], patience: Patience) -> Answer:
    """Send until an answer comes that waiting would not change.

    Raises:
        GaveUpError: If none came before patience ended.
    """
    while True:
        asked_s = 0.0
        try:
            answer = send()
        except UnreachableError as error:
            why = str(error)
        else:
            if not answer.passing:
                return answer
            why, asked_s = words(answer), answer.retry_after_s
        if patience.over:
            raise GaveUpError(why)
        patience.wait(why, at_least_s=asked_s)


def refusal(answer: Answer) -> tuple[str, str]:
    """Return the reason and the message of an answer that is an error; empty where it has none."""
    import json  # noqa: PLC0415  # a success needs no words

    try:
        body = json.loads(answer.body)
        return str(body.get("reason", "")), str(body.get("message", ""))
    except (ValueError, AttributeError):
        return "", ""


def words(answer: Answer) -> str:
    """Return what an error answer says, for people."""
    reason, message = refusal(answer)
    said = ": ".join(part for part in (reason, message) if part)
    return f"HTTP {answer.status} {said}".rstrip()
