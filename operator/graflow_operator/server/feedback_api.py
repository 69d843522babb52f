"""Questions to people, read, answered and withdrawn: Graflow's four routes, under a namespace.

The base of a client of Graflow becomes /user/v1/namespaces/NAMESPACE. Who answers is who the token
belongs to, whatever a body says; GET changes nothing, and nothing but POST answers.
"""

from http import HTTPStatus
from typing import Any

from aiohttp import web

from graflow.api import names
from graflow.questions import FIELDS
from graflow_operator import notices, questions, strictjson
from graflow_operator.cluster import FEEDBACK_REQUESTS, Object
from graflow_operator.cluster_errors import InvalidError, NotFoundError
from graflow_operator.people import selector
from graflow_operator.questions import NotAskedError, NotOpenError, NotTakenError
from graflow_operator.responding import Person, Reply, respond, withdraw
from graflow_operator.server import access
from graflow_operator.server.access import served_namespace
from graflow_operator.server.bodies import body_of
from graflow_operator.server.errors import Refusal, bad
from graflow_operator.server.replica import replica_of

ROUTES = web.RouteTableDef()
_ALL = f"{names.USER_PREFIX}/namespaces/{{namespace}}/api/feedback"
_ONE = f"{_ALL}/{{name}}"

MOST_BODY_BYTES = 128 * 1024
"""A text of 32 KiB, each letter of it escaped."""

PASSED_OVER = ("responded_by", "feedback_id", "response_type", "responded_at")
"""What clients of Graflow send along and is known better here."""


@ROUTES.get(_ALL)
async def list_open(request: web.Request) -> web.Response:
    """List the questions of a namespace that wait for an answer; of one run, by `session_id`."""
    namespace = served_namespace(request)
    await _check(request, "list", namespace)
    parts = replica_of(request).parts
    found = await parts.cluster.find(
        FEEDBACK_REQUESTS, namespace, selector(parts.settings.instance)
    )
    session = request.query.get("session_id")
    wanted = [
        one
        for one in found
        if questions.is_open(one) and session in (None, *one["spec"]["workflow"].values())
    ]
    wanted.sort(key=lambda one: (one["metadata"]["creationTimestamp"], one["metadata"]["name"]))
    return web.json_response({"count": len(wanted), "requests": [_told(one) for one in wanted]})


@ROUTES.get(_ONE)
async def read(request: web.Request) -> web.Response:
    """Tell one question, and what came of it."""
    namespace, name = served_namespace(request), request.match_info["name"]
    await _check(request, "get", namespace, name)
    try:
        found = await replica_of(request).parts.cluster.get(FEEDBACK_REQUESTS, namespace, name)
    except NotFoundError as error:
        raise _missing(namespace, name) from error
    answer = (found.get("status") or {}).get("answer")
    said = notices.response(name, found["spec"]["type"], answer) if answer else None
    return web.json_response({"request": _told(found), "response": said})


@ROUTES.post(f"{_ONE}/respond")
async def answer(request: web.Request) -> web.Response:
    """Answer a question; return the response as it was taken."""
    namespace, name = served_namespace(request), request.match_info["name"]
    person = await _check(request, names.RESPOND_VERB, namespace, name)
    reply = _reply(request, person, await body_of(request, most=MOST_BODY_BYTES))
    try:
        after = await respond(replica_of(request).parts, namespace, name, reply)
    except NotFoundError as error:
        raise _missing(namespace, name) from error
    except NotAskedError as error:
        raise Refusal(HTTPStatus.FORBIDDEN, "NotAsked", str(error)) from error
    except NotOpenError as error:
        raise Refusal(HTTPStatus.CONFLICT, "NotOpen", str(error)) from error
    except (NotTakenError, InvalidError) as error:
        raise bad(str(error)) from error
    responses = after["status"]["responses"]
    [said] = [one for one in responses if one["by"] == person.name][-1:]
    told = notices.response(name, after["spec"]["type"], said)
    status = _told(after)["status"]
    return web.json_response({**told, "status": status, "message": after["status"]["message"]})


@ROUTES.delete(_ONE)
async def delete(request: web.Request) -> web.Response:
    """Withdraw a question: nobody is to answer it any more. Its object stays."""
    namespace, name = served_namespace(request), request.match_info["name"]
    person = await _check(request, "delete", namespace, name)
    words = f"withdrawn by {person.name}"
    try:
        after = await withdraw(replica_of(request).parts, namespace, name, words)
    except NotFoundError as error:
        raise _missing(namespace, name) from error
    except NotOpenError as error:
        raise Refusal(HTTPStatus.CONFLICT, "NotOpen", str(error)) from error
    return web.json_response({"feedback_id": name, "message": after["status"]["message"]})


async def _check(request: web.Request, verb: str, namespace: str, name: str = "") -> Person:
    """Return who asks, if that one may."""
    user = await access.check(request, verb, namespace, name, resource=names.FEEDBACK_REQUESTS)
    return Person(str(user.get("username")), tuple(user.get("groups") or ()))


def _reply(request: web.Request, person: Person, body: bytes) -> Reply:
    try:
        given = strictjson.loads(body)
    except ValueError as error:
        raise bad(f"the body is no JSON: {error}") from error
    if not isinstance(given, dict):
        raise bad('the body must be a JSON object, such as {"approved": true}')
    if unknown := sorted(given.keys() - {*FIELDS, *PASSED_OVER, "sha256"}):
        raise bad(f"{unknown[0][:100]!r} is no field of an answer; there are {', '.join(FIELDS)}")
    said = {ours: given[theirs] for theirs, ours in FIELDS.items() if given.get(theirs) is not None}
    how = "CLI" if request.headers.get(names.HEADER_CLIENT) == names.CLIENT_CLI else "API"
    return Reply(person, how, said, str(given.get("sha256") or ""))


def _told(request: Object) -> dict[str, Any]:
    """Return a question as clients see it: in Graflow's form, with ours behind."""
    spec, status = request["spec"], request.get("status") or {}
    ours = ("key", "iteration", "schema", "payload", "sha256", "assignees", "approvals", "path")
    known = {name: spec[name] for name in ours if name in spec}
    return {**notices.asked(request), **known, "responses": status.get("responses") or []}


def _missing(namespace: str, name: str) -> Refusal:
    words = f"there is no question {name[:300]!r} in namespace {namespace}"
    return Refusal(HTTPStatus.NOT_FOUND, "NotFound", words)
