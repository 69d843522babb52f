"""Which checkout has this machine's cluster: one at a time, since ports and addresses are fixed."""

import contextlib
import fcntl
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from devcluster.errors import ClusterError
from devcluster.layout import MACHINE_LOCK, OWNER, Layout
from devcluster.processes import Process


@dataclass(frozen=True, slots=True)
class Owner:
    """What the marker says."""

    layout: Layout
    processes: list[Process]

    @property
    def lives(self) -> bool:
        """Whether anything of that cluster still runs."""
        return any(process.alive for process in self.processes)


def read() -> Owner | None:
    """Return the owner that is marked, dead or alive."""
    try:
        content = json.loads(OWNER.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    processes = [Process(**entry) for entry in content["processes"]]
    return Owner(Layout(Path(content["checkout"])), processes)


def mark(layout: Layout) -> None:
    """Say that the cluster is this checkout's."""
    OWNER.parent.mkdir(parents=True, exist_ok=True)
    pids = json.loads(layout.pids.read_text()) if layout.pids.exists() else []
    temporary = OWNER.with_suffix(".new")
    temporary.write_text(json.dumps({"checkout": str(layout.checkout), "processes": pids}))
    temporary.rename(OWNER)


def refuse_another(layout: Layout) -> None:
    """Stop if another checkout's cluster runs.

    Raises:
        ClusterError: With the other checkout and the command that stops its cluster.
    """
    owner = read()
    if owner and owner.lives and owner.layout != layout:
        other = owner.layout.checkout
        raise ClusterError(
            f"this machine already runs the cluster of {other}, and two do not fit; use it with "
            f"`export KUBECONFIG={owner.layout.kubeconfig}`, or stop it with "
            f"`python3 {other}/tools/cluster/cluster.py down`"
        )


@contextlib.contextmanager
def exclusive() -> Iterator[None]:
    """Keep a second `up` or `down` on this machine out.

    Raises:
        ClusterError: If one is at work.
    """
    MACHINE_LOCK.parent.mkdir(parents=True, exist_ok=True)
    with MACHINE_LOCK.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ClusterError(
                "another cluster command is at work on this machine; try again when it has ended"
            ) from None
        yield
