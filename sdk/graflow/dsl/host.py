"""Who runs a program: this process, unless a command has set another host, such as a cluster."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Protocol

from graflow.dsl import current
from graflow.dsl.program import Program

_LOCAL = "graflow.local"
"""Above this layer, hence by name; it has a `LocalHost`."""

_CLUSTER = "graflow.cluster"
"""Above this layer too; it has a `submit`."""


class Host(Protocol):
    """Runs programs to their end."""

    def execute(
        self,
        program: Program,
        *,
        initial_channel: Mapping[str, object] | None,
        ret_context: bool,
    ) -> Any:  # noqa: ANN401 - the value of the run
        """Run a program and return its value (R6), with `ret_context` also its context.

        Args:
            program: What to run.
            initial_channel: Channel keys that are set before it begins.
            ret_context: Return `(value, ExecutionContext)`.

        Raises:
            GraflowRuntimeError: If the run fails.
        """


_chosen: list[Host] = []


def current_host() -> Host:
    """Return the host that `execute` uses: the one that was set, otherwise the local one.

    A workflow that a running task executes is always run in that task's process.
    """
    if _chosen and not current.in_running_task():
        return _chosen[-1]
    host: Host = import_module(_LOCAL).LocalHost()
    return host


@contextmanager
def use_host(host: Host) -> Iterator[None]:
    """Make `execute` use this host in the whole process, for as long as the `with` lasts."""
    _chosen.append(host)
    try:
        yield
    finally:
        _chosen.remove(host)


def submit_to_cluster(program: Program, *, namespace: str | None, wait: bool) -> Any:  # noqa: ANN401 - a graflow.cluster.Run
    """Send a program to the cluster of the current kubeconfig."""
    return import_module(_CLUSTER).submit(program, namespace=namespace, wait=wait)
