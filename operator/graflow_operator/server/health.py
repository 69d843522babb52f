"""Probes. Every replica is ready: those that do not lead send their callers on."""

from http import HTTPStatus

from aiohttp import web

from graflow.machine import reasons
from graflow_operator.server.errors import Refusal
from graflow_operator.server.replica import replica_of

ROUTES = web.RouteTableDef()


@ROUTES.get("/healthz")
async def healthz(request: web.Request) -> web.Response:
    """Say whether the watches are fresh; that anybody answers says that the loop turns."""
    if not replica_of(request).healthy:
        raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "Stale", "the watches have heard nothing")
    return web.json_response({"status": "ok"})


@ROUTES.get("/readyz")
async def readyz(request: web.Request) -> web.Response:
    """Say that this replica can be asked, and whether it leads."""
    storage = replica_of(request).parts.storage
    if storage is not None and storage.unproven is not None:
        words = str(storage.unproven)
        raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, reasons.STORE_UNAVAILABLE, words)
    leads = replica_of(request).engine is not None
    return web.json_response({"status": "ok", "leader": leads})
