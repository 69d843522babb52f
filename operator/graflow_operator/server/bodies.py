"""The bodies of requests: read within bounds of size, time and memory, before anybody is known."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from http import HTTPStatus

from aiohttp import web

from graflow_operator.server.errors import Refusal

MAX_BODY_BYTES = 4 << 20
"""Room for a fragment of a thousand tasks, with their code."""

MAX_HELD_BYTES = 64 << 20
"""Of all requests that are being read or answered."""

MAX_HELD_OF_A_PEER = 16 << 20
"""The same for one address: nobody can use up what is there for all."""

BODY_S = 15.0
"""Longest time until a body is there; below the silence that a runner bears."""


@dataclass
class Held:
    """Bytes of bodies that are in memory now: those that came, not those that are promised."""

    tells_peers_apart: bool = True
    total: int = 0
    by_peer: Counter[str] = field(default_factory=Counter)

    def take(self, peer: str, size: int) -> None:
        """Count bytes of a peer.

        Raises:
            Refusal: If they are too many.
        """
        own = self.by_peer[peer] if self.tells_peers_apart else 0
        if self.total + size > MAX_HELD_BYTES or own + size > MAX_HELD_OF_A_PEER:
            raise Refusal(
                HTTPStatus.TOO_MANY_REQUESTS,
                "TooManyBytes",
                "too many bytes are in flight; try again",
            )
        self.total += size
        self.by_peer[peer] += size

    def free(self, peer: str, size: int) -> None:
        """Count them no more."""
        self.total -= size
        self.by_peer[peer] -= size
        if not self.by_peer[peer]:
            del self.by_peer[peer]


HELD = web.AppKey("held", Held)
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
                request.app[HELD].take(_peer(request), len(piece))
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


def let_go(request: web.Request) -> None:
    """Count the body of a request no more: it is answered."""
    if size := request.pop(_TAKEN, 0):
        request.app[HELD].free(_peer(request), size)


def _peer(request: web.Request) -> str:
    return request.remote or ""


def _too_large(most: int) -> Refusal:
    return Refusal(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "BodyTooLarge",
        f"a body has at most {most} bytes; put large values into the store (blob)",
    )
