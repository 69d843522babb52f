"""The cluster for the tools: the one that KUBECONFIG names, or this checkout's own."""

import os
import shutil
import socket
from pathlib import Path
from urllib.parse import urlsplit

from kubernetes import client, config

ROOT = Path(__file__).resolve().parents[1]
OWN = ROOT / ".cluster"


def binary(name: str) -> str:
    """Return the path of kubectl or helm: the one that came with the cluster, or the user's."""
    own = kubeconfig().resolve().parent / "bin" / name
    found = str(own) if own.exists() else shutil.which(name)
    if found is None:
        raise SystemExit(
            f"there is no {name} on PATH, and none came with {kubeconfig()}; install it, or "
            "unset KUBECONFIG and start a cluster that brings one: make cluster"
        )
    return found


def kubeconfig() -> Path:
    """Return the kubeconfig in use."""
    return Path(os.environ.get("KUBECONFIG") or OWN / "kubeconfig")


def is_own() -> bool:
    """Whether the cluster in use is the one that `make cluster` starts here."""
    return kubeconfig().resolve().is_relative_to(OWN.resolve())


def connect() -> client.ApiClient:
    """Return the official client, signed in."""
    return config.new_client_from_config(config_file=str(kubeconfig()))


def audit_log() -> Path | None:
    """Return the API server's audit log, where it can be read."""
    log = OWN / "logs" / "audit.log"
    return log if is_own() and log.exists() else None


def reachable_address(api: client.ApiClient) -> str:
    """Return this machine's address as pods see it: the one it has on the way to the cluster."""
    url = urlsplit(api.configuration.host)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((url.hostname, url.port or 443))
        return str(probe.getsockname()[0])
