"""A state as JSON and back.

Values and error details are passed through as they are: a host that persists states hands the
machine nothing but JSON. What can be derived (arrivals, what is alive where, what is starting) is
left out and made again.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from graflow.machine.graph import ScopeGraph, scope_graph
from graflow.machine.joins import Tracker
from graflow.machine.plan import Plan
from graflow.machine.plan_codec import decode_plan, encode_plan
from graflow.machine.state import (
    RUN_SCOPE,
    Activation,
    Continuation,
    End,
    Error,
    Failure,
    GroupFailure,
    GroupValue,
    Phase,
    Question,
    Result,
    RunPhase,
    Scope,
    Sent,
    State,
    Token,
    Transition,
)

FORMAT: Final = 2
"""Version of the layout; a state of another one is refused."""

Json = Mapping[str, Any]


class UnreadableStateError(ValueError):
    """A persisted state is not of a format that this version reads."""


def encode(state: State) -> dict[str, Any]:
    """Return the state as plain JSON objects."""
    return {
        "format": FORMAT,
        **encode_header(state),
        "transitions": [encode_transition(transition) for transition in state.transitions],
        "scopes": {str(number): encode_scope(scope) for number, scope in state.scopes.items()},
        "activations": [encode_activation(a) for a in state.activations.values()],
        "starting": list(state.starting),
    }


def encode_header(state: State, before: State | None = None) -> dict[str, Any]:
    """Return what a state says of the run as a whole; after another one only what differs."""
    return _encode_fields(_HEADER, state, before)


def decode(plan: Plan, data: Json) -> State:
    """Return the state that `encode` was given.

    Raises:
        UnreadableStateError: If the data is of another format.
    """
    if data.get("format") != FORMAT:
        raise UnreadableStateError(
            f"the run's state has format {data.get('format')!r}, and this version reads {FORMAT}; "
            "use the version that wrote it"
        )
    activations = {a.number: a for a in map(_decode_activation, data["activations"])}
    return State(
        phase=RunPhase(data["phase"]),
        reason=data["reason"],
        message=data["message"],
        seq=data["seq"],
        steps=data["steps"],
        scopes=_decode_scopes(plan, data["scopes"], activations),
        scopes_made=data["scopesMade"],
        activations=activations,
        starting=OrderedDict.fromkeys(data["starting"]),
        backoff={a.number: None for a in activations.values() if a.phase is Phase.BACKOFF},
        asking={a.number: None for a in activations.values() if a.is_asking},
        completed=data["completed"],
        recorded=data["recorded"],
        transitions=tuple(Transition(*row) for row in data["transitions"]),
        transitions_made=data["transitionsMade"],
        value=decode_value(data["value"]),
        failure=_decode_failure(data["failure"]),
        started_at=data["startedAt"],
        ended_at=data["endedAt"],
    )


def encode_value(value: Any) -> Any:  # noqa: ANN401  the host's own JSON passes through
    """Return a value with group values turned into JSON."""
    if isinstance(value, GroupValue):
        return {"group": {member: encode_value(inner) for member, inner in value.branches}}
    return value


def decode_value(data: Any) -> Any:  # noqa: ANN401  the host's own JSON passes through
    """Return what `encode_value` was given."""
    if isinstance(data, Mapping) and set(data) == {"group"}:
        return GroupValue(tuple((m, decode_value(inner)) for m, inner in data["group"].items()))
    return data


def encode_transition(made: Transition) -> list[Any]:
    """Return a move as a row."""
    return [
        made.number,
        made.at,
        made.source,
        made.target,
        str(made.kind),
        made.iteration,
        made.reason,
    ]


def encode_scope(scope: Scope) -> dict[str, Any]:
    """Return a scope with all that is in it."""
    results = [
        [task, *encode_result(result)] for task, found in scope.results.items() for result in found
    ]
    return {
        **encode_frame(scope),
        "tokens": [encode_token(token) for tokens in scope.tokens.values() for token in tokens],
        "counts": dict(sorted(scope.counts.items())),
        "results": sorted(results, key=place_of_result),
    }


def encode_frame(scope: Scope, before: Scope | None = None) -> dict[str, Any]:
    """Return what a scope is, without what lies in it; after another one only what differs."""
    return _encode_fields(_FRAME, scope, before)


def encode_result(result: Result) -> list[Any]:
    """Return a result as the rest of a row that begins with its id."""
    return [result.seq, result.completed, encode_value(result.value)]


def place_of_result(row: Sequence[Any]) -> tuple[int, str]:
    """Return the place of a row among the results of a scope."""
    return row[1], row[0]


def encode_token(token: Token) -> list[Any]:
    """Return a token as a row."""
    return [token.node, token.round, encode_sent(token.sent), token.explicit, token.again]


def _decode_scopes(
    plan: Plan, data: Json, activations: Mapping[int, Activation]
) -> dict[int, Scope]:
    plans = {
        int(number): plan if scope["plan"] is None else decode_plan(scope["plan"])
        for number, scope in data.items()
    }
    live: dict[int, list[Activation]] = {}
    for activation in activations.values():
        live.setdefault(activation.scope, []).append(activation)
    return {
        int(number): _decode_scope(
            plans[scope["home"]], int(number), scope, live.get(int(number), ())
        )
        for number, scope in data.items()
    }


def _decode_scope(plan: Plan, number: int, data: Json, live: Sequence[Activation]) -> Scope:
    """Return a scope in which these activations are alive."""
    results: dict[str, tuple[Result, ...]] = {}
    for task, seq, completed, value in data["results"]:
        result = Result(decode_value(value), seq, completed)
        results[task] = (*results.pop(task, ()), result)
    tokens: dict[str, tuple[Token, ...]] = {}
    for node, round_, sent, explicit, again in data["tokens"]:
        token = Token(node, round_, list(_decode_sent(sent)), explicit, again)
        tokens[node] = (*tokens.get(node, ()), token)
    queues: dict[str, tuple[int, ...]] = {}
    for activation in live:
        queues[activation.node] = (*queues.get(activation.node, ()), activation.number)
    path = tuple((group, member) for group, member in data["path"])
    return Scope(
        tracker=_tracker(scope_graph(plan, path, whole=data["whole"]), tokens, live),
        path=path,
        parent=data["parent"],
        owner=data["owner"],
        call=data["call"],
        home=data["home"],
        plan=plan if data["home"] == number != RUN_SCOPE else None,
        whole=data["whole"],
        as_of=data["asOf"],
        children=data["children"],
        tokens=tokens,
        queues=queues,
        counts=dict(data["counts"]),
        results=results,
        end=_decode_end(data["end"]),
        failure=_decode_failure(data["failure"]),
        ended=data["ended"],
    )


def _tracker(
    graph: ScopeGraph, tokens: Mapping[str, Sequence[Token]], live: Iterable[Activation]
) -> Tracker:
    """Return the arrivals of a scope, which are derived from what is alive in it."""
    tracker = Tracker(graph)
    for found in tokens.values():
        for token in found:
            tracker.appear(token.node, token.round)
    for activation in live:
        tracker.appear(activation.node, activation.round)
    return tracker


def encode_activation(activation: Activation, before: Activation | None = None) -> dict[str, Any]:
    """Return an activation without what is empty; after another one what differs, empty or not."""
    if before is not None:
        return {"number": activation.number, **_encode_fields(_ACTIVATION, activation, before)}
    full = _encode_fields(_ACTIVATION, activation, None)
    return {key: value for key, value in full.items() if value or key == "number"}


def _decode_activation(data: Json) -> Activation:
    return Activation(
        number=data["number"],
        scope=data.get("scope", 0),
        node=data.get("node", ""),
        round=data.get("round", 0),
        iteration=data.get("iteration", 0),
        sent=_decode_sent(data.get("sent", ())),
        phase=Phase(data["phase"]),
        attempt=data.get("attempt", 1),
        failures=data.get("failures", 0),
        losses=data.get("losses", 0),
        claim=data.get("claim", ""),
        not_before=data.get("notBefore", 0.0),
        error=_decode_error(data.get("error")),
        since=data.get("since", 0.0),
        scopes=tuple(data.get("scopes", ())),
        again=data.get("again"),
        value=decode_value(data.get("value")),
        then=_decode_then(data.get("then")),
        led=data.get("led", False),
        questions=tuple(Question(*row) for row in data.get("questions", ())),
        kept=tuple((key, decode_value(value)) for key, value in data.get("kept", ())),
        parks=data.get("parks", 0),
    )


def _encode_then(then: Continuation | None) -> list[Any] | None:
    if then is None:
        return None
    iterate = None if then.iterate is None else list(then.iterate)
    return [[list(jump) for jump in then.jumps], iterate, then.skip]


def _decode_then(data: Sequence[Any] | None) -> Continuation | None:
    if data is None:
        return None
    jumps, iterate, skip = data
    return Continuation(
        tuple((target, reason) for target, reason in jumps),
        None if iterate is None else (iterate[0], iterate[1]),
        skip,
    )


def _encode_questions(questions: Sequence[Question]) -> list[list[Any]]:
    return [list(question) for question in questions]


def _encode_kept(kept: Sequence[tuple[str, Any]]) -> list[list[Any]]:
    return [[key, encode_value(value)] for key, value in kept]


def encode_sent(sent: Sequence[Sent]) -> list[list[Any]]:
    """Return what came with a token as rows."""
    return [[one.sender, encode_value(one.value)] for one in sent]


def _decode_sent(data: Sequence[Sequence[Any]]) -> tuple[Sent, ...]:
    return tuple(Sent(sender, decode_value(value)) for sender, value in data)


def _encode_end(end: End | None) -> list[Any] | None:
    if end is None:
        return None
    return [list(end.order), end.round, end.iteration, end.node, encode_value(end.value)]


def _decode_end(data: Sequence[Any] | None) -> End | None:
    if data is None:
        return None
    order, round_, iteration, node, value = data
    return End(tuple(order), round_, iteration, node, decode_value(value))


def _encode_failure(failure: Failure | None) -> dict[str, Any] | None:
    if failure is None:
        return None
    return {
        "node": failure.node,
        "iteration": failure.iteration,
        "attempt": failure.attempt,
        "failures": failure.failures,
        "error": _encode_error(failure.error),
        "seq": failure.seq,
    }


def _decode_failure(data: Json | None) -> Failure | None:
    if data is None:
        return None
    error = _decode_error(data["error"])
    if error is None:
        raise UnreadableStateError("a failure in the run's state has no error")
    return Failure(
        data["node"], data["iteration"], data["attempt"], data["failures"], error, data["seq"]
    )


def _encode_error(error: Error | None) -> dict[str, Any] | None:
    if error is None:
        return None
    detail: Any = error.detail
    if isinstance(detail, GroupFailure):
        failed = [[member, _encode_error(inner)] for member, inner in detail.failed]
        detail = {"groupFailure": [detail.group, failed, list(detail.succeeded)]}
    return {
        "reason": error.reason,
        "message": error.message,
        "detail": detail,
        "retryable": error.retryable,
    }


def _decode_error(data: Json | None) -> Error | None:
    if data is None:
        return None
    detail = data["detail"]
    if isinstance(detail, Mapping) and set(detail) == {"groupFailure"}:
        group, failed, succeeded = detail["groupFailure"]
        inner = tuple((member, error) for member, e in failed if (error := _decode_error(e)))
        detail = GroupFailure(group, inner, tuple(succeeded))
    return Error(data["reason"], data["message"], detail, data["retryable"])


_Fields = Mapping[str, tuple[str, Callable[[Any], Any]]]
"""Keys of a document, with the attribute that each is made of, and how."""


def _encode_fields(fields: _Fields, of: object, before: object | None) -> dict[str, Any]:
    if before is None:
        return {key: encoded(getattr(of, name)) for key, (name, encoded) in fields.items()}
    return {
        key: encoded(value)
        for key, (name, encoded) in fields.items()
        if (value := getattr(of, name)) is not getattr(before, name)
    }


def _as_it_is(value: Any) -> Any:  # noqa: ANN401  JSON already
    return value


def _word(value: RunPhase | Phase) -> str:
    return value.value


def _encode_plan_if_any(plan: Plan | None) -> dict[str, Any] | None:
    return None if plan is None else encode_plan(plan)


def _lists(pairs: Sequence[Sequence[str]]) -> list[list[str]]:
    return [list(pair) for pair in pairs]


_HEADER: Final[_Fields] = {
    "phase": ("phase", _word),
    "reason": ("reason", _as_it_is),
    "message": ("message", _as_it_is),
    "seq": ("seq", _as_it_is),
    "steps": ("steps", _as_it_is),
    "completed": ("completed", _as_it_is),
    "recorded": ("recorded", _as_it_is),
    "transitionsMade": ("transitions_made", _as_it_is),
    "value": ("value", encode_value),
    "failure": ("failure", _encode_failure),
    "startedAt": ("started_at", _as_it_is),
    "endedAt": ("ended_at", _as_it_is),
    "scopesMade": ("scopes_made", _as_it_is),
}

_FRAME: Final[_Fields] = {
    "path": ("path", _lists),
    "parent": ("parent", _as_it_is),
    "owner": ("owner", _as_it_is),
    "call": ("call", _as_it_is),
    "home": ("home", _as_it_is),
    "plan": ("plan", _encode_plan_if_any),
    "whole": ("whole", _as_it_is),
    "asOf": ("as_of", _as_it_is),
    "children": ("children", _as_it_is),
    "end": ("end", _encode_end),
    "failure": ("failure", _encode_failure),
    "ended": ("ended", _as_it_is),
}

_ACTIVATION: Final[_Fields] = {
    "number": ("number", _as_it_is),
    "scope": ("scope", _as_it_is),
    "node": ("node", _as_it_is),
    "round": ("round", _as_it_is),
    "iteration": ("iteration", _as_it_is),
    "sent": ("sent", encode_sent),
    "phase": ("phase", _word),
    "attempt": ("attempt", _as_it_is),
    "failures": ("failures", _as_it_is),
    "losses": ("losses", _as_it_is),
    "claim": ("claim", _as_it_is),
    "notBefore": ("not_before", _as_it_is),
    "error": ("error", _encode_error),
    "since": ("since", _as_it_is),
    "scopes": ("scopes", list),
    "again": ("again", _as_it_is),
    "value": ("value", encode_value),
    "then": ("then", _encode_then),
    "led": ("led", _as_it_is),
    "questions": ("questions", _encode_questions),
    "kept": ("kept", _encode_kept),
    "parks": ("parks", _as_it_is),
}
