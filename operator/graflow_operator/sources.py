"""Which runs others go on from: what they have in the store stays until these have ended. Pure."""

from collections.abc import Iterable

from graflow_operator.cluster import Object
from graflow_operator.objects import has_ended


def needed(workflows: Iterable[Object]) -> dict[str, str]:
    """Return the uids of runs that others go on from, with the name of one that has not ended."""
    found = {}
    for workflow in workflows:
        if not has_ended(workflow) and (uid := _source_of(workflow)):
            found[uid] = str(workflow["metadata"]["name"])
    return found


def _source_of(workflow: Object) -> str:
    status, spec = workflow.get("status") or {}, workflow.get("spec") or {}
    told = (status.get("resumedFrom") or {}).get("uid")
    return str(told or (spec.get("resumeFrom") or {}).get("uid") or "")
