"""The bodies of requests: read within bounds of size, time and memory, before anybody is known."""

import asyncio
from http import HTTPStatus

from aiohttp import web

from graflow_operator.server.errors import Refusal
from graflow_operator.server.shares import Shares

MAX_BODY_BYTES = 4 << 20
"""Room for a fragment of a thousand tasks, with their code."""

MAX_HELD_BYTES = 64 << 20
"""Of all requests that are being read or answered."""

MAX_HELD_OF_A_PEER = 16 << 20
"""The same for one address: nobody can use up what is there for all."""

BODY_S = 15.0
"""Longest time until a body is there; below the silence that a runner bears."""


HELD = web.AppKey("held", Shares)
"""Bytes of bodies that are in memory now: those that came, not those that are promised."""

_TAKEN = web.RequestKey("taken", int)


async def body_of(request: web.Request, *, most: int = MAX_BODY_BYTES) -> bytes:
    """Return the body of a request.

    Args:
        request: Whose body.
        most: How many bytes it may have.

    Raises:
        Refusal: If it is too large, too slow, or one too many.
    """
    if (request.content_length or 0) > most:  # not even waited for: to come again would never help
        raise _too_large(most)
    found = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            while piece := await request.content.readany():
                if len(found) + len(piece) > most:
                    raise _too_large(most)
                _hold(request, len(piece))
                request[_TAKEN] = request.get(_TAKEN, 0) + len(piece)
                found += piece
    except TimeoutError:
        raise Refusal(
            HTTPStatus.REQUEST_TIMEOUT,
            "BodyTooSlow",
            f"the body was not there after {BODY_S:.0f} s; try again",
            closes=True,
        ) from None
    return bytes(found)


def _hold(request: web.Request, size: int) -> None:
    """Count bytes of a body, unless they are too many."""
    held, peer = request.app[HELD], _peer(request)
    if not held.fits(peer, size, most=MAX_HELD_BYTES, most_of_a_peer=MAX_HELD_OF_A_PEER):
        raise Refusal(
            HTTPStatus.TOO_MANY_REQUESTS, "TooManyBytes", "too many bytes are in flight; try again"
        )
    held.take(peer, size)


def answered(request: web.Request) -> None:
    """Count the body of a request no more."""
    if size := request.pop(_TAKEN, 0):
        request.app[HELD].give_back(_peer(request), size)


def _peer(request: web.Request) -> str:
    return request.remote or ""


def _too_large(most: int) -> Refusal:
    return Refusal(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "BodyTooLarge",
        f"a body has at most {most} bytes; put large values into the store (blob)",
    )
