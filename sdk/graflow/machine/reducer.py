"""The workflow state machine: one observed fact in, the next state out.

Law 1: what decides what runs is in this file and in the rules that it calls: `moves` (what a task
       that succeeded leads to), `groups` (branches and verdicts), `joins` (may tokens become an
       activation), `retry` (when a failed attempt is tried again), `people` (what waits for one).
Law 2: pure. No clock, randomness, I/O or logging; time arrives inside events.
Law 3: facts may come late, twice or never; a fact about an attempt that is not the current one of a
       live activation changes nothing, and neither does anything once the run has ended.

The rules' numbers (R1 ... T8) are those of docs/concepts/state-machine.md.
"""

from typing import TypeAlias, assert_never

from graflow.machine import groups, moves, people, reasons
from graflow.machine.creation import activate, create, may_create
from graflow.machine.defaults import DEFAULT_MAX_LOSSES
from graflow.machine.events import (
    AttemptClaimed,
    AttemptFailed,
    AttemptLost,
    AttemptParked,
    AttemptSucceeded,
    CancelRequested,
    Event,
    QuestionAnswered,
    QuestionAsked,
    RunFailed,
    RunStarted,
    TimerFired,
    ValueKept,
)
from graflow.machine.failing import end, fail, fail_scope
from graflow.machine.fold import Fold
from graflow.machine.plan import Exit, GroupPlan, Plan
from graflow.machine.retry import loss_backoff_s, may_again
from graflow.machine.scopes import node_of, plan_at
from graflow.machine.state import (
    RUN_SCOPE,
    Activation,
    Failure,
    Phase,
    RunPhase,
    State,
    Token,
)


def reduce(plan: Plan, state: State, event: Event) -> State:
    """Fold one fact into a copy of the state; the very same state when it changes nothing."""
    changed = state.draft()
    return changed if fold(plan, changed, event) else state


def fold(plan: Plan, state: State, event: Event) -> bool:
    """Fold one fact into the state, in place, and return whether it changed anything."""
    if state.phase.ended or (state.phase is RunPhase.PENDING and not _begins(event)):
        return False
    step = Fold(plan, state, event.at)
    if not _apply(step, event):
        return False
    settle(step)
    state.seq = step.seq
    return True


def _begins(event: Event) -> bool:
    return isinstance(event, RunStarted | CancelRequested | RunFailed)


def _apply(step: Fold, event: Event) -> bool:  # noqa: C901, PLR0911  one per kind of event
    """Change what the event is about, and return whether anything was."""
    match event:
        case AttemptSucceeded():
            return _succeeded(step, event)
        case AttemptClaimed():
            return _claimed(step, event)
        case AttemptFailed():
            return _failed(step, event)
        case AttemptLost():
            return _lost(step, event)
        case RunStarted():
            return _start(step)
        case QuestionAnswered(activation=number):
            return people.answer(step, step.state.activations.get(number), event)
        case QuestionAsked() | AttemptParked() | ValueKept():
            task = _running_task(step, event)
            return task is not None and _meanwhile(step, task, event)
        case TimerFired():
            return _wake(step)
        case CancelRequested(message=message):
            return end(step, RunPhase.CANCELLED, reasons.CANCELLED, message)
        case RunFailed(error=error):
            step.state.failure = Failure("", 0, 0, 0, error, step.seq)
            return end(step, RunPhase.FAILED, error.reason, error.message)
        case _:
            assert_never(event)


def _meanwhile(
    step: Fold, task: Activation, event: QuestionAsked | AttemptParked | ValueKept
) -> bool:
    """Change what a task that runs, and has no outcome yet, says."""
    match event:
        case QuestionAsked(question=question):
            return people.ask(step, task, question)
        case AttemptParked(waits_for=waits_for):
            return people.park(step, task, waits_for)
        case ValueKept(key=key, value=value):
            return people.keep(step, task, key, value)


def _start(step: Fold) -> bool:
    if step.state.phase is not RunPhase.PENDING:
        return False
    step.state.phase, step.state.started_at = RunPhase.RUNNING, step.at
    step.open_run()
    for node in step.plan.start:
        activate(step, RUN_SCOPE, Token(node, 0, []))
    step.unsettled[RUN_SCOPE] = None
    return True


_OfAttempt: TypeAlias = (
    AttemptClaimed
    | AttemptSucceeded
    | AttemptFailed
    | AttemptLost
    | AttemptParked
    | QuestionAsked
    | ValueKept
)


def _current(step: Fold, event: _OfAttempt) -> Activation | None:
    """Return the activation whose current attempt the fact is about, or None for old news."""
    activation = step.state.activations.get(event.activation)
    if activation is None or activation.attempt != event.attempt:
        return None
    # A Pending or waiting activation's current attempt has not begun, so nothing is known of it.
    return activation if activation.phase.has_attempt else None


def _running_task(step: Fold, event: _OfAttempt) -> Activation | None:
    """Return the activation of a task whose current attempt the fact is about, once it runs."""
    activation = _current(step, event)
    if activation is None or activation.phase is not Phase.RUNNING or activation.scopes:
        return None
    return activation


def _claimed(step: Fold, event: AttemptClaimed) -> bool:
    activation = _current(step, event)
    if activation is None or activation.phase is not Phase.STARTING:
        return False
    step.put(activation, Phase.RUNNING, claim=event.claim)
    return True


def _succeeded(step: Fold, event: AttemptSucceeded) -> bool:
    activation = _current(step, event)
    if activation is None:
        return False
    if activation.scopes:  # the attempt of a group is that of its custom policy
        groups.complete(step, activation)
    else:
        step.state.completed += 1
        moves.succeed(step, activation, event.value, event.directives)
    return True


def _failed(step: Fold, event: AttemptFailed) -> bool:
    activation = _current(step, event)
    if activation is None:
        return False
    if activation.scopes:
        groups.fail_verdict(step, activation, event.error)
        return True
    node = node_of(step.plan, step.state, activation)
    if isinstance(node, GroupPlan | Exit):
        raise TypeError(f"{node.id!r} is no task and has no attempts")
    failures = activation.failures + event.spends
    changes = {"failures": failures, "error": event.error, "claim": ""}
    if event.spends and may_again(node.retry, failures, retryable=event.error.retryable):
        _try_again(step, activation, step.wait_s(activation, node.retry, failures), changes)
    else:
        fail(step, step.put(activation, Phase.FAILED, **changes), event.error)
    return True


def _lost(step: Fold, event: AttemptLost) -> bool:
    activation = _current(step, event)
    if activation is None:
        return False
    node = node_of(step.plan, step.state, activation)
    most = DEFAULT_MAX_LOSSES if isinstance(node, GroupPlan | Exit) else node.max_losses
    losses = activation.losses + event.spends
    changes = {"losses": losses, "error": event.error, "claim": ""}
    if losses <= most or step.halted(activation.scope):
        # Numbers that were burnt count too: what takes every pod away must not make it spin.
        spent = activation.attempt - activation.failures - activation.parks
        wait_s = loss_backoff_s(max(spent, 1))
        _try_again(step, activation, wait_s, changes)
    else:
        fail(step, step.put(activation, Phase.FAILED, **changes), event.error)
    return True


def _try_again(
    step: Fold, activation: Activation, wait_s: float, changes: dict[str, object]
) -> None:
    """Go on to the next attempt, after a while; in a scope that failed, only if it is resumed."""
    attempt = activation.attempt + 1
    if step.halted(activation.scope):
        step.put(activation, Phase.PENDING, attempt=attempt, **changes)
        step.unsettled[activation.scope] = None
        return
    phase = Phase.BACKOFF if wait_s > 0 else Phase.STARTING
    step.put(activation, phase, attempt=attempt, not_before=step.at + wait_s, **changes)


def _wake(step: Fold) -> bool:
    waiting = [step.state.activations[number] for number in step.state.backoff]
    ready = [activation for activation in waiting if activation.not_before <= step.at]
    for activation in ready:
        if activation.scopes:
            groups.run_again(step, activation)
        else:
            step.put(activation, Phase.STARTING)
    return bool(ready)


def settle(step: Fold) -> None:
    """Apply the joint rules until none of them has anything left to do."""
    candidates, unsettled = step.candidates, step.unsettled
    while (candidates or unsettled) and not step.state.phase.ended:
        while candidates:
            scope, node = next(iter(candidates))
            del candidates[scope, node]
            _join(step, scope, node)
        if unsettled:
            # The innermost first: the end of a branch may be the end of what is around it.
            scope = max(unsettled)
            del unsettled[scope]
            _settle_scope(step, scope)


def _join(step: Fold, scope: int, node: str) -> None:
    """Make activations of the tokens on a node whose time has come (R3)."""
    if scope not in step.state.scopes or step.halted(scope):
        return
    found = step.state.scope(scope)
    arrival = found.tracker.arrival(node)
    for token in found.tokens.get(node, ()):
        if token.round >= arrival or token.explicit:
            continue
        if isinstance(plan_at(step.plan, step.state, scope).by_id[node], Exit):
            moves.leave(step, scope, token)
        elif may_create(step, node):
            step.take(scope, token)
            create(step, scope, token)


def _settle_scope(step: Fold, scope: int) -> None:
    """End a scope in which nothing is alive, or which failed and in which nothing runs."""
    found = step.state.scopes.get(scope)
    if found is None or found.ended:
        return
    over = not found.queues and not found.tokens
    if not (_quiet(step, scope) if step.halted(scope) else over):
        return
    if scope == RUN_SCOPE:
        _end_run(step)
        return
    if not found.failure and not over:
        # Halted from outside, with work left: it stays as it is for the run to be resumed.
        step.unsettled[found.parent] = None
        return
    step.state.scope(scope).ended = True
    step.unsettled[found.parent] = None
    holder = step.state.activations[found.owner]
    siblings = [step.state.scopes[other] for other in holder.scopes]
    if not found.is_branch and found.failure:
        fail_scope(step, found.parent, found.failure)
    elif not all(sibling.ended for sibling in siblings):
        return
    elif found.is_branch:
        groups.judge(step, holder)
    elif not any(sibling.failure for sibling in siblings):
        moves.resume(step, holder)


def _quiet(step: Fold, scope: int) -> bool:
    """Whether no attempt runs in the scope or inside it."""
    return not any(
        activation.phase is Phase.RUNNING and _inside(step, activation.scope, scope)
        for activation in step.state.activations.values()
    )


def _inside(step: Fold, scope: int, outer: int) -> bool:
    while scope != outer:
        if scope == RUN_SCOPE:
            return False
        scope = step.state.scopes[scope].parent
    return True


def _end_run(step: Fold) -> None:
    state = step.state
    scope = state.scopes[RUN_SCOPE]
    if scope.failure:
        error = scope.failure.error
        state.failure = scope.failure
        end(step, RunPhase.FAILED, error.reason, error.message)
        return
    state.value = scope.end.value if scope.end else None
    end(step, RunPhase.SUCCEEDED, "", "")
