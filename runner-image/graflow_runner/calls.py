"""Calls of one attempt to the operator: signed with the attempt's key, repeated until answered."""

import hashlib
import hmac
import itertools
import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from graflow.machine import reasons
from graflow_runner.environment import Settings
from graflow_runner.errors import AttemptError, Fenced
from graflow_runner.retries import GaveUpError, Patience, refusal, until_answered, words
from graflow_runner.wire import Answer, Endpoint, bare, exchange

OK: Final = 200
STORED: Final = (200, 201, 204)
CONFLICT: Final = 409
PREFIX: Final = "/runner/v1"


class Signer:
    """Signs what one attempt says.

    Args:
        key: The attempt's key, hex.
        run: Uid of the Workflow.
        activation: Number of the activation.
        attempt: Number of the attempt.
        claim: "<pod uid>/<nonce>".
    """

    def __init__(self, key: str, *, run: str, activation: int, attempt: int, claim: str) -> None:
        self._key = bytes.fromhex(key)
        self._run = run
        self.activation = activation
        self.attempt = attempt
        self.claim = claim

    def headers(self, method: str, path: str, body: bytes, number: int) -> dict[str, str]:
        """Return the headers that prove who sends this request."""
        text = f"{method}\n{path}\n{self.claim}\n{number}\n{hashlib.sha256(body).hexdigest()}"
        return {
            "Content-Type": "application/json",
            "X-Graflow-Run": self._run,
            "X-Graflow-Activation": str(self.activation),
            "X-Graflow-Attempt": str(self.attempt),
            "X-Graflow-Claim": self.claim,
            "X-Graflow-Number": str(number),
            "X-Graflow-Mac": self._mac(text.encode()),
        }

    def sealed(self, report: Mapping[str, Any]) -> bytes:
        """Return an outcome as it is left in the store and in the pod's termination message."""
        outcome = {
            "v": 1,
            "activation": self.activation,
            "attempt": self.attempt,
            "claim": self.claim,
            "report": report,
        }
        return _canonical({**outcome, "mac": self._mac(_canonical(outcome))})

    def _mac(self, data: bytes) -> str:
        return hmac.new(self._key, data, hashlib.sha256).hexdigest()


def _canonical(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


class Operator:
    """The operator as one attempt sees it.

    Args:
        endpoint: Where it is.
        signer: Signs for the attempt.
        settings: How patient to be.
        sleep: Waits between tries.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        signer: Signer,
        settings: Settings,
        sleep: Callable[[float], object],
    ) -> None:
        self._endpoint = endpoint
        self._signer = signer
        self._settings = settings
        self._sleep = sleep
        self._numbers = itertools.count(1)
        self._began_at: float | None = None

    def user_code_begins(self) -> None:
        """Note the time: a report tells how long ago it was, so that delays can be told apart."""
        self._began_at = time.monotonic()

    def prepared(self, method: str, call: str, body: bytes = b"") -> Callable[[], Answer]:
        """Return one numbered call, which may be sent as often as needed; it is one call for both.

        The result raises `Fenced` when the attempt is over, and `UnreachableError`.
        """
        path = f"{PREFIX}/{call}"
        headers = self._signer.headers(method, path, body, next(self._numbers))

        def send() -> Answer:
            if self._began_at is not None and call == "report":
                headers["X-Graflow-Ran"] = f"{time.monotonic() - self._began_at:.3f}"
            answer = self._endpoint.send(method, path, body=body, headers=headers)
            if answer.status == CONFLICT and refusal(answer)[0] in ("Fenced", ""):
                raise Fenced(words(answer))
            return answer

        return send

    def bundle(self, sha256: str) -> bytes:
        """Return the bytes of a code bundle."""
        what = "fetch the code bundle"
        return self._ask("GET", f"bundle/{sha256}", b"", what).body

    def results(self, names: list[str], *, source: str) -> Mapping[str, Any]:
        """Return what names stand for: results only, or names of parameters.

        Args:
            names: Ids of tasks, or names of parameters.
            source: "results" or "names".
        """
        body = json.dumps({"names": names, "from": source}).encode()
        answer = self._ask("POST", "results", body, f"ask for {', '.join(names)}")
        found: Mapping[str, Any] = json.loads(answer.body)["names"]
        return found

    def visible(self) -> Mapping[str, Any]:
        """Return the names that may be asked for: lists `results` and `channel`.

        Empty if the operator is of a version that does not tell.
        """
        body = json.dumps({"names": [], "from": "visible"}).encode()
        answer = self._ask("POST", "results", body, "ask what there is")
        found: Mapping[str, Any] = json.loads(answer.body).get("visible") or {}
        return found

    def channel(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Do one operation on the run's channel and return the answer."""
        data = json.dumps(body, allow_nan=False).encode()
        found: dict[str, Any] = json.loads(
            self._ask("POST", "channel", data, f"use the channel ({body['op']})").body
        )
        return found

    def checkpoint(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Have a checkpoint of the run taken; return its sequence number, and the steps so far."""
        data = json.dumps(body, allow_nan=False).encode()
        answer = self._ask("POST", "checkpoint", data, "take a checkpoint")
        found: dict[str, Any] = json.loads(answer.body)
        return found

    def ask(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Have a person asked; return the `name` of the question, its `answer` or None.

        Besides, for how many `holdSeconds` a quick answer is worth to wait for.
        """
        data = json.dumps(body, allow_nan=False).encode()
        answer = self._ask("POST", "ask", data, f"ask question {body['key']!r}")
        found: dict[str, Any] = json.loads(answer.body)
        return found

    def keep(self, key: str, value: Mapping[str, Any]) -> None:
        """Have a value kept for the later attempts of this activation."""
        data = json.dumps({"key": key, "value": value}, allow_nan=False).encode()
        self._ask("POST", "keep", data, f"keep step {key!r}")

    def upload(self, data: bytes, sha256: str) -> None:
        """Put a large value into the store, where the operator says."""
        asked = json.dumps({"sha256": sha256, "size": len(data)}).encode()
        what = f"store a value of {len(data)} bytes"
        ask, url = self.prepared("POST", "blob", asked), ""

        def put() -> Answer:
            # Asked for at each try: what was signed for the one before may be over, and a try
            # whose answer was lost may have come off.
            nonlocal url
            answer = ask()
            if answer.passing:
                return answer
            place = json.loads(_granted(answer, what).body)
            if place.get("stored"):
                return answer
            url = place["url"]
            return exchange("PUT", url, body=data)

        answer = self._until_answered(put, what)
        if answer.status not in STORED:
            raise AttemptError(
                reasons.RUNNER_FAILED,
                f"could not {what}: the store answered HTTP {answer.status} to PUT {bare(url)}",
                retryable=True,
            )

    def address(self, sha256: str) -> str:
        """Return where a large value of the run may be read, signed anew; "" if nowhere."""
        asked = json.dumps({"sha256": sha256}).encode()
        answer = self._ask("POST", "address", asked, "read a value from the store")
        return json.loads(answer.body).get("url") or ""

    def _ask(self, method: str, call: str, body: bytes, what: str) -> Answer:
        return _granted(self._until_answered(self.prepared(method, call, body), what), what)

    def _until_answered(self, send: Callable[[], Answer], what: str) -> Answer:
        patience = Patience(what, self._settings.report_patience_s, self._settings, self._sleep)
        try:
            return until_answered(send, patience)
        except GaveUpError as error:
            raise AttemptError(
                reasons.RUNNER_FAILED, f"could not {what}: {error}", retryable=True
            ) from None


def _granted(answer: Answer, what: str) -> Answer:
    """Return the operator's answer, unless it is a refusal."""
    if answer.status == OK:
        return answer
    reason, message = refusal(answer)
    raise AttemptError(
        reason or reasons.RUNNER_FAILED,
        f"the operator refused to let the task {what}: {message or words(answer)}",
    )
