"""How an attempt ended, in the forms in which it is told: a report, a file, a message."""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from graflow.values import EncodedValue
from graflow_runner import termination
from graflow_runner.calls import Signer
from graflow_runner.failure import failed, shortened

SUCCEEDED: Final = "Succeeded"
PARKED: Final = "Parked"

_MAX_KEYS_CHARS: Final = 2048


class Leaf:
    """Bytes that are told: the value of an outcome, a part of a directive, a channel's value.

    Args:
        value: The bytes.
    """

    def __init__(self, value: EncodedValue) -> None:
        self.value = value
        self.is_stored = False
        """Whether they are in the store, where the operator said."""
        self._sha256 = ""

    @property
    def size(self) -> int:
        """Bytes that they take in a report."""
        size = len(self.value.data)
        return size if self.value.encoding == "json" else -(-size // 3) * 4

    @property
    def description(self) -> dict[str, Any]:
        """What a reference to them says."""
        self._sha256 = self._sha256 or hashlib.sha256(self.value.data).hexdigest()
        return {
            "sha256": self._sha256,
            "size": len(self.value.data),
            "encoding": self.value.encoding,
        }

    def reference(self) -> dict[str, Any]:
        """Return them as they are, or a reference to them where they are in the store."""
        if self.is_stored:
            return {"blob": self.description}
        if self.value.encoding == "json":
            return {"json": json.loads(self.value.data)}
        return {"pickle": base64.b64encode(self.value.data).decode()}


class Outcome:
    """The outcome of an attempt.

    Args:
        report: The report without a value.
        value: What the task returned, when it succeeded.
        directives: What it decided, with a `Leaf` where bytes are.
        checkpoint: The checkpoint that it asked for, if it did.
    """

    def __init__(
        self,
        report: Mapping[str, Any],
        value: EncodedValue | None = None,
        directives: Sequence[Mapping[str, Any]] = (),
        checkpoint: Mapping[str, Any] | None = None,
    ) -> None:
        self.report = report
        self.value = None if value is None else Leaf(value)
        self._directives = directives
        self._checkpoint = checkpoint

    @property
    def succeeded(self) -> bool:
        """Whether user code returned."""
        return bool(self.report["outcome"] == SUCCEEDED)

    def fits(self, limit: int) -> bool:
        """Return whether the value, if any, may stand in a report of so many bytes."""
        return self.value is None or self.value.size <= limit

    def too_large(self, limit: int) -> Iterator[Leaf]:
        """Yield what has to be in the store before a report.

        Value and directives may each take as many bytes as the limit says.
        """
        if self.value is not None and not self.fits(limit):
            yield self.value
        takes: dict[Leaf, int] = {}
        for part in _leaves(self._directives):
            if not part.is_stored:
                takes[part] = takes.get(part, 0) + part.size
        left = sum(takes.values())
        for part in sorted(takes, key=lambda part: -takes[part]):
            if left <= limit:
                return
            left -= takes[part]
            yield part

    def inline(self) -> bytes:
        """Return the report with the value in it. JSON goes in as it is, without being parsed."""
        if self.value is None:
            return json.dumps(self.report).encode()
        value = self.value.value
        if self.value.is_stored or value.encoding != "json":
            text = json.dumps(self.value.reference()).encode()
        else:
            text = b'{"json": %s}' % value.data
        rest = self._rest()
        tail = b", " + json.dumps(rest)[1:-1].encode() if rest else b""
        return b'{"outcome": "%s", "value": %s%s}' % (SUCCEEDED.encode(), text, tail)

    def elsewhere(self) -> dict[str, Any]:
        """Return the report with the value at the place that the order has for it.

        That is not the place of values yet.
        """
        described = self.value.description if self.value else {}
        return {"outcome": SUCCEEDED, "outcomeValue": described, **self._rest()}

    def _rest(self) -> dict[str, Any]:
        rest: dict[str, Any] = {}
        if self._directives:
            plain = json.dumps(self._directives, default=Leaf.reference)
            rest["directives"] = json.loads(plain)
        if self._checkpoint is not None:
            rest["checkpoint"] = dict(self._checkpoint)
        return rest


def _leaves(part: object) -> Iterator[Leaf]:
    if isinstance(part, Leaf):
        yield part
    elif isinstance(part, Mapping):
        for inner in part.values():
            yield from _leaves(inner)
    elif isinstance(part, (list, tuple)):
        for inner in part:
            yield from _leaves(inner)


def success(
    value: EncodedValue,
    directives: Sequence[Mapping[str, Any]] = (),
    checkpoint: Mapping[str, Any] | None = None,
) -> Outcome:
    """Return the outcome of a task that returned a value."""
    return Outcome({"outcome": SUCCEEDED}, value, directives, checkpoint)


def parked(waits_for: Sequence[str]) -> Outcome:
    """Return the outcome of an attempt that lets go of its task until somebody answers.

    Args:
        waits_for: Keys of the questions without an answer. More than fit in a termination message
            are left out: then the attempt waits for whatever is open.
    """
    fit = sum(map(len, waits_for)) <= _MAX_KEYS_CHARS
    return Outcome({"outcome": PARKED, "waitsFor": list(waits_for) if fit else []})


def failure(reason: str, message: str, *, retryable: bool = False) -> Outcome:
    """Return the outcome of an attempt that failed for a reason other than an exception."""
    return Outcome(failed(reason, "", message, retryable=retryable))


def message(outcome: Outcome, signer: Signer, *, elsewhere: bool = False) -> bytes | None:
    """Return the termination message; None when the outcome fits none and is nowhere else.

    Args:
        outcome: How the attempt ended.
        signer: Seals it.
        elsewhere: Whether the value is at the place that the order has for it.
    """
    if outcome.value is None:
        sealed = signer.sealed(outcome.report)
        if len(sealed) <= termination.MAX_BYTES:
            return sealed
        frame = len(signer.sealed({**outcome.report, "error": {}}))
        return signer.sealed(shortened(outcome.report, termination.MAX_BYTES - frame))
    if elsewhere:
        sealed = signer.sealed(outcome.elsewhere())
    elif outcome.value.is_stored or outcome.fits(termination.MAX_BYTES):
        sealed = signer.sealed(json.loads(outcome.inline()))
    else:
        return None
    return sealed if len(sealed) <= termination.MAX_BYTES else None
