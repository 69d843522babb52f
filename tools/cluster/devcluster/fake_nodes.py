"""kwok: what answers for nodes that do not exist, for tests of placement and of scale."""

from devcluster import control_plane, golang, owner
from devcluster.console import answer
from devcluster.control_plane import FAKE_NODE
from devcluster.errors import ClusterError
from devcluster.layout import Layout
from devcluster.processes import Book
from devcluster.up import foreign_kubeconfig

NAME = "kwok"


def serve(layout: Layout) -> None:
    """Let kwok answer for fake nodes; build it first if need be. It does nothing while none is.

    Raises:
        ClusterError: If no cluster runs from this checkout.
    """
    if named := foreign_kubeconfig(layout):
        answer(f"KUBECONFIG names a cluster already, {named}: fake nodes there need its own kwok")
        return
    owner.refuse_another(layout)
    if not layout.kubeconfig.exists():
        raise ClusterError("no cluster runs from this checkout; start it with `cluster.py up`")
    golang.build_missing((golang.KWOK,))
    with owner.exclusive():
        book = Book(layout.pids)
        if not any(process.name == NAME and process.alive for process in book.processes()):
            log = layout.logs / f"{NAME}.log"
            book.start(NAME, control_plane.kwok(layout), log, control_plane.environment())
            owner.mark(layout)
    answer(f"nodes with the annotation {FAKE_NODE}=fake are answered for")
