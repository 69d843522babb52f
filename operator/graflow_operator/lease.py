"""Which replica leads. The Lease only avoids work that would be done twice; it decides nothing.

Its times are compared with nobody's clock: a candidate watches whether the holder goes on renewing,
by its own clock, one that goes on while a machine sleeps.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from graflow_operator import metrics
from graflow_operator.cluster import LEASES, Cluster, Object
from graflow_operator.cluster_errors import (
    AlreadyExistsError,
    ClusterError,
    ConflictError,
    NotFoundError,
)

DURATION_S = 15.0
RENEW_S = 2.0
LOOK_S = 1.0
"""Between two looks of a replica that does not lead: as long as a Lease that was let go waits."""

TIMEOUT_S = 5.0
"""Longest time of one try to renew, well below the duration."""

ADDRESS = "graflow.dev/address"
"""Annotation with the URL at which the leader is reached."""

log = logging.getLogger(__name__)


def boot_time() -> float:
    """Return seconds since the machine started, those in which it slept included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True, slots=True)
class Candidate:
    """Who wants to lead, and with what."""

    namespace: str
    name: str
    identity: str
    address: str


class LeaseKeeper:
    """Takes the Lease when nobody keeps it, and keeps it."""

    def __init__(
        self, cluster: Cluster, candidate: Candidate, clock: Callable[[], float] = boot_time
    ) -> None:
        self._cluster = cluster
        self._me = candidate
        self._clock = clock
        self._seen: tuple[str, float] = ("", 0.0)
        """Version of the Lease, and when it was first seen."""

        self._lasts_s = DURATION_S
        """How long the Lease says that it is good for without being renewed."""

        self._leads_until = 0.0
        self.leader = ""
        """Address of whoever leads; empty when nobody is known to."""

    def leads(self) -> bool:
        """Whether this replica leads now."""
        return self._clock() < self._leads_until

    def pause_s(self) -> float:
        """Return how long to wait until the next round; one comes when the Lease seen runs out."""
        if self.leads():
            return RENEW_S
        left = self._seen[1] + self._lasts_s - self._clock()
        return min(left, LOOK_S) if left > 0 else LOOK_S

    async def round(self) -> None:
        """Renew the Lease, or try to take it; a failure of the API server is no news of others."""
        began = self._clock()
        try:
            async with asyncio.timeout(TIMEOUT_S):
                mine = await self._try()
        except (ClusterError, TimeoutError) as error:
            log.warning("lease %s: %s", self._me.name, str(error) or type(error).__name__)
            mine = None
        if mine:
            self._leads_until = began + DURATION_S - RENEW_S
        elif mine is False:
            self._leads_until = 0.0
        metrics.LEASE_ROUNDS.inc({True: "leading", False: "standby", None: "failed"}[mine])

    async def _try(self) -> bool:
        try:
            lease = await self._cluster.get(LEASES, self._me.namespace, self._me.name)
        except NotFoundError:
            return await self._take(None)
        spec, version = lease.get("spec", {}), lease["metadata"]["resourceVersion"]
        holder = spec.get("holderIdentity") or ""
        if version != self._seen[0]:
            self._seen = (version, self._clock())
        if holder in ("", self._me.identity):
            return await self._take(lease)
        self._lasts_s = spec.get("leaseDurationSeconds") or DURATION_S
        if self._clock() - self._seen[1] >= self._lasts_s:
            log.warning("lease %s: %s stopped renewing it; taking over", self._me.name, holder)
            self.leader = ""
            return await self._take(lease)
        self.leader = lease["metadata"].get("annotations", {}).get(ADDRESS, "")
        return False

    async def _take(self, lease: Object | None) -> bool:
        body = self._body(lease, self._me.identity)
        try:
            if lease is None:
                written = await self._cluster.create(LEASES, self._me.namespace, body)
            else:
                written = await self._cluster.replace(
                    LEASES, self._me.namespace, self._me.name, body
                )
        except (ConflictError, AlreadyExistsError):
            return False
        self._seen = (written["metadata"]["resourceVersion"], self._clock())
        self.leader = self._me.address
        return True

    async def release(self) -> None:
        """Give the Lease away, so that the next replica need not wait for it to expire."""
        if not self.leads():
            return
        self._leads_until = 0.0
        try:
            async with asyncio.timeout(TIMEOUT_S):
                while not await self._let_go():
                    pass
        except (ClusterError, TimeoutError) as error:
            log.warning("lease %s not released: %s", self._me.name, error)

    async def _let_go(self) -> bool:
        """Take our name off the Lease; False if a renewal of ours came in between."""
        lease = await self._cluster.get(LEASES, self._me.namespace, self._me.name)
        if lease.get("spec", {}).get("holderIdentity") != self._me.identity:
            return True
        body = self._body(lease, "")
        try:
            await self._cluster.replace(LEASES, self._me.namespace, self._me.name, body)
        except ConflictError:
            return False
        return True

    def _body(self, lease: Object | None, holder: str) -> Object:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = dict(lease.get("spec", {})) if lease else {}
        taken = spec.get("holderIdentity") != holder
        spec |= {
            "holderIdentity": holder,
            "leaseDurationSeconds": int(DURATION_S),
            "renewTime": now,
        }
        if taken:
            spec["acquireTime"] = now
            spec["leaseTransitions"] = int(spec.get("leaseTransitions", 0)) + (lease is not None)
        metadata: Object = {"name": self._me.name, "namespace": self._me.namespace}
        if lease:
            metadata["resourceVersion"] = lease["metadata"]["resourceVersion"]
        metadata["annotations"] = {ADDRESS: self._me.address} if holder else {}
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": metadata,
            "spec": spec,
        }
