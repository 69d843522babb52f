"""Refusals in the form that every client gets: a reason for programs, a message for people."""

import json
from http import HTTPStatus

from aiohttp import web

RETRY_AFTER_S = 1


class Refusal(Exception):  # noqa: N818 - a word of the protocol
    """A request that is answered with an error."""

    def __init__(
        self,
        status: HTTPStatus,
        reason: str,
        message: str,
        *,
        location: str = "",
        closes: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.location = location
        self.closes = closes
        """Whether the connection is of no more use."""


def response(refusal: Refusal) -> web.Response:
    """Return the answer that tells of a refusal."""
    headers: dict[str, str] = {}
    if refusal.status in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS):
        headers["Retry-After"] = str(RETRY_AFTER_S)
    if refusal.location:
        headers["Location"] = refusal.location
    body = json.dumps({"reason": refusal.reason, "message": str(refusal)})
    answer = web.Response(
        status=refusal.status, text=body, content_type="application/json", headers=headers
    )
    if refusal.closes:
        answer.force_close()
    return answer


def not_yet(message: str) -> Refusal:
    """Return the answer to a question whose answer is not known yet."""
    return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "NotYet", message)


def fenced(message: str) -> Refusal:
    """Return the answer to a runner that does not hold its attempt."""
    return Refusal(HTTPStatus.CONFLICT, "Fenced", message)


def bad(message: str) -> Refusal:
    """Return the answer to a request that makes no sense."""
    return Refusal(HTTPStatus.BAD_REQUEST, "BadRequest", message)


def bad_key(message: str) -> Refusal:
    """Return the answer to a caller that has not shown the right key."""
    return Refusal(HTTPStatus.FORBIDDEN, "BadKey", message)
