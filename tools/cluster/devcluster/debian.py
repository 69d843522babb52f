"""Programs that come as Debian packages."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from devcluster.console import say
from devcluster.errors import ClusterError

NODE = {
    "/usr/sbin/runc": "runc",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "/usr/sbin/iptables": "iptables",
    "/usr/sbin/conntrack": "conntrack",
    "/usr/sbin/ipset": "ipset",
    "/usr/sbin/nft": "nftables",
    "/usr/bin/openssl": "openssl",
    "/usr/sbin/ip": "iproute2",
    "/usr/sbin/modprobe": "kmod",
    "/usr/bin/mount": "mount",
}
"""What a node needs: a file and the package that brings it."""

IMAGES = {"/usr/bin/buildah": "buildah", "/usr/sbin/debootstrap": "debootstrap"}
"""What building images needs."""


def missing(files: Mapping[str, str]) -> list[str]:
    """Return the packages whose file is neither at its place nor on PATH."""
    return sorted(
        package
        for file, package in files.items()
        if not Path(file).exists() and not shutil.which(Path(file).name)
    )


def install(files: Mapping[str, str]) -> None:
    """Install the packages that are missing, and say which."""
    packages = missing(files)
    if not packages:
        return
    if not shutil.which("apt-get"):
        raise ClusterError(
            f"this machine lacks {', '.join(packages)} and has no apt-get to install them; "
            "use a Debian machine, or point KUBECONFIG at a cluster of your own"
        )
    if os.geteuid() != 0:
        raise ClusterError(f"installing {', '.join(packages)} needs root")
    say(f"installing Debian packages: {', '.join(packages)}")
    _apt("update")
    _apt("install", "--yes", "--no-install-recommends", *packages)


def unpack(package: str, folder: Path) -> None:
    """Put the files of a package into a folder; it is not installed, and nothing of it starts."""
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise ClusterError(
            f"this machine has no apt-get to fetch the package {package}; put its programs on PATH"
        )
    say(f"fetching the Debian package {package}")
    if os.geteuid() == 0:
        _apt("update")
    _apt("download", package, place=folder)
    for archive in folder.glob(f"{package}_*.deb"):
        subprocess.run(["dpkg-deb", "--extract", archive, folder], check=True)
        archive.unlink()


def _apt(*arguments: str, place: Path = Path("/")) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        ["apt-get", "-qq", *arguments],
        cwd=place,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        # A third party's package source that is down does not spoil Debian's own:
        # only an install that fails is the end.
        if arguments[0] == "update":
            say(f"apt-get update had trouble, going on: {_last_line(done.stderr)}")
            return
        raise ClusterError(f"apt-get {' '.join(arguments)} failed:\n{done.stderr.strip()}")


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2]
