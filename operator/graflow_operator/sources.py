"""Which runs others go on from: what they have in the store stays until these have ended. Pure."""

from collections.abc import Iterable

from graflow.machine.state import RunPhase
from graflow_operator.cluster import Object


def needed(workflows: Iterable[Object]) -> dict[str, str]:
    """Return the uids of runs that others go on from, with the name of one that has not ended."""
    found = {}
    for workflow in workflows:
        if not has_ended(workflow) and (uid := _source_of(workflow)):
            found[uid] = str(workflow["metadata"]["name"])
    return found


def has_ended(workflow: Object) -> bool:
    """Whether a run has ended, as its status says."""
    phase = (workflow.get("status") or {}).get("phase")
    return phase in {one.value for one in RunPhase if one.ended}


def _source_of(workflow: Object) -> str:
    status, spec = workflow.get("status") or {}, workflow.get("spec") or {}
    told = (status.get("resumedFrom") or {}).get("uid")
    return str(told or (spec.get("resumeFrom") or {}).get("uid") or "")
