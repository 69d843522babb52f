"""Sends a program to a cluster."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from graflow.cluster.apiserver import ApiServer
from graflow.cluster.connection import connect
from graflow.cluster.creation import TRIES, create, suffix
from graflow.cluster.run import Run
from graflow.cluster.workflows import Workflows
from graflow.compile.program import Compiled, Options, compile_program
from graflow.dsl.program import Program

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where programs go."""

    context: str | None = None
    """One of the kubeconfig's contexts; the current one when not given."""

    namespace: str | None = None
    """The context's when not given."""

    def workflows(self) -> Workflows:
        """Return the workflows there.

        Raises:
            UnreachableError: If nothing says where a cluster is.
        """
        return Workflows(self.server(), self.namespace)

    def server(self) -> ApiServer:
        """Return the API server there."""
        return connect(self.context, self.namespace)


def submit(
    program: Program,
    *,
    namespace: str | None = None,
    wait: bool = False,
    initial_channel: Mapping[str, object] | None = None,
    options: Options | None = None,
) -> Run:
    """Send a program to the cluster of the current kubeconfig.

    Args:
        program: What to run.
        namespace: Where it runs; the kubeconfig's own when not given.
        wait: Return when it has ended, whichever way.
        initial_channel: Channel keys to set before the start.
        options: Name, image and files.

    Raises:
        CompileError: If its code or files cannot travel.
        GraphCompilationError: If its plan cannot run.
        ClusterError: If the cluster does not take it.
    """
    options = options or Options()
    compiled = compile_program(program, options, initial_channel=initial_channel)
    for left in compiled.bundle.left_out:
        logger.warning("left out %s: %s", left.path, left.why)
    logger.info("files that travel: %s", ", ".join(compiled.bundle.files) or "none")
    run = send(compiled, Target(namespace=namespace).workflows(), exact=options.name is not None)
    if wait:
        run.wait()
    return run


def send(compiled: Compiled, workflows: Workflows, *, exact: bool) -> Run:
    """Create what a program became: its CodeBundle, then its Workflow.

    Args:
        compiled: The program.
        workflows: Where to create it.
        exact: Use the name as it is. Otherwise something unique is added to it.

    Raises:
        ClusterError: If the cluster does not take it.
    """
    name = compiled.workflow["metadata"]["name"]
    names = [name] if exact else [f"{name}-{suffix()}" for _ in range(TRIES)]
    created = create(compiled.workflow, compiled.bundle.resource(), workflows, names)
    return Run.of(workflows, created)
