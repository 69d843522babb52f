"""The installation's master key: made at the first start, read at all others."""

import base64

from graflow.api import names
from graflow_operator.cluster import SECRETS, Cluster
from graflow_operator.cluster_errors import AlreadyExistsError, NotFoundError
from graflow_operator.keys import MasterKey, master_secret, new_master
from graflow_operator.settings import Settings


class SecretUnusableError(Exception):
    """A Secret of the operator's own does not hold what it should; the message says what to do."""


async def master_key(cluster: Cluster, settings: Settings) -> MasterKey:
    """Return the master key; of several replicas that start at once, one makes it.

    Raises:
        SecretUnusableError: If the Secret is there and holds something else.
        ClusterError: If the API server does not let it be read or made.
    """
    name = names.of_instance(names.MASTER_KEY_SECRET, settings.instance)
    namespace = settings.operator_namespace
    while True:
        try:
            secret = await cluster.get(SECRETS, namespace, name)
        except NotFoundError:
            key = new_master()
            try:
                await cluster.create(SECRETS, namespace, master_secret(name, namespace, key))
            except AlreadyExistsError:
                continue
            return key
        data = secret.get("data", {}).get(names.SECRET_KEY, "")
        try:
            return MasterKey(bytes.fromhex(base64.b64decode(data).decode()))
        except ValueError as error:
            raise SecretUnusableError(
                f"Secret {namespace}/{name} holds no key; delete it, and a new one is made (runs"
                " that are under way lose their pods)"
            ) from error
