"""What the API server can answer besides success, as types.

* ClusterError
  + NotFoundError        there is no such object
  + ConflictError        the object is no longer at that version, or has another uid
  + AlreadyExistsError   the name is taken, be it by an object on its way out
  + GoneError            a list's continuation has expired: begin again
  + ForbiddenError       no: rights, quota, admission
  + InvalidError         the object breaks its schema
  + TooManyError         come back in `retry_after_s`
  + UnavailableError     no answer, or 5xx; whether a write was applied is NOT known
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any


class ClusterError(Exception):
    """The API server did not do what was asked; the message is its own."""

    retry_after_s: float = 0.0
    """How long it asks to be left alone, in seconds."""


class NotFoundError(ClusterError):
    """There is no such object."""


class ConflictError(ClusterError):
    """A precondition did not hold."""


class AlreadyExistsError(ClusterError):
    """The name is taken."""


class GoneError(ClusterError):
    """The place in a list or a watch has expired."""


class ForbiddenError(ClusterError):
    """The API server refuses."""


class InvalidError(ClusterError):
    """The object is not one that the API server would keep."""


class TooManyError(ClusterError):
    """Too many requests."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class UnavailableError(ClusterError):
    """Nobody knows whether it was done."""


_BY_STATUS: Mapping[int, type[ClusterError]] = {
    HTTPStatus.BAD_REQUEST: InvalidError,
    HTTPStatus.UNAUTHORIZED: ForbiddenError,
    HTTPStatus.FORBIDDEN: ForbiddenError,
    HTTPStatus.NOT_FOUND: NotFoundError,
    HTTPStatus.METHOD_NOT_ALLOWED: ForbiddenError,
    HTTPStatus.CONFLICT: ConflictError,
    HTTPStatus.GONE: GoneError,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: InvalidError,
    HTTPStatus.UNPROCESSABLE_ENTITY: InvalidError,
}

DEFAULT_RETRY_AFTER_S = 1.0
LEAST_RETRY_AFTER_S = 0.2
"""Whoever has too many requests does not get the next one at once, even if "0" is what it says."""


def error_of(status: int, answer: Mapping[str, Any], retry_after: str | None) -> ClusterError:
    """Return the error for an answer that is not a success.

    Args:
        status: The HTTP status.
        answer: The body, a `Status` object of Kubernetes where the API server wrote it.
        retry_after: The header of that name, if there was one.
    """
    message = str(answer.get("message") or f"HTTP {status}")
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return TooManyError(message, max(LEAST_RETRY_AFTER_S, _seconds(retry_after)))
    if status == HTTPStatus.CONFLICT and answer.get("reason") == "AlreadyExists":
        return AlreadyExistsError(message)
    if status == HTTPStatus.CONFLICT and "object is being deleted" in message:
        return AlreadyExistsError(message)
    if status == HTTPStatus.NOT_FOUND and answer.get("kind") != "Status":
        # Of a proxy on the way, say: what the operator owns would count as gone.
        return UnavailableError(message)
    error = _BY_STATUS.get(status, UnavailableError)(message)
    if retry_after:
        error.retry_after_s = _seconds(retry_after)
    return error


def _seconds(retry_after: str | None) -> float:
    try:
        return max(float(retry_after or ""), 0.0)
    except ValueError:
        return DEFAULT_RETRY_AFTER_S
