"""The HTTP server: routes, who may be asked, limits, and errors as answers."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from aiohttp import web

from graflow.api import names
from graflow.store import StoreError
from graflow_operator import metrics
from graflow_operator.cluster_errors import ClusterError, ForbiddenError
from graflow_operator.letters import FencedError, NotYetError
from graflow_operator.server import admission_api, channel_api, health, runner_api, user_api
from graflow_operator.server.errors import Refusal, fenced, not_yet, response
from graflow_operator.server.replica import REPLICA, Replica, replica_of

MAX_BODY_BYTES = 4 << 20
"""Room for a fragment of a thousand tasks, with their code."""

MAX_IN_FLIGHT_BYTES = 64 << 20
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_IN_FLIGHT = web.AppKey("in_flight", dict[str, int])
log = logging.getLogger(__name__)


def application(replica: Replica) -> web.Application:
    """Return the server of one replica."""
    app = web.Application(
        client_max_size=MAX_BODY_BYTES, middlewares=[_explain, _leader_only, _limit_bytes]
    )
    app[REPLICA] = replica
    app[_IN_FLIGHT] = {"bytes": 0}
    app[admission_api.TURNS] = asyncio.Semaphore(admission_api.AT_ONCE)
    parts = (runner_api, channel_api, user_api, admission_api, health)
    app.add_routes([route for part in parts for route in part.ROUTES])
    return app


@web.middleware
async def _explain(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every error into an answer with a reason and a message."""
    began = time.monotonic()
    answer = await _answered(request, handler)
    if request.path.startswith(names.RUNNER_PREFIX):
        call = request.path.removeprefix(names.RUNNER_PREFIX).strip("/").split("/")[0]
        known = call if call in runner_api.CALLS else "other"
        metrics.RUNNER_REQUESTS.labels(known, str(answer.status)).inc()
        log.debug("%s %s in %.1f ms", call, answer.status, (time.monotonic() - began) * 1000)
    return answer


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
        log.warning("%s: %s", request.path, words)
        return response(Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "Forbidden", words))
    except (ClusterError, StoreError) as error:
        log.warning("%s: %s", request.path, error)
        return response(Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "Unavailable", str(error)))
    except web.HTTPRequestEntityTooLarge:
        words = f"a body has at most {MAX_BODY_BYTES} bytes; put large values into the store (blob)"
        return response(Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "BodyTooLarge", words))
    except web.HTTPException as error:
        words = f"{request.method} {request.path}: {error.reason}"
        return response(Refusal(HTTPStatus(error.status), "NotServed", words))
    except Exception:
        log.exception("%s %s failed", request.method, request.path)
        words = "the operator met an error of its own; its log says which"
        return response(Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "InternalError", words))


@web.middleware
async def _leader_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Send runners and users to the replica that leads."""
    if not request.path.startswith((names.RUNNER_PREFIX, names.USER_PREFIX)):
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


@web.middleware
async def _limit_bytes(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Keep the bodies that are held at one time within bounds."""
    in_flight, size = request.app[_IN_FLIGHT], request.content_length or 0
    if size > MAX_BODY_BYTES:  # not even waited for: to come again would never help
        raise web.HTTPRequestEntityTooLarge(MAX_BODY_BYTES, size)
    if in_flight["bytes"] + size > MAX_IN_FLIGHT_BYTES:
        raise Refusal(
            HTTPStatus.TOO_MANY_REQUESTS, "TooManyBytes", "too many bytes are in flight; try again"
        )
    in_flight["bytes"] += size
    try:
        return await handler(request)
    finally:
        in_flight["bytes"] -= size
