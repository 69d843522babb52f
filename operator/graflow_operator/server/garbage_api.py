"""What nothing refers to in the store, listed and deleted for whoever may do that to Workflows."""

import logging
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

from aiohttp import web

from graflow.api import names
from graflow.store import StoreError
from graflow_operator.cluster_errors import ClusterError
from graflow_operator.garbage import Wish, collect, line
from graflow_operator.server import access
from graflow_operator.server.access import served_namespace
from graflow_operator.server.errors import Refusal
from graflow_operator.server.replica import replica_of

ROUTES = web.RouteTableDef()
_PATH = f"{names.USER_PREFIX}/namespaces/{{namespace}}/garbage"

log = logging.getLogger(__name__)


@ROUTES.get(_PATH)
async def look(request: web.Request) -> web.StreamResponse:
    """Tell what nothing refers to, a line of JSON for each run."""
    wish = Wish(served_namespace(request))
    await access.check(request, "list", wish.namespace)
    return await _stream(request, wish)


@ROUTES.delete(_PATH)
async def delete(request: web.Request) -> web.StreamResponse:
    """Delete what nothing refers to, and tell it as it is deleted."""
    wish = Wish(served_namespace(request), delete=True, unmarked="unmarked" in request.query)
    await access.check(request, "delete", wish.namespace)
    return await _stream(request, wish)


async def _stream(request: web.Request, wish: Wish) -> web.StreamResponse:
    parts = replica_of(request).parts
    if parts.storage is None:
        raise Refusal(HTTPStatus.NOT_FOUND, "NoStore", "this operator has no store")
    told = collect(parts, parts.storage, wish)
    # Before the answer begins: what cannot be known at all is an error as any other.
    first = await anext(told)
    answer = web.StreamResponse(headers={"Content-Type": "application/jsonl"})
    await answer.prepare(request)
    await answer.write(line(first))
    try:
        await _write(answer, told)
    except (StoreError, ClusterError) as error:
        log.warning("%s: %s", request.rel_url.raw_path, error)
        await answer.write(line({"error": str(error)}))
    await answer.write_eof()
    return answer


async def _write(answer: web.StreamResponse, told: AsyncIterator[dict[str, Any]]) -> None:
    async for one in told:
        await answer.write(line(one))
