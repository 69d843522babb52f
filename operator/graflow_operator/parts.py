"""What all actors of one operator share."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from graflow.api import names
from graflow.store.keys import RunKeys
from graflow_operator.bundles import Bundle, Cache, opened
from graflow_operator.cluster import BUNDLES, SECRETS, Cluster
from graflow_operator.cluster_errors import AlreadyExistsError
from graflow_operator.courier import Courier, HttpCourier
from graflow_operator.keys import MasterKey, run_secret
from graflow_operator.notes import Notes
from graflow_operator.places import Places
from graflow_operator.profiles import Profiles
from graflow_operator.refs import RunRef
from graflow_operator.run_ids import RunIds
from graflow_operator.settings import Settings
from graflow_operator.storage import Storage
from graflow_operator.tails import Tails


class Vouching(Protocol):
    """Who vouches for the runner API over TLS; see `authority`."""

    @property
    def ca_pem(self) -> str:
        """The certificates to trust, PEM; other ones after a rotation."""


@dataclass
class Parts:
    """The operator's ways to the world, each behind an interface that tests can replace."""

    cluster: Cluster
    storage: Storage | None
    master: MasterKey
    settings: Settings
    notes: Notes
    clock: Callable[[], float] = time.time
    """Seconds since the epoch."""

    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    cluster_id: str = ""
    """What tells this cluster from others that use the same store; "" if that is not known."""

    authority: Vouching | None = None
    """Who vouches for the runner API; None for plain HTTP."""

    courier: Courier = field(init=False)
    """Who carries notifications."""

    bundles: Cache = field(default_factory=Cache)
    profiles: Profiles = field(init=False)
    places: Places = field(init=False)
    tails: Tails = field(init=False)
    run_ids: RunIds = field(default_factory=RunIds)

    def __post_init__(self) -> None:
        """Make what stands on the other parts."""
        self.courier = HttpCourier(self.settings.notifications_folder, self.clock)
        self.profiles = Profiles(self.cluster, self.clock)
        self.places = Places(self.settings.pods_per_namespace, self.clock)
        self.tails = Tails(self.cluster, wanted=self.settings.pods.keep_logs)

    @property
    def ca_pem(self) -> str:
        """The certificates that clients of the runner API are to trust; empty for plain HTTP."""
        return self.authority.ca_pem if self.authority else ""

    @property
    def mark_owner(self) -> str:
        """Whose marks in the store are those of this installation's runs."""
        return ".".join(part for part in (self.cluster_id, self.settings.instance) if part)

    def run_key(self, run: RunRef) -> bytes:
        """Return the key that new pods of a run get."""
        return self.master.of_run(run.uid)

    def secret_name(self, run: RunRef) -> str:
        """Return the name of the Secret that holds it."""
        return names.secret_name(run.name, uid=run.uid, key_id=self.master.id)

    @staticmethod
    def store_keys(run: RunRef) -> RunKeys:
        """Return the run's keys in the store."""
        return RunKeys(run.namespace, run.uid)

    async def make_secret(self, run: RunRef) -> None:
        """Make the Secret for new pods of a run, unless it was made before."""
        name = self.secret_name(run)
        body = run_secret(name, run.owner, run.namespace, self.run_key(run))
        try:
            await self.cluster.create(SECRETS, run.namespace, body)
        except AlreadyExistsError:
            return

    async def bundle(self, namespace: str, name: str, sha256: str) -> Bundle:
        """Return a bundle, its hash checked.

        Raises:
            NotFoundError: If there is no such CodeBundle.
            BundleUnusableError: If it is not the one that is meant.
        """
        found = self.bundles.get(namespace, sha256)
        if found is None:
            found = opened(await self.cluster.get(BUNDLES, namespace, name), sha256)
            self.bundles.put(namespace, found)
        return found
