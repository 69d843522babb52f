"""Connections: how many, from whom, and how long they may take before they say what they want.

`aiohttp` waits for ever for a request's headers and for a client that does not read. Anybody in the
cluster may open connections to the operator, so neither may cost it anything but a little time.
"""

import asyncio
import logging
from dataclasses import dataclass, field

from aiohttp import web

from graflow_operator.server.shares import Shares

MAX_CONNECTIONS = 4096
MAX_OF_A_PEER = 256
"""Connections of one address: a runner has one, and some more while tasks use the channel."""

HEADERS_S = 10.0
"""Longest time until the headers of a connection's first request are there."""

IDLE_S = 120.0
"""The same for a later one. API servers let go of idle connections after 90 s: they come first."""

STALL_S = 60.0
"""Longest time in which a client may take nothing of an answer."""

log = logging.getLogger(__name__)


@dataclass
class Doorman(Shares):
    """All connections of one server."""

    guards: dict[asyncio.BaseTransport, "Guard"] = field(default_factory=dict)

    def admits(self, peer: str) -> bool:
        """Whether one more connection of a peer is welcome."""
        return self.fits(peer, 1, most=MAX_CONNECTIONS, most_of_a_peer=MAX_OF_A_PEER)

    def begun(self, request: web.Request) -> None:
        """Take note that the headers of a request are there."""
        if request.transport in self.guards:
            self.guards[request.transport].wait(None)

    def ended(self, request: web.Request) -> None:
        """Take note that a request was answered; another may follow."""
        if request.transport in self.guards:
            self.guards[request.transport].wait(IDLE_S)


DOORMAN = web.AppKey("doorman", Doorman)


class Guard(asyncio.Protocol):
    """Stands between a connection and what serves it.

    Args:
        inner: What serves it.
        doorman: Who counts.
    """

    def __init__(self, inner: asyncio.Protocol, doorman: Doorman) -> None:
        self._inner = inner
        self._doorman = doorman
        self._transport: asyncio.Transport | None = None
        self._peer = ""
        self._waiting: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let the connection in, or end it."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a stream's
        address = transport.get_extra_info("peername")
        self._peer = str(address[0]) if address else ""
        if not self._doorman.admits(self._peer):
            log.debug("too many connections: one of %s is not taken", self._peer)
            transport.abort()
            return
        self._transport = transport
        self._doorman.take(self._peer, 1)
        self._doorman.guards[transport] = self
        self.wait(HEADERS_S)
        self._inner.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        if self._transport is None:
            return
        self.wait(None)
        self.resume_writing()
        del self._doorman.guards[self._transport]
        self._doorman.give_back(self._peer, 1)
        self._transport = None
        self._inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Hand on what came."""
        if self._transport is not None:
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        """Hand on that nothing more will come."""
        return self._inner.eof_received() if self._transport is not None else None

    def pause_writing(self) -> None:
        """Take note that the client does not take what it is sent."""
        self._stalled = asyncio.get_running_loop().call_later(STALL_S, self._end)
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Take note that it does."""
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
            self._inner.resume_writing()

    def wait(self, seconds: float | None) -> None:
        """Wait so long for the headers of a request; None: they are there."""
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
        if seconds is not None:
            self._waiting = asyncio.get_running_loop().call_later(seconds, self._end)

    def _end(self) -> None:
        if self._transport is not None:
            self._transport.abort()
