"""One HTTP/1.1 exchange: a new connection, a request, the whole answer. No retries.

Written on sockets: a runner makes three or four requests in its life, and importing
`http.client` for them takes 25 ms, a fifth of all that happens before user code.
"""

import socket
from collections.abc import Mapping
from functools import cache
from typing import IO, TYPE_CHECKING, Final, NamedTuple
from urllib.parse import SplitResult, urlsplit, urlunsplit

CONNECT_S: Final = 2.0
"""Longest wait for a connection: the leader's address may be that of a machine that is gone."""

ANSWER_S: Final = 20.0
"""Longest silence of a connected peer; a commit under load takes seconds."""

if TYPE_CHECKING:
    import ssl

    from graflow_runner.tls import Secured

    Connection = socket.socket | Secured

_PIECE: Final = 256 * 1024
_LINE: Final = 64 * 1024
_LINES: Final = 256
_MOST: Final = 1 << 40
_REDIRECTS: Final = 4
TEMPORARY_REDIRECT: Final = 307


class UnreachableError(Exception):
    """No answer came; whether the request was carried out is not known."""


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""

    body: bytes

    @property
    def passing(self) -> bool:
        """Whether the same request may well be answered otherwise a little later."""
        return self.status in (408, 429) or self.status >= 500  # noqa: PLR2004  # HTTP's own numbers

    @property
    def retry_after_s(self) -> float:
        """Seconds that the peer asks to wait; 0.0 when it asks for nothing."""
        text = self.headers.get("retry-after", "")
        return float(text) if text.isdecimal() else 0.0


def bare(url: str) -> str:
    """Return the URL without its query, which may hold a signature, for messages.

    >>> bare("https://s3.example/b/k?X-Amz-Signature=abc")
    'https://s3.example/b/k'
    """
    scheme, netloc, path, _query, _fragment = urlsplit(url)
    return urlunsplit((scheme, netloc.rpartition("@")[2], path, "", ""))


def exchange(  # noqa: PLR0913  # what a request is made of, named
    method: str,
    url: str,
    *,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    bearer: bytearray | None = None,
    ca: str = "",
) -> Answer:
    """Send one request over a connection of its own and return the answer, whatever its status.

    Args:
        method: GET, PUT or POST.
        url: Absolute http or https URL.
        body: Sent with its length, in pieces, so that time-outs count per piece.
        headers: Sent beside `Host`, `Content-Length` and `Connection: close`.
        bearer: Secret to authorise with; every copy that is made of it is wiped.
        ca: PEM of the only authority to trust; empty: those of the system.

    Raises:
        UnreachableError: If there was no connection or no complete answer.
    """
    parts = urlsplit(url)
    try:
        head = _head(method, parts, len(body), headers or {})
        with _connected(parts, ca) as connection:
            _send(connection, head, bearer, body)
            with connection.makefile("rb") as stream:
                return _answer(stream)
    except (OSError, ValueError) as error:
        raise UnreachableError(
            f"no answer from {bare(url)}: {type(error).__name__}: {error}{_advice(error, ca)}"
        ) from None  # the chain could show the whole URL


def _advice(error: Exception, ca: str) -> str:
    # By its name: the class is in a module that plain HTTP does not import.
    if not ca or type(error).__name__ != "SSLCertVerificationError":
        return ""
    return (
        ". Who answers there has no certificate that GRAFLOW_CA vouches for: it is not the"
        " operator, or its authority was replaced after this pod was made"
    )


def received(descriptor: int, url: str) -> Answer:
    """Return the answer to a request that was sent already, and close its connection.

    Args:
        descriptor: The connection, a plain one.
        url: Where the request went, for messages.

    Raises:
        UnreachableError: If no complete answer came.
    """
    try:
        with socket.socket(fileno=descriptor) as connection:
            connection.settimeout(ANSWER_S)
            with connection.makefile("rb") as stream:
                return _answer(stream)
    except (OSError, ValueError) as error:
        raise UnreachableError(
            f"no answer from {bare(url)}: {type(error).__name__}: {error}"
        ) from None


def _connected(parts: SplitResult, ca: str) -> "Connection":
    host, secure = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    # As bytes: for a str the codec for international names would be imported.
    name = host.encode() if host.isascii() else host
    connection = socket.create_connection((name, port), CONNECT_S)  # type: ignore[arg-type]  # bytes do
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if secure:
        try:
            secured = _secured(connection, host, ca)
        except OSError:
            connection.close()
            raise
        secured.settimeout(ANSWER_S)
        return secured
    connection.settimeout(ANSWER_S)
    return connection


def _secured(connection: socket.socket, host: str, ca: str) -> "Connection":
    """Return a connection over which TLS is spoken, with whom an authority vouches for."""
    if ca:
        from graflow_runner.tls import Secured  # noqa: PLC0415  # plain HTTP has no use for it

        return Secured(connection, host, ca)
    return _of_system().wrap_socket(connection, server_hostname=host)


@cache
def _of_system() -> "ssl.SSLContext":
    """Return what believes the authorities of the system."""
    import ssl  # noqa: PLC0415  # 20 ms that only stores need

    return ssl.create_default_context()


def _head(method: str, parts: SplitResult, size: int, headers: Mapping[str, str]) -> bytes:
    """Return request line and headers, without the empty line that ends them."""
    target = urlunsplit(("", "", parts.path or "/", parts.query, ""))
    sent = {
        "Host": parts.netloc.rpartition("@")[2],
        "Connection": "close",
        "Content-Length": str(size),
        **headers,
    }
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items())]
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("a line break in a header")
    return "\r\n".join(lines).encode("latin-1")


def _send(connection: "Connection", head: bytes, bearer: bytearray | None, body: bytes) -> None:
    """Send a request; in pieces, because a time-out is one for each of them."""
    before = head + (b"\r\nAuthorization: Bearer " if bearer else b"")
    secret = bearer or b""
    request = bytearray(len(before) + len(secret) + 4)
    view = memoryview(request)  # slices of a bytearray itself are assigned through copies
    view[: len(before)] = before
    view[len(before) : len(before) + len(secret)] = secret
    view[-4:] = b"\r\n\r\n"
    try:
        connection.sendall(view)
        rest = memoryview(body)
        for start in range(0, len(rest), _PIECE):
            connection.sendall(rest[start : start + _PIECE])
    except (BrokenPipeError, ConnectionResetError):
        # A server that refuses a large body answers and closes without reading it all;
        # reading finds that answer, or fails with a reason of its own.
        return
    finally:
        view[:] = bytes(len(request))


def _answer(stream: IO[bytes]) -> Answer:
    status = 100
    headers: dict[str, str] = {}
    while status < 200:  # noqa: PLR2004  # 1xx: the answer itself is still to come
        version, _, rest = _line(stream).partition(b" ")
        if not version.startswith(b"HTTP/1."):
            raise ValueError(f"the answer begins with {version[:20]!r}, which is no HTTP/1")
        status = int(rest[:3])
        headers = _headers(stream)
    if "chunked" in headers.get("transfer-encoding", "").lower():
        body = b"".join(iter(lambda: _chunk(stream), b""))
        _headers(stream)
    elif "content-length" in headers:
        body = _exactly(stream, int(headers["content-length"]))
    else:
        body = b"" if status in (204, 304) else stream.read()  # until the connection is closed
    return Answer(status, headers, body)


def _headers(stream: IO[bytes]) -> dict[str, str]:
    found: dict[str, str] = {}
    for _ in range(_LINES):
        line = _line(stream)
        if not line:
            return found
        name, _, value = line.partition(b":")
        found[name.strip().lower().decode("latin-1")] = value.strip().decode("latin-1")
    raise ValueError("the answer has too many headers")


def _chunk(stream: IO[bytes]) -> bytes:
    """Return the next chunk of a body; an empty one ends it."""
    size = int(_line(stream).partition(b";")[0], 16)
    chunk = _exactly(stream, size)
    if size and _line(stream):
        raise ValueError("a chunk of the answer is longer than it says")
    return chunk


def _line(stream: IO[bytes]) -> bytes:
    line = stream.readline(_LINE)
    if not line.endswith(b"\n"):
        raise ValueError("the connection was closed in the middle of the answer")
    return line.rstrip(b"\r\n")


def _exactly(stream: IO[bytes], size: int) -> bytes:
    if not 0 <= size <= _MOST:
        raise ValueError(f"the answer claims to have {size} bytes")
    data = stream.read(size)
    if len(data) != size:
        raise ValueError(f"the answer has {len(data)} of {size} bytes")
    return data


class Endpoint:
    """The operator, wherever its leader is: follows 307, and falls back to the first address."""

    def __init__(self, api: str, *, home: str, ca: str = "") -> None:
        self.api = api
        """Base URL that answered last."""
        self._home = home
        self._ca = ca

    def send(
        self,
        method: str,
        path: str,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        bearer: bytearray | None = None,
    ) -> Answer:
        """Send one request to the leader; see `exchange`.

        Raises:
            UnreachableError: If no answer came, or only redirects.
        """
        api = self.api
        for _ in range(_REDIRECTS):
            try:
                answer = exchange(
                    method, api + path, body=body, headers=headers, bearer=bearer, ca=self._ca
                )
            except UnreachableError:
                self.api = self._home
                raise
            if answer.status != TEMPORARY_REDIRECT:
                self.api = api
                return answer
            api = self.leader(answer)
        self.api = self._home
        raise UnreachableError(f"{self._home}{path} redirects in a circle; no replica leads yet")

    def leader(self, answer: Answer) -> str:
        """Return the base URL that a redirect names; only its host is taken from it.

        Raises:
            UnreachableError: If it is no address of the same kind.
        """
        location = answer.headers.get("location", "")
        parts = urlsplit(location)
        scheme = urlsplit(self._home).scheme
        if parts.scheme != scheme or not parts.netloc:
            raise UnreachableError(
                f"{self._home} redirects to {bare(location)!r}, which is no {scheme} address"
            )
        return f"{parts.scheme}://{parts.netloc}"
