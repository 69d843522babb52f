"""Requests to an API server. The only module of the SDK that talks to one."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import urllib3

from graflow.cluster.errors import (
    ClusterError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    RefusedError,
    UnreachableError,
)

TIMEOUT_S = 30.0
CONNECT_S = 10.0
RETRY_S = (0.1, 0.4)
REDIRECTS = urllib3.Retry(total=None, connect=0, read=0, redirect=3, status=0, other=0)
ERRORS: Mapping[int, type[ClusterError]] = {
    400: RefusedError,
    401: ForbiddenError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    410: ConflictError,
    413: RefusedError,
    422: RefusedError,
    429: UnreachableError,
}
SERVER_ERROR = 500

JSON = "application/json"
MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"


class ApiServer:
    """An API server, and who we are to it."""

    def __init__(
        self,
        url: str,
        pool: urllib3.PoolManager,
        *,
        token: Callable[[], str] = str,
        namespace: str = "default",
    ) -> None:
        """Take what is known about an API server.

        Args:
            url: Where it is, without a slash at the end.
            pool: Connections with the right certificates.
            token: Returns the bearer token as it is now; empty when a certificate signs us in.
            namespace: The one to use when nobody names one.
        """
        self.url = url
        self.namespace = namespace
        self.token = token
        self._pool = pool

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        content_type: str = JSON,
    ) -> dict[str, Any]:
        """Send one request and return the JSON that comes back.

        Raises:
            ClusterError: One of its subclasses, by the status code.
        """
        data = None if body is None else json.dumps(body).encode()
        with self.stream(method, path, query=query, body=data, content_type=content_type) as reply:
            content = reply.read()
        try:
            return dict(json.loads(content))
        except RecursionError:
            raise ClusterError(
                f"{path}: something in the answer is nested too deeply to be read here; kubectl"
                " reads it. A run that is refused as nested too deeply can be deleted"
            ) from None

    @contextmanager
    def stream(  # noqa: PLR0913 - one keyword for each part of a request
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = JSON,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        """Send one request and give its answer to be read piece by piece.

        Args:
            method: As in HTTP.
            path: Path, from the first slash on.
            query: Parameters of the URL.
            body: What to send.
            content_type: Of the body.
            headers: More headers.
            timeout_s: Longest silence, in seconds.

        Raises:
            ClusterError: One of its subclasses, by the status code; `UnreachableError` also when
                the connection breaks while the answer is read.
        """
        try:
            reply = self._sent(
                method,
                self.url + path + (f"?{urlencode(query)}" if query else ""),
                body=body,
                headers={"Accept": "*/*", **self._headers(body, content_type), **(headers or {})},
                timeout=urllib3.Timeout(connect=CONNECT_S, read=timeout_s),
                retries=REDIRECTS,
                preload_content=False,
            )
            try:
                if reply.status >= min(ERRORS):
                    raise _error(reply.status, reply.read(), f"{method} {path}")
                yield reply
            finally:
                reply.close()
        except urllib3.exceptions.HTTPError as error:
            raise UnreachableError(
                f"the API server at {self.url} cannot be reached: {_plain(error)}; see whether it "
                f"runs and whether KUBECONFIG names the right one"
            ) from error

    def _sent(self, method: str, url: str, **how: Any) -> urllib3.BaseHTTPResponse:  # noqa: ANN401 - passed on
        """Send a request; again, when it may be sent twice without harm and nothing came back."""
        for pause_s in RETRY_S if method == "GET" else ():
            try:
                return self._pool.request(method, url, **how)
            except urllib3.exceptions.HTTPError:
                time.sleep(pause_s)
        return self._pool.request(method, url, **how)

    def _headers(self, body: bytes | None, content_type: str) -> dict[str, str]:
        headers = {"Content-Type": content_type} if body is not None else {}
        if token := self.token():
            headers["Authorization"] = f"Bearer {token}"
        return headers


def _error(status: int, body: bytes, what: str) -> ClusterError:
    """Return the error that an answer means, in the words of the API server."""
    try:
        message = str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        message = body.decode(errors="replace").strip()[:500] or f"{what} got {status}"
    if status >= SERVER_ERROR:
        return UnreachableError(f"the API server answers {status}: {message}")
    return ERRORS.get(status, ClusterError)(message)


def _plain(error: Exception) -> str:
    """Return the innermost reason, which urllib3 wraps several times."""
    reason = getattr(error, "reason", None)
    if isinstance(reason, Exception):
        return _plain(reason)
    return str(error).rpartition(": ")[2] or type(error).__name__
