"""A process as its HTTP server sees it: whether it leads, and with what engine."""

from dataclasses import dataclass

from aiohttp import web

from graflow_operator.engine import Engine
from graflow_operator.lease import LeaseKeeper
from graflow_operator.parts import Parts


@dataclass
class Replica:
    """What all handlers of requests share."""

    parts: Parts
    keeper: LeaseKeeper
    engine: Engine | None = None
    """Only while this replica leads."""

    healthy: bool = True
    """Whether watches and loop do their work."""


REPLICA = web.AppKey("replica", Replica)


def replica_of(request: web.Request) -> Replica:
    """Return the replica that serves a request."""
    return request.app[REPLICA]
