"""The last lines of attempts that did not succeed: read while their pods are there, and kept.

All of it is at best: an attempt's end never waits longer than `PATIENCE_S` for its lines, and a log
that cannot be had changes nothing else.
"""

import asyncio
import logging

from graflow.api import names
from graflow_operator.cluster import Cluster
from graflow_operator.cluster_errors import ClusterError, ForbiddenError
from graflow_operator.facts import PodFact

PATIENCE_S = 2.0
"""That the end of an attempt may wait for its last lines, in seconds."""

AT_ONCE = 8
"""Logs that are read at the same time."""

LINES = 500
TAIL_BYTES = 64 * 1024
log = logging.getLogger(__name__)


class Tails:
    """Reads the ends of logs, of all runs."""

    def __init__(self, cluster: Cluster, *, wanted: bool) -> None:
        """Read from a cluster; nothing at all unless it is wanted."""
        self._cluster = cluster
        self._wanted = wanted
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def read(self, fact: PodFact) -> bytes:
        """Return the end of what a pod's task has printed; nothing if that cannot be had soon."""
        if not self._wanted:
            return b""
        where, container = (fact.namespace, fact.name), names.TASK_CONTAINER
        try:
            async with asyncio.timeout(PATIENCE_S), self._turn:
                return await self._cluster.log(*where, container, LINES, TAIL_BYTES)
        except TimeoutError:
            log.info("the log of pod %s/%s takes too long", *where)
        except ForbiddenError as error:
            log.warning("the log of pod %s/%s may not be read: %s", *where, error)
        except ClusterError as error:
            log.info("the log of pod %s/%s cannot be read: %s", *where, error)
        return b""
