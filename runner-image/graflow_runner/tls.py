"""TLS as a runner needs it: towards one peer, for whom one authority vouches.

Made from what `ssl` is made from. That itself makes enumerations and imports half of what it may
need, 20 ms of every attempt. Imports nothing else, since the claim waits for it.
"""

import _socket
import _ssl
from collections.abc import Callable
from io import BufferedReader, RawIOBase
from typing import Any, Self


class Secured:
    """A connection to a peer that an authority vouches for.

    Args:
        connection: A connection to it. It must take weak references, and is closed with this.
        host: Name or address that the peer's certificate has to be for.
        ca: Certificates of the authorities to believe, PEM.

    Raises:
        OSError: If the peer is somebody else, or says nothing for longer than the time-out.
    """

    def __init__(self, connection: _socket.socket, host: str, ca: str) -> None:
        # Of this kind, contexts want a certificate, and one for the name that is asked for.
        context = _ssl._SSLContext(_ssl.PROTOCOL_TLS_CLIENT)  # noqa: SLF001  # see above
        context.load_verify_locations(cadata=ca)
        wrap = context._wrap_socket  # type: ignore[attr-defined]  # noqa: SLF001  # see above
        self._connection = connection
        self._secure = wrap(connection, False, host)  # noqa: FBT003  # positional by definition
        self._secure.do_handshake()
        self.read: Callable[[int], bytes] = self._secure.read
        """Return so many bytes at most; none at the end."""

    def __enter__(self) -> Self:
        """Do nothing: it is open."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self._connection.close()

    def settimeout(self, seconds: float) -> None:
        """Bear so long a silence from now on."""
        self._connection.settimeout(seconds)

    def sendall(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of it."""
        rest = memoryview(data)
        while rest:
            rest = rest[self._secure.write(rest) :]

    def makefile(self, _mode: str) -> BufferedReader:
        """Return what comes as a stream."""
        return BufferedReader(_Stream(self._secure))


class _Stream(RawIOBase):
    def __init__(self, secure: Any) -> None:  # noqa: ANN401  # it has no type of its own
        self._secure = secure

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # what it is called with
        found: int = self._secure.read(len(buffer), buffer)
        return found
