"""Starting a cluster, and seeing whether one runs."""

import contextlib
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from devcluster import (
    control_plane,
    debian,
    down,
    golang,
    network,
    node,
    owner,
    pausing,
    storage,
)
from devcluster.console import answer, say
from devcluster.control_plane import Command
from devcluster.errors import ClusterError
from devcluster.layout import BEFORE, CONTAINERD_SOCKET, NODE_NAME, S3_BUCKET, S3_ENDPOINT, Layout
from devcluster.processes import Book, Process, wait_until

PARTS = (
    "etcd",
    "containerd",
    "versitygw",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
)
"""All processes, in the order in which they start."""

_PATIENCE_S = 120.0


def foreign_kubeconfig(layout: Layout) -> str:
    """Return what KUBECONFIG names if that is not this checkout's cluster, else ""."""
    named = os.environ.get("KUBECONFIG", "")
    files = [Path(part).expanduser().resolve() for part in named.split(":") if part]
    state = layout.state.resolve()
    return "" if all(file.is_relative_to(state) for file in files) else named


def up(layout: Layout) -> None:
    """Bring the cluster up: build what is missing, start what does not run."""
    if named := foreign_kubeconfig(layout):
        answer(f"KUBECONFIG names a cluster already, {named}: using that one, building nothing")
        return
    if os.geteuid() != 0:
        raise ClusterError("starting a cluster needs root: it makes a network and containers")
    owner.refuse_another(layout)
    debian.install(debian.NODE)
    golang.build_missing()
    with owner.exclusive():
        owner.refuse_another(layout)
        if not _runs(layout):
            _start(layout)
    answer(f"cluster is ready: export KUBECONFIG={layout.kubeconfig}")


def _runs(layout: Layout) -> bool:
    """Return whether all is well; clear away what is left of a cluster that is not."""
    if still := pausing.paused(layout):
        say(f"paused, and going on now: {', '.join(still)}")
        pausing.go_on(layout, still)
        _settle(layout)
    alive = {process.name for process in Book(layout.pids).processes() if process.alive}
    if alive.issuperset(PARTS) and all(check(layout) for check in CHECKS.values()):
        say("the cluster runs")
        return True
    if layout.state.exists() or owner.read():
        dead = [part for part in PARTS if part not in alive]
        what = f"not running: {', '.join(dead)}" if dead else "it does not answer"
        say(f"found the remains of a cluster ({what}); starting again from nothing")
        marked = owner.read()
        if marked and marked.layout != layout:
            down.clear(marked.layout)
        down.clear(layout)
    return False


def _settle(layout: Layout) -> None:
    """Give parts that were paused the time to be well again; whether they are is seen later."""
    log = layout.logs / "kubelet.log"
    with contextlib.suppress(ClusterError):
        wait_until("the pause", lambda: all(check(layout) for check in CHECKS.values()), log)


def _start(layout: Layout) -> None:
    network.refuse_foreign_bridge()
    for folder in (layout.state, layout.config, layout.logs, layout.data, layout.bin):
        folder.mkdir(parents=True, exist_ok=True)
    owner.mark(layout)
    network.Snapshot.taken().save(BEFORE)
    network.set_up()
    node.prepare()
    node.bind_kubelet_root(layout)
    control_plane.write_credentials(layout)
    storage.write_credentials(layout)
    node.write_configuration(layout)
    say("network, keys and configuration are there")
    _start_processes(layout)
    control_plane.write_admin_kubeconfig(layout)
    _write_commands(layout)


def _start_processes(layout: Layout) -> None:
    def start(name: str, command: Command, env: Mapping[str, str] | None = None) -> Process:
        environment = {**control_plane.environment(), **(env or {})}
        process = Book(layout.pids).start(name, command, layout.logs / f"{name}.log", environment)
        owner.mark(layout)
        return process

    def ready(process: Process, what: str, check: Callable[[Layout], object]) -> None:
        log = layout.logs / f"{process.name}.log"
        wait_until(what, lambda: bool(check(layout)), log, process, _PATIENCE_S)
        say(what)

    start("etcd", control_plane.etcd(layout))
    containerd = start("containerd", node.containerd(layout), node.containerd_environment())
    s3 = start("versitygw", storage.command(layout), storage.environment(layout))
    api_server = start("kube-apiserver", control_plane.api_server(layout))
    ready(containerd, "containerd answers", lambda _: node.answers())
    node.import_pause(layout)
    ready(api_server, "the API server is ready", api_server_ready)
    start("kube-controller-manager", control_plane.controller_manager(layout))
    start("kube-scheduler", control_plane.scheduler(layout))
    kubelet = start("kubelet", node.kubelet(layout))
    start("kube-proxy", node.kube_proxy(layout))
    ready(s3, f"S3 answers at {S3_ENDPOINT}, bucket {S3_BUCKET}", storage.make_bucket)
    ready(kubelet, "the node is ready", node_ready)
    ready(api_server, "service accounts and the API's Service exist", accounts_ready)


def api_server_ready(layout: Layout) -> bool:
    """Whether the API server serves."""
    return bool(control_plane.get(layout, "/readyz") == "ok")


def node_ready(layout: Layout) -> bool:
    """Whether the node takes pods."""
    content = control_plane.get(layout, f"/api/v1/nodes/{NODE_NAME}") or {}
    conditions = content.get("status", {}).get("conditions", [])
    taints = content.get("spec", {}).get("taints", [])
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
    return ready and not taints


def accounts_ready(layout: Layout) -> bool:
    """Whether pods can be made and reach the API server."""
    default = "/api/v1/namespaces/default"
    account = control_plane.get(layout, f"{default}/serviceaccounts/default")
    trust = control_plane.get(layout, f"{default}/configmaps/kube-root-ca.crt")
    service = control_plane.get(layout, f"{default}/services/kubernetes")
    return bool(account and trust and service)


CHECKS: dict[str, Callable[[Layout], bool]] = {
    "API server": api_server_ready,
    "node": node_ready,
    "service accounts": accounts_ready,
    "S3": storage.make_bucket,
}


def _write_commands(layout: Layout) -> None:
    """Write the commands for people, which know where this cluster is."""
    kubeconfig = f'export KUBECONFIG="${{KUBECONFIG:-{layout.kubeconfig}}}"'
    ctr = golang.CONTAINERD.folder / "ctr"
    commands = {
        "kubectl": f'{kubeconfig}\nexec "{golang.KUBE.folder}/kube" kubectl "$@"',
        "helm": f'{kubeconfig}\nexec "{golang.HELM.folder}/helm" "$@"',
        "ctr": f'exec "{ctr}" --address {CONTAINERD_SOCKET} --namespace k8s.io "$@"',
    }
    for name, text in commands.items():
        file = layout.bin / name
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)


def status(layout: Layout) -> bool:
    """Print what runs; return whether all is well."""
    book = {process.name: process for process in Book(layout.pids).processes()}
    well = True
    for part in PARTS:
        process = book.get(part)
        running = bool(process and process.alive)
        how = "paused" if process and process.paused else "running"
        answer(f"{part:<24} {f'{how}, pid {process.pid}' if process and running else 'stopped'}")
        well &= running and how == "running"
    for name, check in CHECKS.items():
        ready = layout.kubeconfig.exists() and check(layout)
        answer(f"{name:<24} {'ready' if ready else 'not ready'}")
        well &= ready
    free = shutil.disk_usage(layout.checkout).free // 2**30
    answer(f"{'disk':<24} {free} GiB free")
    return well
