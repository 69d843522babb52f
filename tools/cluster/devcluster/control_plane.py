"""etcd, the API server and the two controllers: their keys, their flags, and a small client."""

import base64
import json
import os
import secrets
import ssl
import urllib.request
from pathlib import Path
from typing import Any

from devcluster import golang
from devcluster.layout import API_SERVER, NODE_IP, NODE_NAME, SERVICE_RANGE, Layout
from devcluster.processes import run

ADMIN = "admin"
_USERS = {
    ADMIN: ("admin", ["system:masters"]),
    "kubelet": (f"system:node:{NODE_NAME}", ["system:nodes"]),
    "kube-controller-manager": ("system:kube-controller-manager", []),
    "kube-proxy": ("system:kube-proxy", []),
    "kube-scheduler": ("system:kube-scheduler", []),
}
"""Who may sign in with a token, and as whom: the names that Kubernetes' own roles are bound to."""

FAKE_NODE = "kwok.x-k8s.io/node"
"""Annotation of nodes that kwok answers for; nodes without it are left alone."""

FAKE_POD_RANGE = "10.89.0.1/16"
"""Addresses that pods on fake nodes seem to have; nobody answers there."""

ETCD = "http://127.0.0.1:2379"
_ETCD_PEER = "http://127.0.0.1:2380"
Command = list[str | Path]


def kube(part: str) -> Command:
    """Return the beginning of a component's command line."""
    return [golang.KUBE.folder / "kube", part]


def ca(layout: Layout) -> Path:
    """Return the API server's certificate, which it makes itself and which is its own CA."""
    return layout.config / "apiserver" / "apiserver.crt"


def write_credentials(layout: Layout) -> None:
    """Make the keys and tokens of a new cluster."""
    config = layout.config
    run("openssl", "genrsa", "-out", config / "service-account.key", "2048")
    # The API server's face towards the kubelet. Signed by itself, so that the kubelet
    # trusts this one and no other.
    run(
        "openssl", "req", "-x509", "-newkey", "rsa:2048", "-noenc", "-days", "3650",
        "-subj", "/O=system:masters/CN=kube-apiserver-kubelet-client",
        "-addext", "extendedKeyUsage=clientAuth",
        "-keyout", config / "kubelet-client.key", "-out", config / "kubelet-client.crt",
    )  # fmt: skip
    lines = []
    for name, (user, groups) in _USERS.items():
        token = secrets.token_hex(16)
        lines.append(f'{token},{user},{user},"{",".join(groups)}"')
        cluster = {"certificate-authority": str(ca(layout)), "server": API_SERVER}
        _write_kubeconfig(config / f"{name}.kubeconfig", token, cluster)
    tokens = config / "tokens.csv"
    tokens.touch(mode=0o600)
    tokens.write_text("\n".join(lines) + "\n")


def write_admin_kubeconfig(layout: Layout) -> None:
    """Write the kubeconfig for people, with the CA in it; it exists once the cluster answers."""
    data = base64.b64encode(ca(layout).read_bytes()).decode()
    cluster = {"certificate-authority-data": data, "server": API_SERVER}
    _write_kubeconfig(layout.kubeconfig, _token(layout), cluster)


def _token(layout: Layout) -> str:
    content = json.loads((layout.config / f"{ADMIN}.kubeconfig").read_text())
    return str(content["users"][0]["user"]["token"])


def _write_kubeconfig(file: Path, token: str, cluster: dict[str, str]) -> None:
    name = "graflow"
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": {"token": token}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }
    temporary = file.with_suffix(".new")
    temporary.touch(mode=0o600)
    temporary.write_text(json.dumps(content, indent=1) + "\n")  # JSON is YAML
    temporary.rename(file)


def etcd(layout: Layout) -> Command:
    """Return etcd's command line."""
    return [
        *kube("etcd"),
        "--name=graflow",
        f"--data-dir={layout.data / 'etcd'}",
        f"--listen-client-urls={ETCD}",
        f"--advertise-client-urls={ETCD}",
        f"--listen-peer-urls={_ETCD_PEER}",
        f"--initial-advertise-peer-urls={_ETCD_PEER}",
        f"--initial-cluster=graflow={_ETCD_PEER}",
        "--unsafe-no-fsync",  # the cluster does not outlive the machine anyway
        "--log-level=warn",
    ]


def api_server(layout: Layout) -> Command:
    """Return the API server's command line."""
    config = layout.config
    return [
        *kube("kube-apiserver"),
        f"--advertise-address={NODE_IP}",
        f"--bind-address={NODE_IP}",
        f"--cert-dir={config / 'apiserver'}",
        f"--etcd-servers={ETCD}",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged",
        f"--token-auth-file={config / 'tokens.csv'}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={config / 'service-account.key'}",
        f"--service-account-signing-key-file={config / 'service-account.key'}",
        # Also published in a ConfigMap that the controllers would look for in vain.
        f"--client-ca-file={config / 'kubelet-client.crt'}",
        "--kubelet-preferred-address-types=InternalIP",
        f"--kubelet-client-certificate={config / 'kubelet-client.crt'}",
        f"--kubelet-client-key={config / 'kubelet-client.key'}",
        f"--audit-policy-file={config / 'audit.yaml'}",
        f"--audit-log-path={layout.logs / 'audit.log'}",
        "--audit-log-maxsize=4096",  # MiB; what is counted shall not be rotated away
    ]


def controller_manager(layout: Layout) -> Command:
    """Return the controller manager's command line."""
    return [
        *kube("kube-controller-manager"),
        "--bind-address=127.0.0.1",
        *_signed_in(layout, "kube-controller-manager"),
        "--leader-elect=false",
        "--use-service-account-credentials",
        f"--service-account-private-key-file={layout.config / 'service-account.key'}",
        f"--root-ca-file={ca(layout)}",
        f"--flex-volume-plugin-dir={layout.data / 'volume-plugins'}",
        f"--cert-dir={layout.config / 'controller-manager'}",
    ]


def scheduler(layout: Layout) -> Command:
    """Return the scheduler's command line."""
    return [
        *kube("kube-scheduler"),
        "--bind-address=127.0.0.1",
        *_signed_in(layout, "kube-scheduler"),
        "--leader-elect=false",
        f"--cert-dir={layout.config / 'scheduler'}",
    ]


def kwok(layout: Layout) -> Command:
    """Return the command line of what plays kubelet for nodes that are marked as fake."""
    return [
        golang.KWOK.folder / "kwok",
        f"--kubeconfig={layout.kubeconfig}",
        f"--config={Path(__file__).with_name('kwok.yaml')}",
        "--manage-all-nodes=false",
        f"--manage-nodes-with-annotation-selector={FAKE_NODE}=fake",
        f"--node-ip={NODE_IP}",
        f"--cidr={FAKE_POD_RANGE}",
        "--node-lease-duration-seconds=40",
    ]


def _signed_in(layout: Layout, name: str) -> list[str]:
    kubeconfig = layout.config / f"{name}.kubeconfig"
    flags = ("kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig")
    return [f"--{flag}={kubeconfig}" for flag in flags]


def get(layout: Layout, path: str) -> Any:  # noqa: ANN401  JSON
    """Read from the API server as administrator; None if it does not answer with success."""
    try:
        trust = ssl.create_default_context(cafile=str(ca(layout)))
        request = urllib.request.Request(API_SERVER + path)
        request.add_header("Authorization", f"Bearer {_token(layout)}")
        # The machine's proxy, if it has one, knows nothing of this address.
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust)
        )
        with opener.open(request, timeout=5) as response:
            body = response.read()
    except (OSError, KeyError):  # also URLError, HTTPError and SSLError
        return None
    return json.loads(body) if body[:1] == b"{" else body.decode()


def environment() -> dict[str, str]:
    """Return what components see beyond this process's environment."""
    names = {*os.environ.get("no_proxy", "").split(","), NODE_IP, "127.0.0.1", "10.0.0.0/8"}
    spared = ",".join(sorted(names - {""}))
    return {"no_proxy": spared, "NO_PROXY": spared}
