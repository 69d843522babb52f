"""Kopf in a thread and a loop of its own, begun again whenever it ends.

Kopf ends itself at many an answer of the API server that is none of its making. So it lives apart
from the engine: what it cancels at its end is its own, and what it misses meanwhile is told when it
is back, or found by the engine's comparison.
"""

import asyncio
import logging
import threading
import time

import kopf

from graflow_operator import metrics
from graflow_operator.connection import Connection, ca_path
from graflow_operator.engine import POD_SELECTOR
from graflow_operator.handlers.registry import Listener, Object, registry
from graflow_operator.people import selector
from graflow_operator.settings import Settings

FIRST_PAUSE_S = 0.2
MOST_PAUSE_S = 10.0
LONG_LIFE_S = 60.0
"""A life of kopf after which the next pause is short again."""

JOIN_S = 15.0
log = logging.getLogger(__name__)


class WatchesDeadError(Exception):
    """Nothing is heard of what changes any more; only a new process helps."""


class NoDiff(kopf.DiffBaseStorage):
    """Keeps nothing: no handler here asks what has changed."""

    def build(self, **_: object) -> kopf.BodyEssence:
        """Return nothing."""
        return kopf.BodyEssence({})

    def fetch(self, **_: object) -> None:
        """Return nothing."""

    def store(self, **_: object) -> None:
        """Keep nothing."""


class NoProgress(kopf.ProgressStorage):
    """Keeps nothing: no handler here is tried again."""

    def fetch(self, **_: object) -> None:
        """Return nothing."""

    def store(self, **_: object) -> None:
        """Keep nothing."""

    def purge(self, **_: object) -> None:
        """Remove nothing."""

    def touch(self, **_: object) -> None:
        """Touch nothing."""

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        """Return what was given."""
        return essence


class Watches:
    """The watches of Workflows and pods, for one term of leadership."""

    def __init__(self, settings: Settings, connection: Connection, listener: Listener) -> None:
        self._settings = settings
        self._connection = connection
        self._ca_file = ca_path(connection)
        self._listener = listener
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kopf", daemon=True)
        self.alive_at = time.monotonic()
        """When the thread was last seen to turn."""

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def check(self) -> None:
        """Raise if nobody watches any more.

        Raises:
            WatchesDeadError: If the thread has ended, which it never does by itself.
        """
        if not (self._thread.is_alive() or self._stop.is_set()):
            raise WatchesDeadError("the thread that watches has ended")

    async def stop(self) -> None:
        """Stop watching."""
        self._stop.set()
        await asyncio.to_thread(self._thread.join, JOIN_S)

    def _run(self) -> None:
        pause = FIRST_PAUSE_S
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                asyncio.run(self._life())
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - begins again
                log.warning("the watches ended: %s: %s", type(error).__name__, error)
            if self._stop.is_set():
                return
            metrics.WATCH_RESTARTS.inc()
            pause = FIRST_PAUSE_S if time.monotonic() - began > LONG_LIFE_S else pause * 2
            self._stop.wait(min(pause, MOST_PAUSE_S))

    async def _life(self) -> None:
        stop = asyncio.Event()
        pulse = asyncio.create_task(self._pulse(stop))
        try:
            await kopf.operator(
                registry=registry(self._listener, self._connection, self._ca_file),
                settings=watch_settings(self._settings.instance),
                standalone=True,
                clusterwide=not self._settings.namespaces,
                namespaces=list(self._settings.namespaces),
                stop_flag=stop,
                memo=kopf.Memo(),
            )
        finally:
            pulse.cancel()

    async def _pulse(self, stop: asyncio.Event) -> None:
        """Show that this loop turns, and pass the request to stop on to it."""
        while not self._stop.is_set():
            self.alive_at = time.monotonic()
            await asyncio.sleep(0.2)
        stop.set()


def watch_settings(instance: str = "") -> kopf.OperatorSettings:
    """Return kopf's settings; each is explained by what went wrong without it.

    Args:
        instance: Of which installation questions are watched.
    """
    found = kopf.OperatorSettings()
    found.watching.server_timeout = 270
    found.watching.connect_timeout = 10
    found.watching.chunk_size = 500
    found.watching.label_selectors["pods"] = POD_SELECTOR  # else every pod of the cluster comes
    found.watching.label_selectors["feedbackrequests"] = selector(instance)
    found.scanning.disabled = True
    found.posting.enabled = False
    found.peering.standalone = True
    found.networking.request_timeout = 30
    found.networking.connect_timeout = 5
    found.networking.error_backoffs = [0.2, 0.5, 1, 2, 5, *[10] * 60]
    found.networking.enforce_retry_after = True
    found.queueing.worker_limit = None
    found.queueing.idle_timeout = 1
    found.queueing.error_delays = (0.1, 0.5, 1, 2, 5)
    found.execution.default_backoff = 1
    found.persistence.consistency_timeout = 0
    found.persistence.diffbase_storage = NoDiff()
    found.persistence.progress_storage = NoProgress()
    return found


__all__ = ["Listener", "Object", "Watches", "WatchesDeadError"]
