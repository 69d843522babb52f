"""What the API server asks before it keeps a Workflow or a RunnerProfile: whether it makes sense.

Every replica answers. An answer follows from the object alone: nothing is looked up, so whoever
reaches this port learns nothing but what they have brought. Rights are not asked for here; those
are for the policies of the chart, which the API server checks by itself.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from aiohttp import web

from graflow.api import names
from graflow.api.conditions import refusal
from graflow.api.errors import InvalidWorkflow
from graflow.api.runnable import usable, warnings_about
from graflow_operator import metrics, strictjson
from graflow_operator.server.bodies import body_of
from graflow_operator.server.errors import Refusal, bad

ROUTES = web.RouteTableDef()
AT_ONCE = 4
"""Objects that are looked at together; the others wait, and the API server does not wait long."""

TURNS = web.AppKey("admission_turns", asyncio.Semaphore)
_VERSION = "admission.k8s.io/v1"
_KIND = "AdmissionReview"
_UNPROCESSABLE = 422

Object: TypeAlias = Mapping[str, Any]
Judge: TypeAlias = Callable[[Object], tuple[str, ...]]
"""Returns warnings; raises InvalidWorkflow."""


@ROUTES.post(f"{names.ADMISSION_PREFIX}/{names.WORKFLOWS}")
async def workflows(request: web.Request) -> web.Response:
    """Say whether a Workflow can run."""
    return await _reviewed(request, warnings_about)


@ROUTES.post(f"{names.ADMISSION_PREFIX}/{names.RUNNER_PROFILES}")
async def profiles(request: web.Request) -> web.Response:
    """Say whether pods can be made from a RunnerProfile."""
    return await _reviewed(request, _of_profile)


def _of_profile(found: Object) -> tuple[str, ...]:
    usable(found)
    return ()


async def _reviewed(request: web.Request, judge: Judge) -> web.Response:
    try:
        uid, found = _asked(await body_of(request))
    except Refusal:
        metrics.ADMISSIONS.inc("unreadable")
        raise
    response: dict[str, Any] = {"uid": uid, "allowed": True}
    if found is not None:
        try:
            async with request.app[TURNS]:
                # A spec of a thousand tasks takes a while; meanwhile runs go on.
                warnings = await asyncio.to_thread(judge, found)
        except InvalidWorkflow as error:
            words = refusal(error.problems)
            status = {"code": _UNPROCESSABLE, "reason": "Invalid", "message": words}
            response |= {"allowed": False, "status": status}
        else:
            response |= {"warnings": list(warnings)} if warnings else {}
    metrics.ADMISSIONS.inc("allowed" if response["allowed"] else "refused")
    return web.json_response({"apiVersion": _VERSION, "kind": _KIND, "response": response})


def _asked(body: bytes) -> tuple[str, Object | None]:
    """Return the uid of a review, and its object; None where one is deleted."""
    try:
        review = strictjson.loads(body)
    except ValueError as error:
        raise bad(f"the body is not JSON: {error}") from error
    if not isinstance(review, dict) or review.get("kind") != _KIND:
        raise bad(f"the body is a {_KIND} of {_VERSION}")
    asked = review.get("request")
    if review.get("apiVersion") != _VERSION or not isinstance(asked, dict):
        raise bad(f"the body is a {_KIND} of {_VERSION}, with a request")
    uid, found = asked.get("uid"), asked.get("object")
    if not isinstance(uid, str) or not uid:
        raise bad("field `request.uid` is a text that is not empty")
    if not isinstance(found, dict | None):
        raise bad("field `request.object` is an object, or null")
    return uid, found
