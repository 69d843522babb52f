"""What a task that runs may ask of people, and what it may keep for its later attempts."""

import asyncio
from functools import partial
from http import HTTPStatus

from aiohttp import web

from graflow import questions
from graflow.api import names
from graflow.api.asking import InvalidQuestionError, check_question
from graflow.machine import reasons
from graflow.machine.objections import known_nodes
from graflow.machine.state import Activation, Question
from graflow_operator import values
from graflow_operator.letters import ChangedQuestionError
from graflow_operator.server.errors import Refusal, bad
from graflow_operator.server.replica import Replica, replica_of
from graflow_operator.server.runner_api import Caller, Json, addressed, caller_of, object_in

ROUTES = web.RouteTableDef()
LONGEST_WAIT_S = 5.0
"""A call waits no longer; whoever wants to know more asks again."""

AT_ONCE = 4
"""Questions that are looked at together."""

TURNS = web.AppKey("question_turns", asyncio.Semaphore)


@ROUTES.post(f"{names.RUNNER_PREFIX}/ask")
async def ask(request: web.Request) -> web.Response:
    """Ask a person, and tell the answer if it comes at once."""
    replica, caller = replica_of(request), await caller_of(request)
    body = object_in(caller.body)
    key, asked = _key(body), body.get("question")
    if not isinstance(asked, dict):
        raise bad("field `question` is an object")
    program, state, activation = caller.actor.holder(caller.attempt, caller.claim)
    _check_number(activation, key)
    known = known_nodes(program.plan, state, activation.scope)
    judged = partial(check_question, asked, submitter=program.spec.submitter, tasks=known)
    try:
        async with request.app[TURNS]:
            await asyncio.to_thread(judged)  # a large schema takes a while; meanwhile runs go on
    except InvalidQuestionError as error:
        raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, reasons.INVALID, str(error)) from error
    digest = questions.digest(asked)
    if body.get("sha256") != digest:
        raise bad(f"field `sha256` is the digest of the question, {digest}")
    kept = await _settled(replica, caller, {"json": asked})
    question, wait_s = Question(key, digest, kept), _wait_s(body)
    try:
        found = await caller.actor.questions.ask(caller.attempt, caller.claim, question, wait_s)
    except ChangedQuestionError as error:
        raise Refusal(HTTPStatus.CONFLICT, "QuestionChanged", str(error)) from error
    hold_s = replica.parts.settings.hold_s if found["awaited"] else 0.0
    told = {"name": found["name"], "answer": found["answer"], "holdSeconds": hold_s}
    return web.json_response(await addressed(replica, caller.run, told))


@ROUTES.post(f"{names.RUNNER_PREFIX}/keep")
async def keep(request: web.Request) -> web.Response:
    """Keep a value for the later attempts of the caller's activation."""
    replica, caller = replica_of(request), await caller_of(request)
    body = object_in(caller.body)
    key = _key(body)
    _, _, activation = caller.actor.holder(caller.attempt, caller.claim)
    _check_steps(activation, key)
    try:
        value = await _settled(replica, caller, values.check(body.get("value")))
    except values.BadValueError as error:
        raise bad(str(error)) from error
    return web.json_response(
        await caller.actor.questions.keep(caller.attempt, caller.claim, key, value)
    )


def _check_number(activation: Activation, key: str) -> None:
    """Refuse a question of a task that has asked as many as it may."""
    asked = {known.key for known in activation.questions}
    if key not in asked and len(asked) >= questions.MAX_QUESTIONS:
        words = f"this task has asked {len(asked)} questions, and may ask {questions.MAX_QUESTIONS}"
        raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, reasons.INVALID, f"{words}; ask in others")


def _check_steps(activation: Activation, key: str) -> None:
    """Refuse to keep more for a task than it may have kept."""
    kept = {known for known, _ in activation.kept}
    if key not in kept and len(kept) >= questions.MAX_STEPS:
        words = f"this task has kept {len(kept)} steps, and may keep {questions.MAX_STEPS}"
        raise Refusal(
            HTTPStatus.UNPROCESSABLE_ENTITY, reasons.INVALID, f"{words}; keep a list in one of them"
        )


async def _settled(replica: Replica, caller: Caller, value: values.ValueRef) -> values.ValueRef:
    caller.actor.holder(caller.attempt, caller.claim)
    with caller.actor.withheld.asking(caller.attempt):
        return await values.settle(
            value, replica.parts.storage, replica.parts.store_keys(caller.run)
        )


def _wait_s(body: Json) -> float:
    """Return how long the caller likes to wait for an answer."""
    wait_s = body.get("waitSeconds", 0)
    if isinstance(wait_s, bool) or not isinstance(wait_s, int | float) or not wait_s >= 0:
        raise bad("field `waitSeconds` is a number of seconds, at least 0")
    return min(wait_s, LONGEST_WAIT_S)


def _key(body: Json) -> str:
    key = body.get("key")
    if not isinstance(key, str) or not questions.KEY.fullmatch(key):
        raise bad(
            f"field `key` is {key!r}; it is 1 to 63 letters, digits, `.`, `_` and `-`, the first"
            " and the last of them a letter or digit"
        )
    return key
