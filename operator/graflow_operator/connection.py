"""How the API server is reached: from a pod, or with anybody's kubeconfig."""

import importlib
import os
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class ConnectionUnknownError(Exception):
    """Nothing says where the API server is."""


@dataclass
class TokenFile:
    """A bearer token that is exchanged now and then: bound tokens live for an hour."""

    path: Path
    _stamp: int = -1
    _token: str = ""

    def __call__(self) -> str:
        """Return the token as it is now; the file is read only when it has changed."""
        stamp = self.path.stat().st_mtime_ns
        if stamp != self._stamp:
            self._token, self._stamp = self.path.read_text().strip(), stamp
        return self._token


@dataclass
class LoadedToken:
    """The bearer token of a kubeconfig, renewed by its own plugin where it has one."""

    configuration: Any

    def __call__(self) -> str:
        """Return the token as it is now."""
        # Older versions of the library know it by its second name alone.
        found = self.configuration.auth_settings()
        value = next(iter(found.values()))["value"] if found else ""
        return str(value or "").removeprefix("Bearer ").removeprefix("bearer ")


@dataclass(frozen=True)
class Connection:
    """Where the API server is and who we are."""

    url: str
    tls: ssl.SSLContext | None
    token: TokenFile | LoadedToken
    namespace: str
    """The namespace we are in: of the pod, or of the kubeconfig's context."""

    ca_data: bytes | None = None
    certificate: tuple[str, str] | None = None
    """Paths of a client certificate and its key, where that is how we sign in."""

    verify: bool = True


def find(environ: Mapping[str, str] = os.environ) -> Connection:
    """Return the connection of this process: the pod's own, else the kubeconfig's.

    Raises:
        ConnectionUnknownError: If there is neither.
    """
    if "KUBERNETES_SERVICE_HOST" in environ and (ACCOUNT / "token").exists():
        return _of_pod(environ)
    return _of_kubeconfig()


def _of_pod(environ: Mapping[str, str]) -> Connection:
    host, port = environ["KUBERNETES_SERVICE_HOST"], environ["KUBERNETES_SERVICE_PORT"]
    host = f"[{host}]" if ":" in host else host
    ca = (ACCOUNT / "ca.crt").read_bytes()
    return Connection(
        url=f"https://{host}:{port}",
        tls=ssl.create_default_context(cadata=ca.decode()),
        token=TokenFile(ACCOUNT / "token"),
        namespace=(ACCOUNT / "namespace").read_text().strip(),
        ca_data=ca,
    )


def _of_kubeconfig() -> Connection:
    # Imported here: half a second that a pod of the cluster has no use for.
    from kubernetes import client  # noqa: PLC0415

    # Ships no types.
    config: Any = importlib.import_module("kubernetes.config")

    configuration = client.Configuration()
    try:
        config.load_kube_config(client_configuration=configuration)
        _, context = config.list_kube_config_contexts()
    except config.ConfigException as error:
        raise ConnectionUnknownError(
            f"no way to an API server: not in a pod, and no usable kubeconfig ({error});"
            " set KUBECONFIG to one"
        ) from error
    tls, ca, certificate = None, None, None
    if configuration.cert_file and configuration.key_file:
        certificate = (configuration.cert_file, configuration.key_file)
    if configuration.host.startswith("https"):
        if configuration.ssl_ca_cert:
            ca = Path(configuration.ssl_ca_cert).read_bytes()
        tls = ssl.create_default_context(cadata=ca.decode() if ca else None)
        if not configuration.verify_ssl:
            tls.check_hostname = False
            tls.verify_mode = ssl.CERT_NONE
        if certificate:
            tls.load_cert_chain(*certificate)
    return Connection(
        url=configuration.host.rstrip("/"),
        tls=tls,
        token=LoadedToken(configuration),
        namespace=context["context"].get("namespace", "default"),
        ca_data=ca,
        certificate=certificate,
        verify=configuration.verify_ssl,
    )


def ca_path(connection: Connection) -> str | None:
    """Return a file with the CA's certificate, for libraries that want a path."""
    if connection.ca_data is None:
        return None
    handle, name = tempfile.mkstemp(suffix=".crt")
    with os.fdopen(handle, "wb") as file:
        file.write(connection.ca_data)
    return name
