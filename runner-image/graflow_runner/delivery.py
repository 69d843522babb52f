"""Telling the outcome until it is committed, with copies for when the operator is away."""

import json
from collections.abc import Callable, Mapping
from enum import Enum
from threading import Event
from typing import Any, Final, NamedTuple

from graflow.machine import reasons
from graflow_runner import termination
from graflow_runner.calls import OK, Operator, Signer
from graflow_runner.environment import Settings, say
from graflow_runner.outcome import Leaf, Outcome, failure, message
from graflow_runner.retries import Patience, refusal, words
from graflow_runner.wire import Answer, UnreachableError, bare, exchange

_STORED: Final = (200, 201, 204, 412)
"""Answers to a conditional PUT after which the object exists; 412: an earlier try made it."""


_BAD_KEY: Final = (401, 403)


class Told(Enum):
    """Where the outcome is when the runner ends."""

    COMMITTED = "committed"
    STORED = "stored"
    REFUSED = "refused"
    NOWHERE = "nowhere"


class _RefusedError(Exception):
    """The operator will never take this value."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(words(answer))
        self.answer = answer


class Limits(NamedTuple):
    """How long to try, in seconds."""

    patience_s: float
    store_after_s: float


class Delivery:
    """Delivers one outcome.

    Args:
        outcome: How the attempt ended.
        operator: Whom to tell.
        signer: Seals the copies.
        order: The operator's order: limits, and URLs for the copies, which may be replaced.
        settings: How patient to be, and where the termination message goes.
        hurry: Set when the process is about to be killed.
        pause: Waits some seconds; returns early when `hurry` gets set.
    """

    def __init__(  # noqa: PLR0913  # all that a delivery touches, named
        self,
        outcome: Outcome,
        *,
        operator: Operator,
        signer: Signer,
        order: Mapping[str, Any],
        settings: Settings,
        hurry: Event,
        pause: Callable[[float], object],
    ) -> None:
        self.outcome = outcome
        self._operator = operator
        self._signer = signer
        self._inline_bytes = int(order.get("limits", {}).get("inlineBytes", 0))
        self._order = order
        self._settings = settings
        self._hurry = hurry
        self._pause = pause
        self._send: Callable[[], Answer] | None = None
        self._refused = False
        self._stored = False
        self._value_stored = False
        self._message_left = False
        self._store_trouble = ""

    def deliver(self, limits: Limits) -> Told:
        """Tell the outcome, and return where it is.

        Raises:
            Fenced: If the attempt is over or another's.
        """
        self._leave_message()
        patience = Patience("report the outcome", limits.patience_s, self._settings, self._pause)
        while True:
            why, asked_s = self._try()
            if why == "":
                return Told.COMMITTED
            if self._refused:
                return Told.REFUSED
            hurried = self._hurry.is_set()
            if hurried or patience.over or patience.spent_s >= limits.store_after_s:
                self._store()
            if patience.over or (hurried and self._stored):
                say(f"gave up reporting the outcome: {why}")
                return Told.STORED if self._stored else self._lost(why)
            patience.wait(why, at_least_s=asked_s)

    def _try(self) -> tuple[str, float]:
        """Report once; return why it did not do, and how long the operator asks to wait."""
        try:
            if why := self._upload():
                return why, 0.0
            self._send = self._send or self._operator.prepared(
                "POST", "report", self.outcome.inline()
            )
            answer = self._send()
        except UnreachableError as error:
            return str(error), 0.0
        except _RefusedError as error:
            return self._give_in(error.answer)
        if answer.status == OK:
            return "", 0.0
        if answer.passing:
            return words(answer), answer.retry_after_s
        return self._give_in(answer)

    def _upload(self) -> str:
        """Put what is large into the store; return why it is not there, or an empty string."""
        for leaf in tuple(self.outcome.too_large(self._inline_bytes)):
            if not leaf.is_stored and (why := self._put(leaf)):
                return why
        self._leave_message()
        return ""

    def _put(self, leaf: Leaf) -> str:
        said = leaf.description
        body = json.dumps({"sha256": said["sha256"], "size": said["size"]}).encode()
        answer = self._operator.prepared("POST", "blob", body)()
        if answer.passing:
            return words(answer)
        if answer.status != OK:
            raise _RefusedError(answer)
        place = json.loads(answer.body)
        if not place.get("stored"):
            put = exchange("PUT", place["url"], body=leaf.value.data)
            if put.status not in _STORED:
                return f"the store answered HTTP {put.status} to PUT {bare(place['url'])}"
        leaf.is_stored = True
        return ""

    def _give_in(self, answer: Answer) -> tuple[str, float]:
        """Go on with a failure in place of a value that was refused."""
        reason, said = refusal(answer)
        why = f"the operator refuses the outcome: {words(answer)}"
        if self.outcome.succeeded and answer.status not in _BAD_KEY:
            self.outcome = failure(
                reason or reasons.RUNNER_FAILED, f"the task's value was refused: {said or why}"
            )
            self._send = None
            self._message_left = False
            self._leave_message()
        else:
            self._refused = True
            say(why)
        return why, 0.0

    def _store(self) -> None:
        """Leave the outcome in the store, by the URLs of the order; try again next time if not."""
        places = self._order.get("outcome")  # the latest: they are renewed meanwhile
        if places is None or self._stored:
            return
        value, elsewhere = self.outcome.value, False
        try:
            if value is not None and not (value.is_stored or self.outcome.fits(self._inline_bytes)):
                self._store_value(value, places["valueUrl"])
                elsewhere = True
            report = self.outcome.elsewhere() if elsewhere else json.loads(self.outcome.inline())
            _put_new(places["url"], self._signer.sealed(report))
        except UnreachableError as error:
            if str(error) != self._store_trouble:
                self._store_trouble = str(error)
                say(f"the outcome could not be stored: {error}")
            return
        self._stored = True
        say("the operator does not answer; the outcome is in the store")
        self._leave_message(elsewhere=elsewhere)

    def _store_value(self, value: Leaf, url: str) -> None:
        if not self._value_stored:
            _put_new(url, value.value.data)
            self._value_stored = True

    def _lost(self, why: str) -> Told:
        """Say in the termination message that an outcome too large for it is lost."""
        if not self._message_left:
            size = self.outcome.value.description["size"] if self.outcome.value else 0
            self.outcome = failure(
                reasons.RUNNER_FAILED,
                f"the task's value of {size} bytes could not be told to anyone: {why}",
                retryable=True,
            )
            self._leave_message()
        return Told.NOWHERE

    def _leave_message(self, *, elsewhere: bool = False) -> None:
        if self._message_left:
            return
        text = message(self.outcome, self._signer, elsewhere=elsewhere)
        if text is not None:
            self._message_left = True
            termination.write(self._settings.termination_log, text)


def _put_new(url: str, data: bytes) -> None:
    answer = exchange("PUT", url, body=data, headers={"If-None-Match": "*"})
    if answer.status not in _STORED:
        raise UnreachableError(f"the store answered HTTP {answer.status} to PUT {bare(url)}")
