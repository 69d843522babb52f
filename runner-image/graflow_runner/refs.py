"""References to values, as they stand in orders and answers, made into values."""

import base64
import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Final

from graflow import values
from graflow.machine import reasons
from graflow_runner.environment import Settings
from graflow_runner.errors import AttemptError
from graflow_runner.retries import GaveUpError, Patience, until_answered
from graflow_runner.wire import Answer, bare, exchange

_OK: Final = 200
_RUN_OUT: Final = (400, 401, 403)
"""What stores say of an address whose signature or credentials are over; ExpiredToken is a 400."""

TRIES: Final = 3
"""Of reading a value whose bytes are not those recorded: they may have changed on the way."""

Fetch = Callable[[Mapping[str, Any]], bytes]
"""Returns the bytes that a blob reference names, checked."""


def value_of(ref: Mapping[str, Any], fetch: Fetch) -> Any:  # noqa: ANN401  # a user's value
    """Return the value that a reference stands for; a new object at each call.

    Raises:
        AttemptError: If its bytes cannot be had, or the reference has an unknown form.
        Exception: What unpickling raised, as when a module is missing in the image.
    """
    match ref:
        case {"json": value}:
            return value
        case {"pickle": str(text)}:
            return values.decode("pickle", base64.b64decode(text))
        case {"blob": {"encoding": str(encoding)} as blob}:
            return values.decode(encoding, fetch(blob))
        case {"group": dict(members)}:
            return {member: value_of(inner, fetch) for member, inner in members.items()}
        case _:
            raise AttemptError(
                reasons.RUNNER_FAILED,
                f"a value came in the unknown form {sorted(ref)}; "
                "use a runner image of the operator's version",
            )


def fetcher(
    settings: Settings, pause: Callable[[float], object], address: Callable[[str], str]
) -> Fetch:
    """Return how blobs are fetched: by the presigned URL beside them, again and again.

    Bytes that stay others than those recorded end the attempt: the next would read the same.

    Args:
        settings: How patient to be.
        pause: Waits between tries.
        address: Asks for another URL of a blob when the one beside it is over, by its sha256.
    """

    def get(url: str) -> Answer:
        patience = Patience("fetch a value", settings.report_patience_s, settings, pause)
        try:
            return until_answered(lambda: exchange("GET", url), patience)
        except GaveUpError as error:
            raise _unreadable(url, str(error)) from None

    def fetch(blob: Mapping[str, Any]) -> bytes:
        url = str(blob["url"])
        answer = get(url)
        if answer.status in _RUN_OUT and (renewed := address(str(blob["sha256"]))):
            answer = get(renewed)
        if answer.status != _OK:
            raise _unreadable(url, f"the store answered HTTP {answer.status}")
        return answer.body

    def fetch_whole(blob: Mapping[str, Any]) -> bytes:
        found = ""
        for _ in range(TRIES):
            data = fetch(blob)
            found = hashlib.sha256(data).hexdigest()
            if found == blob["sha256"]:
                return data
        raise AttemptError(
            reasons.OBJECT_CORRUPT,
            f"the value at {bare(str(blob['url']))} is corrupt: its bytes have sha256 {found}, and"
            f" {blob['sha256']} were written; somebody or something changed it in the store",
        )

    return fetch_whole


def _unreadable(url: str, why: str) -> AttemptError:
    return AttemptError(
        reasons.RUNNER_FAILED, f"the value at {bare(url)} cannot be read: {why}", retryable=True
    )
