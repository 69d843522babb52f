"""What nothing refers to in the store, as the operator finds it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from pydantic import TypeAdapter, ValidationError

from graflow.cluster.apiserver import ApiServer
from graflow.cluster.errors import ClusterError, ValueLostError
from graflow.cluster.handout import UserApi

WORDS = "what nothing refers to is in the store"


@dataclass(frozen=True)
class Garbage:
    """What was found of one run."""

    uid: str
    """Of the Workflow."""

    objects: int
    """How many there are that nothing refers to, or that are left alone."""

    bytes: int
    """Their size."""

    deleted: bool
    """Whether they are deleted now."""

    name: str = ""
    """Of the Workflow, if it exists."""

    why: str = ""
    """Gone: its Workflow is. Unmarked: the same, and nothing says whose run it was. Unreferenced:
    it has ended, and refers to others."""

    left: str = ""
    """Why it is left alone, if it is."""

    folders: Mapping[str, int] = field(default_factory=dict)
    """How many objects there are of each kind."""


@dataclass(frozen=True)
class Collected:
    """What was found in a namespace."""

    found: tuple[Garbage, ...]
    going_on: int
    """Runs that go on, of which nothing is ever touched."""


_GARBAGE = TypeAdapter(Garbage)


def collect(
    server: ApiServer, namespace: str, *, delete: bool = False, unmarked: bool = False
) -> Collected:
    """Find what nothing refers to in the store, of one namespace.

    Args:
        server: Where the operator is.
        namespace: Where the runs are, or were.
        delete: Delete it, too.
        unmarked: Delete also what no mark says the owner of: runs of another cluster, perhaps,
            whose operator does not mark them.

    Raises:
        ForbiddenError: If one may not list, or delete, the Workflows of the namespace.
        ClusterError: If it cannot be known; with `delete`, something may be deleted by then.
    """
    query = {"unmarked": "1"} if unmarked else None
    path = f"/namespaces/{quote(namespace)}/garbage"
    method = "DELETE" if delete else "GET"
    found: list[Garbage] = []
    try:
        with UserApi(server).stream(method, path, WORDS, query) as reply:
            for line in reply:
                told = json.loads(line)
                if "error" in told:
                    raise ClusterError(
                        f"the operator stopped halfway, after {len(found)} runs: {told['error']};"
                        " call it again"
                    )
                if told.get("done"):
                    return Collected(tuple(found), int(told["goingOn"]))
                found.append(_GARBAGE.validate_python(told))
    except (ValueError, KeyError, ValidationError) as error:
        raise ValueLostError(f"the operator's answer cannot be read: {error}") from error
    raise ClusterError("the operator's answer came to its end halfway; call it again")
