"""Questions to people, read, answered and withdrawn: Graflow's four routes, under a namespace.

The base of a client of Graflow becomes /user/v1/namespaces/NAMESPACE. Who answers is who the token
belongs to, whatever a body says; GET changes nothing, and nothing but POST answers.
"""

import re
from collections.abc import Callable
from heapq import nsmallest
from http import HTTPStatus
from typing import Any

from aiohttp import web

from graflow.api import names
from graflow.questions import FIELDS
from graflow_operator import notices, questions, strictjson
from graflow_operator.cluster import FEEDBACK_REQUESTS, Object
from graflow_operator.cluster_errors import GoneError, InvalidError, NotFoundError
from graflow_operator.parts import Parts
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

MOST_LISTED = 100
"""Questions in one answer: with all that is shown, one of them has up to 200 KiB."""

PASSED_OVER = ("responded_by", "feedback_id", "response_type", "responded_at")
"""What clients of Graflow send along and is known better here."""


@ROUTES.get(_ALL)
async def list_open(request: web.Request) -> web.Response:
    """List the questions of a namespace that wait for an answer; of one run, by `session_id`.

    The oldest first, so many as `limit` says; with `continue` those behind the ones told before.
    """
    namespace = served_namespace(request)
    await _check(request, "list", namespace)
    limit, after = _limit(request), _after(request)
    session = request.query.get("session_id")

    def is_wanted(one: Object) -> bool:
        is_of_it = session in (None, *one["spec"]["workflow"].values())
        return is_of_it and _age(one) > after and questions.is_open(one)

    found = await _oldest(replica_of(request).parts, namespace, limit + 1, is_wanted)
    told = [_told(one) for one in found[:limit]]
    more = {"continue": "/".join(_age(found[limit - 1]))} if len(found) > limit else {}
    return web.json_response({"count": len(told), "requests": told, **more})


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


async def _oldest(
    parts: Parts, namespace: str, most: int, is_wanted: Callable[[Object], bool]
) -> list[Object]:
    """Return the oldest questions of a namespace that are wanted, and hold no more than a page."""
    selects = selector(parts.settings.instance)
    found: list[Object] = []
    place = ""
    while True:
        try:
            page, after = await parts.cluster.page(
                FEEDBACK_REQUESTS, namespace, selects, most=MOST_LISTED, place=place
            )
        except GoneError:
            if not place:
                raise
            found, place = [], ""
            continue
        found = nsmallest(most, (*found, *filter(is_wanted, page)), key=_age)
        if not after:
            return found
        place = after


def _age(request: Object) -> tuple[str, str]:
    """Return what questions are put in order by, and `continue` names."""
    return request["metadata"]["creationTimestamp"], request["metadata"]["name"]


def _limit(request: web.Request) -> int:
    given = request.query.get("limit", str(MOST_LISTED))
    if not (re.fullmatch("[0-9]{1,9}", given) and 0 < int(given) <= MOST_LISTED):
        raise bad(f"limit is {given[:100]!r}; it is a number from 1 to {MOST_LISTED}")
    return int(given)


def _after(request: web.Request) -> tuple[str, str]:
    given = request.query.get("continue", "/")
    if given.count("/") != 1:
        raise bad(f"continue is {given[:100]!r}; it is what the answer before this one had there")
    since, _, name = given.partition("/")
    return since, name


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
