"""The order that a runner gets for its claim, and the values that it may ask for. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from graflow.api import names
from graflow.machine.objections import known_nodes
from graflow.machine.plan import Exit, GroupPlan, Plan, TaskPlan
from graflow.machine.results import named_by, seen_by
from graflow.machine.scopes import groups_around, identity, outward
from graflow.machine.state import Activation, Sent, State
from graflow_operator import group_policy, keys, values
from graflow_operator.bundles import Bundle
from graflow_operator.program import Program
from graflow_operator.refs import AttemptRef, RunRef
from graflow_operator.work import Work, work_of

Json = dict[str, Any]
Channel: TypeAlias = Mapping[str, values.ValueRef]
"""What is in the run's channel, by key."""


def order(  # noqa: PLR0913, PLR0917 - all that an order is made of
    run: RunRef,
    program: Program,
    state: State,
    activation: Activation,
    bundle: Bundle | None,
    channel: Channel,
) -> Json:
    """Return what a runner is to do, its key and addresses left out."""
    work = work_of(program, state, activation)
    task, node = work.task, work.node
    return {
        "activation": activation.number,
        "attempt": activation.attempt,
        "task": {
            "id": task.name,
            "identity": identity(state, activation),
            "inside": list(groups_around(state, activation.scope)),
            "iteration": activation.iteration,
            "maxCycles": node.max_cycles if isinstance(node, TaskPlan) else 0,
            "maxAttempts": node.retry.max_attempts,
            "failures": activation.failures,
        },
        "run": {"name": run.name, "namespace": run.namespace, "uid": run.uid},
        "call": _call(program, state, activation, work, bundle),
        "bundle": bundle
        and {
            "sha256": bundle.sha256,
            "size": len(bundle.data),
            "url": f"{names.RUNNER_PREFIX}/bundle/{bundle.sha256}",
        },
        "again": activation.again,
        "questions": {
            known.key: {"name": known.name, "sha256": known.digest, "answer": known.answer}
            for known in activation.questions
        },
        "kept": {key: values.wire(value) for key, value in activation.kept},
        "fragment": _around(program, state, activation, bundle),
        **_sent(activation.sent),
        "names": resolve(program, state, activation, task.params, channel),
        "outcome": None,
        "limits": {"inlineBytes": values.REPORT_INLINE_BYTES},
    }


def attempt_key(run_key: bytes, attempt: AttemptRef, claim: str) -> bytes:
    """Return the key with which the runner signs what it says."""
    return keys.of_attempt(run_key, attempt.activation, attempt.attempt, claim)


def _call(
    program: Program, state: State, activation: Activation, work: Work, bundle: Bundle | None
) -> Json:
    task = work.task
    if isinstance(work.node, GroupPlan):
        return {
            "policy": _function(work, bundle),
            "group": task.name,
            "members": list(work.node.members),
            "results": group_policy.results(program, state, activation, work.node),
        }
    if task.function is not None:
        return _function(work, bundle)
    if task.entrypoint is not None:
        return {"entrypoint": task.entrypoint}
    return {"script": task.script, "params": list(task.params)}


def _function(work: Work, bundle: Bundle | None) -> Json:
    function = work.task.function
    if work.code is not None:
        return {"code": work.code, "id": function}
    sha256 = bundle.functions.get(function) if bundle and function else None
    return {"function": sha256, "id": function}


def _around(
    program: Program, state: State, activation: Activation, bundle: Bundle | None
) -> list[Json] | None:
    """Return the nodes and edges of the fragments around an activation, the innermost first.

    Those of the program itself are in its bundle; they come last where there is none.
    """
    plans = [found.plan for found in outward(state, activation.scope) if found.plan is not None]
    if bundle is None:
        plans.append(program.plan)
    return [_drawn(plan) for plan in plans] or None


def _drawn(plan: Plan) -> Json:
    return {
        "tasks": [
            {
                "id": node.id,
                "group": isinstance(node, GroupPlan),
                "members": list(node.members) if isinstance(node, GroupPlan) else [],
            }
            for node in plan.nodes
            if not isinstance(node, Exit)
        ],
        "edges": [list(edge) for edge in plan.edges],
    }


def _sent(sent: Iterable[Sent]) -> Json:
    """Return the input, only when one sender sent it all: of several, none is the argument (A1)."""
    sent = tuple(sent)
    senders = list(dict.fromkeys(one.sender for one in sent))
    one_sender = len(senders) == 1
    tokens = [{"task": one.sender, "value": values.wire(one.value)} for one in sent]
    return {"sent": tokens if one_sender else [], "senders": senders}


def resolve(
    program: Program, state: State, seer: Activation, asked: Iterable[str], channel: Channel
) -> Json:
    """Return what each name stands for, as an activation sees it; None for what means nothing."""
    return {name: _resolve(program, state, seer, name, channel) for name in asked}


def results(state: State, seer: Activation, asked: Iterable[str]) -> Json:
    """Return the latest result of each id, as an activation sees it; None where there is none."""
    return {name: _result(state, seer, name) for name in asked}


def inputs(
    program: Program, state: State, activation: Activation, channel: Channel
) -> Mapping[str, values.ValueRef]:
    """Return the inputs of a container task by name: its params, and what its predecessors sent."""
    found = {one.sender: values.wire(one.value) for one in activation.sent}
    for name in work_of(program, state, activation).task.params:
        entry = _resolve(program, state, activation, name, channel) or {}
        for kind in ("result", "channel"):
            if kind in entry:
                found[name] = entry[kind]
    return found


def _resolve(
    program: Program, state: State, seer: Activation, name: str, channel: Channel
) -> Json | None:
    if found := _result(state, seer, name):
        return found
    named = named_by(name)
    if named is not None and (found := _result(state, seer, named)):
        return {"channel": found["result"]}
    if name in channel:
        return {"channel": channel[name]}
    return {"task": True} if name in known_nodes(program.plan, state, seer.scope) else None


def _result(state: State, seer: Activation, name: str) -> Json | None:
    result = seen_by(state, seer, name)
    return None if result is None else {"result": values.wire(result.value)}
