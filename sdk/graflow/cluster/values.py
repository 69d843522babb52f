"""Values of a run as this machine gets them."""

import base64
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import quote

from graflow.api.names import HEADER_TOKEN, LABEL_APP_NAME, OPERATOR_APP, USER_PREFIX
from graflow.cluster.apiserver import ApiServer
from graflow.cluster.errors import ForbiddenError, NotFoundError, ValueLostError
from graflow.values import decode

ValueRef: TypeAlias = Mapping[str, Any]

SERVICE_ENV = "GRAFLOW_SERVICE"
TOKEN_ENV = "GRAFLOW_TOKEN"  # noqa: S105 - the name of a variable
VALUE_TIMEOUT_S = 300.0


@dataclass(frozen=True, slots=True)
class Pickled:
    """A value that only unpickling opens, which runs code that is in it."""

    sha256: str
    size: int
    """Bytes of the pickle."""

    def __repr__(self) -> str:
        return (
            f"<pickled value of {self.size} bytes; for a run that you trust, "
            f"result(unpickle=True) opens it>"
        )


@dataclass(frozen=True, slots=True)
class Values:
    """Reads the values of one run."""

    server: ApiServer
    namespace: str
    workflow: str

    def open(self, ref: ValueRef, *, unpickle: bool) -> Any:  # noqa: ANN401 - any value
        """Return the value that a reference stands for.

        Args:
            ref: The reference, inline or into the store.
            unpickle: Whether to unpickle, that is, run code that the run has written. Otherwise a
                pickled value comes back as `Pickled`.

        Raises:
            ValueLostError: If the value cannot be read.
        """
        match ref:
            case {"exact": str(text)}:
                return self.open(json.loads(text), unpickle=unpickle)
            case {"json": value}:
                return value
            case {"pickle": str(text)}:
                data = base64.b64decode(text)
                return _unpickled(data) if unpickle else Pickled(_sha256(data), len(data))
            case {"group": dict(members)}:
                return {name: self.open(one, unpickle=unpickle) for name, one in members.items()}
            case {"blob": {"sha256": str(sha256), "size": int(size), "encoding": encoding}}:
                if encoding == "json":
                    return decode("json", self.read(sha256))
                return _unpickled(self.read(sha256)) if unpickle else Pickled(sha256, size)
            case _:
                raise ValueLostError(
                    f"the value of workflow {self.workflow!r} has a form that is not known here; "
                    f"a newer release of graflow may know it"
                )

    def read(self, sha256: str) -> bytes:
        """Return the bytes of a value in the store, from the operator.

        Raises:
            ValueLostError: If the operator does not give them, or gives others.
        """
        namespace, service = self._service()
        path = (
            f"/api/v1/namespaces/{quote(namespace)}/services/{quote(service)}:http/proxy{USER_PREFIX}"
            f"/namespaces/{quote(self.namespace)}/workflows/{quote(self.workflow)}/values/{sha256}"
        )
        token = os.environ.get(TOKEN_ENV) or self.server.token()
        if not token:
            raise ValueLostError(
                f"the value of workflow {self.workflow!r} is in the store, and the operator wants "
                f"a token to hand it out, while your kubeconfig signs in with a certificate; set "
                f"{TOKEN_ENV} to the token of a service account that may get workflows "
                f"(kubectl create token NAME)"
            )
        try:
            with self.server.stream(
                "GET", path, headers={HEADER_TOKEN: token}, timeout_s=VALUE_TIMEOUT_S
            ) as reply:
                data = reply.read()
        except (NotFoundError, ForbiddenError) as error:
            raise ValueLostError(
                f"the operator does not hand out the value of workflow {self.workflow!r}: {error}"
            ) from error
        if _sha256(data) != sha256:
            raise ValueLostError(
                f"the value of workflow {self.workflow!r} came with other content than the run "
                f"recorded (sha256 {_sha256(data)}, not {sha256}); it was changed in the store"
            )
        return data

    def _service(self) -> tuple[str, str]:
        """Return namespace and name of the operator's Service."""
        if named := os.environ.get(SERVICE_ENV):
            namespace, slash, name = named.partition("/")
            if not slash:
                raise ValueLostError(f"{SERVICE_ENV} is {named!r}; write it as NAMESPACE/NAME")
            return namespace, name
        query = {"labelSelector": f"{LABEL_APP_NAME}={OPERATOR_APP}"}
        way_out = f"set {SERVICE_ENV} to NAMESPACE/NAME of the operator's Service"
        try:
            found = self.server.request("GET", "/api/v1/services", query=query)["items"]
        except ForbiddenError as error:
            raise ValueLostError(
                f"the value is in the store, and you may not look for the operator that hands it "
                f"out; {way_out}"
            ) from error
        if not found:
            raise ValueLostError(
                f"the value is in the store, and no Service has the label "
                f"{LABEL_APP_NAME}={OPERATOR_APP}; {way_out}"
            )
        metadata = found[0]["metadata"]
        return str(metadata["namespace"]), str(metadata["name"])


def _unpickled(data: bytes) -> Any:  # noqa: ANN401 - any value
    return decode("pickle", data)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
