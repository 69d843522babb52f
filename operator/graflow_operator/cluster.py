"""All that is asked of the API server, and the only module that talks to it.

Every request has a time-out, every outcome a type (`cluster_errors`). Nothing is tried again here:
when to try again is the caller's business, who also knows whether it still makes sense.
"""

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, Protocol, TypeAlias

import aiohttp

from graflow_operator import metrics
from graflow_operator.cluster_errors import GoneError, NotFoundError, UnavailableError, error_of
from graflow_operator.connection import Connection

Object: TypeAlias = dict[str, Any]
"""An object of Kubernetes as JSON."""

REQUEST_TIMEOUT_S = 10.0
"""Below the Lease's duration: no write of a leader is still under way when the next one leads."""

CONNECT_TIMEOUT_S = 3.0
LIST_CHUNK = 500
CONNECTIONS = 64
LEASE_CONNECTIONS = 2
"""Of the Lease alone: a thousand pods that are to be made wait for one of the others, and whoever
stood behind them would lose it."""

AGENT = "graflow-operator"
"""Who an object's managedFields name, and the API server's audit log, there with the replica."""

_VERBS = {
    "GET": "get",
    "POST": "create",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}


_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of object, as paths of the API name it."""

    plural: str
    group: str = ""
    version: str = "v1"

    def path(self, namespace: str | None, name: str = "") -> str:
        """Return the path of one object or of a collection; without a namespace, of all.

        Raises:
            NotFoundError: If no object can have such a name. Callers bring names along, and one as
                `../../secrets/x` must not lead anywhere.
        """
        for part in (namespace, name):
            if part and not _NAME.fullmatch(part):
                raise NotFoundError(f"{self.plural}: no object is called {part[:100]!r}")
        base = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        place = f"/namespaces/{namespace}" if namespace else ""
        return f"{base}{place}/{self.plural}" + (f"/{name}" if name else "")


WORKFLOWS = Kind("workflows", "graflow.dev", "v1alpha1")
BUNDLES = Kind("codebundles", "graflow.dev", "v1alpha1")
PROFILES = Kind("runnerprofiles", "graflow.dev", "v1alpha1")
FEEDBACK_REQUESTS = Kind("feedbackrequests", "graflow.dev", "v1alpha1")
PODS = Kind("pods")
NODES = Kind("nodes")
NAMESPACES = Kind("namespaces")
SECRETS = Kind("secrets")
EVENTS = Kind("events")
WEBHOOKS = Kind("validatingwebhookconfigurations", "admissionregistration.k8s.io", "v1")
LEASES = Kind("leases", "coordination.k8s.io", "v1")
TOKEN_REVIEWS = Kind("tokenreviews", "authentication.k8s.io", "v1")
ACCESS_REVIEWS = Kind("subjectaccessreviews", "authorization.k8s.io", "v1")


class Cluster(Protocol):
    """What the operator asks. All reads are quorum reads, never from the API server's cache.

    Raises:
        ClusterError: By every method; see `cluster_errors` for the kinds.
    """

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Object:
        """Return an object as it is now."""

    async def find(
        self, kind: Kind, namespace: str | None, selector: str = "", *, fields: str = ""
    ) -> list[Object]:
        """Return the objects of one namespace, or of all, that match selectors."""

    async def page(  # noqa: PLR0913 - the parts of such a request
        self,
        kind: Kind,
        namespace: str | None,
        selector: str = "",
        *,
        fields: str = "",
        most: int = LIST_CHUNK,
        place: str = "",
    ) -> tuple[list[Object], str]:
        """Return some of what `find` does, and the place to go on from; "" after the last."""

    async def create(self, kind: Kind, namespace: str | None, body: Object) -> Object:
        """Make an object and return it as the API server keeps it."""

    async def try_create(self, kind: Kind, namespace: str, body: Object) -> None:
        """Ask whether an object could be made, without making it; unknown fields are refused."""

    async def replace(self, kind: Kind, namespace: str, name: str, body: Object) -> Object:
        """Write an object whole, if it is still at the `resourceVersion` in the body."""

    async def patch_status(
        self, kind: Kind, namespace: str, name: str, patch: Mapping[str, Any]
    ) -> Object:
        """Put the patch's status in the place of an object's, if it is at the patch's version."""

    async def patch_json(
        self, kind: Kind, namespace: str | None, name: str, operations: list[Object]
    ) -> Object:
        """Change an object by a list of operations, all or none."""

    async def delete(
        self, kind: Kind, namespace: str, name: str, *, uid: str, version: str | None = None
    ) -> None:
        """Delete the object of that name if it is the one with that uid, and is at that version."""

    async def log(self, namespace: str, name: str, container: str, lines: int, most: int) -> bytes:
        """Return the last lines that a pod's container has printed, `most` bytes of them."""


class ApiServer:
    """A thin client over a pool of connections, with some of their own for the Lease.

    Args:
        connection: Where the API server is.
        identity: Who asks, for the API server's audit log.
    """

    def __init__(self, connection: Connection, identity: str = "") -> None:
        self._connection = connection
        self._agent = f"{AGENT}/{version('graflow')} ({identity})"
        self._session = self._pool(CONNECTIONS)
        self._of_lease = self._pool(LEASE_CONNECTIONS)

    def _pool(self, connections: int) -> aiohttp.ClientSession:
        tls = self._connection.tls or False
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=tls, limit=connections),
            timeout=aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S),
            json_serialize=lambda value: json.dumps(value, separators=(",", ":")),
        )

    async def close(self) -> None:
        """Let go of the connections."""
        await self._session.close()
        await self._of_lease.close()

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Object:
        """Return an object as it is now."""
        return await self._ask("GET", kind, kind.path(namespace, name))

    async def find(
        self, kind: Kind, namespace: str | None, selector: str = "", *, fields: str = ""
    ) -> list[Object]:
        """Return matching objects, asked for in chunks."""
        found: list[Object] = []
        place = ""
        while True:
            try:
                items, after = await self.page(
                    kind, namespace, selector, fields=fields, place=place
                )
            except GoneError:
                if not place:
                    raise
                place = ""
                found.clear()
                continue
            found += items
            if not after:
                return found
            place = after

    async def page(  # noqa: PLR0913 - the parts of such a request
        self,
        kind: Kind,
        namespace: str | None,
        selector: str = "",
        *,
        fields: str = "",
        most: int = LIST_CHUNK,
        place: str = "",
    ) -> tuple[list[Object], str]:
        """Return some of the matching objects, and the place to go on from.

        Raises:
            GoneError: If that place has expired; begin again.
        """
        given = {"labelSelector": selector, "fieldSelector": fields, "continue": place}
        query = {"limit": str(most)} | {name: value for name, value in given.items() if value}
        found = await self._ask("GET", kind, kind.path(namespace), query=query)
        return _items(found), (found.get("metadata") or {}).get("continue") or ""

    async def create(self, kind: Kind, namespace: str | None, body: Object) -> Object:
        """Make an object and return it as the API server keeps it."""
        return await self._ask("POST", kind, kind.path(namespace), body=body)

    async def try_create(self, kind: Kind, namespace: str, body: Object) -> None:
        """Ask whether an object could be made, without making it; unknown fields are refused."""
        query = {"dryRun": "All", "fieldValidation": "Strict"}
        await self._ask("POST", kind, kind.path(namespace), body=body, query=query)

    async def replace(self, kind: Kind, namespace: str, name: str, body: Object) -> Object:
        """Write an object whole, if it is still at the `resourceVersion` in the body."""
        return await self._ask("PUT", kind, kind.path(namespace, name), body=body)

    async def patch_status(
        self, kind: Kind, namespace: str, name: str, patch: Mapping[str, Any]
    ) -> Object:
        """Put the patch's status in the place of an object's, if it is at the patch's version.

        Not as a merge patch: to that, a null in a value that a task returned means "take this out".
        """
        path = f"{kind.path(namespace, name)}/status"
        version = patch["metadata"]["resourceVersion"]
        operations = [
            {"op": "replace", "path": "/metadata/resourceVersion", "value": version},
            {"op": "add", "path": "/status", "value": patch["status"]},
        ]
        return await self._ask(
            "PATCH", kind, path, body=operations, content_type="application/json-patch+json"
        )

    async def patch_json(
        self, kind: Kind, namespace: str | None, name: str, operations: list[Object]
    ) -> Object:
        """Change an object by a list of operations, all or none."""
        path = kind.path(namespace, name)
        return await self._ask(
            "PATCH", kind, path, body=operations, content_type="application/json-patch+json"
        )

    async def delete(
        self, kind: Kind, namespace: str, name: str, *, uid: str, version: str | None = None
    ) -> None:
        """Delete the object of that name if it is the one with that uid, and is at that version."""
        preconditions = (
            {"uid": uid} if version is None else {"uid": uid, "resourceVersion": version}
        )
        body: Object = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
            "preconditions": preconditions,
        }
        await self._ask("DELETE", kind, kind.path(namespace, name), body=body)

    async def log(self, namespace: str, name: str, container: str, lines: int, most: int) -> bytes:
        """Return the last lines that a pod's container has printed, `most` bytes of them.

        Not by `limitBytes`: of too long lines that keeps the beginning.
        """
        path = f"{PODS.path(namespace, name)}/log"
        query = {"container": container, "tailLines": str(lines)}
        began, code = time.monotonic(), "none"
        kept = bytearray()
        try:
            async with self._session.get(
                self._connection.url + path, params=query, headers=self._headers("text/plain")
            ) as answer:
                code = str(answer.status)
                if answer.status >= HTTPStatus.BAD_REQUEST:
                    _read(answer.status, await answer.read(), answer.headers.get("Retry-After"))
                async for piece in answer.content.iter_chunked(most):
                    kept += piece
                    del kept[:-most]
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise UnavailableError(f"GET {path}: {str(error) or type(error).__name__}") from error
        finally:
            metrics.api_request("get", "pods/log", code, time.monotonic() - began)
        return bytes(kept)

    async def _ask(  # noqa: PLR0913 - the parts that a request is made of
        self,
        method: str,
        kind: Kind,
        path: str,
        *,
        body: Object | list[Object] | None = None,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Object:
        began = time.monotonic()
        code = "none"
        data = None if body is None else json.dumps(body, separators=(",", ":"))
        verb = "list" if method == "GET" and query is not None else _VERBS[method]
        session = self._of_lease if kind is LEASES else self._session
        try:
            async with session.request(
                method,
                self._connection.url + path,
                params=query,
                data=data,
                headers=self._headers(content_type),
            ) as answer:
                code = str(answer.status)
                content = await answer.read()
                if method == "PATCH" and kind is WORKFLOWS and answer.ok:
                    metrics.STATUS_BYTES.observe(len(data or ""))
                    metrics.OBJECT_BYTES.observe(len(content))
                return _read(answer.status, content, answer.headers.get("Retry-After"))
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            words = str(error) or type(error).__name__
            raise UnavailableError(f"{method} {path}: {words}") from error
        finally:
            metrics.api_request(verb, kind.plural, code, time.monotonic() - began)

    def _headers(self, content_type: str) -> dict[str, str]:
        headers = {
            "Content-Type": content_type,
            "Accept": "application/json",
            "User-Agent": self._agent,
        }
        if token := self._connection.token():
            headers["Authorization"] = f"Bearer {token}"
        return headers


def _items(page: Object) -> list[Object]:
    """Return what is in a list; what is none must not count as an empty one."""
    items = page.get("items")
    if items is None and str(page.get("kind", "")).endswith("List"):
        return []
    if not isinstance(items, list):
        raise UnavailableError(f"what should be a list has {', '.join(sorted(page)) or 'nothing'}")
    return items


def _read(status: int, content: bytes, retry_after: str | None) -> Object:
    whole = bool(content)
    try:
        answer = json.loads(content) if content else {}
    except ValueError:
        whole = False
        answer = {"message": content[:200].decode(errors="replace")}
    if not isinstance(answer, dict):
        whole, answer = False, {"message": str(answer)[:200]}
    if status >= HTTPStatus.BAD_REQUEST:
        raise error_of(status, answer, retry_after)
    if not whole:
        words = answer.get("message") or "nothing"
        raise UnavailableError(f"HTTP {status}, and what it says is no object: {words}")
    return answer
