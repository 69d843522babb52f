"""The claim's first try, sent by the first stage: it travels while the second stage starts.

Uses what is built in and nothing else, for every import here delays the claim. Whatever is out of
the ordinary (a strange name, no connection, a certificate that is not believed) is left to
`claim.py`, which is as patient as it takes and sends the very same claim.

What two ends of TLS have agreed on does not survive `exec`. So a helper, forked off, speaks TLS and
passes on what comes. It has the run's key in its memory: `claim.py` ends it before user code runs.
"""

import _socket
import os
import sys
from collections.abc import Mapping

_CONNECT_S = 2.0
_ANSWER_S = 20.0
_PIECE = 16 * 1024
_PLAIN = "http://"
_SECURE = "https://"


class _Socket(_socket.socket):
    """One that TLS can be spoken over, which wants a weak reference to it."""

    __slots__ = ("__weakref__",)


def send(environ: Mapping[str, str], key: str) -> tuple[int, str, int] | None:
    """Send the claim; return where its answer comes from, the claim's nonce, and the helper.

    Args:
        environ: What the pod tells its runner.
        key: The run's key, hex.

    Returns:
        A descriptor that survives `exec`, 32 hex digits, and a process id, 0 where no helper was
        needed; None if nothing was sent.
    """
    nonce = os.urandom(16).hex()
    address = environ.get("GRAFLOW_API", "").rstrip("/")
    ca = environ.get("GRAFLOW_CA", "")
    scheme = _SECURE if ca else _PLAIN
    netloc = address.removeprefix(scheme)
    host, _, port = netloc.rpartition(":")
    pod = {"name": environ.get("GRAFLOW_POD_NAME", ""), "uid": environ.get("GRAFLOW_POD_UID", "")}
    rest = {
        "run": environ.get("GRAFLOW_RUN", ""),
        "namespace": environ.get("GRAFLOW_NAMESPACE", ""),
        "nonce": nonce,
        "python": ".".join(str(part) for part in sys.version_info[:3]),
        "cloudpickle": _cloudpickle(),
    }
    plain = all(_is_plain(text) for text in (netloc, key, *pod.values(), *rest.values()))
    told = all((host, *pod.values(), rest["run"], rest["namespace"]))
    if not (plain and told and address.startswith(scheme) and port.isdecimal()):
        return None
    body = f'{{"pod": {{{_pairs(pod)}}}, {_pairs(rest)}}}'
    request = (
        f"POST /runner/v1/claim HTTP/1.1\r\nHost: {netloc}\r\nConnection: close\r\n"
        f"Content-Length: {len(body)}\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {key}\r\n\r\n{body}"
    )
    where = (host.strip("[]"), int(port))
    try:
        if ca:
            connection, helper = _helped(where, request.encode(), ca)
        else:
            connection, helper = _connected(where), 0
            connection.sendall(request.encode())
    except OSError:
        return None
    descriptor = connection.detach()
    os.set_inheritable(descriptor, True)  # noqa: FBT003  # positional by definition
    return descriptor, nonce, helper


def _connected(where: tuple[str, int]) -> _socket.socket:
    # As bytes: for a str the codec for international names would be imported.
    found = _socket.getaddrinfo(where[0].encode(), where[1], type=_socket.SOCK_STREAM)
    family, kind, protocol, _, address = found[0]
    connection = _Socket(family, kind, protocol)
    connection.settimeout(_CONNECT_S)
    connection.connect(address)
    connection.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
    return connection


def _helped(where: tuple[str, int], request: bytes, ca: str) -> tuple[_socket.socket, int]:
    """Return one end of a connection at whose other end a process of our own speaks TLS."""
    ours, theirs = _socket.socketpair()
    helper = os.fork()
    if not helper:
        try:
            _pass_on(theirs, where, request, ca)
        finally:
            os._exit(0)
    theirs.close()
    return ours, helper


def _pass_on(to: _socket.socket, where: tuple[str, int], request: bytes, ca: str) -> None:
    """Send a request to whom an authority vouches for, and pass the answer on as it comes."""
    from graflow_runner.tls import Secured  # noqa: PLC0415  # plain HTTP has no use for it

    connection = _connected(where)
    with Secured(connection, where[0], ca) as secure:
        connection.settimeout(_ANSWER_S)
        secure.sendall(request)
        while piece := secure.read(_PIECE):
            to.sendall(piece)


def _is_plain(text: str) -> bool:
    """Whether a text can stand in JSON and in a header as it is."""
    return text.isascii() and text.isprintable() and not set(text) & set('"\\/@ ')


def _pairs(fields: Mapping[str, str]) -> str:
    """Return plain texts as the inside of a JSON object; importing `json` takes 10 ms."""
    return ", ".join(f'"{name}": "{text}"' for name, text in fields.items())


def _cloudpickle() -> str:
    """Return cloudpickle's version, read from where this environment's packages are."""
    prefix = os.path.dirname(os.path.dirname(sys.executable))  # noqa: PTH120  # pathlib is slow
    packages = f"{prefix}/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
    return version_in(f"{packages}/cloudpickle/__init__.py")


def version_in(path: str) -> str:
    """Return the `__version__` that a module's source sets; empty where there is none."""
    try:
        with open(path, encoding="ascii", errors="replace") as source:  # noqa: PTH123  # as above
            for line in source:
                name, _, value = line.partition("=")
                if name.strip() == "__version__":
                    version = value.strip().strip("\"'")
                    return version if _is_plain(version) else ""
    except OSError:
        pass
    return ""
