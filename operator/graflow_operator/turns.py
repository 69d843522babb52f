"""Which of the attempts that are due may start now: `parallelism` and `suspend`. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from graflow.machine.state import Phase, State
from graflow_operator.refs import AttemptRef


@dataclass(frozen=True, slots=True)
class Limits:
    """What the spec says now about starting."""

    parallelism: int | None = None
    suspend: bool = False


def starting(state: State) -> tuple[AttemptRef, ...]:
    """Return the attempts that are due, in order of creation of their activations."""
    return tuple(AttemptRef(n, state.activations[n].attempt) for n in sorted(state.starting))


def held(
    state: State,
    limits: Limits,
    *,
    due: Sequence[AttemptRef],
    allowed: Collection[AttemptRef],
    refused: Collection[AttemptRef],
) -> frozenset[AttemptRef]:
    """Return the attempts that are due and must wait.

    Args:
        state: The run.
        limits: What the spec says.
        due: Its attempts that are due, as `starting` returns them.
        allowed: Attempts that were allowed to start before; nothing takes that back.
        refused: Attempts whose pods cannot be made, and whose next try is not due yet.
    """
    if state.phase.ended:
        return frozenset(due).difference(allowed)
    gone = [ref for ref in due if ref in allowed]
    waiting = [ref for ref in due if ref not in allowed]
    if limits.suspend:
        return frozenset(waiting)
    able = [ref for ref in waiting if ref not in refused]
    if limits.parallelism is not None:
        room = max(0, limits.parallelism - running(state) - len(gone))
        able = able[:room]
    return frozenset(waiting).difference(able)


def running(state: State) -> int:
    """Return how many attempts run now."""
    return sum(activation.phase is Phase.RUNNING for activation in state.activations.values())
