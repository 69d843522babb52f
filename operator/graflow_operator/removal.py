"""Pods that are not to go on, stopped; and our finalizer taken off where nobody has to read it."""

from graflow.api import names
from graflow_operator.cluster import PODS, Cluster, Object
from graflow_operator.cluster_errors import InvalidError, NotFoundError
from graflow_operator.facts import PodFact


async def remove(cluster: Cluster, namespace: str, fact: PodFact) -> Object | None:
    """Stop a pod and let it go; return it as it is then, if its finalizer was taken off."""
    try:
        await cluster.delete(PODS, namespace, fact.name, uid=fact.uid)
    except NotFoundError:
        return None
    return await release(cluster, namespace, fact)


async def release(cluster: Cluster, namespace: str, fact: PodFact) -> Object | None:
    """Take our finalizer off a pod; return it as it is then, None if there was nothing to do."""
    try:
        return await let_go(cluster, namespace, fact)
    except (NotFoundError, InvalidError):
        return None


async def let_go(cluster: Cluster, namespace: str, fact: PodFact) -> Object | None:
    """Take our finalizer off a pod; return it as it is then, None if it has none.

    Raises:
        NotFoundError: If the pod is gone.
        InvalidError: If it is another one, or has other finalizers by now.
    """
    if not fact.held:
        return None
    others = [name for name in fact.finalizers if name != names.OUTCOME_FINALIZER]
    operations: list[Object] = [
        {"op": "test", "path": "/metadata/uid", "value": fact.uid},
        {"op": "test", "path": "/metadata/finalizers", "value": list(fact.finalizers)},
        {"op": "replace", "path": "/metadata/finalizers", "value": others},
    ]
    return await cluster.patch_json(PODS, namespace, fact.name, operations)
