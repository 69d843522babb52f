"""Sends a program to a cluster."""

import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from graflow.cluster.apiserver import ApiServer
from graflow.cluster.connection import connect
from graflow.cluster.errors import ClusterError, ConflictError
from graflow.cluster.run import Run
from graflow.cluster.workflows import Object, Workflows
from graflow.compile.program import Compiled, Options, compile_program
from graflow.dsl.program import Program

logger = logging.getLogger(__name__)

SUFFIX_CHARS = "bcdfghjklmnpqrstvwxz2456789"  # those of Kubernetes: no words come out by chance
SUFFIX_LENGTH = 5
TRIES = 5


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
    bundle = compiled.bundle.resource()
    workflows.apply_bundle(bundle)
    created = _create(compiled.workflow, workflows, exact=exact)
    run = Run(workflows, created["metadata"]["name"], created["metadata"]["uid"])
    try:
        workflows.own_bundle(bundle, created)
    except ClusterError as error:
        # The run is there; that its code outlives it is no reason to say that it is not.
        logger.warning(
            "CodeBundle %s will stay after %s: %s", compiled.bundle.name, run.name, error
        )
    return run


def _create(workflow: Object, workflows: Workflows, *, exact: bool) -> Object:
    name = workflow["metadata"]["name"]
    for last in (*[False] * (TRIES - 1), True):
        chosen = name if exact else f"{name}-{_suffix()}"
        try:
            return workflows.create({**workflow, "metadata": {"name": chosen}})
        except ConflictError as error:
            if exact:
                raise ConflictError(
                    f"there is a workflow {name!r} in namespace {workflows.namespace!r} already; "
                    f"choose another name, or give none and get one that is free"
                ) from error
            if last:
                raise
    raise AssertionError("the last try returns or raises")


def _suffix() -> str:
    return "".join(secrets.choice(SUFFIX_CHARS) for _ in range(SUFFIX_LENGTH))
