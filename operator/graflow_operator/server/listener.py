"""The port on which the HTTP server listens, with TLS or without."""

import asyncio
import logging
import ssl

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from graflow_operator.server.doorman import DOORMAN, Guard

HANDSHAKE_S = 10.0
"""Longest time that a client may take to agree on keys."""

GOODBYE_S = 5.0
LINGER_S = 3.0
"""How long the rest of a refused body is read, so that its sender comes to read the answer."""

log = logging.getLogger(__name__)


def _is_ours(record: logging.LogRecord) -> bool:
    """Whether a record tells of more than bytes that are no HTTP, which it would repeat."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError)


log.addFilter(_is_ours)


class Listener:
    """Serves an application until it is closed.

    Args:
        app: What answers.
        tls: What the port speaks; None for plain HTTP.
    """

    def __init__(self, app: web.Application, tls: ssl.SSLContext | None) -> None:
        self._runner = web.AppRunner(app, access_log=None, logger=log, lingering_time=LINGER_S)
        self._tls = tls
        self._server: asyncio.Server | None = None

    async def open(self, host: str, port: int) -> int:
        """Listen, and return the port: the one asked for, or a free one for 0."""
        await self._runner.setup()
        serve, doorman = self._runner.server, self._runner.app[DOORMAN]
        assert serve is not None  # noqa: S101 - set up a line before
        self._server = await asyncio.get_running_loop().create_server(
            lambda: Guard(serve(), doorman),
            host,
            port,
            ssl=self._tls,
            ssl_handshake_timeout=HANDSHAKE_S if self._tls else None,
            ssl_shutdown_timeout=GOODBYE_S if self._tls else None,
        )
        found: int = self._server.sockets[0].getsockname()[1]
        return found

    async def close(self) -> None:
        """Take no new connections, and end those that there are."""
        if self._server is not None:
            self._server.close()
        await self._runner.cleanup()
