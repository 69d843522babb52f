"""One process of the operator: it campaigns, and drives runs for as long as it leads."""

import asyncio
import logging
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from prometheus_client import start_http_server

from graflow.store import StoreError, StoreUnfitError
from graflow.store.s3 import S3Location, S3Store
from graflow_operator import metrics
from graflow_operator.cluster import ApiServer
from graflow_operator.cluster_errors import ClusterError
from graflow_operator.connection import Connection
from graflow_operator.engine import Engine
from graflow_operator.handlers.watching import Object, Watches, WatchesDeadError
from graflow_operator.lease import Candidate, LeaseKeeper
from graflow_operator.master import SecretUnusableError, master_key, rotated
from graflow_operator.notes import Notes
from graflow_operator.parts import Parts
from graflow_operator.pulse import Pulse
from graflow_operator.server.app import application
from graflow_operator.server.listener import Listener
from graflow_operator.server.replica import Replica
from graflow_operator.server.webhook import stay_asked
from graflow_operator.settings import Settings, lease_name, speaks_tls
from graflow_operator.storage import Storage
from graflow_operator.sweep import cluster_id

STALE_S = 60.0
START_RETRY_S = 2.0
MOST_START_RETRY_S = 30.0
PROOF_S = 5.0
"""How long a start waits to learn whether the store is fit; then it goes on and says so."""

LOOK_S = 0.5
"""Between two looks of a leader at whether it still leads. What it writes is guarded besides."""

REFRESH_S = 60.0
"""Between two looks at the operator's own Secrets, which another replica may have rotated."""

if TYPE_CHECKING:
    from graflow_operator.authority import Authority

Found = TypeVar("Found")
log = logging.getLogger(__name__)


def _authority(cluster: ApiServer, settings: Settings) -> "Authority | None":
    """Return who vouches for this replica; None when it speaks plain HTTP."""
    if not speaks_tls(settings):
        return None
    # A tenth of a second that plain HTTP has no use for.
    from graflow_operator.authority import Authority  # noqa: PLC0415

    return Authority(cluster, settings, time.time)


class Relay:
    """Hands what kopf's thread hears to the engine's loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, engine: Engine) -> None:
        self._loop = loop
        self._engine = engine

    def workflow(self, kind: str | None, body: Object) -> None:
        """Take note of a Workflow."""
        self._loop.call_soon_threadsafe(self._engine.workflow_seen, kind, body)

    def pod(self, kind: str | None, body: Object) -> None:
        """Take note of a runner pod."""
        self._loop.call_soon_threadsafe(self._engine.pod_seen, kind, body)

    def question(self, kind: str | None, body: Object) -> None:
        """Take note of a FeedbackRequest."""
        self._loop.call_soon_threadsafe(self._engine.people.seen, kind, body)


class Process:
    """One replica of the operator, from start to SIGTERM."""

    def __init__(self, settings: Settings, connection: Connection) -> None:
        self._settings = settings
        self._connection = connection
        self._stop = asyncio.Event()
        self._renewing: asyncio.Task[None] | None = None
        self._background: list[asyncio.Task[None]] = []
        """What goes on beside the runs, and never ends by itself but for a reason to end."""

    async def run(self) -> None:
        """Serve until told to stop."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        cluster = ApiServer(self._connection, self._settings.identity)
        try:
            await self._serve(cluster, await self._storage())
        finally:
            await cluster.close()

    async def _storage(self) -> Storage | None:
        """Return the store if there is one, known to be fit or not yet.

        Raises:
            StoreUnfitError: If it lacks conditional writes.
        """
        settings = self._settings
        if not settings.store_bucket:
            log.warning("no store is configured: everything stays in the Workflow objects")
            return None
        location = S3Location(settings.store_bucket, settings.store_endpoint, settings.store_region)
        storage = Storage(await asyncio.to_thread(S3Store, location), proven=False)
        proving = asyncio.create_task(self._prove(storage))
        self._background.append(proving)
        await asyncio.wait([proving], timeout=PROOF_S)
        self._look_after_background()
        return storage

    async def _prove(self, storage: Storage) -> None:
        """Ask until the store is known to be fit; what ails it may be mended while we serve.

        A process that ended instead would be started again and again, each time later, and could
        tell nobody who looks at a run.

        Raises:
            StoreUnfitError: If it lacks conditional writes.
        """
        pause_s = START_RETRY_S
        while True:
            try:
                await storage.prove()
            except StoreUnfitError:
                raise
            except StoreError as error:
                log.error("the store cannot be used: %s; trying again in %.0f s", error, pause_s)  # noqa: TRY400
            else:
                return
            await self._pause(pause_s)
            pause_s = min(pause_s * 2, MOST_START_RETRY_S)

    def _look_after_background(self) -> None:
        """Raise what anything in the background has died of: nobody is to serve without it."""
        for task in self._background:
            if task.done():
                task.result()

    async def _serve(self, cluster: ApiServer, storage: Storage | None) -> None:
        settings = self._settings
        key = await self._patiently("master key", lambda: master_key(cluster, settings))
        authority = _authority(cluster, settings)
        if authority is not None:
            await self._patiently("authority", authority.refresh)
        if key is None or self._stop.is_set():
            return
        notes = Notes(cluster, settings.identity, time.time)
        parts = Parts(
            cluster,
            storage,
            key,
            settings,
            notes,
            cluster_id=await self._patiently("cluster's id", lambda: cluster_id(cluster)) or "",
            authority=authority,
        )
        candidate = Candidate(
            settings.operator_namespace,
            lease_name(settings),
            settings.identity,
            settings.replica_url,
        )
        keeper = LeaseKeeper(cluster, candidate)
        replica = Replica(parts, keeper)
        if settings.metrics_port:
            start_http_server(settings.metrics_port)
        listener = Listener(application(replica), authority.context if authority else None)
        await listener.open(settings.listen_host, settings.listen_port)
        log.info("serving on port %d, advertised as %s", settings.listen_port, settings.advertise)
        metrics.LEADER.compute(lambda: float(keeper.leads()))
        work = (
            self._beat(replica),
            notes.run(),
            self._refresh(replica, authority),
            stay_asked(replica),
        )
        self._background += [asyncio.create_task(one) for one in work]
        try:
            await self._campaign(replica, keeper)
        finally:
            for task in self._background:
                task.cancel()
            await listener.close()
            await parts.courier.close()
            if storage:
                storage.close()

    async def _patiently(self, what: str, ask: Callable[[], Awaitable[Found]]) -> Found | None:
        """Return what is asked of the API server once it answers; None if told to stop before."""
        while not self._stop.is_set():
            try:
                return await ask()
            except ClusterError as error:
                log.warning("%s: %s; trying again", what, error)
                await self._pause(START_RETRY_S)
        return None

    async def _refresh(self, replica: Replica, authority: "Authority | None") -> None:
        """Look at our own Secrets again and again: to rotate them, or to learn that they were."""
        while True:
            await self._pause(REFRESH_S)
            leads = replica.engine.lasts_since if replica.engine else None
            try:
                await self._look_at_keys(replica.parts, leads)
                if authority is not None:
                    await authority.refresh(leads=replica.keeper.leads())
            except (ClusterError, SecretUnusableError) as error:
                log.warning("authority: %s; what is known of it stays", error)
            except Exception:
                # As no descriptor to be had: who stopped here would find out days later.
                log.exception("cannot look at our own keys and certificates; trying again")

    async def _look_at_keys(
        self, parts: Parts, leads: Callable[[float], bool] | None = None
    ) -> bool:
        """Read the master key, and rotate it if this replica leads; whether that could be done."""
        cluster, settings = parts.cluster, self._settings
        try:
            if leads is None:
                parts.master = await master_key(cluster, settings)
            else:
                parts.master = await rotated(cluster, settings, now=time.time(), in_use=leads)
        except SecretUnusableError as error:
            log.warning("master key: %s; what is known of it stays", error)
        except ClusterError as error:
            log.warning("master key: %s", error)
            return False
        return True

    async def _campaign(self, replica: Replica, keeper: LeaseKeeper) -> None:
        """Keep asking for the Lease; lead whenever and for as long as it is ours."""
        self._renewing = asyncio.create_task(self._renew(keeper))
        try:
            while not self._stop.is_set():
                self._look_after_background()
                if keeper.leads():
                    await self._lead(replica, keeper)
                await self._pause(0.1)
        finally:
            await self._resign(keeper)

    async def _resign(self, keeper: LeaseKeeper) -> None:
        """Renew no more, and give the Lease away if it is ours."""
        if self._renewing is not None:
            self._renewing.cancel()
        await keeper.release()

    @staticmethod
    async def _renew(keeper: LeaseKeeper) -> None:
        while True:
            try:
                await keeper.round()
            except Exception:
                # A replica that stopped here would be healthy, and never lead again.
                log.exception("cannot renew the Lease; trying again")
            await asyncio.sleep(keeper.pause_s())

    async def _lead(self, replica: Replica, keeper: LeaseKeeper) -> None:
        log.info("leading")
        metrics.LEASE_TURNS.inc("leading")
        # Whoever led before may have rotated the key, and have made pods with the new one.
        while not (await self._look_at_keys(replica.parts) or self._stop.is_set()):
            await self._pause(START_RETRY_S)
        engine = Engine(replica.parts)
        watches = Watches(
            self._settings, self._connection, Relay(asyncio.get_running_loop(), engine)
        )
        driving = asyncio.create_task(engine.run())
        watches.start()
        replica.engine = engine
        try:
            while keeper.leads() and not self._stop.is_set():
                if driving.done():
                    driving.result()
                self._look_after_background()
                watches.check()
                if deaf := engine.deaf or engine.people.deaf:
                    raise WatchesDeadError(deaf)
                replica.healthy = time.monotonic() - watches.alive_at < STALE_S
                await self._pause(LOOK_S)
            log.info("stopping" if self._stop.is_set() else "the Lease is lost; no longer leading")
        finally:
            driving.cancel()
            await engine.close()
            replica.engine = None
            if self._stop.is_set():
                await self._resign(keeper)  # before the watches end: nobody need wait for that
            replica.healthy = True
            metrics.LEASE_TURNS.inc("standby")
            await watches.stop()

    @staticmethod
    async def _beat(replica: Replica) -> None:
        """Measure how late the loop is, and tell how things stand."""
        pulse = Pulse()
        metrics.LOOP_LAG.compute(pulse.lag_s)
        await pulse.run(lambda: replica.engine.publish() if replica.engine else None)

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stop.wait()
