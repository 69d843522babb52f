"""What the operator hands out to users, through the API server's service proxy."""

import base64
import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import urllib3

from graflow.api.names import (
    CLIENT_CLI,
    HEADER_CLIENT,
    HEADER_TOKEN,
    LABEL_APP_NAME,
    LABEL_INSTANCE,
    OPERATOR_APP,
    USER_PREFIX,
)
from graflow.api.workflow_status import ChannelCursor, Cursor
from graflow.cluster.apiserver import ApiServer
from graflow.cluster.errors import ForbiddenError, NotFoundError, ValueLostError

SERVICE_ENV = "GRAFLOW_SERVICE"
TOKEN_ENV = "GRAFLOW_TOKEN"  # noqa: S105 - the name of a variable
PORT = "http"
"""Name of the Service's port, whether TLS is spoken there or not."""

TIMEOUT_S = 300.0


@dataclass(frozen=True, slots=True)
class UserApi:
    """The operator's API for users."""

    server: ApiServer
    instance: str = ""
    """The installation that is meant, where there are several."""

    @contextmanager
    def stream(
        self,
        method: str,
        path: str,
        words: str,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        """Send one request and give its answer to be read piece by piece.

        Args:
            method: As in HTTP.
            path: Below the prefix of this API, from the first slash on.
            words: What is asked for, for people, and where it is: "the value is in the store".
            query: Parameters of the URL.
            body: What to send, in JSON.

        Raises:
            ValueLostError: If the operator cannot be found, or one cannot sign in.
            ClusterError: If it refuses.
        """
        namespace, service = self._service(words)
        token = os.environ.get(TOKEN_ENV) or self.server.token()
        if not token:
            raise ValueLostError(
                f"{words}, and the operator wants a token to know who asks, while your kubeconfig"
                f" signs in with a certificate; set {TOKEN_ENV} to the token of a service account"
                f" that may do this (kubectl create token NAME)"
            )
        try:
            with self.server.stream(
                method,
                f"/api/v1/namespaces/{quote(namespace)}/services/{service}/proxy{USER_PREFIX}{path}",
                query=query,
                body=body,
                headers={HEADER_TOKEN: token, HEADER_CLIENT: CLIENT_CLI},
                timeout_s=TIMEOUT_S,
            ) as reply:
                yield reply
        except ForbiddenError as error:
            if "services/proxy" not in str(error):  # it is the operator that refuses
                raise
            raise ForbiddenError(
                f"{error}; whoever installed Graflow lets you through with rbac.valueReaders of"
                " the chart"
            ) from error

    def _service(self, words: str) -> tuple[str, str]:
        """Return the namespace of the operator's Service, and the Service as a proxy is told it."""
        if named := os.environ.get(SERVICE_ENV):
            namespace, slash, name = named.partition("/")
            if not slash:
                raise ValueLostError(
                    f"{SERVICE_ENV} is {named!r}; write it as NAMESPACE/NAME, or as"
                    " NAMESPACE/http:NAME for an operator that speaks plain HTTP"
                )
            return namespace, _proxied(name.removeprefix("http:"), not name.startswith("http:"))
        query = {"labelSelector": f"{LABEL_APP_NAME}={OPERATOR_APP}"}
        way_out = f"set {SERVICE_ENV} to NAMESPACE/NAME of the operator's Service"
        try:
            found = self.server.request("GET", "/api/v1/services", query=query)["items"]
        except ForbiddenError as error:
            raise ValueLostError(
                f"{words}, and you may not list Services to find it; {way_out}"
            ) from error
        if not found:
            raise ValueLostError(
                f"{words}, and no Service has the label {LABEL_APP_NAME}={OPERATOR_APP}; {way_out}"
            )
        # If there is none of that installation, another one says whose the run is.
        ours = [one for one in found if _instance_of(one) == self.instance] or found
        metadata, spec = ours[0]["metadata"], ours[0].get("spec") or {}
        spoken = {one.get("name"): one.get("appProtocol") for one in spec.get("ports") or ()}
        secure = spoken.get(PORT) == "https"
        return str(metadata["namespace"]), _proxied(str(metadata["name"]), secure)


@dataclass(frozen=True, slots=True)
class Handout:
    """Reads what the operator keeps in the store for one run."""

    server: ApiServer
    namespace: str
    workflow: str
    instance: str = ""
    """The installation that drives the run."""

    def read(self, what: str, words: str) -> bytes:
        """Return what the operator has under a name, such as values/<sha256>.

        Args:
            what: Its path below that of the Workflow.
            words: What it is, for people.

        Raises:
            ValueLostError: If the operator does not give it.
        """
        path = f"/namespaces/{quote(self.namespace)}/workflows/{quote(self.workflow)}/{what}"
        whose = f"{words} of workflow {self.workflow!r}"
        try:
            api = UserApi(self.server, self.instance)
            with api.stream("GET", path, f"{whose} is in the store") as reply:
                return reply.read()
        except (NotFoundError, ForbiddenError) as error:
            raise ValueLostError(f"the operator does not hand out {whose}: {error}") from error

    def kept(self, cursor: Cursor | ChannelCursor, folder: str, words: str) -> bytes:
        """Return the bytes that a cursor has in it, or names in the store.

        Args:
            cursor: What the run's status says of them.
            folder: Where the operator has such bytes.
            words: What they are, for people.

        Raises:
            ValueLostError: If the operator does not give them, or gives others.
        """
        if cursor.state is not None:
            return base64.b64decode(cursor.state)
        if cursor.key is None:
            raise ValueLostError(
                f"the status of workflow {self.workflow!r} does not say where {words} is"
            )
        data = self.read(f"{folder}/{cursor.key.rpartition('/')[2]}", words)
        if hashlib.sha256(data).hexdigest() != cursor.sha256:
            raise ValueLostError(
                f"{words} of workflow {self.workflow!r} came with other content than the run "
                f"recorded; it was changed in the store"
            )
        return data


def _instance_of(service: Mapping[str, Any]) -> str:
    return str((service["metadata"].get("labels") or {}).get(LABEL_INSTANCE, ""))


def _proxied(name: str, secure: bool) -> str:  # noqa: FBT001 - the one thing that is told
    """Return a Service as the path of the API server's proxy names it.

    The API server does not check the certificate; the operator asks it who the caller is.
    """
    return f"{'https:' if secure else ''}{quote(name)}:{PORT}"
