"""How a run begins of which nothing is committed: anew, from another one, or as done already.

What is done here may be done again after a crash: objects are copied under names of their own, and
the first commit is what makes the run begin.
"""

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from graflow.api import cut
from graflow.api.directives import code_at, function_at
from graflow.api.errors import words
from graflow.api.inputs import changed_keys, changed_results
from graflow.api.resume import ResumeFrom, key_told
from graflow.ledger import wire
from graflow.ledger.state import End, apply
from graflow.ledger.state import State as Channel
from graflow.machine import codec, reasons
from graflow.machine.check import Problem
from graflow.machine.plan import GroupPlan, Plan
from graflow.machine.revive import RevivalError, is_alive, revived, without_answers
from graflow.machine.state import GroupValue, Phase, State, Value
from graflow.store import ObjectCorruptError, ObjectMissingError
from graflow.store.keys import is_sha256
from graflow_operator import channel_log, channel_values, completions, origins, turns, values
from graflow_operator.checkpoint import UnreadableCheckpointError
from graflow_operator.cluster import Object
from graflow_operator.cluster_errors import NotFoundError
from graflow_operator.code import BundleAwaitedError
from graflow_operator.origins import CannotResumeError, Origin
from graflow_operator.parts import Parts
from graflow_operator.program import Program
from graflow_operator.refs import RunRef
from graflow_operator.snapshot import Snapshot, UnreadableSnapshotError
from graflow_operator.sweep import RunMark

AT_ONCE = 8
"""Objects that are copied at one time."""

UNREADABLE = (UnreadableCheckpointError, UnreadableSnapshotError, ObjectCorruptError)
MOST_CHANGES = 20
CHANGE_BYTES = 200
"""Of a sentence that says what was changed."""

RUN_BY = ("tasks", "pod")
"""Fields of a spec that say what runs, besides the bundle."""

Trial: TypeAlias = Callable[[Program], Awaitable[Sequence[Problem]]]
"""Says what is wrong with the pods of a run that has not begun."""

Json = dict[str, Any]


class RefusedError(Exception):
    """The run cannot begin as it is written."""

    def __init__(self, reason: str, problems: Sequence[Problem]) -> None:
        super().__init__(words(problems))
        self.reason = reason
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Begun:
    """Where a run stands at its first commit."""

    snapshot: Snapshot
    channel: Object | None = None
    """What the cursor is to say of the channel."""

    resumed_from: Json | None = None
    """What the status is to say of where the run has come from."""


async def begun(
    parts: Parts, run: RunRef, found: Program, mark: RunMark, tried: Trial
) -> Begun | None:
    """Return where a run begins that does not begin anew; None if it does.

    Args:
        parts: The operator's ways to the world.
        run: The run.
        found: What it executes.
        mark: Its mark in the store, left before anything else is.
        tried: Says what is wrong with its pods.

    Raises:
        RefusedError: If it cannot begin like that.
        StoreError, ClusterError, BundleAwaitedError: If something is not known yet.
        UnreadableSnapshotError: If what was recorded of its work cannot be made out.
    """
    spec = found.spec
    earlier = parts.run_ids.earlier(run, spec.run_id)
    if (done := await completions.adopted(parts, run, spec, mark)) is not None:
        return Begun(done)
    if earlier is not None:
        told = (
            f"{spec.run_id!r} is what Workflow {earlier!r} does, which has not ended; apply this"
            " one again after that, and it takes over the result, or give it an id of its own"
        )
        raise RefusedError(reasons.RUN_ID_TAKEN, [Problem("spec.runId", told)])
    if wrong := await tried(found):
        raise RefusedError(reasons.INVALID, wrong)
    await mark.put()  # whoever deletes the run finds its objects by it, from the first one on
    if spec.resume_from is None:
        return None
    try:
        return await _resumed(parts, run, found, spec.resume_from)
    except CannotResumeError as error:
        problem = Problem(error.field, str(error))
    except (*UNREADABLE, RevivalError) as error:
        problem = Problem("spec.resumeFrom", str(error))
    raise RefusedError(reasons.RESUME_REFUSED, [problem])


async def _resumed(parts: Parts, run: RunRef, found: Program, asked: ResumeFrom) -> Begun:
    origin = await origins.find(parts, run.namespace, asked)
    results = await _results(parts, run, found.plan, asked)
    changes = await asyncio.to_thread(_changes, asked, origin, found)
    source = origin.snapshot.state
    if changes or asked.checkpoint is not None:  # who said yes has not said it to something else
        source = without_answers(source)
    state = await asyncio.to_thread(
        revived,
        found.plan,
        source,
        parts.clock(),
        results=results,
        rerun=asked.rerun,
    )
    if state.phase.ended:
        state.message = (
            f"nothing was run: {origin.run.name!r} has succeeded, and its value is this run's too;"
            " name tasks in spec.resumeFrom.rerun, or a checkpoint before its end"
        )
    await _check_code(parts, run, found, state)
    await _copy(parts, origin, run, state, own=values.blobs(_as_json(results)))
    channel = await _changed(parts, run, origin.channel, asked)
    told = {"name": origin.run.name, "uid": origin.run.uid, "checkpoint": origin.snapshot.state.seq}
    # No pod of an attempt that is due can exist yet: the next commit lets them go.
    held = frozenset(turns.starting(state))
    # The last moves of the other run are the first of this one's history.
    decided = tuple(state.transitions)
    made = Snapshot(state, held, history=origin.snapshot.history.of(state), decided=decided)
    part = await _placed(parts, run, channel, ended=state.phase.ended)
    return Begun(made, part, {**told, "changes": changes} if changes else told)


async def _results(parts: Parts, run: RunRef, plan: Plan, asked: ResumeFrom) -> Mapping[str, Value]:
    """Return the results that a fork gives, where a run keeps them."""
    keys = parts.store_keys(run)
    found: dict[str, Value] = {}
    for name, ref in changed_results(asked).items():
        if isinstance(plan.by_id.get(name), GroupPlan) and isinstance(ref.get("json"), dict):
            members = ref["json"].items()
            settled = [
                (member, await values.settle({"json": value}, parts.storage, keys))
                for member, value in members
            ]
            found[name] = GroupValue(tuple(settled))
        else:
            found[name] = await values.settle(dict(ref), parts.storage, keys)
    return found


def _as_json(results: Mapping[str, Value]) -> list[Any]:
    return [codec.encode_value(value) for value in results.values()]


async def _check_code(parts: Parts, run: RunRef, found: Program, state: State) -> None:
    """Look for what tasks that were made at run time need of the new run's code.

    Raises:
        CannotResumeError: If it is not there.
    """
    needed = dict(_borrowed(state))
    if not needed:
        return
    ref = found.spec.bundle
    known: Mapping[str, str] = {}
    if ref is not None:
        try:
            known = (await parts.bundle(run.namespace, ref.name, ref.sha256)).functions
        except NotFoundError as error:
            words = f"there is no CodeBundle {ref.name!r} in namespace {run.namespace!r} yet"
            raise BundleAwaitedError(words) from error
    for node, function in needed.items():
        if function not in known:
            raise CannotResumeError(
                "",
                f"task {node!r} was made at run time of function {function!r}, which the new code"
                " does not have; keep the function, or go on from a checkpoint before",
            )


def _borrowed(state: State) -> Iterator[tuple[str, str]]:
    """Yield live tasks made at run time whose code is in the program's bundle."""
    for scope in state.scopes.values():
        for node in scope.plan.nodes if scope.plan else ():
            function = function_at(scope.plan, node.id) if scope.plan else None
            if scope.plan and function is not None and code_at(scope.plan, node.id) is None:
                yield node.id, function


async def _copy(
    parts: Parts, origin: Origin, run: RunRef, state: State, own: Iterable[str]
) -> None:
    """Give the run objects of its own for all that its state and channel refer to.

    Raises:
        CannotResumeError: If one of them is gone.
        StoreError: If the store does not do it.
    """
    storage = parts.storage
    entries = [wire.value_of(entry) for entry in origin.channel.entries.values()]
    wanted = {*values.blobs(codec.encode(state)), *values.blobs(entries)} - set(own)
    if not wanted:
        return
    if storage is None:
        raise CannotResumeError("", f"values of {origin.run.name!r} are {origins.NO_STORE}")
    source, target = parts.store_keys(origin.run), parts.store_keys(run)
    turn = asyncio.Semaphore(AT_ONCE)

    async def copy(sha256: str) -> None:
        if not is_sha256(sha256):
            raise CannotResumeError("", f"{sha256[:80]!r} is no name of a value")
        async with turn:
            await storage.copy(source.blob(sha256), target.blob(sha256))

    try:
        await asyncio.gather(*(copy(sha256) for sha256 in sorted(wanted)))
    except ObjectMissingError as error:
        words = f"a value of {origin.run.name!r} is gone: {error}; go on from another checkpoint"
        raise CannotResumeError("", words) from error


async def _changed(parts: Parts, run: RunRef, before: Channel, asked: ResumeFrom) -> Channel:
    """Return the channel of the new run: nobody holds locks in it, or waits for answers."""
    channel, now = before.copy(), parts.clock()
    apply(channel, End(frozenset(channel.known())), now, channel_log.NOBODY)
    for key, ref in changed_keys(asked).items():
        body = await channel_values.settled(
            {"op": "set", "key": key, "value": dict(ref)}, parts.storage, parts.store_keys(run)
        )
        try:
            apply(channel, wire.op_of(body), now, channel_log.NOBODY)
        except wire.BadCallError as error:
            raise CannotResumeError(f".set.{key}", str(error)) from error
    return channel


async def _placed(parts: Parts, run: RunRef, channel: Channel, *, ended: bool) -> Object:
    """Put the channel where it belongs; return what the cursor says of it."""
    epoch = secrets.token_hex(8)
    if parts.storage is None:
        return {"seq": 0, "epoch": epoch, "state": channel_log.text_of(channel)}
    part, _ = await channel_log.Log(parts.storage, parts.store_keys(run)).save(channel)
    return {**part, "epoch": epoch} | ({} if ended else {"chain": True})


def _changes(asked: ResumeFrom, origin: Origin, found: Program) -> list[str]:
    """Return what is different in the new run, in a sentence each."""
    known = origin.channel.entries
    said = [key_told(key, _shown(ref), known) for key, ref in changed_keys(asked).items()]
    said += [f"the result of {n!r} is {_shown(ref)}" for n, ref in changed_results(asked).items()]
    said += [_run_again(origin.snapshot.state, name) for name in asked.rerun]
    bundle = found.spec.bundle and found.spec.bundle.sha256
    if bundle != origin.bundle:
        said.append(f"the code is bundle {bundle or 'none'}, and was {origin.bundle or 'none'}")
    if found.plan != origin.plan:
        said.append("tasks or edges of the workflow are others")
    elif any(found.spec.manifest().get(part) != origin.spec.get(part) for part in RUN_BY):
        said.append("what tasks run, or in which pods, is written otherwise")
    more = len(said) - MOST_CHANGES
    short = [cut.cut(one, CHANGE_BYTES) for one in said[:MOST_CHANGES]]
    return [*short, f"and {more} more"] if more > 0 else short


def _run_again(before: State, name: str) -> str:
    """Return what asking for another run of a task or group comes to."""
    if not before.scopes:
        return f"{name!r} runs as all others do, for the run had not begun"
    failed = {one.node for one in before.activations.values() if one.phase is Phase.FAILED}
    if is_alive(before, name) and name not in failed:
        return f"{name!r} was under way and goes on"
    return f"{name!r} runs again"


def _shown(ref: Mapping[str, Any]) -> str:
    return json.dumps(ref["json"]) if "json" in ref else "a pickled value"
