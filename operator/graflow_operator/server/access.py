"""Who a user is, and what the API server lets that user do: asked for each request."""

import asyncio
import re
from http import HTTPStatus

from aiohttp import web

from graflow.api import names
from graflow_operator.cluster import ACCESS_REVIEWS, TOKEN_REVIEWS, Object
from graflow_operator.server.errors import Refusal, bad
from graflow_operator.server.replica import Replica, replica_of

AT_ONCE = 8
"""Callers that the API server is asked about together: whoever comes with any token costs it two
requests, which are not to stand in the way of those that runs need."""

REVIEWS = web.AppKey("reviews", asyncio.Semaphore)
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def served_namespace(request: web.Request) -> str:
    """Return the namespace in a request's path.

    Raises:
        Refusal: If it is none, or is not served.
    """
    namespace = request.match_info["namespace"]
    if not _NAMESPACE.fullmatch(namespace):
        raise bad(f"{namespace[:100]!r} is no name of a namespace")
    served = replica_of(request).parts.settings.namespaces
    if served and namespace not in served:
        words = f"this operator serves no namespace {namespace!r}; it serves {', '.join(served)}"
        raise Refusal(HTTPStatus.NOT_FOUND, "NotServed", words)
    return namespace


async def check(
    request: web.Request,
    verb: str,
    namespace: str,
    name: str = "",
    *,
    resource: str = names.WORKFLOWS,
) -> Object:
    """Return who asks, if that user may do something to an object, or to all of a namespace.

    Args:
        request: Whose.
        verb: What is to be done.
        namespace: Where.
        name: Of the object; empty: all.
        resource: Plural of its kind, one of ours.

    Raises:
        Refusal: If not.
        ClusterError: If that cannot be known.
    """
    replica = replica_of(request)
    async with request.app[REVIEWS]:
        user = await _user(replica, request.headers.get(names.HEADER_TOKEN, ""))
        attributes = {
            "verb": verb,
            "group": names.GROUP,
            "resource": resource,
            "namespace": namespace,
            "name": name,
        }
        if not await _allowed(replica, user, attributes):
            what = f"{resource} {namespace}/{name}" if name else f"{resource} in {namespace}"
            words = f"{user.get('username')} may not {verb} {what}"
            raise Refusal(HTTPStatus.FORBIDDEN, "Forbidden", words)
    return user


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


async def _allowed(replica: Replica, user: Object, attributes: Object) -> bool:
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": user.get("username", ""),
            "uid": user.get("uid", ""),
            "groups": user.get("groups", []),
            "extra": user.get("extra") or {},
            "resourceAttributes": attributes,
        },
    }
    answer = await replica.parts.cluster.create(ACCESS_REVIEWS, None, review)
    return bool(answer.get("status", {}).get("allowed"))
