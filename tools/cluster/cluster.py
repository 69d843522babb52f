"""A Kubernetes cluster on this machine, for development and tests."""

import argparse
import sys
from pathlib import Path

from devcluster import down, fake_nodes, layout, node, owner, pausing, prometheus, up
from devcluster.console import answer, complain
from devcluster.errors import ClusterError

_HELP = """\
A real Kubernetes on this machine: etcd, API server, controller manager, scheduler,
kubelet with containerd, kube-proxy, and an S3 server. Needs Debian, root and Go (or
fetches it); no registry of images and no Docker.

  python3 tools/cluster/cluster.py up        # the first time about 20 minutes, then seconds
  export KUBECONFIG=$PWD/.cluster/kubeconfig
  .cluster/bin/kubectl get nodes
  python3 tools/images.py load               # build our images and hand them to the node
  python3 tools/cluster/cluster.py pause kubelet    # as if the node hung; its pods run on
  python3 tools/cluster/cluster.py go-on kubelet
  python3 tools/cluster/cluster.py fake-nodes  # for tests of placement; builds kwok, 3 minutes
  python3 tools/cluster/cluster.py down

Programs are built once, into $GRAFLOW_CACHE (default: ~/.cache/graflow). Everything else
is in .cluster/: kubeconfig, s3.env, logs/ (with the API server's audit.log), bin/ (kubectl,
helm, ctr), pids.json. If KUBECONFIG names another cluster, `up` leaves it at that.
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cluster.py", description=_HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("up", help="start the cluster; does nothing when it runs")
    commands.add_parser("down", help="stop it, and leave the machine as it was before")
    commands.add_parser("status", help="say what runs; exit code 1 if something does not")
    for command, what in (("pause", "let parts stand still"), ("go-on", "let them go on")):
        told = commands.add_parser(command, help=f"{what}, as kubelet, kube-apiserver or versitygw")
        told.add_argument("part", nargs="+", choices=up.PARTS, metavar="PART", help="which")
    commands.add_parser("prometheus", help="bring Prometheus, for tests; starts nothing")
    commands.add_parser("fake-nodes", help="let kwok answer for nodes that tests make up")
    load = commands.add_parser("load", help="hand an image archive to the node")
    load.add_argument("archive", type=Path, help="an OCI or Docker archive (.tar)")
    return parser


def _load(archive: Path) -> None:
    owner.refuse_another(layout.of_this_checkout())
    if not archive.exists():
        raise ClusterError(f"there is no file {archive}")
    if not layout.CONTAINERD_SOCKET.exists():
        raise ClusterError("no cluster runs from this checkout; start it with `cluster.py up`")
    for name in node.import_image(archive):
        answer(f"loaded {name}")


def _ran(arguments: argparse.Namespace, place: layout.Layout) -> bool:
    """Run a command; return whether what it was asked about is well."""
    match arguments.command:
        case "up":
            up.up(place)
        case "down":
            down.down(place)
        case "status":
            return up.status(place)
        case "pause":
            pausing.pause(place, arguments.part)
        case "go-on":
            pausing.go_on(place, arguments.part)
        case "prometheus":
            answer(str(prometheus.bring(place)))
        case "fake-nodes":
            fake_nodes.serve(place)
        case "load":
            _load(arguments.archive)
        case unknown:
            raise AssertionError(unknown)
    return True


def main() -> int:
    """Run the command; 1 says that it failed, 130 that it was interrupted."""
    arguments = _parser().parse_args()
    place = layout.of_this_checkout()
    try:
        return 0 if _ran(arguments, place) else 1
    except ClusterError as error:
        complain(f"cluster.py: {error}")
        return 1
    except KeyboardInterrupt:
        complain("cluster.py: interrupted; `cluster.py down` clears away what was started")
        return 130


if __name__ == "__main__":
    sys.exit(main())
