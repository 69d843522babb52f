"""The claim's first try, sent by the first stage: it travels while the second stage starts.

Uses what is built in and nothing else, for every import here delays the claim. Whatever is out of
the ordinary (TLS, a strange name, no connection) is left to `claim.py`, which is as patient as it
takes and sends the very same claim.
"""

import _socket
import os
import sys
from collections.abc import Mapping

_CONNECT_S = 2.0
_SCHEME = "http://"


def send(environ: Mapping[str, str], key: str) -> tuple[int, str] | None:
    """Send the claim; return the connection that its answer comes from, and the claim's nonce.

    Args:
        environ: What the pod tells its runner.
        key: The run's key, hex.

    Returns:
        A descriptor that survives `exec`, and 32 hex digits; None if nothing was sent.
    """
    nonce = os.urandom(16).hex()
    address = environ.get("GRAFLOW_API", "").rstrip("/")
    netloc = address.removeprefix(_SCHEME)
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
    if not (plain and told and address.startswith(_SCHEME) and port.isdecimal()):
        return None
    body = f'{{"pod": {{{_pairs(pod)}}}, {_pairs(rest)}}}'
    request = (
        f"POST /runner/v1/claim HTTP/1.1\r\nHost: {netloc}\r\nConnection: close\r\n"
        f"Content-Length: {len(body)}\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {key}\r\n\r\n{body}"
    )
    try:
        return _sent(host.strip("[]"), int(port), request.encode()), nonce
    except OSError:
        return None


def _sent(host: str, port: int, request: bytes) -> int:
    # As bytes: for a str the codec for international names would be imported.
    found = _socket.getaddrinfo(host.encode(), port, type=_socket.SOCK_STREAM)
    family, kind, protocol, _, address = found[0]
    connection = _socket.socket(family, kind, protocol)
    try:
        connection.settimeout(_CONNECT_S)
        connection.connect(address)
        connection.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
        connection.sendall(request)
    except OSError:
        connection.close()
        raise
    descriptor = connection.detach()
    os.set_inheritable(descriptor, True)  # noqa: FBT003  # positional by definition
    return descriptor


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
