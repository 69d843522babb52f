"""How an attempt ended, in the forms in which it is told: a report, a file, a message."""

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from graflow.values import EncodedValue
from graflow_runner import termination
from graflow_runner.calls import Signer
from graflow_runner.failure import failed, shortened

SUCCEEDED: Final = "Succeeded"


class Outcome:
    """The outcome of an attempt; it never changes once made.

    Args:
        report: The report without a value.
        value: What the task returned, when it succeeded.
    """

    def __init__(self, report: Mapping[str, Any], value: EncodedValue | None = None) -> None:
        self.report = report
        self.value = value
        self._sha256 = ""

    @property
    def succeeded(self) -> bool:
        """Whether user code returned."""
        return bool(self.report["outcome"] == SUCCEEDED)

    @property
    def description(self) -> dict[str, Any]:
        """What a reference to the value's bytes says of them; of a failure: nothing."""
        if self.value is None:
            return {}
        self._sha256 = self._sha256 or hashlib.sha256(self.value.data).hexdigest()
        return {
            "sha256": self._sha256,
            "size": len(self.value.data),
            "encoding": self.value.encoding,
        }

    def fits(self, limit: int) -> bool:
        """Return whether the value, if any, may stand in a report of so many bytes."""
        if self.value is None:
            return True
        size = len(self.value.data)
        return (size if self.value.encoding == "json" else -(-size // 3) * 4) <= limit

    def inline(self) -> bytes:
        """Return the report with the value in it. JSON goes in as it is, without being parsed."""
        if self.value is None:
            return json.dumps(self.report).encode()
        if self.value.encoding == "json":
            field, text = b"json", self.value.data
        else:
            field, text = b"pickle", b'"' + base64.b64encode(self.value.data) + b'"'
        return b'{"outcome": "%s", "value": {"%s": %s}}' % (SUCCEEDED.encode(), field, text)

    def referring(self, where: str) -> dict[str, Any]:
        """Return the report with a reference in place of the value.

        Args:
            where: "blob" for the place that the operator named, "outcomeValue" for that of the
                order, which is not the place of values yet.
        """
        if where == "outcomeValue":
            return {"outcome": SUCCEEDED, "outcomeValue": self.description}
        return {"outcome": SUCCEEDED, "value": {"blob": self.description}}


def success(value: EncodedValue) -> Outcome:
    """Return the outcome of a task that returned a value."""
    return Outcome({"outcome": SUCCEEDED}, value)


def failure(reason: str, message: str, *, retryable: bool = False) -> Outcome:
    """Return the outcome of an attempt that failed for a reason other than an exception."""
    return Outcome(failed(reason, "", message, retryable=retryable))


def message(outcome: Outcome, signer: Signer, *, there: str = "") -> bytes | None:
    """Return the termination message; None when the value fits none and is nowhere else.

    Args:
        outcome: How the attempt ended.
        signer: Seals it.
        there: Where the value is besides: "blob", "outcomeValue", or "" for nowhere.
    """
    if outcome.value is None:
        sealed = signer.sealed(outcome.report)
        if len(sealed) <= termination.MAX_BYTES:
            return sealed
        frame = len(signer.sealed({**outcome.report, "error": {}}))
        return signer.sealed(shortened(outcome.report, termination.MAX_BYTES - frame))
    if outcome.fits(termination.MAX_BYTES):
        sealed = signer.sealed(json.loads(outcome.inline()))
        if len(sealed) <= termination.MAX_BYTES:
            return sealed
    return signer.sealed(outcome.referring(there)) if there else None
