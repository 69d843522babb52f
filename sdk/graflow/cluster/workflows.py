"""Workflow and CodeBundle objects on an API server."""

import contextlib
import json
import math
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from graflow.api.names import API_VERSION, CODE_BUNDLES, GROUP, WORKFLOWS
from graflow.cluster.apiserver import APPLY, MERGE, ApiServer
from graflow.cluster.errors import ConflictError, NotFoundError, UnreachableError

Object = dict[str, Any]

FIELD_MANAGER = "graflow"
WATCH_S = 30
"""After this long a watch is begun anew, with a look at the object: no news is ever lost for
longer, whatever a proxy in between does to idle connections."""
PATIENCE_S = 600.0
"""How long an API server may be away while somebody waits for a run."""
RETRY_S = 1.0
TRIES = 5


class Workflows:
    """The workflows of one namespace."""

    def __init__(self, server: ApiServer, namespace: str | None = None) -> None:
        """Take an API server and a namespace, by default the one it names."""
        self.server = server
        self.namespace = namespace or server.namespace

    def apply_bundle(self, bundle: Mapping[str, Any]) -> None:
        """Make sure that a CodeBundle exists; the same content has the same name.

        Raises:
            ClusterError: If the API server does not take it.
        """
        path = self._path(CODE_BUNDLES, bundle["metadata"]["name"])
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        self._request("PATCH", path, query=query, body=bundle, content_type=APPLY)

    def bundle(self, name: str) -> Object:
        """Return a CodeBundle.

        Raises:
            NotFoundError: If there is none of that name.
        """
        return self._request("GET", self._path(CODE_BUNDLES, name))

    def create(self, workflow: Mapping[str, Any], *, dry_run: bool = False) -> Object:
        """Create a Workflow and return it as the API server has it.

        Args:
            workflow: The resource; its name must be free.
            dry_run: Only let the API server check it.

        Raises:
            ConflictError: If there is one of that name.
            ClusterError: If the API server does not take it.
        """
        query = {"fieldManager": FIELD_MANAGER} | ({"dryRun": "All"} if dry_run else {})
        return self._request("POST", self._path(WORKFLOWS), query=query, body=workflow)

    def own_bundle(self, bundle: Mapping[str, Any], owner: Mapping[str, Any]) -> None:
        """Make a Workflow one of the owners of its CodeBundle.

        A CodeBundle goes when the last Workflow that owns it has gone. Should it have gone just
        now, with the one before, it is made again.
        """
        reference = {
            "apiVersion": API_VERSION,
            "kind": "Workflow",
            "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"],
        }
        path = self._path(CODE_BUNDLES, bundle["metadata"]["name"])
        for last in (*[False] * (TRIES - 1), True):
            try:
                metadata = self._request("GET", path)["metadata"]
                owners = [*metadata.get("ownerReferences", ()), reference]
                change = {"resourceVersion": metadata["resourceVersion"], "ownerReferences": owners}
                self._request("PATCH", path, body={"metadata": change}, content_type=MERGE)
            except (ConflictError, NotFoundError) as error:
                if last:
                    raise
                if isinstance(error, NotFoundError):
                    self.apply_bundle(bundle)
            else:
                return

    def get(self, name: str) -> Object:
        """Return a Workflow as it is now.

        Raises:
            NotFoundError: If there is none of that name.
        """
        try:
            return self._request("GET", self._path(WORKFLOWS, name))
        except NotFoundError as error:
            raise self._not_found(name, error) from error

    def all(self) -> list[Object]:
        """Return the Workflows of the namespace, the newest first."""
        found = self._request("GET", self._path(WORKFLOWS))["items"]
        return sorted(
            found, key=lambda one: str(one["metadata"]["creationTimestamp"]), reverse=True
        )

    def change(self, name: str, spec: Mapping[str, Any]) -> Object:
        """Change fields of a Workflow's spec, and return it as it is then.

        Raises:
            NotFoundError: If there is none of that name.
            ClusterError: If the API server does not take it.
        """
        path = self._path(WORKFLOWS, name)
        try:
            return self._request("PATCH", path, body={"spec": spec}, content_type=MERGE)
        except NotFoundError as error:
            raise self._not_found(name, error) from error

    def changes(self, name: str, *, timeout_s: float = math.inf) -> Iterator[Object]:
        """Yield a Workflow as it is now, and after each change, until the time is over.

        Goes on when a watch breaks or the API server is away for a while. Now and then the object
        comes again though nothing has changed.

        Args:
            name: Name of the Workflow.
            timeout_s: How long, in seconds.

        Raises:
            NotFoundError: If there is no such Workflow, or no more.
            UnreachableError: If the API server is away for more than ten minutes.
        """
        end = time.monotonic() + timeout_s
        away_since: float | None = None
        version = ""
        while True:
            try:
                found = self.get(name)
                if version != (version := str(found["metadata"]["resourceVersion"])):
                    yield found
                away_since = None
                left = end - time.monotonic()
                if left <= 0:
                    return
                for changed in self._watch(name, version, min(left, WATCH_S)):
                    version = str(changed["metadata"]["resourceVersion"])
                    yield changed
            except UnreachableError:
                now = time.monotonic()
                away_since = away_since or now
                if not version or now - away_since > PATIENCE_S:
                    raise
                time.sleep(min(RETRY_S, max(0.0, end - now)))

    def _watch(self, name: str, version: str, seconds: float) -> Iterator[Object]:
        query = {
            "watch": "true",
            "fieldSelector": f"metadata.name={name}",
            "resourceVersion": version,
            "timeoutSeconds": str(max(1, math.ceil(seconds))),
        }
        path = self._path(WORKFLOWS)
        with (
            contextlib.suppress(ConflictError),  # 410: too far behind; the next look catches up
            self.server.stream("GET", path, query=query, timeout_s=seconds + 15) as lines,
        ):
            for line in lines:
                event = json.loads(line)
                if event["type"] == "ERROR":  # 410 again
                    return
                if event["type"] == "DELETED":
                    raise NotFoundError(f"workflow {name!r} was deleted while it was watched")
                yield event["object"]

    def _request(self, method: str, path: str, **how: Any) -> Object:  # noqa: ANN401 - passed on
        return request(self.server, WORKFLOWS, method, path, **how)

    def _path(self, kind: str, name: str = "") -> str:
        path = f"/apis/{API_VERSION}/namespaces/{quote(self.namespace, safe='')}/{kind}"
        return f"{path}/{quote(name, safe='')}" if name else path

    def _not_found(self, name: str, error: Exception) -> NotFoundError:
        if "namespaces" in str(error):
            return NotFoundError(str(error))
        return NotFoundError(
            f"there is no workflow {name!r} in namespace {self.namespace!r}; "
            f"`graflow list -n {self.namespace}` shows those that there are"
        )


def request(server: ApiServer, kind: str, method: str, path: str, **how: Any) -> Object:  # noqa: ANN401 - passed on
    """Send a request that is about one of our kinds, and return what comes back.

    Raises:
        UnreachableError: Also where the cluster has no such kind.
        ClusterError: One of its subclasses, by the status code.
    """
    try:
        return server.request(method, path, **how)
    except NotFoundError as error:
        absent = ("could not find the requested resource", "page not found")
        if any(words in str(error) for words in absent):
            raise UnreachableError(
                f"the cluster at {server.url} does not know {kind}.{GROUP}; "
                f"install Graflow in it first (charts/graflow)"
            ) from error
        raise
