"""Kubernetes Events on the Workflow, for people. The first thing to go when the API server is busy.

A module of notes so as not to be mixed up with the machine's events.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from graflow.api import names
from graflow_operator import metrics
from graflow_operator.cluster import EVENTS, Cluster
from graflow_operator.cluster_errors import ClusterError
from graflow_operator.refs import RunRef

QUEUE = 200
MESSAGE_CHARS = 1000
log = logging.getLogger(__name__)


class Notes:
    """Posts notes one after the other, in the background; drops what it cannot."""

    def __init__(self, cluster: Cluster, identity: str, clock: Callable[[], float]) -> None:
        self._cluster = cluster
        self._identity = identity
        self._clock = clock
        self._queue: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue(QUEUE)

    def post(self, run: RunRef, reason: str, message: str, *, warning: bool = False) -> None:
        """Leave a note on a Workflow, some time."""
        try:
            self._queue.put_nowait((run.namespace, self._note(run, reason, message, warning)))
        except asyncio.QueueFull:
            metrics.NOTES_DROPPED.inc()

    async def run(self) -> None:
        """Post until cancelled."""
        while True:
            namespace, body = await self._queue.get()
            try:
                await self._cluster.create(EVENTS, namespace, body)
            except ClusterError as error:
                metrics.NOTES_DROPPED.inc()
                log.debug("note dropped: %s", error)

    def _note(self, run: RunRef, reason: str, message: str, warning: bool) -> dict[str, Any]:  # noqa: FBT001
        moment = datetime.fromtimestamp(self._clock(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": f"{run.name[:200]}.{secrets.token_hex(8)}",
                "namespace": run.namespace,
            },
            "involvedObject": {
                "apiVersion": names.API_VERSION,
                "kind": names.WORKFLOW_KIND,
                "namespace": run.namespace,
                "name": run.name,
                "uid": run.uid,
            },
            "reason": reason,
            "message": message[:MESSAGE_CHARS],
            "type": "Warning" if warning else "Normal",
            "source": {"component": names.OPERATOR_APP},
            "reportingComponent": f"{names.GROUP}/operator",
            "reportingInstance": self._identity[:128],
            "firstTimestamp": moment,
            "lastTimestamp": moment,
            "count": 1,
        }
