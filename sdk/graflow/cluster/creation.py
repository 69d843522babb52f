"""Creates Workflows, each with its CodeBundle, under the first name that is free."""

import contextlib
import logging
import secrets
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from graflow.cluster.errors import ClusterError, ConflictError
from graflow.cluster.whoami import who_we_are
from graflow.cluster.workflows import Object, Workflows

logger = logging.getLogger(__name__)

SUFFIX_CHARS = "bcdfghjklmnpqrstvwxz2456789"  # those of Kubernetes: no words come out by chance
SUFFIX_LENGTH = 5
TRIES = 5
NUMBERED = 20
"""Names with a number that are tried before one that is free for sure."""


def create(
    workflow: Mapping[str, Any],
    bundle: Mapping[str, Any] | None,
    workflows: Workflows,
    names: Iterable[str],
) -> Object:
    """Create a CodeBundle, then a Workflow that owns it, and return the Workflow.

    It says who submits it, where the API server tells us who that is.

    Args:
        workflow: The resource; its name counts for nothing.
        bundle: The CodeBundle that it needs, if it needs one.
        workflows: Where to create it.
        names: Names for it; the first one that is free is taken.

    Raises:
        ConflictError: If none is free.
        ClusterError: If the cluster does not take it.
    """
    workflow = _submitted(workflow, workflows)
    if bundle is not None:
        workflows.apply_bundle(bundle)
    created = _under_a_free_name(workflow, workflows, [*names])
    if bundle is None:
        return created
    try:
        workflows.own_bundle(bundle, created)
    except ClusterError as error:
        # The run is there; that its code outlives it is no reason to say that it is not.
        logger.warning(
            "CodeBundle %s will stay after %s: %s",
            bundle["metadata"]["name"],
            created["metadata"]["name"],
            error,
        )
    return created


def _submitted(workflow: Mapping[str, Any], workflows: Workflows) -> Mapping[str, Any]:
    """Return a Workflow with who submits it in it, unless that is there or not known."""
    spec = workflow["spec"]
    if "submitter" in spec or (ourselves := who_we_are(workflows.server)) is None:
        return workflow
    return {**workflow, "spec": {**spec, "submitter": ourselves.name}}


def _under_a_free_name(
    workflow: Mapping[str, Any], workflows: Workflows, names: list[str]
) -> Object:
    *others, last = names
    for name in others:
        with contextlib.suppress(ConflictError):
            return workflows.create({**workflow, "metadata": {"name": name}})
    try:
        return workflows.create({**workflow, "metadata": {"name": last}})
    except ConflictError as error:
        raise ConflictError(
            f"there is a workflow {last!r} in namespace {workflows.namespace!r} already; "
            f"choose another name, or give none and get one that is free"
        ) from error


def numbered(base: str) -> Iterator[str]:
    """Yield names with a number, and then one that nobody has.

    >>> next(numbered("etl-resumed"))
    'etl-resumed-1'
    """
    yield from (f"{base}-{number}" for number in range(1, NUMBERED + 1))
    yield f"{base}-{suffix()}"


def suffix() -> str:
    """Return what makes a name unique."""
    return "".join(secrets.choice(SUFFIX_CHARS) for _ in range(SUFFIX_LENGTH))
