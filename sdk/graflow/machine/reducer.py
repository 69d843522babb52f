"""The workflow state machine: one observed fact in, the next state out.

Law 1: what decides what runs is in this file and in the rules that it calls: `joins` (may tokens
       become an activation), `verdict` (what a group makes of its branches), `retry` (when a failed
       attempt is tried again).
Law 2: pure. No clock, randomness, I/O or logging; time arrives inside events.
Law 3: facts may come late, twice or never; a fact about an attempt that is not the current one of a
       live activation changes nothing, and neither does anything once the run has ended.

The rules' numbers (R1 ... G6) are those of docs/concepts/state-machine.md.
"""

from typing import assert_never

from graflow.machine import reasons
from graflow.machine.events import (
    AttemptClaimed,
    AttemptFailed,
    AttemptLost,
    AttemptSucceeded,
    CancelRequested,
    Event,
    RunFailed,
    RunStarted,
    TimerFired,
)
from graflow.machine.fold import Fold
from graflow.machine.plan import GroupPlan, Plan, TaskPlan
from graflow.machine.retry import backoff_s, loss_backoff_s
from graflow.machine.state import (
    RUN_SCOPE,
    Activation,
    Error,
    Failure,
    GroupValue,
    Phase,
    RunPhase,
    Sent,
    State,
    Token,
    Value,
)
from graflow.machine.verdict import verdict


def reduce(plan: Plan, state: State, event: Event) -> State:
    """Fold one fact into the state; the very same state is returned when it changes nothing."""
    if state.phase.ended or (state.phase is RunPhase.PENDING and not _begins(event)):
        return state
    fold = Fold(plan, state, event.at)
    if not _apply(fold, event):
        return state
    _settle(fold)
    return fold.done()


def _begins(event: Event) -> bool:
    return isinstance(event, RunStarted | CancelRequested | RunFailed)


def _apply(fold: Fold, event: Event) -> bool:  # noqa: PLR0911  one per kind of event
    """Change what the event is about, and return whether anything was."""
    match event:
        case RunStarted():
            return _start(fold)
        case AttemptClaimed(claim=claim):
            return _claimed(fold, _current(fold, event), claim)
        case AttemptSucceeded(value=value):
            return _succeeded(fold, _current(fold, event), value)
        case AttemptFailed(error=error):
            return _failed(fold, _current(fold, event), error)
        case AttemptLost(error=error, spends=spends):
            return _lost(fold, _current(fold, event), error, spends=spends)
        case TimerFired():
            return _wake(fold)
        case CancelRequested(message=message):
            return _end(fold, RunPhase.CANCELLED, reasons.CANCELLED, message)
        case RunFailed(error=error):
            failure = Failure("", 0, 0, 0, error, fold.seq)
            fold.state = fold.state._replace(failure=failure)
            return _end(fold, RunPhase.FAILED, error.reason, error.message)
        case _:
            assert_never(event)


def _start(fold: Fold) -> bool:
    if fold.state.phase is not RunPhase.PENDING:
        return False
    fold.state = fold.state._replace(phase=RunPhase.RUNNING, started_at=fold.at)
    fold.open_scope(RUN_SCOPE, 0, ())
    for node in fold.plan.start:
        _activate(fold, RUN_SCOPE, node, ())
    fold.unsettled[RUN_SCOPE] = None
    return True


def _activate(fold: Fold, scope: int, node: str, sent: tuple[Sent, ...]) -> None:
    """Make an explicit activation (R5) in round 0: a start, or a member of a group."""
    if _may_create(fold, node):
        fold.tracker(scope).appear(node, 0)
        _create(fold, scope, Token(node, 0, sent))


def _create(fold: Fold, scope: int, token: Token) -> None:
    made = fold.create(scope, token)
    if fold.scopes[scope].queues[token.node][0] == made.number:
        _begin(fold, made)


def _may_create(fold: Fold, node: str) -> bool:
    """Whether the run may make another activation; if not, it fails (R8)."""
    if fold.steps < fold.plan.max_steps:
        return True
    message = (
        f"task {node!r} would be activation {fold.steps + 1} of this run, and maxSteps is "
        f"{fold.plan.max_steps}; is there a loop without a way out, or must maxSteps be raised?"
    )
    error = Error(reasons.MAX_STEPS_EXCEEDED, message, retryable=False)
    _fail_scope(fold, RUN_SCOPE, Failure(node, 0, 0, 0, error, fold.seq))
    return False


def _begin(fold: Fold, activation: Activation) -> None:
    """Give an activation its turn: a task is to be started, a group opens its branches (G1)."""
    node = fold.plan.by_id[activation.node]
    if not isinstance(node, GroupPlan):
        fold.put(activation, Phase.STARTING)
        return
    path = fold.scopes[activation.scope].path
    branches = tuple(
        fold.open_scope(activation.scope, activation.number, (*path, (node.id, member)))
        for member in node.members
    )
    fold.put(activation, Phase.RUNNING, branches=branches)
    for member, scope in zip(node.members, branches, strict=True):
        _activate(fold, scope, member, activation.sent)


def _current(
    fold: Fold, event: AttemptClaimed | AttemptSucceeded | AttemptFailed | AttemptLost
) -> Activation | None:
    """Return the activation whose current attempt the fact is about, or None for old news."""
    activation = fold.activations.get(event.activation)
    if activation is None or activation.attempt != event.attempt:
        return None
    if isinstance(fold.plan.by_id[activation.node], GroupPlan):
        return None  # a group has branches, and no attempts
    # A Pending or waiting activation's current attempt has not begun, so nothing is known of it.
    return activation if activation.phase in (Phase.STARTING, Phase.RUNNING) else None


def _claimed(fold: Fold, activation: Activation | None, claim: str) -> bool:
    if activation is None or activation.phase is not Phase.STARTING:
        return False
    fold.put(activation, Phase.RUNNING, claim=claim)
    return True


def _succeeded(fold: Fold, activation: Activation | None, value: Value) -> bool:
    if activation is None:
        return False
    fold.completed += 1
    _complete(fold, activation, value)
    return True


def _complete(fold: Fold, activation: Activation, value: Value) -> None:
    """Record a success and hand it on: tokens to the successors, the node's turn to the next."""
    fold.record(activation.scope, activation.node, value)
    if not fold.send(activation, value):
        fold.offer_end(activation, value)
    fold.retire(activation)
    queue = fold.scopes[activation.scope].queues.get(activation.node)
    if queue and not fold.halted(activation.scope):
        _begin(fold, fold.activations[queue[0]])


def _failed(fold: Fold, activation: Activation | None, error: Error) -> bool:
    if activation is None:
        return False
    failures = activation.failures + 1
    retry = _task(fold, activation).retry
    again = error.retryable and failures < retry.max_attempts
    changes = {"failures": failures, "error": error, "claim": ""}
    if again and fold.halted(activation.scope):
        fold.put(activation, Phase.PENDING, attempt=activation.attempt + 1, **changes)
        fold.unsettled[activation.scope] = None
    elif again:
        _try_again(fold, activation, backoff_s(retry, failures), changes)
    else:
        _fail(fold, fold.put(activation, Phase.FAILED, **changes), error)
    return True


def _lost(fold: Fold, activation: Activation | None, error: Error, *, spends: bool) -> bool:
    if activation is None:
        return False
    losses = activation.losses + spends
    changes = {"losses": losses, "error": error, "claim": ""}
    if fold.halted(activation.scope):
        fold.put(activation, Phase.PENDING, attempt=activation.attempt + 1, **changes)
        fold.unsettled[activation.scope] = None
    elif losses <= _task(fold, activation).max_losses:
        _try_again(fold, activation, loss_backoff_s(max(losses, 1)), changes)
    else:
        _fail(fold, fold.put(activation, Phase.FAILED, **changes), error)
    return True


def _task(fold: Fold, activation: Activation) -> TaskPlan:
    node = fold.plan.by_id[activation.node]
    if isinstance(node, GroupPlan):
        raise TypeError(f"{node.id!r} is a group and has no attempts")
    return node


def _try_again(
    fold: Fold, activation: Activation, wait_s: float, changes: dict[str, object]
) -> None:
    phase = Phase.BACKOFF if wait_s > 0 else Phase.STARTING
    attempt = activation.attempt + 1
    fold.put(activation, phase, attempt=attempt, not_before=fold.at + wait_s, **changes)


def _fail(fold: Fold, activation: Activation, error: Error) -> None:
    """Note that an activation has failed for good, and its scope with it (R7)."""
    failure = Failure(
        activation.node,
        activation.iteration,
        activation.attempt,
        activation.failures,
        error,
        fold.seq,
    )
    _fail_scope(fold, activation.scope, failure)


def _fail_scope(fold: Fold, scope: int, failure: Failure) -> None:
    found = fold.scopes[scope]
    if not found.failure:
        fold.scopes[scope] = found._replace(failure=failure)
        _withdraw(fold)
    fold.unsettled[scope] = None


def _withdraw(fold: Fold) -> None:
    """Take back what has not begun in scopes that failed.

    A runner may exist already though it has not claimed its attempt: the number is burnt.
    """
    for activation in tuple(fold.activations.values()):
        if not fold.halted(activation.scope):
            continue
        if activation.phase is Phase.STARTING:
            fold.put(activation, Phase.PENDING, attempt=activation.attempt + 1)
        elif activation.phase is Phase.BACKOFF:
            fold.put(activation, Phase.PENDING)
        fold.unsettled[activation.scope] = None


def _wake(fold: Fold) -> bool:
    ready = [
        activation
        for activation in fold.activations.values()
        if activation.phase is Phase.BACKOFF and activation.not_before <= fold.at
    ]
    for activation in ready:
        fold.put(activation, Phase.STARTING)
    return bool(ready)


def _settle(fold: Fold) -> None:
    """Apply the joint rules until none of them has anything left to do."""
    while not fold.state.phase.ended and (fold.candidates or fold.unsettled):
        while fold.candidates:
            scope, node = next(iter(fold.candidates))
            del fold.candidates[scope, node]
            _join(fold, scope, node)
        if fold.unsettled:
            # The innermost first: the end of a branch may be the end of what is around it.
            scope = max(fold.unsettled)
            del fold.unsettled[scope]
            _settle_scope(fold, scope)


def _join(fold: Fold, scope: int, node: str) -> None:
    """Make activations of the tokens on a node whose time has come (R3)."""
    if scope not in fold.scopes or fold.halted(scope):
        return
    arrival = fold.tracker(scope).arrival(node)
    for token in fold.scopes[scope].tokens.get(node, ()):
        if token.round < arrival and _may_create(fold, node):
            fold.take(scope, token)
            _create(fold, scope, token)


def _settle_scope(fold: Fold, scope: int) -> None:
    """End a scope in which nothing is alive, or which failed and in which nothing runs."""
    found = fold.scopes.get(scope)
    if found is None or found.ended:
        return
    if not (_quiet(fold, scope) if fold.halted(scope) else not found.queues and not found.tokens):
        return
    if scope == RUN_SCOPE:
        _end_run(fold)
        return
    if not found.failure and (found.queues or found.tokens):
        # Halted from outside, with work left: it stays as it is for the run to be resumed.
        fold.unsettled[found.parent] = None
        return
    fold.scopes[scope] = found._replace(ended=True)
    group = fold.activations[found.owner]
    if all(fold.scopes[branch].ended for branch in group.branches):
        _end_group(fold, group)
    fold.unsettled[found.parent] = None


def _quiet(fold: Fold, scope: int) -> bool:
    """Whether no attempt runs in the scope or inside it."""
    return not any(
        activation.phase is Phase.RUNNING and not activation.branches
        for activation in fold.activations.values()
        if _inside(fold, activation.scope, scope)
    )


def _inside(fold: Fold, scope: int, outer: int) -> bool:
    while scope != outer:
        if scope == RUN_SCOPE:
            return False
        scope = fold.scopes[scope].parent
    return True


def _end_group(fold: Fold, group: Activation) -> None:
    """All branches have ended: judge them (G2), and hand on what they brought (G4)."""
    plan = fold.plan.by_id[group.node]
    if not isinstance(plan, GroupPlan):
        raise TypeError(f"{plan.id!r} is a task and has no branches")
    branches = [fold.scopes[number] for number in group.branches]
    failures = [
        (member, branch.failure.error if branch.failure else None)
        for member, branch in zip(plan.members, branches, strict=True)
    ]
    if error := verdict(plan, failures):
        _fail(fold, fold.put(group, Phase.FAILED, error=error), error)
        return
    _close(fold, group)
    values = []
    for member, branch in zip(plan.members, branches, strict=True):
        if branch.failure:
            continue
        for node, results in branch.results.items():
            fold.record(group.scope, node, results[-1].value)
        values.append((member, branch.end.value if branch.end else None))
    _complete(fold, group, GroupValue(tuple(values)))


def _close(fold: Fold, group: Activation) -> None:
    """Let the branches of a group go, with what is left in those that failed."""
    gone = {n for n in fold.scopes if any(_inside(fold, n, b) for b in group.branches)}
    for activation in [a for a in fold.activations.values() if a.scope in gone]:
        del fold.activations[activation.number]
    for number in gone:
        del fold.scopes[number]
    parent = fold.scopes[group.scope]
    fold.scopes[group.scope] = parent._replace(children=parent.children - len(group.branches))


def _end_run(fold: Fold) -> None:
    scope = fold.scopes[RUN_SCOPE]
    if scope.failure:
        error = scope.failure.error
        fold.state = fold.state._replace(failure=scope.failure)
        _end(fold, RunPhase.FAILED, error.reason, error.message)
        return
    fold.state = fold.state._replace(value=scope.end.value if scope.end else None)
    _end(fold, RunPhase.SUCCEEDED, "", "")


def _end(fold: Fold, phase: RunPhase, reason: str, message: str) -> bool:
    fold.state = fold.state._replace(phase=phase, reason=reason, message=message, ended_at=fold.at)
    return True
