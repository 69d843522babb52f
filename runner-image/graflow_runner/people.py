"""What a task in a pod asks of people, and what it keeps for its later attempts."""

import hashlib
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from graflow import values
from graflow.dsl.asking import Parked, Recorded
from graflow.dsl.missing import MISSING
from graflow.values import EncodedValue
from graflow_runner.calls import Operator
from graflow_runner.outcome import Leaf
from graflow_runner.refs import Fetch, value_of

if TYPE_CHECKING:  # few tasks ask
    from graflow.dsl.questions import Question

LONGEST_WAIT_S: Final = 5.0
"""Of one call; the operator answers by then in any case."""


class PodPeople:
    """Asks people for one attempt. A call whose answer was lost counts once.

    Args:
        operator: Whom to ask.
        order: The operator's order: what earlier attempts have asked and kept.
        fetch: Gets what is in the store.
        encoded: Makes bytes of a value that is kept under a key.
    """

    def __init__(
        self,
        operator: Operator,
        order: Mapping[str, Any],
        fetch: Fetch,
        encoded: Callable[[object, str], EncodedValue],
    ) -> None:
        self._operator = operator
        self._fetch = fetch
        self._encoded = encoded
        self._group = order["task"]["id"] if "policy" in order["call"] else None
        self._inline_bytes = int(order["limits"]["inlineBytes"])
        self._questions = dict(order.get("questions") or {})
        self._unheard = {
            key: None for key, found in self._questions.items() if found["answer"] is None
        }
        self._kept = dict(order.get("kept") or {})
        self._own: dict[str, EncodedValue] = {}
        """What this attempt has kept."""

    @property
    def waits_for(self) -> list[str]:
        """Keys of the questions of which this attempt has heard no answer."""
        return list(self._unheard)

    def recorded(self, key: str) -> Recorded | None:
        """Return a question that an attempt of this activation has asked."""
        found = self._questions.get(key)
        return self._recorded(found, found["sha256"]) if found else None

    def ask(self, question: "Question") -> Recorded:
        """Ask, and wait a moment for the answer.

        Raises:
            Parked: If none came: the attempt is to end.
            QuestionError: If it is a group's policy that asks.
        """
        if self._group is not None:
            from graflow.dsl.answers import refused_to_policy  # noqa: PLC0415  # few ask

            raise refused_to_policy(self._group, question.key)
        if question.blob is not None:
            self._operator.upload(question.blob, hashlib.sha256(question.blob).hexdigest())
        body = {"key": question.key, "sha256": question.sha256, "question": question.portable()}
        self._unheard[question.key] = None
        began, left_s = time.monotonic(), 0.0
        while True:
            wait_s = min(max(left_s, 0.0), LONGEST_WAIT_S)
            found = self._operator.ask({**body, "waitSeconds": wait_s})
            self._questions[question.key] = {**found, "sha256": question.sha256}
            if found["answer"] is not None:
                self._unheard.pop(question.key, None)
                return self._recorded(found, question.sha256)
            hold_s = found["holdSeconds"]
            if hold_s and question.hold_s is not None:
                hold_s = question.hold_s
            left_s = began + hold_s - time.monotonic()
            if left_s <= 0:
                raise Parked

    def kept(self, key: str) -> object:
        """Return what an attempt of this activation has kept, or `MISSING`; new at each call."""
        if (own := self._own.get(key)) is not None:
            return values.decode(own.encoding, own.data)
        return value_of(self._kept[key], self._fetch) if key in self._kept else MISSING

    def keep(self, key: str, value: object) -> None:
        """Keep a value; returns when it is committed."""
        leaf = Leaf(self._encoded(value, key))
        if leaf.size > self._inline_bytes:
            self._operator.upload(leaf.value.data, leaf.description["sha256"])
            leaf.is_stored = True
        self._operator.keep(key, leaf.reference())
        self._own[key] = leaf.value

    def _recorded(self, found: Mapping[str, Any], sha256: str) -> Recorded:
        answer = found["answer"]
        known = None if answer is None else value_of(answer, self._fetch)
        return Recorded(found["name"], sha256, known)
