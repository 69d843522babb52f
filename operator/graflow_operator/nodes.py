"""Whether a node is away for so long that what ran on it counts as lost. Pure."""

from collections.abc import Mapping
from typing import Any

from graflow_operator.objects import condition, seconds

OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"


def lost(name: str, node: Mapping[str, Any] | None, *, now: float, patience_s: float) -> str:
    """Return why a node counts as lost, in words; nothing while it does not.

    Args:
        name: Name of the node.
        node: The node; None if there is none of that name any more.
        now: Seconds since the epoch.
        patience_s: How long it may be away, in seconds.
    """
    if node is None:
        return f"node {name} is gone"
    if any(t.get("key") == OUT_OF_SERVICE for t in node.get("spec", {}).get("taints", ())):
        return f"node {name} was marked {OUT_OF_SERVICE}"
    ready = condition(node.get("status", {}), "Ready")
    since = seconds(ready.get("lastTransitionTime"))
    if ready and ready.get("status") != "True" and now - since >= patience_s:
        return f"node {name} has not been ready for {int(now - since)} s"
    return ""
