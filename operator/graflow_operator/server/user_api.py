"""What users may read that is too large for a Workflow's status.

Reached through the API server's service proxy, which consumes Authorization: the caller's token
comes in a header of its own. Who may `get` the Workflow may read its values.
"""

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
_SHA256 = re.compile(r"[0-9a-f]{64}")


@ROUTES.get(f"{names.USER_PREFIX}/namespaces/{{namespace}}/workflows/{{name}}/values/{{sha256}}")
async def value(request: web.Request) -> web.StreamResponse:
    """Stream one value of a run."""
    replica = replica_of(request)
    namespace, name, sha256 = (request.match_info[k] for k in ("namespace", "name", "sha256"))
    if not _SHA256.fullmatch(sha256):
        raise bad("a value is named by 64 hex digits")
    user = await _user(replica, request.headers.get(names.HEADER_TOKEN, ""))
    await _check_access(replica, user, namespace, name)
    try:
        workflow = await replica.parts.cluster.get(WORKFLOWS, namespace, name)
    except NotFoundError as error:
        raise _missing(f"there is no Workflow {namespace}/{name}") from error
    storage, run = replica.parts.storage, RunRef.of(workflow)
    key = replica.parts.store_keys(run).blob(sha256)
    size = None if storage is None else await storage.size(key)
    if storage is None or size is None:
        raise _missing(f"the store has no value {sha256} of {run}")
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
