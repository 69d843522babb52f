"""What is remembered of attempts that did not succeed, and which of them a run fails by. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from graflow.api import cut
from graflow.api.moment import rfc3339
from graflow.api.workflow_status import AttemptStatus, FailureStatus
from graflow.machine.plan import Custom, GroupPlan, Plan
from graflow.machine.scopes import node_of
from graflow.machine.state import RUN_SCOPE, Activation, Failure, Phase, State

MOST_ATTEMPTS = 10
"""That are remembered of one activation: the last ones."""

MOST_IN_ALL = 100
"""That are remembered of a run: the latest ones."""

MOST_LOGS = 3
"""Activations whose last lines are remembered: those that failed first, of those still there."""

LOG_LINES = 20
LOG_BYTES = 2048
MESSAGE_BYTES = 300
"""Of an attempt, as JSON. The message of the one that counts is told whole elsewhere."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """How one attempt ended that did not succeed."""

    number: int
    reason: str
    message: str
    ended_at: float
    """Seconds since the epoch."""

    began_at: float = 0.0
    """When a runner took it, in seconds since the epoch; 0 if none did."""

    pod: str = ""
    node: str = ""
    exit_code: int | None = None


@dataclass(frozen=True, slots=True)
class AttemptHistory:
    """Attempts of live activations, by number of the activation."""

    attempts: Mapping[int, tuple[Attempt, ...]] = field(default_factory=dict)
    """Oldest first."""

    logs: Mapping[int, str] = field(default_factory=dict)
    """Last lines that the last attempts of activations printed which have failed for good."""

    def with_attempt(self, activation: int, attempt: Attempt) -> "AttemptHistory":
        """Return the history with one attempt more."""
        short = replace(attempt, message=cut.cut(attempt.message, MESSAGE_BYTES))
        known = (*self.attempts.get(activation, ()), short)[-MOST_ATTEMPTS:]
        return replace(self, attempts={**self.attempts, activation: known})

    def with_log(self, activation: int, log: str) -> "AttemptHistory":
        """Return the history with the last lines of an activation, if there is room for them."""
        if not log or len(self.logs) >= MOST_LOGS:
            return self
        return replace(self, logs={**self.logs, activation: last_lines(log)})

    def of(self, state: State) -> "AttemptHistory":
        """Return what of it is about activations that a run still has, within bounds."""
        live = state.activations.keys()
        attempts = {number: found for number, found in self.attempts.items() if number in live}
        over = sum(map(len, attempts.values())) - MOST_IN_ALL
        if over > 0:
            ends = sorted((a.ended_at, n, a.number) for n, found in attempts.items() for a in found)
            dropped = {(number, attempt) for _, number, attempt in ends[:over]}
            kept = {
                number: tuple(one for one in found if (number, one.number) not in dropped)
                for number, found in attempts.items()
            }
            attempts = {number: found for number, found in kept.items() if found}
        logs = {number: log for number, log in self.logs.items() if number in live}
        if (attempts, logs) == (self.attempts, self.logs):
            return self
        return AttemptHistory(attempts, logs)


EMPTY = AttemptHistory()


def last_lines(log: str) -> str:
    """Return the end of a log: as many whole lines as may be remembered, or part of the last."""
    lines = log.rstrip().splitlines()[-LOG_LINES:]
    text = "\n".join("".join(filter(_is_shown, line)) for line in lines)
    while len(lines) > 1 and cut.size_of(text) > LOG_BYTES:
        lines = lines[1:]
        text = text.partition("\n")[2]
    return cut.cut_tail(text, LOG_BYTES)


def first_failure(
    plan: Plan, state: State, history: AttemptHistory, limit: int
) -> FailureStatus | None:
    """Return what failed first of all that a run fails by; None if it does not fail.

    Args:
        plan: Of the run.
        state: Where it is.
        history: What is remembered of its attempts.
        limit: Bytes of JSON for its message and for its log.
    """
    found = _leaf(plan, state)
    if found is None:
        return None
    failure, activation = found
    number = activation.number if activation else 0
    attempts = history.attempts.get(number, ())
    last = attempts[-1] if attempts and attempts[-1].number == failure.attempt else None
    log = history.logs.get(number, "")
    return FailureStatus(
        task=failure.node or None,
        activation=number or None,
        iteration=failure.iteration or None,
        attempt=failure.attempt or None,
        pod=last.pod or None if last else None,
        node=last.node or None if last else None,
        reason=cut.cut(failure.error.reason, 100),
        message=cut.cut(failure.error.message, limit) or None,
        exit_code=last.exit_code if last else None,
        log=cut.cut_tail(log, limit) or None,
        time=rfc3339(
            last.ended_at if last else (activation.since if activation else state.ended_at)
        ),
        attempts=tuple(_told(one, limit) for one in attempts),
    )


def _leaf(plan: Plan, state: State) -> tuple[Failure, Activation | None] | None:
    """Return the failure that led to that of the run, through groups and fragments."""
    scope = state.scopes.get(RUN_SCOPE)
    failure = state.failure or (scope.failure if scope else None)
    activation: Activation | None = None
    while failure is not None:
        activation = _failed(state, failure)
        if activation is None or _decides(plan, state, activation):
            break
        inner = [state.scopes[s].failure for s in activation.scopes if s in state.scopes]
        first = min((one for one in inner if one), key=lambda one: one.seq, default=None)
        if first is None:
            break
        failure = first
    return None if failure is None else (failure, activation)


def _failed(state: State, failure: Failure) -> Activation | None:
    return next(
        (
            activation
            for activation in state.activations.values()
            if activation.phase is Phase.FAILED
            and (activation.node, activation.iteration) == (failure.node, failure.iteration)
            and activation.error == failure.error
        ),
        None,
    )


def _decides(plan: Plan, state: State, activation: Activation) -> bool:
    """Whether it is a group that failed because user code of its own says so."""
    node = node_of(plan, state, activation)
    return isinstance(node, GroupPlan) and isinstance(node.policy, Custom)


def _told(attempt: Attempt, limit: int) -> AttemptStatus:
    return AttemptStatus(
        attempt=attempt.number,
        pod=attempt.pod or None,
        node=attempt.node or None,
        start_time=rfc3339(attempt.began_at),
        completion_time=rfc3339(attempt.ended_at),
        reason=cut.cut(attempt.reason, 100),
        message=cut.cut(attempt.message, min(limit, MESSAGE_BYTES)) or None,
        exit_code=attempt.exit_code,
    )


def _is_shown(character: str) -> bool:
    return character == "\t" or character.isprintable()
