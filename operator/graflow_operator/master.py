"""The installation's master key: made at the first start, read at all others, rotated when asked.

After a rotation pods get keys that come from the new one. The old one is kept for as long as runs
last that began before: their pods may still speak, and may have left outcomes signed with it.
"""

import base64
import logging
from collections.abc import Callable
from dataclasses import replace

from graflow.api import names
from graflow_operator.cluster import SECRETS, Cluster, Object
from graflow_operator.cluster_errors import AlreadyExistsError, ConflictError, NotFoundError
from graflow_operator.keys import MasterKey, Replaced, master_data, master_secret, new_master
from graflow_operator.settings import Settings

CLOCKS_S = 60.0
"""How far the clocks of the API server and of the operator may be apart."""

log = logging.getLogger(__name__)


class SecretUnusableError(Exception):
    """A Secret of the operator's own does not hold what it should; the message says what to do."""


async def master_key(cluster: Cluster, settings: Settings) -> MasterKey:
    """Return the master key; of several replicas that start at once, one makes it.

    Raises:
        SecretUnusableError: If the Secret is there and holds something else.
        ClusterError: If the API server does not let it be read or made.
    """
    name, namespace = _place(settings)
    while True:
        try:
            return _parsed(await cluster.get(SECRETS, namespace, name))
        except NotFoundError:
            key = new_master()
            try:
                await cluster.create(SECRETS, namespace, master_secret(name, namespace, key))
            except AlreadyExistsError:
                continue
            return key


async def rotated(
    cluster: Cluster, settings: Settings, *, now: float, in_use: Callable[[float], bool]
) -> MasterKey:
    """Return the master key, replaced if somebody asked for it. For the replica that leads.

    Args:
        cluster: Where the Secret is.
        settings: Which Secret it is.
        now: Seconds since the epoch.
        in_use: Whether runs last that began before a time, in seconds since the epoch.

    Raises:
        SecretUnusableError: As `master_key`.
        ClusterError: If the API server does not let it be read, made or written.
    """
    name, namespace = _place(settings)
    while True:
        try:
            secret = await cluster.get(SECRETS, namespace, name)
        except NotFoundError:
            return await master_key(cluster, settings)
        key = _parsed(secret)
        notes = dict(secret["metadata"].get("annotations") or {})
        if names.ANNOTATION_ROTATE in notes:
            del notes[names.ANNOTATION_ROTATE]
            wanted = replace(
                new_master(), replaced=(Replaced(key.data, now + CLOCKS_S), *key.replaced)
            )
        else:
            kept = tuple(one for one in key.replaced if in_use(one.at))
            wanted = replace(key, replaced=kept)
        if wanted == key:
            return key
        secret["metadata"] |= {"annotations": notes}
        secret["metadata"].pop("managedFields", None)
        secret["data"] = {
            field: base64.b64encode(text.encode()).decode()
            for field, text in master_data(wanted).items()
        }
        secret.pop("stringData", None)
        try:
            await cluster.replace(SECRETS, namespace, name, secret)
        except (ConflictError, NotFoundError):
            continue
        others = ", ".join(MasterKey(one.data).id for one in wanted.replaced) or "none"
        log.info("master key: %s for new pods, kept for those of before: %s", wanted.id, others)
        return wanted


def _place(settings: Settings) -> tuple[str, str]:
    name = names.of_instance(names.MASTER_KEY_SECRET, settings.instance)
    return name, settings.operator_namespace


def _parsed(secret: Object) -> MasterKey:
    try:
        data = {
            field: base64.b64decode(text).decode()
            for field, text in (secret.get("data") or {}).items()
        }
        replaced = [line.split() for line in data.get(names.SECRET_REPLACED, "").splitlines()]
        return MasterKey(
            bytes.fromhex(data[names.SECRET_KEY]),
            tuple(Replaced(bytes.fromhex(old), float(at)) for old, at in replaced),
        )
    except (KeyError, ValueError):
        metadata = secret["metadata"]
        raise SecretUnusableError(
            f"Secret {metadata['namespace']}/{metadata['name']} holds no key; delete it, and a new"
            " one is made (runs that are under way lose their pods)"
        ) from None  # the chain could show a key
