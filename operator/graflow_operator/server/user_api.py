"""What users may read that is too large for a Workflow's status: values, history, channel, logs.

Reached through the API server's service proxy, which consumes Authorization: the caller's token
comes in a header of its own. Who may `get` the Workflow may read its values.
"""

import asyncio
import re
from http import HTTPStatus

from aiohttp import web

from graflow.api import names
from graflow_operator.cluster import ACCESS_REVIEWS, TOKEN_REVIEWS, WORKFLOWS, Object
from graflow_operator.cluster_errors import NotFoundError
from graflow_operator.refs import RunRef
from graflow_operator.server.errors import Refusal, bad
from graflow_operator.server.replica import Replica, replica_of

ROUTES = web.RouteTableDef()
AT_ONCE = 8
"""Callers that the API server is asked about together: whoever comes with any token costs it two
requests, which are not to stand in the way of those that runs need."""

REVIEWS = web.AppKey("reviews", asyncio.Semaphore)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")
_SEGMENT = re.compile(r"[0-9]{1,20}-[0-9a-f]{64}")
_WORKFLOW = f"{names.USER_PREFIX}/namespaces/{{namespace}}/workflows/{{name}}"


@ROUTES.get(f"{_WORKFLOW}/values/{{sha256}}")
async def value(request: web.Request) -> web.StreamResponse:
    """Stream one value of a run."""
    sha256 = request.match_info["sha256"]
    if not _SHA256.fullmatch(sha256):
        raise bad("a value is named by 64 hex digits")
    key = replica_of(request).parts.store_keys(await _run(request)).blob(sha256)
    return await _stream(request, key, "value")


@ROUTES.get(f"{_WORKFLOW}/history/{{segment}}")
async def history(request: web.Request) -> web.StreamResponse:
    """Stream one segment of what the tasks of a run have decided; its first line names another."""
    segment = request.match_info["segment"]
    if not _SEGMENT.fullmatch(segment):
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


def _packed(request: web.Request, refusal: str) -> tuple[int, str]:
    """Return number and sha256 of the object that is asked for; a name that is none is refused."""
    segment = request.match_info["segment"]
    if not _SEGMENT.fullmatch(segment):
        raise bad(refusal)
    seq, _, sha256 = segment.partition("-")
    return int(seq), sha256


async def _run(request: web.Request) -> RunRef:
    """Return the run that is asked about, by somebody who may get its Workflow."""
    replica = replica_of(request)
    namespace, name = request.match_info["namespace"], request.match_info["name"]
    async with request.app[REVIEWS]:
        user = await _user(replica, request.headers.get(names.HEADER_TOKEN, ""))
        await _check_access(replica, user, namespace, name)
    try:
        workflow = await replica.parts.cluster.get(WORKFLOWS, namespace, name)
    except NotFoundError as error:
        raise _missing(f"there is no Workflow {namespace}/{name}") from error
    return RunRef.of(workflow)


async def _stream(request: web.Request, key: str, what: str) -> web.StreamResponse:
    storage = replica_of(request).parts.storage
    size = None if storage is None else await storage.size(key)
    if storage is None or size is None:
        raise _missing(f"the store has no such {what} of this run: {key.rpartition('/')[2]}")
    answer = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
    answer.content_length = size
    await answer.prepare(request)
    async for piece in storage.chunks(key):
        await answer.write(piece)
    await answer.write_eof()
    return answer


async def _user(replica: Replica, token: str) -> Object:
    """Return who a token belongs to, as the API server says."""
    if not token:
        raise Refusal(
            HTTPStatus.UNAUTHORIZED, "NoToken", f"header {names.HEADER_TOKEN} holds no token"
        )
    review = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": token},
    }
    answer = await replica.parts.cluster.create(TOKEN_REVIEWS, None, review)
    status = answer.get("status", {})
    if not status.get("authenticated"):
        words = status.get("error") or "the API server does not know this token"
        raise Refusal(HTTPStatus.UNAUTHORIZED, "BadToken", words)
    user: Object = status.get("user", {})
    return user


async def _check_access(replica: Replica, user: Object, namespace: str, name: str) -> None:
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": user.get("username", ""),
            "uid": user.get("uid", ""),
            "groups": user.get("groups", []),
            "extra": user.get("extra") or {},
            "resourceAttributes": {
                "verb": "get",
                "group": names.GROUP,
                "resource": names.WORKFLOWS,
                "namespace": namespace,
                "name": name,
            },
        },
    }
    answer = await replica.parts.cluster.create(ACCESS_REVIEWS, None, review)
    if not answer.get("status", {}).get("allowed"):
        words = f"{user.get('username')} may not get workflows {namespace}/{name}"
        raise Refusal(HTTPStatus.FORBIDDEN, "Forbidden", words)


def _missing(message: str) -> Refusal:
    return Refusal(HTTPStatus.NOT_FOUND, "NotFound", message)
