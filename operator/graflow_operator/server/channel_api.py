"""The runner protocol's call for the channel: operations, and reading.

`{"op": …, "key": …}`; what changes anything has `stream` and `n` too, the number of the call among
those of its process, so that one whose answer was lost can be made again.
"""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from graflow.api import names
from graflow.ledger import wire
from graflow.ledger.state import Caller, Owner
from graflow.machine.results import named_by
from graflow_operator import channel_values, metrics, orders, values
from graflow_operator.server.errors import bad, not_yet
from graflow_operator.server.replica import replica_of
from graflow_operator.server.runner_api import Caller as Runner
from graflow_operator.server.runner_api import addressed, caller_of, object_in, whole

ROUTES = web.RouteTableDef()
WAIT_S = 5.0
"""Longest time that one request waits for a lock."""

READS = ("get", "exists", "keys", "wait")
CHANGES = ("set", "delete", "clear", "append", "prepend", "add", "lock", "unlock")
Json = dict[str, Any]


@ROUTES.post(f"{names.RUNNER_PREFIX}/channel")
async def channel(request: web.Request) -> web.Response:
    """Do one operation on the run's channel; answered when it is committed."""
    replica, runner = replica_of(request), await caller_of(request)
    body = object_in(runner.body)
    if body.get("op") not in (*READS, *CHANGES):
        raise bad(f"field `op` is one of {', '.join((*READS, *CHANGES))}")
    try:
        if body["op"] in CHANGES:
            found = await _changed(request, runner, body)
        else:
            found = await addressed(replica, runner.run, await _read(runner, body))
            metrics.CHANNEL_OPERATIONS.inc(body["op"])
    except (wire.BadCallError, values.BadValueError) as error:
        raise bad(str(error)) from error
    if not replica.keeper.leads():
        # Another replica may have gone on meanwhile. It knows what is committed and has the answer;
        # nothing that it did not know when it began has ever been answered.
        raise not_yet("this replica of the operator leads no more")
    return web.json_response(found)


async def _changed(request: web.Request, runner: Runner, body: Json) -> Json:
    parts = replica_of(request).parts
    runner.actor.holder(runner.attempt, runner.claim)
    stream, number = whole(body, "stream"), whole(body, "n")
    settled = await channel_values.settled(body, parts.storage, parts.store_keys(runner.run))
    op = wire.op_of(settled, channel_values.check)
    answer = await runner.actor.channel.ask(runner.attempt, runner.claim, (stream, number), op)
    return wire.document_of(answer)


async def _read(runner: Runner, body: Json) -> Json:
    attempt, claim, found = runner.attempt, runner.claim, runner.actor.channel
    if body["op"] == "keys":
        state, now = await found.read(attempt, claim)
        return {"answer": {"json": state.keys(now)}}
    key = wire.key_in(body)
    if body["op"] == "wait":
        by = Caller(attempt.activation, attempt.attempt, whole(body, "stream"))
        owner = Owner(by, whole(body, "ticket"))
        held = await found.wait(attempt, claim, key, owner, _within(body))
        return {"answer": {"json": held}}
    if (result := _named_result(runner, key)) is not None:
        return {"result": result} if body["op"] == "get" else {"answer": {"json": True}}
    state, now = await found.read(attempt, claim)
    entry = state.live(key, now)
    if body["op"] == "exists":
        return {"answer": {"json": entry is not None}}
    return {} if entry is None else {"value": wire.value_of(entry)}


def _named_result(runner: Runner, key: str) -> Mapping[str, Any] | None:
    """Return the result that a key names (C1)."""
    task = named_by(key)
    if task is None:
        return None
    _, state, seer = runner.actor.holder(runner.attempt, runner.claim)
    found = orders.results(state, seer, [task])[task]
    return None if found is None else found["result"]


def _within(body: Json) -> float:
    within = body.get("within", WAIT_S)
    if isinstance(within, bool) or not isinstance(within, int | float) or not within >= 0:
        raise bad("field `within` is a number of seconds")
    return min(within, WAIT_S)
