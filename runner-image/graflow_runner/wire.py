"""One HTTP exchange: a new connection, a request, the whole answer. No retries."""

import http.client
import ssl
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple
from urllib.parse import urlsplit, urlunsplit

CONNECT_S: Final = 2.0
"""Longest wait for a connection: the leader's address may be that of a machine that is gone."""

ANSWER_S: Final = 20.0
"""Longest silence of a connected peer; a commit under load takes seconds."""

_CHUNK: Final = 256 * 1024
_REDIRECTS: Final = 4
_TEMPORARY_REDIRECT: Final = 307


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
    host, port = parts.hostname or "", parts.port
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context(cadata=ca or None)
        connection = http.client.HTTPSConnection(host, port, timeout=CONNECT_S, context=context)
    else:
        connection = http.client.HTTPConnection(host, port, timeout=CONNECT_S)
    target = urlunsplit(("", "", parts.path or "/", parts.query, ""))
    try:
        connection.connect()
        connection.sock.settimeout(ANSWER_S)
        if bearer is None:
            _send(connection, method, target, body, headers or {})
            response = connection.getresponse()
        else:
            _send_secretly(connection, f"{method} {target}", parts.netloc, body, bearer)
            response = http.client.HTTPResponse(connection.sock, method=method)
            response.begin()
        answer = response.read()
        names = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, names, answer)
    except (OSError, http.client.HTTPException) as error:
        raise UnreachableError(
            f"no answer from {bare(url)}: {type(error).__name__}: {error}"
        ) from None  # the chain could show the whole URL
    finally:
        connection.close()


def _send(
    connection: http.client.HTTPConnection,
    method: str,
    target: str,
    body: bytes,
    headers: Mapping[str, str],
) -> None:
    sized = {**headers, "Connection": "close", "Content-Length": str(len(body))}
    try:
        connection.request(method, target, body=_pieces(body), headers=sized)
    except (BrokenPipeError, ConnectionResetError):
        # A server that refuses a large body answers and closes without reading it all;
        # `getresponse` finds that answer, or fails with a reason of its own.
        return


def _send_secretly(
    connection: http.client.HTTPConnection, what: str, host: str, body: bytes, secret: bytearray
) -> None:
    """Send JSON and a bearer secret. `http.client` would leave the secret in freed strings."""
    head = (
        f"{what} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        "Authorization: Bearer "
    ).encode()
    tail = b"\r\n\r\n" + body
    request = bytearray(len(head) + len(secret) + len(tail))
    view = memoryview(request)  # slices of a bytearray itself are assigned through copies
    try:
        view[: len(head)] = head
        view[len(head) : len(head) + len(secret)] = secret
        view[len(head) + len(secret) :] = tail
        connection.sock.sendall(view)
    finally:
        request[:] = bytes(len(request))


def _pieces(body: bytes) -> Iterable[memoryview]:
    view = memoryview(body)
    return (view[start : start + _CHUNK] for start in range(0, len(view), _CHUNK))


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
            if answer.status != _TEMPORARY_REDIRECT:
                self.api = api
                return answer
            api = self._leader(answer.headers.get("location", ""))
        self.api = self._home
        raise UnreachableError(f"{self._home}{path} redirects in a circle; no replica leads yet")

    def _leader(self, location: str) -> str:
        """Return the base URL that a redirect names; only its host is taken from it."""
        parts = urlsplit(location)
        scheme = urlsplit(self._home).scheme
        if parts.scheme != scheme or not parts.netloc:
            raise UnreachableError(
                f"{self._home} redirects to {bare(location)!r}, which is no {scheme} address"
            )
        return f"{parts.scheme}://{parts.netloc}"
