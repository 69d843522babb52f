"""What users may read that is too large for a Workflow's status: values, history, channel, logs.

Reached through the API server's service proxy, which consumes Authorization: the caller's token
comes in a header of its own. Who may `get` the Workflow may read its values.
"""

import re
from http import HTTPStatus

from aiohttp import web

from graflow.api import names
from graflow.store import ObjectMissingError
from graflow.store.keys import is_segment, is_sha256
from graflow_operator.checkpoint import UnreadableCheckpointError
from graflow_operator.checkpoint_list import page
from graflow_operator.cluster import WORKFLOWS, Object
from graflow_operator.cluster_errors import NotFoundError
from graflow_operator.refs import RunRef
from graflow_operator.server import access
from graflow_operator.server.errors import Refusal, bad
from graflow_operator.server.replica import replica_of

ROUTES = web.RouteTableDef()
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")
_DRIVER = web.RequestKey("driver", str)
"""Where a request has which installation drives the run that it asks about."""

_WORKFLOW = f"{names.USER_PREFIX}/namespaces/{{namespace}}/workflows/{{name}}"


@ROUTES.get(f"{_WORKFLOW}/values/{{sha256}}")
async def value(request: web.Request) -> web.StreamResponse:
    """Stream one value of a run."""
    sha256 = request.match_info["sha256"]
    if not is_sha256(sha256):
        raise bad("a value is named by 64 hex digits")
    key = replica_of(request).parts.store_keys(await _run(request)).blob(sha256)
    return await _stream(request, key, "value")


@ROUTES.get(f"{_WORKFLOW}/history/{{segment}}")
async def history(request: web.Request) -> web.StreamResponse:
    """Stream one segment of what the tasks of a run have decided; its first line names another."""
    segment = request.match_info["segment"]
    if not is_segment(segment):
        raise bad("a segment of a run's history is named as in status.cursor.history")
    run = await _run(request)
    return await _stream(
        request, replica_of(request).parts.store_keys(run).history(segment), "history"
    )


@ROUTES.get(f"{_WORKFLOW}/logs/{{activation}}/{{attempt}}")
async def log(request: web.Request) -> web.StreamResponse:
    """Stream the end of what an attempt has printed that did not succeed."""
    activation, attempt = request.match_info["activation"], request.match_info["attempt"]
    if not (_NUMBER.fullmatch(activation) and _NUMBER.fullmatch(attempt)):
        raise bad("a log is named by the numbers of an activation and an attempt")
    keys = replica_of(request).parts.store_keys(await _run(request))
    return await _stream(request, keys.log(int(activation), int(attempt)), "log")


@ROUTES.get(f"{_WORKFLOW}/channel/{{segment}}")
async def channel(request: web.Request) -> web.StreamResponse:
    """Stream a run's channel as it was packed."""
    seq, sha256 = _packed(request, "a channel is named as in status.cursor.channel")
    keys = replica_of(request).parts.store_keys(await _run(request))
    return await _stream(request, keys.channel(seq, sha256), "channel")


@ROUTES.get(f"{_WORKFLOW}/state/{{segment}}")
async def state(request: web.Request) -> web.StreamResponse:
    """Stream the state of a run as it was packed."""
    seq, sha256 = _packed(request, "a state is named as in status.cursor.key")
    keys = replica_of(request).parts.store_keys(await _run(request))
    return await _stream(request, keys.state(seq, sha256), "state")


@ROUTES.get(f"{_WORKFLOW}/checkpoints")
@ROUTES.get(f"{_WORKFLOW}/checkpoints/{{segment}}")
async def checkpoints(request: web.Request) -> web.Response:
    """Tell the checkpoints of a run, the newest first, from one on: as many as fit on a page."""
    if "segment" in request.match_info:
        _packed(request, "a checkpoint is named as in status.cursor.checkpoint")
    workflow = await _workflow(request)
    cursor = (workflow.get("status") or {}).get("cursor") or {}
    name = request.match_info.get("segment") or cursor.get("checkpoint")
    parts = replica_of(request).parts
    if parts.storage is None or name is None:
        return web.json_response({"checkpoints": [], "previous": None})
    try:
        told, previous = await page(parts.storage, parts.store_keys(RunRef.of(workflow)), name)
    except ObjectMissingError as error:
        raise _unstored(request, f"checkpoint of this run: {error}") from error
    except UnreadableCheckpointError as error:
        raise Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "Unreadable", str(error)) from error
    return web.json_response({"checkpoints": told, "previous": previous})


def _packed(request: web.Request, refusal: str) -> tuple[int, str]:
    """Return number and sha256 of the object that is asked for; a name that is none is refused."""
    segment = request.match_info["segment"]
    if not is_segment(segment):
        raise bad(refusal)
    seq, _, sha256 = segment.partition("-")
    return int(seq), sha256


async def _workflow(request: web.Request) -> Object:
    """Return the Workflow that is asked about, by somebody who may get it."""
    namespace, name = request.match_info["namespace"], request.match_info["name"]
    await access.check(request, "get", namespace, name)
    try:
        found = await replica_of(request).parts.cluster.get(WORKFLOWS, namespace, name)
    except NotFoundError as error:
        raise _missing(f"there is no Workflow {namespace}/{name}") from error
    request[_DRIVER] = (found.get("spec") or {}).get("operator") or ""
    return found


async def _run(request: web.Request) -> RunRef:
    """Return the run that is asked about."""
    return RunRef.of(await _workflow(request))


async def _stream(request: web.Request, key: str, what: str) -> web.StreamResponse:
    storage = replica_of(request).parts.storage
    size = None if storage is None else await storage.size(key)
    if storage is None or size is None:
        raise _unstored(request, f"{what} of this run: {key.rpartition('/')[2]}")
    answer = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
    answer.content_length = size
    await answer.prepare(request)
    async for piece in storage.chunks(key):
        await answer.write(piece)
    await answer.write_eof()
    return answer


def _unstored(request: web.Request, what: str) -> Refusal:
    """Return what is said of an object that is not there: it may be in another one's bucket."""
    words, own = f"the store has no such {what}", replica_of(request).parts.settings.instance
    if request[_DRIVER] != own:
        words += (
            f"; the run is driven by operator {request[_DRIVER]!r}, and this is {own!r}: set"
            " GRAFLOW_SERVICE to the NAMESPACE/NAME of that one's Service"
        )
    return _missing(words)


def _missing(message: str) -> Refusal:
    return Refusal(HTTPStatus.NOT_FOUND, "NotFound", message)
