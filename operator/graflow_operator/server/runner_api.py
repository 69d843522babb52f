"""The runner protocol: what one attempt may ask and tell.

Keys, claims and limits are checked here; everything else is the actor's business.
"""

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from aiohttp import web

from graflow.api import names
from graflow.machine.results import visible_names
from graflow.store.keys import is_sha256
from graflow_operator import keys, orders, outcomes, reports, strictjson, values
from graflow_operator.actor import Actor
from graflow_operator.checkpoint import BadWishError, wish_of
from graflow_operator.claimants import addresses
from graflow_operator.cluster import PODS, Object
from graflow_operator.cluster_errors import NotFoundError
from graflow_operator.letters import FencedError
from graflow_operator.outcomes import BadReportError
from graflow_operator.refs import AttemptRef, RunRef
from graflow_operator.server.bodies import body_of
from graflow_operator.server.errors import Refusal, bad, bad_key, fenced, not_yet
from graflow_operator.server.replica import Replica, replica_of

ROUTES = web.RouteTableDef()
READ_URL_S = 3600
ADDRESS_S = 2.0
"""Longest wait for the kubelet to tell a pod's address."""

MAX_NAMES = 1000
MAX_NUMBER = 2**63
MAX_CLAIM_BYTES = 16 << 10
"""Whoever claims may be anybody until the body is read."""

_NONCE = re.compile(r"[0-9a-f]{32}")
Json = dict[str, Any]


@dataclass(frozen=True)
class Caller:
    """A runner that has shown that it holds its attempt's key."""

    actor: Actor
    attempt: AttemptRef
    claim: str
    body: bytes

    @property
    def run(self) -> RunRef:
        """The run that it works for."""
        return self.actor.run


@ROUTES.post(f"{names.RUNNER_PREFIX}/claim")
async def claim(request: web.Request) -> web.Response:
    """Give an attempt to the pod that was made for it."""
    replica = replica_of(request)
    body = object_in(await body_of(request, most=MAX_CLAIM_BYTES))
    run, namespace, nonce = (_text(body, field) for field in ("run", "namespace", "nonce"))
    pod_ref = body.get("pod")
    if not isinstance(pod_ref, dict):
        raise bad("field `pod` is an object with name and uid")
    uid = _text(pod_ref, "uid")
    if not _NONCE.fullmatch(nonce):
        raise bad("field `nonce` is 32 hex digits")
    key = _key_shown(request, run)
    actor = _actor(replica, run)
    pod = await _pod(request, actor, pod_ref, namespace)
    order = await actor.claim(pod, nonce, str(body.get("python") or ""))
    attempt, caller = AttemptRef(order["activation"], order["attempt"]), f"{uid}/{nonce}"
    own = orders.attempt_key(key, attempt, caller)
    answer = await _finished(replica, actor.run, attempt, own, order)
    actor.holder(attempt, caller)  # its pod may have been lost while addresses were signed
    return web.json_response(answer)


def _key_shown(request: web.Request, run: str) -> bytes:
    """Return the key of the run that the caller holds."""
    shown = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
    for key in replica_of(request).parts.master.any_of_run(run):
        if keys.equal(shown, key.hex()):
            return key
    raise bad_key("Authorization does not hold the key of this run")


async def _pod(request: web.Request, actor: Actor, ref: Json, namespace: str) -> Object:
    """Return the pod that claims, which the request comes from.

    Raises:
        Refusal: If it is not there any more, or is not known to have the caller's address.
    """
    name, uid = _text(ref, "name"), _text(ref, "uid")
    where = (namespace, name)
    pod = actor.claimants.get(uid)
    if pod is not None and _where(pod) == where and _is_from(request, pod):
        return pod
    try:
        pod = await replica_of(request).parts.cluster.get(PODS, namespace, name)
    except NotFoundError as error:
        raise fenced(f"there is no pod {namespace}/{name}") from error
    if pod["metadata"]["uid"] != uid:
        raise fenced(f"pod {namespace}/{name} is another one now: uid {pod['metadata']['uid']}")
    if not _is_from(request, pod) and not addresses(pod):
        # The kubelet has not told it yet; the runner would only ask again.
        pod = await actor.claimants.wait(uid, ADDRESS_S) or pod
    if not _is_from(request, pod):
        known = ", ".join(sorted(addresses(pod))) or "not known yet"
        raise not_yet(
            f"the request came from {request.remote}, and the address of pod {name} is {known};"
            " where a mesh hides addresses, set GRAFLOW_CHECK_PEER=false"
        )
    return pod


def _where(pod: Object) -> tuple[str, str]:
    return pod["metadata"]["namespace"], pod["metadata"]["name"]


def _is_from(request: web.Request, pod: Object) -> bool:
    """Whether a request comes from a pod, as far as that is to be checked."""
    if not replica_of(request).parts.settings.check_peer or pod.get("spec", {}).get("hostNetwork"):
        return True
    return request.remote in addresses(pod)


async def _finished(
    replica: Replica, run: RunRef, attempt: AttemptRef, key: bytes, order: Json
) -> Json:
    """Return an order with what only this host knows: the attempt's key, and addresses."""
    order = {"attemptKey": key.hex(), **await addressed(replica, run, order)}
    has_store = replica.parts.storage is not None
    order["limits"] = {**order["limits"], "checkpoints": has_store}
    order["outcome"] = await _places(replica, run, attempt)
    return order


async def _places(replica: Replica, run: RunRef, attempt: AttemptRef) -> Json | None:
    """Return where an attempt may leave its outcome, and for how long; None if nowhere."""
    storage, store_keys = replica.parts.storage, replica.parts.store_keys(run)
    if storage is None:
        return None
    places = {
        "url": store_keys.outcome(attempt.activation, attempt.attempt),
        "valueUrl": store_keys.outcome_value(attempt.activation, attempt.attempt),
    }
    wanted_s = replica.parts.settings.outcome_url_s
    urls = await storage.presign("PUT", places, expires_s=wanted_s, only_if_absent=True)
    return {**urls, "expiresSeconds": storage.addresses_last_s(wanted_s)} if urls else None


async def addressed(replica: Replica, run: RunRef, document: Json) -> Json:
    """Return a document with an address beside every blob in it."""
    storage, store_keys = replica.parts.storage, replica.parts.store_keys(run)
    wanted = {sha: store_keys.blob(sha) for sha in values.blobs(document)}
    if storage is None or not wanted:
        return document
    urls = await storage.presign("GET", wanted, expires_s=READ_URL_S)
    found: Json = values.with_urls(document, urls)
    return found


@ROUTES.post(f"{names.RUNNER_PREFIX}/report")
async def report(request: web.Request) -> web.Response:
    """Record how user code ended; answered when that is committed."""
    replica, caller = replica_of(request), await caller_of(request)
    try:
        with caller.actor.withheld.asking(caller.attempt):
            told = await reports.settled(
                outcomes.report_of(object_in(caller.body)),
                replica.parts.storage,
                replica.parts.store_keys(caller.run),
            )
    except (BadReportError, values.BadValueError) as error:
        raise bad(str(error)) from error
    caller.actor.reports(caller.attempt, request.headers.get(names.HEADER_RAN, ""))
    return web.json_response(await caller.actor.report(caller.attempt, caller.claim, told))


@ROUTES.post(f"{names.RUNNER_PREFIX}/results")
async def results(request: web.Request) -> web.Response:
    """Return what names stand for as seen from the attempt's scope, or which names there are."""
    replica, caller = replica_of(request), await caller_of(request)
    body = object_in(caller.body)
    asked = body.get("names")
    if not isinstance(asked, list) or not all(isinstance(name, str) for name in asked):
        raise bad("field `names` is a list of texts")
    if len(asked) > MAX_NAMES:
        raise bad(f"field `names` has at most {MAX_NAMES} entries; this has {len(asked)}")
    program, state, seer = caller.actor.holder(caller.attempt, caller.claim)
    channel = caller.actor.channel.values
    source = body.get("from")
    if source == "visible":
        visible = {"results": visible_names(state, seer.scope), "channel": list(channel)}
        return web.json_response({"names": {}, "visible": visible})
    if source == "results":
        found = orders.results(state, seer, asked)
    else:
        found = orders.resolve(program, state, seer, asked, channel)
    return web.json_response({"names": await addressed(replica, caller.run, found)})


@ROUTES.post(f"{names.RUNNER_PREFIX}/blob")
async def blob(request: web.Request) -> web.Response:
    """Return where a large value is to be put."""
    replica, caller = replica_of(request), await caller_of(request)
    body = object_in(caller.body)
    sha256, size = _sha256(body), body.get("size")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise bad("field `size` is the number of bytes")
    caller.actor.holder(caller.attempt, caller.claim)
    storage = replica.parts.storage
    if storage is None:
        raise Refusal(
            HTTPStatus.CONFLICT,
            "StoreRequired",
            f"a value of {size} bytes needs a store, and the operator has none; configure one"
            " (GRAFLOW_STORE_BUCKET), or return less",
        )
    key = replica.parts.store_keys(caller.run).blob(sha256)
    with caller.actor.withheld.asking(caller.attempt):
        is_there = await storage.size(key) == size
    if is_there:
        return web.json_response({"url": None, "stored": True})
    urls = await storage.presign("PUT", {"url": key}, expires_s=READ_URL_S)
    return web.json_response({"url": urls.get("url"), "stored": False})


@ROUTES.post(f"{names.RUNNER_PREFIX}/address")
async def address(request: web.Request) -> web.Response:
    """Return where a large value of the run may be read, signed anew."""
    replica, caller = replica_of(request), await caller_of(request)
    blob = {"blob": {"sha256": _sha256(object_in(caller.body))}}
    caller.actor.holder(caller.attempt, caller.claim)
    found = await addressed(replica, caller.run, blob)
    return web.json_response({"url": found["blob"].get("url")})


def _sha256(body: Json) -> str:
    found = body.get("sha256")
    if not is_sha256(found):
        raise bad("field `sha256` is 64 hex digits")
    return found


@ROUTES.post(f"{names.RUNNER_PREFIX}/renewal")
async def renewal(request: web.Request) -> web.Response:
    """Return where the outcome may be left, signed anew; nothing of the run changes."""
    replica, caller = replica_of(request), await caller_of(request)
    caller.actor.holder(caller.attempt, caller.claim)
    places = await _places(replica, caller.run, caller.attempt)
    return web.json_response({"outcome": places})


@ROUTES.post(f"{names.RUNNER_PREFIX}/checkpoint")
async def checkpoint(request: web.Request) -> web.Response:
    """Take a checkpoint of the run as it is; answered when it is committed."""
    replica, caller = replica_of(request), await caller_of(request)
    body = object_in(caller.body)
    number = whole(body, "stream"), whole(body, "n")
    try:
        wish = wish_of(body)
    except BadWishError as error:
        raise bad(str(error)) from error
    caller.actor.holder(caller.attempt, caller.claim)
    if replica.parts.storage is None:
        raise Refusal(
            HTTPStatus.CONFLICT,
            "StoreRequired",
            "a checkpoint needs a store, and the operator has none; configure one"
            " (GRAFLOW_STORE_BUCKET)",
        )
    return web.json_response(await caller.actor.save(caller.attempt, caller.claim, number, wish))


@ROUTES.get(f"{names.RUNNER_PREFIX}/bundle/{{sha256}}")
async def bundle(request: web.Request) -> web.Response:
    """Return the run's code."""
    caller = await caller_of(request)
    found, asked = caller.actor.bundle, request.match_info["sha256"]
    if found is None:
        raise not_yet("the run's code bundle is being read")
    if found.sha256 != asked:
        raise fenced(f"the bundle of this run is {found.sha256}, not {asked}")
    return web.Response(body=found.data, content_type="application/zip")


async def caller_of(request: web.Request) -> Caller:
    """Return who calls, its signature checked before anything it says is looked at."""
    headers = request.headers
    run, claimed = headers.get(names.HEADER_RUN, ""), headers.get(names.HEADER_CLAIM, "")
    labels = {
        names.LABEL_ACTIVATION: headers.get(names.HEADER_ACTIVATION, ""),
        names.LABEL_ATTEMPT: headers.get(names.HEADER_ATTEMPT, ""),
    }
    attempt = AttemptRef.of(labels)
    if attempt is None or not run or not claimed:
        raise bad(
            f"the headers {names.HEADER_RUN}, {names.HEADER_ACTIVATION}, {names.HEADER_ATTEMPT} and"
            f" {names.HEADER_CLAIM} say who calls"
        )
    body = await body_of(request)
    replica = replica_of(request)
    number = headers.get(names.HEADER_NUMBER, "")
    signed = keys.Call(request.method, request.path, claimed, number, body)
    shown = headers.get(names.HEADER_MAC, "")
    possible = (
        orders.attempt_key(key, attempt, claimed) for key in replica.parts.master.any_of_run(run)
    )
    if not any(keys.equal(shown, keys.mac_of_call(key, signed)) for key in possible):
        raise bad_key(
            f"{names.HEADER_MAC} is not the signature of this call with its attempt's key"
        )
    return Caller(_actor(replica, run), attempt, claimed, body)


def _actor(replica: Replica, run: str) -> Actor:
    if replica.engine is None:
        raise not_yet("no replica of the operator leads right now")
    try:
        return replica.engine.actor(run)
    except FencedError as error:
        raise fenced(str(error)) from error


def object_in(body: bytes) -> Json:
    """Return the JSON object that a body is."""
    try:
        found = strictjson.loads(body)
    except ValueError as error:
        raise bad(f"the body is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise bad("the body is a JSON object")
    return found


def whole(body: Json, field: str) -> int:
    """Return a number that a call is told apart by."""
    value = body.get(field)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < MAX_NUMBER:
        raise bad(f"field `{field}` is a whole number below 2**63")
    return value


def _text(body: Json, field: str) -> str:
    value = body.get(field)
    if not isinstance(value, str) or not value:
        raise bad(f"field `{field}` is a text that is not empty")
    return value
