"""Outcomes that a runner left in the store or in its pod's termination message. Pure.

A document is believed only with the signature of the attempt's key, which none but the runner
whose claim was committed has ever had.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graflow.machine import reasons
from graflow.machine.state import Error
from graflow_operator import keys, strictjson
from graflow_operator.checkpoint import BadWishError, Wish, wish_of
from graflow_operator.refs import AttemptRef
from graflow_operator.verdicts import Failed, Parked

FORMAT = 1
MAX_BYTES = 4 << 20
TRACEBACK_CHARS = 6_000
MESSAGE_CHARS = 1_500
TOMBSTONE = b'{"tombstone":true,"v":1}'
"""Put where an outcome would be, before its attempt is called lost."""


class BadReportError(Exception):
    """A report that is none; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Returned:
    """User code returned; value and directives are as they were sent, and not looked at yet."""

    value: object
    directives: Sequence[object] = ()
    wish: Wish | None = None
    """A checkpoint that it asked for."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A value that a runner left in the store, at the place made for it."""

    sha256: str
    size: int
    encoding: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """A report that came another way than by the operator's API."""

    report: Returned | Failed | Parked
    value: Stored | None = None
    """Where the value of a success is, when the report has no room for it."""


def read(data: bytes | str, *, run_key: bytes, attempt: AttemptRef, claim: str) -> Outcome | None:
    """Return the outcome in a document; None if it is not one of this attempt's runner.

    Args:
        data: What was found.
        run_key: Key of the run.
        attempt: Whose outcome it should be.
        claim: The claim that was committed for the attempt; empty when there was none.
    """
    if not claim or len(data) > MAX_BYTES:
        return None
    try:
        document = strictjson.loads(data)
    except ValueError:
        return None
    if not isinstance(document, dict) or not isinstance(document.get("mac"), str):
        return None
    key = keys.of_attempt(run_key, attempt.activation, attempt.attempt, claim)
    if not keys.equal(document["mac"], keys.mac_of_document(key, document)):
        return None
    identity = (document.get("activation"), document.get("attempt"), document.get("claim"))
    if identity != (attempt.activation, attempt.attempt, claim):
        return None
    return _outcome(document)


def _outcome(document: dict[str, Any]) -> Outcome | None:
    try:
        report = document.get("report", {})
        stored = document.get("outcomeValue") or report.get("outcomeValue")
        if stored is None:
            return Outcome(report_of(report))
        value = Stored(str(stored["sha256"]), int(stored["size"]), str(stored["encoding"]))
        return Outcome(Returned(None, _directives(report), _wish(report)), value)
    except (AttributeError, BadReportError, KeyError, TypeError, ValueError):
        return None


def report_of(body: object) -> Returned | Failed | Parked:
    """Return what a runner reports; of a success all is as it was sent.

    Raises:
        BadReportError: If it is no report.
    """
    if not isinstance(body, dict):
        raise BadReportError("a report is a JSON object with a field `outcome`")
    match body.get("outcome"):
        case "Succeeded":
            if "value" not in body:
                raise BadReportError("a report of success has a field `value`")
            return Returned(body["value"], _directives(body), _wish(body))
        case "Failed":
            return Failed(_error(body.get("error")))
        case "Parked":
            return Parked(_keys(body.get("waitsFor")))
        case other:
            raise BadReportError(f"outcome is {other!r}; it is 'Succeeded', 'Failed' or 'Parked'")


def _keys(found: object) -> tuple[str, ...]:
    if found is None:
        return ()
    if not isinstance(found, list) or not all(isinstance(key, str) for key in found):
        raise BadReportError("field `waitsFor` of a report is a list of the keys of questions")
    return tuple(found)


def _directives(body: Mapping[str, Any]) -> Sequence[object]:
    found = body.get("directives") or ()
    if not isinstance(found, list | tuple):
        raise BadReportError("field `directives` of a report is a list")
    return found


def _wish(body: Mapping[str, Any]) -> Wish | None:
    found = body.get("checkpoint")
    try:
        return None if found is None else wish_of(found)
    except BadWishError as error:
        raise BadReportError(str(error)) from error


def _error(body: object) -> Error:
    if not isinstance(body, dict):
        raise BadReportError("a report of failure has an object `error`")
    reason = str(body.get("reason") or reasons.TASK_FAILED)[:100]
    message = _cut(str(body.get("message") or ""), MESSAGE_CHARS)
    kind = str(body.get("type") or "")[:200]
    traceback = str(body.get("traceback") or "")
    detail = {"type": kind, "traceback": _cut(traceback, TRACEBACK_CHARS)}
    words = message if not kind or message.startswith(kind) else f"{kind}: {message}".rstrip(": ")
    return Error(reason, words or reason, detail, retryable=body.get("retryable") is not False)


def _cut(text: str, limit: int) -> str:
    """Keep the end, where a traceback says what happened."""
    return text if len(text) <= limit else f"…{text[1 - limit :]}"
