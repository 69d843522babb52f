"""Stopping a cluster and putting the machine back as it was."""

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from devcluster import cache, network, node, owner, processes
from devcluster.console import answer, say
from devcluster.errors import ClusterError
from devcluster.layout import BEFORE, CONTAINERD_SOCKET, NETWORK, RUN, Layout
from devcluster.processes import Book, Process

_FIRST = ("kubelet", "kube-scheduler", "kube-controller-manager")
"""What would start pods anew."""

_LAST = ("etcd", "containerd", "versitygw")
"""What the others need to end in good order."""

_CNI_RESULTS = Path("/var/lib/cni/results")
"""Where the CNI library keeps what it did; there is no setting for it."""

_LOG_LINKS = Path("/var/log/containers")
"""Where the kubelet keeps links to its containers' logs; there is no setting for it."""

_DEVICE_PLUGINS = Path("/var/lib/kubelet/device-plugins")
"""Where the kubelet keeps a socket and its notes on devices; there is no setting for it."""

_SHIM_SOCKETS = Path("/run/containerd/s")
_SETTLE_S = 15.0


def down(layout: Layout) -> None:
    """Stop this checkout's cluster and prove that nothing is left."""
    owner.refuse_another(layout)
    with owner.exclusive():
        marked = owner.read()
        if not layout.state.exists() and not (marked and marked.layout == layout):
            answer("no cluster runs from this checkout")
            return
        if os.geteuid() != 0:
            raise ClusterError("stopping the cluster needs root, as starting it did")
        clear(layout)
    answer(f"cluster is gone; its programs stay in {cache.root()}")


def clear(layout: Layout) -> None:
    """Stop and remove all that a cluster of this checkout started and made.

    Raises:
        ClusterError: If something is left afterwards, with a line for each.
    """
    before = network.Snapshot.load(BEFORE) if BEFORE.exists() else None
    _stop_processes(layout)
    _unmount(layout)
    if before:
        network.tear_down(before)
    _settle(layout, before)
    _remove_files(layout)
    left = _left_over(layout, before)
    if left:
        raise ClusterError("the cluster is stopped, but this is left:\n  " + "\n  ".join(left))
    say("no process, mount, link, rule or cgroup of it is left")


def _stop_processes(layout: Layout) -> None:
    started = _started(layout)
    processes.stop(process for process in started if process.name in _FIRST)
    with contextlib.suppress(ClusterError):
        _delete_containers()
    processes.stop(process for process in started if process.name not in _LAST)
    processes.stop(started)
    say(f"stopped {', '.join(process.name for process in started) or 'nothing'}")
    # What a containerd that was killed before its time has left behind.
    until = time.monotonic() + _SETTLE_S
    while (pids := _shims() | node.pids_in_cgroups()) and time.monotonic() < until:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)


def _started(layout: Layout) -> list[Process]:
    """Return what was started, also when somebody has removed the checkout's own list."""
    marked = owner.read()
    others = marked.processes if marked and marked.layout == layout else []
    return list(dict.fromkeys([*Book(layout.pids).processes(), *others]))


def _delete_containers() -> None:
    """End all containers; their shims go with them."""
    tasks = node.ctr("tasks", "list", "--quiet").split()
    if tasks:
        say(f"ending {len(tasks)} containers")
        node.ctr("tasks", "delete", "--force", *tasks)
    containers = node.ctr("containers", "list", "--quiet").split()
    if containers:
        node.ctr("containers", "delete", *containers)


def _shims() -> set[int]:
    """Return the shims of our containerd: their command line names its socket."""
    ours = set()
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            shim = Path(os.fsdecode(words[0])).name == "containerd-shim-runc-v2"
            if shim and os.fsencode(CONTAINERD_SOCKET) in words:
                ours.add(int(entry.name))
    return ours


def _mounts(layout: Layout) -> Iterator[Path]:
    """Yield the mount points in our folders, inner ones first."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    for line in reversed(lines):
        # Blanks and the like are written as octal numbers.
        text = re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), line.split()[4])
        path = Path(text)
        if path.is_relative_to(RUN) or path.is_relative_to(layout.state):
            yield path


def _unmount(layout: Layout) -> None:
    for path in list(_mounts(layout)):
        done = subprocess.run(["umount", path], capture_output=True, check=False)
        if done.returncode:
            subprocess.run(["umount", "--lazy", path], capture_output=True, check=False)


def _settle(layout: Layout, before: network.Snapshot | None) -> None:
    """Wait for what the kernel takes away in its own time: links and cgroups of dead pods."""
    until = time.monotonic() + _SETTLE_S
    node.remove_cgroups()
    while _left_over(layout, before) and time.monotonic() < until:
        time.sleep(0.1)
        _unmount(layout)
        if before:
            network.tear_down(before)
        node.remove_cgroups()


def _remove_files(layout: Layout) -> None:
    if any(_mounts(layout)):
        return  # removing would reach into what is mounted
    for file in _CNI_RESULTS.glob(f"{NETWORK}-*"):
        container = file.name.removeprefix(f"{NETWORK}-").partition("-")[0]
        for its in _CNI_RESULTS.glob(f"*-{container}-*"):  # also that of its loopback
            its.unlink()
    listening = Path("/proc/net/unix").read_text()
    for socket in _SHIM_SOCKETS.glob("*"):
        if str(socket) not in listening:
            socket.unlink()
    for name in ("kubelet.sock", "kubelet_internal_checkpoint", "DEPRECATION"):
        (_DEVICE_PLUGINS / name).unlink(missing_ok=True)
    for link in _LOG_LINKS.glob("*"):
        if link.is_symlink() and link.readlink().is_relative_to(layout.state):
            link.unlink()
    used = (_SHIM_SOCKETS, _CNI_RESULTS, _DEVICE_PLUGINS)
    for folder in (_LOG_LINKS, *used, *(folder.parent for folder in used)):
        with contextlib.suppress(OSError):
            folder.rmdir()  # only when empty: others may use it
    cache.remove(layout.state)
    cache.remove(RUN)


def _left_over(layout: Layout, before: network.Snapshot | None) -> list[str]:
    found = [f"process {p.name} ({p.pid})" for p in _started(layout) if p.alive]
    found += [f"process {pid}, of a pod" for pid in sorted(_shims() | node.pids_in_cgroups())]
    found += [f"mount {path}" for path in _mounts(layout)]
    found += [f"cgroup {path}" for path in node.cgroups()]
    if before:
        found += network.left_over(before)
    return found
