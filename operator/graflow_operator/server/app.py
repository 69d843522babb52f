"""The HTTP server: routes, who may be asked, limits, and errors as answers."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus

from aiohttp import web

from graflow.api import names
from graflow.store import StoreError
from graflow_operator import metrics
from graflow_operator.cluster_errors import ClusterError, ForbiddenError
from graflow_operator.letters import FencedError, NotYetError
from graflow_operator.server import (
    access,
    admission_api,
    ask_api,
    channel_api,
    feedback_api,
    garbage_api,
    health,
    runner_api,
    user_api,
)
from graflow_operator.server.bodies import HELD, MAX_BODY_BYTES, answered
from graflow_operator.server.doorman import DOORMAN, Doorman
from graflow_operator.server.errors import Refusal, fenced, not_yet, response
from graflow_operator.server.replica import REPLICA, Replica, replica_of
from graflow_operator.server.shares import Shares

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

APIS = (
    *(runner_api, ask_api, channel_api),
    *(user_api, feedback_api, garbage_api, admission_api, health),
)
ALL = tuple(api.ROUTES for api in APIS)
log = logging.getLogger(__name__)


def application(replica: Replica, apis: Iterable[web.RouteTableDef] = ALL) -> web.Application:
    """Return the server of one replica, or of a part of what it can be asked."""
    app = web.Application(
        client_max_size=MAX_BODY_BYTES, middlewares=[_counted, _explain, _leader_only]
    )
    app[REPLICA] = replica
    tells_peers_apart = replica.parts.settings.check_peer
    app[DOORMAN] = Doorman(tells_peers_apart)
    app[HELD] = Shares(tells_peers_apart)
    app[access.REVIEWS] = asyncio.Semaphore(access.AT_ONCE)
    app[ask_api.TURNS] = asyncio.Semaphore(ask_api.AT_ONCE)
    app[admission_api.TURNS] = asyncio.Semaphore(admission_api.AT_ONCE)
    app.add_routes([route for api in apis for route in api])
    return app


@web.middleware
async def _counted(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Tell those who count what is under way."""
    doorman = request.app[DOORMAN]
    doorman.begun(request)
    try:
        return await handler(request)
    finally:
        answered(request)
        doorman.ended(request)


@web.middleware
async def _explain(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every error into an answer with a reason and a message."""
    began = time.monotonic()
    answer = await _answered(request, handler)
    route, took_s = _route(request.path), time.monotonic() - began
    metrics.HTTP_REQUESTS.inc(route, str(answer.status))
    metrics.HTTP_LATENCY.observe(took_s, route)
    log.debug("%s %s in %.1f ms", route, answer.status, took_s * 1000)
    return answer


def _route(path: str) -> str:
    """Return the word that a path is counted under."""
    if path.startswith(names.RUNNER_PREFIX):
        return path.removeprefix(names.RUNNER_PREFIX).strip("/").split("/")[0]
    if path.startswith(names.USER_PREFIX):
        return "feedback" if "/api/feedback" in path else "user"
    if path.startswith(names.ADMISSION_PREFIX):
        return "admission"
    return "probe" if path in ("/healthz", "/readyz") else "other"


async def _answered(  # noqa: PLR0911 - a table
    request: web.Request, handler: Handler
) -> web.StreamResponse:
    try:
        return await handler(request)
    except Refusal as refusal:
        return response(refusal)
    except FencedError as error:
        return response(fenced(str(error)))
    except NotYetError as error:
        return response(not_yet(str(error)))
    except ForbiddenError as error:
        words = f"the API server refuses the operator: {error}"
        log.warning("%s: %s", request.rel_url.raw_path, words)
        return response(Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "Forbidden", words))
    except (ClusterError, StoreError) as error:
        log.warning("%s: %s", request.rel_url.raw_path, error)
        return response(Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "Unavailable", str(error)))
    except web.HTTPException as error:
        words = f"{request.method} {request.path}: {error.reason}"
        return response(Refusal(HTTPStatus(error.status), "NotServed", words))
    except Exception:
        log.exception("%s %s failed", request.method, request.rel_url.raw_path)
        words = "the operator met an error of its own; its log says which"
        return response(Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "InternalError", words))


@web.middleware
async def _leader_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Send runners to the replica that leads.

    Users are answered by any: they ask for what is in the store, and come through a proxy that the
    address of a replica means nothing to.
    """
    if not request.path.startswith(names.RUNNER_PREFIX):
        return await handler(request)
    replica = replica_of(request)
    if replica.engine is not None and replica.keeper.leads():
        return await handler(request)
    leader = replica.keeper.leader
    if not leader or leader == replica.parts.settings.replica_url:
        raise not_yet("no replica of the operator leads right now")
    raise Refusal(
        HTTPStatus.TEMPORARY_REDIRECT,
        "NotLeader",
        f"another replica leads: {leader}",
        location=f"{leader}{request.path_qs}",
    )
