"""What a failure ends: the scope that it happened in, and in the end the run (R7)."""

from graflow.machine.fold import Fold
from graflow.machine.state import Activation, Error, Failure, Phase, RunPhase


def fail(step: Fold, activation: Activation, error: Error) -> None:
    """Note that an activation has failed for good, and its scope with it."""
    failure = Failure(
        activation.node,
        activation.iteration,
        activation.attempt,
        activation.failures,
        error,
        step.seq,
    )
    fail_scope(step, activation.scope, failure)


def fail_scope(step: Fold, scope: int, failure: Failure) -> None:
    """Note the failure of a scope, unless it has failed before; nothing more begins in it."""
    found = step.state.scope(scope)
    if not found.failure:
        found.failure = failure
        _withdraw(step)
    step.unsettled[scope] = None


def _withdraw(step: Fold) -> None:
    """Take back what has not begun in scopes that failed.

    A runner may exist already though it has not claimed its attempt: the number is burnt.
    """
    for activation in tuple(step.state.activations.values()):
        if not step.halted(activation.scope):
            continue
        if activation.phase is Phase.STARTING:
            step.put(activation, Phase.PENDING, attempt=activation.attempt + 1)
        elif activation.phase is Phase.BACKOFF or activation.phase is Phase.PARKED:
            step.put(activation, Phase.PENDING)
        step.unsettled[activation.scope] = None


def end(step: Fold, phase: RunPhase, reason: str, message: str) -> bool:
    """End the run; return that something has changed."""
    state = step.state
    state.phase, state.reason, state.message, state.ended_at = phase, reason, message, step.at
    return True
