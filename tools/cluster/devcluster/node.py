"""The node: containerd, the kubelet, kube-proxy, their configuration and their cgroup."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from string import Template

from devcluster import golang, layout, oci
from devcluster.control_plane import Command, kube
from devcluster.errors import ClusterError
from devcluster.layout import CONTAINERD_SOCKET, KUBELET_ROOT, NODE_IP, NODE_NAME, Layout
from devcluster.processes import run

_TEMPLATES = Path(__file__).parent / "templates"
_CGROUPS = Path("/sys/fs/cgroup")


def write_configuration(place: Layout) -> None:
    """Fill in the templates."""
    values = {
        "bridge": layout.BRIDGE,
        "cgroup": layout.CGROUP,
        "config": place.config,
        "data": place.data,
        "network": layout.NETWORK,
        "node_ip": NODE_IP,
        "node_name": NODE_NAME,
        "pause": layout.PAUSE_IMAGE,
        "pod_range": layout.POD_RANGE,
        "resolv_conf": _resolv_conf(),
        "run": layout.RUN,
        "runc": shutil.which("runc") or "/usr/sbin/runc",
        "snapshotter": _snapshotter(place.state),
        "socket": CONTAINERD_SOCKET,
    }
    targets = {"cni.conflist": "cni/10-graflow.conflist"}
    for template in _TEMPLATES.iterdir():
        target = place.config / targets.get(template.name, template.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(Template(template.read_text()).substitute(values))


def _resolv_conf() -> Path:
    # A local stub resolver, like systemd's, cannot be reached from a pod.
    real = Path("/run/systemd/resolve/resolv.conf")
    return real if real.exists() else Path("/etc/resolv.conf")


def _snapshotter(folder: Path) -> str:
    # An overlay does not stack on another, as in a container.
    kind = run("stat", "--file-system", "--format=%T", folder).strip()
    return "native" if kind in ("overlayfs", "overlay") else "overlayfs"


def prepare() -> None:
    """Make the cgroup and the short path to the kubelet's folder."""
    for hierarchy in _hierarchies():
        (hierarchy / layout.CGROUP).mkdir(exist_ok=True)


def bind_kubelet_root(place: Layout) -> None:
    """Show the kubelet's folder under a path short enough for its sockets."""
    folder = place.data / "kubelet"
    for path in (folder, KUBELET_ROOT):
        path.mkdir(parents=True, exist_ok=True)
    run("mount", "--bind", folder, KUBELET_ROOT)
    # Or every volume would appear in the checkout as a second mount.
    run("mount", "--make-private", KUBELET_ROOT)


def _hierarchies() -> list[Path]:
    """Return the roots of the cgroup trees: one with version 2, one a controller with 1."""
    if (_CGROUPS / "cgroup.controllers").exists():
        return [_CGROUPS]
    return [path for path in _CGROUPS.iterdir() if path.is_dir() and not path.is_symlink()]


def cgroups() -> Iterator[Path]:
    """Yield the folders of all cgroups of this cluster's pods, inner ones first."""
    for hierarchy in _hierarchies():
        for folder, _, _ in os.walk(hierarchy / layout.CGROUP, topdown=False):
            yield Path(folder)


def pids_in_cgroups() -> set[int]:
    """Return the processes that run in pods."""
    pids: set[int] = set()
    for folder in cgroups():
        with contextlib.suppress(OSError):
            pids.update(int(line) for line in (folder / "cgroup.procs").read_text().split())
    # 0 stands for a process outside this PID namespace, and would mean ourselves to `kill`.
    return pids - {0}


def remove_cgroups() -> None:
    """Remove the cgroups, which must be empty by now."""
    for folder in cgroups():
        with contextlib.suppress(OSError):
            folder.rmdir()


def containerd(place: Layout) -> Command:
    """Return containerd's command line."""
    return [golang.CONTAINERD.folder / "containerd", "--config", place.config / "containerd.toml"]


def containerd_environment() -> dict[str, str]:
    """Return what containerd finds its shim by."""
    return {"PATH": f"{golang.CONTAINERD.folder}:{os.environ['PATH']}:/usr/sbin:/sbin"}


def kubelet(place: Layout) -> Command:
    """Return the kubelet's command line."""
    return [
        *kube("kubelet"),
        f"--config={place.config / 'kubelet.yaml'}",
        f"--kubeconfig={place.config / 'kubelet.kubeconfig'}",
        f"--root-dir={KUBELET_ROOT}",
        f"--cert-dir={place.config / 'kubelet'}",
        f"--hostname-override={NODE_NAME}",
        f"--node-ip={NODE_IP}",
    ]


def kube_proxy(place: Layout) -> Command:
    """Return kube-proxy's command line."""
    return [*kube("kube-proxy"), f"--config={place.config / 'kube-proxy.yaml'}"]


def ctr(*arguments: str | Path) -> str:
    """Run containerd's command line client on the pods' namespace."""
    client = golang.CONTAINERD.folder / "ctr"
    return run(client, "--address", CONTAINERD_SOCKET, "--namespace", "k8s.io", *arguments)


def import_image(archive: Path) -> list[str]:
    """Import an image archive, in place of an image of the same name; return the names."""
    # `ctr` also tells the registry-less names of older images: only its report is wanted.
    report = ctr("images", "import", "--local", archive)
    return [line.split()[1] for line in report.splitlines() if line.startswith("unpacking ")]


def import_pause(place: Layout) -> None:
    """Import the image that holds pods' namespaces."""
    archive = place.data / "pause.tar"
    oci.write(archive, layout.PAUSE_IMAGE, golang.PAUSE.folder / "pause")
    import_image(archive)
    archive.unlink()


def answers() -> bool:
    """Whether containerd takes commands."""
    try:
        ctr("version")
    except ClusterError:
        return False
    return True
