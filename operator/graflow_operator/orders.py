"""The order that a runner gets for its claim, and the values that it may ask for. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from graflow.api import names
from graflow.api.workflow import TaskSpec
from graflow.machine.plan import TaskPlan
from graflow.machine.results import visible
from graflow.machine.state import Activation, Sent, State
from graflow_operator import keys, values
from graflow_operator.bundles import Bundle
from graflow_operator.program import Program
from graflow_operator.refs import AttemptRef, RunRef

RESULT_SUFFIX = ".__result__"

Json = dict[str, Any]


def order(
    run: RunRef,
    program: Program,
    state: State,
    activation: Activation,
    bundle: Bundle | None,
) -> Json:
    """Return what a runner is to do, its key and addresses left out."""
    task, plan = program.tasks[activation.node], program.plan.by_id[activation.node]
    if not isinstance(plan, TaskPlan):
        raise TypeError(f"{plan.id!r} is a group and has no runner")
    return {
        "activation": activation.number,
        "attempt": activation.attempt,
        "task": {
            "id": task.name,
            "iteration": activation.iteration,
            "maxCycles": plan.max_cycles,
            "maxAttempts": plan.retry.max_attempts,
            "failures": activation.failures,
        },
        "run": {"name": run.name, "namespace": run.namespace, "uid": run.uid},
        "call": _call(task, bundle),
        "bundle": bundle
        and {
            "sha256": bundle.sha256,
            "size": len(bundle.data),
            "url": f"{names.RUNNER_PREFIX}/bundle/{bundle.sha256}",
        },
        **_sent(activation.sent),
        "names": resolve(program, state, activation.scope, task.params),
        "outcome": None,
        "limits": {"inlineBytes": values.REPORT_INLINE_BYTES},
    }


def attempt_key(run_key: bytes, attempt: AttemptRef, claim: str) -> bytes:
    """Return the key with which the runner signs what it says."""
    return keys.of_attempt(run_key, attempt.activation, attempt.attempt, claim)


def _call(task: TaskSpec, bundle: Bundle | None) -> Json:
    if task.function is not None:
        return {"function": bundle.functions[task.function] if bundle else None}
    if task.entrypoint is not None:
        return {"entrypoint": task.entrypoint}
    return {"script": task.script, "params": list(task.params)}


def _sent(sent: Iterable[Sent]) -> Json:
    """Return the input, only when one sender sent it all: of several, none is the argument (A1)."""
    sent = tuple(sent)
    senders = list(dict.fromkeys(one.sender for one in sent))
    one_sender = len(senders) == 1
    tokens = [{"task": one.sender, "value": values.wire(one.value)} for one in sent]
    return {"sent": tokens if one_sender else [], "senders": senders}


def resolve(program: Program, state: State, scope: int, asked: Iterable[str]) -> Json:
    """Return what each name stands for, as seen from a scope; None for those that mean nothing."""
    return {name: _resolve(program, state, scope, name) for name in asked}


def results(state: State, scope: int, asked: Iterable[str]) -> Json:
    """Return the latest result of each id, as seen from a scope; None where there is none."""
    return {name: _result(state, scope, name) for name in asked}


def visible_names(program: Program, state: State, scope: int) -> Json:
    """Return what could be asked for from a scope: ids that have results, and channel keys."""
    known = program.plan.by_id if scope in state.scopes else ()
    return {
        "results": [name for name in known if visible(state, scope, name) is not None],
        "channel": list(program.spec.input or {}),
    }


def inputs(program: Program, state: State, activation: Activation) -> Mapping[str, values.ValueRef]:
    """Return the inputs of a container task by name: its params, and what its predecessors sent."""
    found = {one.sender: values.wire(one.value) for one in activation.sent}
    for name in program.tasks[activation.node].params:
        entry = _resolve(program, state, activation.scope, name) or {}
        for kind in ("result", "channel"):
            if kind in entry:
                found[name] = entry[kind]
    return found


def _resolve(program: Program, state: State, scope: int, name: str) -> Json | None:
    if found := _result(state, scope, name):
        return found
    given = program.spec.input or {}
    if name in given:
        return {"channel": {"json": given[name]}}
    if name.endswith(RESULT_SUFFIX):
        found = _result(state, scope, name.removesuffix(RESULT_SUFFIX))
        return found and {"channel": found["result"]}
    return {"task": True} if name in program.plan.by_id else None


def _result(state: State, scope: int, name: str) -> Json | None:
    if scope not in state.scopes:
        return None
    result = visible(state, scope, name)
    return None if result is None else {"result": values.wire(result.value)}
