"""What a task that succeeded leads to: successors, jumps, passes, fragments (R1, R5, section 4)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from graflow.machine import reasons
from graflow.machine.creation import activate, next_turn
from graflow.machine.directives import Cancel, Directive, Iterate, Jump, Kind, Spawn, Terminate
from graflow.machine.failing import end
from graflow.machine.fold import Fold
from graflow.machine.graph import LOOP, absorbed, scope_graph
from graflow.machine.joins import Tracker
from graflow.machine.plan import Exit, GroupPlan, NodePlan, Plan
from graflow.machine.scopes import plan_at
from graflow.machine.state import (
    RUN_SCOPE,
    Activation,
    Continuation,
    End,
    Phase,
    RunPhase,
    Sent,
    Token,
    Value,
)

_NO_MORE = Continuation()


def succeed(step: Fold, task: Activation, value: Value, directives: tuple[Directive, ...]) -> None:
    """Record the success of a task and do what it decided, in the order of T6."""
    step.record(task.scope, task.node, value)
    if not directives:
        _go_on(step, task, value, _NO_MORE)
        return
    for directive in directives:
        if isinstance(directive, Cancel):
            step.note(task, Kind.CANCELLATION, "", directive.message)
            _end_run(step, RunPhase.CANCELLED, reasons.CANCELLED, directive.message)
            return
    for directive in directives:
        if isinstance(directive, Terminate):
            step.note(task, Kind.TERMINATION, "", directive.message)
            _end_run(step, RunPhase.SUCCEEDED, reasons.TERMINATED, directive.message, value)
            return
    spawns = [directive for directive in directives if isinstance(directive, Spawn)]
    then = _continuation(directives)
    if spawns:
        _spawn(step, task, spawns, value, then)
    else:
        _go_on(step, task, value, then)


def _continuation(directives: tuple[Directive, ...]) -> Continuation:
    jumps = tuple((d.target, d.reason) for d in directives if isinstance(d, Jump))
    passes = [(d.again, d.reason) for d in directives if isinstance(d, Iterate)]
    skip = any(isinstance(d, Spawn) and d.goto for d in directives)
    return Continuation(jumps, passes[-1] if passes else None, skip)


def _end_run(step: Fold, phase: RunPhase, reason: str, message: str, value: Value = None) -> None:
    """End the run because a task says so; one that has failed has only waited for the others."""
    failure = step.state.scopes[RUN_SCOPE].failure
    if failure:
        step.state.failure = failure
        end(step, RunPhase.FAILED, failure.error.reason, failure.error.message)
        return
    step.state.value = value
    end(step, phase, reason, message)


def _spawn(
    step: Fold, task: Activation, spawns: list[Spawn], value: Value, then: Continuation
) -> None:
    """Open a scope for each fragment, all at once; the spawner holds until they have ended."""
    scopes = tuple(
        step.open_fragment(task, spawn.fragment, call) for call, spawn in enumerate(spawns)
    )
    holding = step.put(
        task, Phase.HOLDING, scopes=scopes, value=value, then=then, claim="", error=None
    )
    for spawn, scope in zip(spawns, scopes, strict=True):
        step.note(holding, Kind.SPAWN, ", ".join(spawn.fragment.start), spawn.reason)
        for node in spawn.fragment.start:
            activate(step, scope, Token(node, 0, [Sent(task.node, value)]))
        step.unsettled[scope] = None


def resume(step: Fold, task: Activation) -> None:
    """Everything that a task spawned has ended: hand on what it brought, and go on (T5, T6)."""
    fragments = [step.state.scopes[number] for number in task.scopes]
    for fragment in fragments:
        step.merge_results(task.scope, fragment)
    ends = [fragment.end for fragment in fragments if fragment.end]
    best = max(ends, key=lambda end: end.rank, default=None)
    step.close(task, task.scopes)
    _go_on(step, task, task.value, task.then or _NO_MORE, best)


def _go_on(
    step: Fold, task: Activation, value: Value, then: Continuation, inner: End | None = None
) -> None:
    """Lead on from a task; when that is to nothing, it is an end of its scope (R6)."""
    if then.jumps or then.iterate or then.skip:
        led = bool(then.jumps or then.iterate)
        for target, reason in then.jumps:
            step.note(task, Kind.JUMP, target, reason)
            _jump(step, task, task.scope, target, (Sent(task.node, value),))
        if then.iterate:
            _iterate(step, task, *then.iterate)
    else:
        led = step.send(task, value)
    if not (led or task.led):
        own = End(step.order_of(task), task.round, task.iteration, task.node, value)
        step.offer_end(task.scope, inner or own)
    step.retire(task)
    next_turn(step, task.scope, task.node)


def _iterate(step: Fold, task: Activation, again: Value, reason: str) -> None:
    """Make the next pass of a task: in its round, for its successors wait for the last one."""
    step.note(task, Kind.ITERATION, task.node, reason)
    given = task.again if again is None else again
    activate(step, task.scope, Token(task.node, task.round, [*task.sent], again=given))


class _Place(NamedTuple):
    """Where a jump comes from, in the scope that it goes to."""

    node: str
    round: int


def leave(step: Fold, scope: int, token: Token) -> None:
    """Turn the tokens on an exit of a fragment into a jump of its spawner (T8, T5).

    In a branch the node outside takes the place of its exit, for a branch is not left (G6).
    """
    found = step.state.scope(scope)
    if found.is_branch and not _is_absorbed(step, scope, token.node):
        _take_in(step, scope, token.node)
        step.candidates[scope, token.node] = None
        return
    step.take(scope, token)
    if not found.is_branch:
        spawner = step.state.activations[found.owner]
        _jump(step, spawner, scope, token.node, tuple(token.sent), over_edge=True)
    step.vanish(scope, token.node, token.round)
    step.unsettled[scope] = None


def _is_absorbed(step: Fold, scope: int, target: str) -> bool:
    """Whether a barrier around takes what an edge would put on a node outside (G6)."""
    while True:
        found = step.state.scopes[scope]
        if target in absorbed(plan_at(step.plan, step.state, scope), found.path):
            return True
        if scope == RUN_SCOPE or _has(step, scope, target):
            return False
        scope = found.parent


def _jump(  # noqa: PLR0913  what is sent from where to where
    step: Fold,
    jumper: Activation,
    scope: int,
    target: str,
    sent: tuple[Sent, ...],
    *,
    over_edge: bool = False,
) -> None:
    """Put a jump's activation or token into the nearest enclosing scope that has the node.

    Leaving a fragment it counts as a jump of the spawner (T5). A branch is not left (G6); what an
    edge would put on a node that a barrier around it leads to, the barrier absorbs.
    """
    activations = step.state.activations
    left: list[Activation] = []
    while not _has(step, scope, target) and not step.state.scopes[scope].is_branch:
        jumper = activations[step.state.scopes[scope].owner]
        left.append(jumper)
        scope = jumper.scope
    if over_edge and _is_absorbed(step, scope, target):
        return
    for spawner in left:
        activations[spawner.number] = spawner._replace(led=True)
    if not _has(step, scope, target):
        _take_in(step, scope, target)
    _arrive(step, scope, _Place(jumper.node, jumper.round), target, sent)


def _has(step: Fold, scope: int, target: str) -> bool:
    node = plan_at(step.plan, step.state, scope).by_id.get(target)
    return node is not None and not isinstance(node, Exit)


def _arrive(step: Fold, scope: int, place: _Place, target: str, sent: tuple[Sent, ...]) -> None:
    """Apply R5: forward it is a token of this round; back, or to itself, the next round begins."""
    found = step.state.scope(scope)
    if target not in found.tracker.graph.after or place.node not in found.tracker.graph.after:
        found.whole = True
        plan = plan_at(step.plan, step.state, scope)
        found.tracker.graph = scope_graph(plan, found.path, whole=True)
    graph = found.tracker.graph
    if target == place.node or graph.leads(target, place.node):
        activate(step, scope, Token(target, place.round + LOOP, [*sent]))
    elif graph.leads(place.node, target):
        step.put_token(scope, target, place.round, sent)
    else:
        activate(step, scope, Token(target, place.round, [*sent]))


def _take_in(step: Fold, scope: int, target: str) -> None:
    """Give a branch inside a fragment a node from outside it, with the chain behind it.

    The jump stays in the branch (G6), whose plan, that of the fragment, does not have the node: the
    branch gets a plan of its own.
    """
    state = step.state
    found = state.scope(scope)
    outer = scope
    while not _has(step, outer, target):
        outer = state.scopes[outer].parent
    around = state.scopes[outer]
    source = plan_at(step.plan, state, outer)
    inner = plan_at(step.plan, state, scope)
    edges = scope_graph(source, around.path, whole=True).after
    taken = _chain(source, edges, target)
    added = {key: node for key, node in taken.items() if not _has(step, scope, key)}
    found.plan = replace(
        inner,
        nodes=(
            *(added.get(node.id, node) for node in inner.nodes),  # an exit keeps its place (R6)
            *(node for key, node in added.items() if key not in inner.by_id),
        ),
        edges=(*inner.edges, *((a, b) for a in added for b, _ in edges.get(a, ()))),
        params={**inner.params, **{k: v for k, v in source.params.items() if k in added}},
        payload={**inner.payload, **{k: v for k, v in source.payload.items() if k in added}},
    )
    found.home = scope
    found.whole = True
    alive = found.tracker.alive
    found.tracker = Tracker(scope_graph(found.plan, found.path, whole=True))
    for node, rounds in alive.items():  # tokens that were on an exit may lead on now
        for round_ in rounds:
            found.tracker.appear(node, round_)


def _chain(
    plan: Plan, edges: Mapping[str, tuple[tuple[str, int], ...]], target: str
) -> dict[str, NodePlan]:
    """Return a node with all that edges and memberships lead to from it."""
    found: dict[str, NodePlan] = {}
    todo = [target]
    while todo:
        key = todo.pop()
        if key not in found:
            node = found[key] = plan.by_id[key]
            todo += [after for after, _ in edges.get(key, ())]
            todo += node.members if isinstance(node, GroupPlan) else ()
    return found
