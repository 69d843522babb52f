"""Where everything of a cluster is: folders, addresses, names."""

from dataclasses import dataclass
from pathlib import Path

NODE_NAME = "graflow-node"
NODE_IP = "10.88.0.1"
POD_RANGE = "10.88.0.0/16"
SERVICE_RANGE = "10.96.0.0/16"
BRIDGE = "cni0"
NETWORK = "graflow-cluster"
API_SERVER = f"https://{NODE_IP}:6443"
S3_ENDPOINT = f"http://{NODE_IP}:7070"
S3_BUCKET = "graflow"
CGROUP = "graflow-cluster"
PAUSE_IMAGE = "localhost/pause:1"

RUN = Path("/run/graflow-cluster")
"""Sockets and mounts. Not in the checkout: a socket's path has at most 107 characters."""

CONTAINERD_SOCKET = RUN / "containerd.sock"
KUBELET_ROOT = RUN / "kubelet"
OWNER = RUN / "owner.json"
BEFORE = RUN / "before.json"
"""What the machine looked like before; not in the checkout, which may be removed any time."""

MACHINE_LOCK = Path("/run/lock/graflow-cluster.lock")


@dataclass(frozen=True, slots=True)
class Layout:
    """The folders of one checkout's cluster."""

    checkout: Path

    @property
    def state(self) -> Path:
        """All that belongs to the cluster and goes with it."""
        return self.checkout / ".cluster"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.state / "kubeconfig"

    @property
    def config(self) -> Path:
        """Keys, tokens and configuration files of the components."""
        return self.state / "config"

    @property
    def logs(self) -> Path:
        """One log a component, and the API server's audit log."""
        return self.state / "logs"

    @property
    def data(self) -> Path:
        """What the components keep on disk."""
        return self.state / "data"

    @property
    def bin(self) -> Path:
        """Commands for people: kubectl, ctr, helm."""
        return self.state / "bin"

    @property
    def s3_env(self) -> Path:
        """Where the S3 server is, as environment variables."""
        return self.state / "s3.env"

    @property
    def pids(self) -> Path:
        """The processes that were started."""
        return self.state / "pids.json"


def of_this_checkout() -> Layout:
    """Return the layout of the checkout that this file is in."""
    return Layout(Path(__file__).resolve().parents[3])
