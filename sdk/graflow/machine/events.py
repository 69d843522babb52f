"""Facts that hosts report to the machine.

Each may come late, twice or never: a fact about an attempt that is not the current one of a live
activation changes nothing. Times are seconds since the epoch, read once by the host.
"""

from dataclasses import dataclass
from typing import TypeAlias

from graflow.machine.directives import Directive
from graflow.machine.state import Error, Question, Value


@dataclass(frozen=True, slots=True)
class RunStarted:
    """The run was accepted; its start nodes are to be activated."""

    at: float


@dataclass(frozen=True, slots=True)
class AttemptClaimed:
    """A runner took the attempt. The first claim of an attempt holds; others change nothing."""

    activation: int
    attempt: int
    claim: str
    """Who claimed, in words of the host: on a cluster the pod's uid and its nonce."""

    at: float


@dataclass(frozen=True, slots=True)
class AttemptSucceeded:
    """User code returned."""

    activation: int
    attempt: int
    value: Value
    at: float
    directives: tuple[Directive, ...] = ()
    """What it decided, in the order in which it asked."""


@dataclass(frozen=True, slots=True)
class AttemptFailed:
    """User code raised, or ended in a way that is its own fault. Spends a retry."""

    activation: int
    attempt: int
    error: Error
    at: float
    spends: bool = True
    """False when user code has had no part in it, nor would have in another attempt: then there is
    none, and nothing is counted."""


@dataclass(frozen=True, slots=True)
class AttemptLost:
    """The infrastructure took the attempt away. Spends no retry, but the budget of losses."""

    activation: int
    attempt: int
    error: Error
    at: float
    spends: bool = True
    """False when no runner had claimed the attempt and its pod may never have existed: then the
    number is burnt, and that is all."""


@dataclass(frozen=True, slots=True)
class QuestionAsked:
    """A running attempt asks a person. A key that is known changes nothing."""

    activation: int
    attempt: int
    question: Question
    at: float


@dataclass(frozen=True, slots=True)
class QuestionAnswered:
    """Something came of a question: an answer, or its deadline. The first one holds."""

    activation: int
    key: str
    answer: Value
    at: float
    lapsed: bool = False
    """Whether it is that nobody answers."""


@dataclass(frozen=True, slots=True)
class AttemptParked:
    """A runner has ended because its task waits for an answer. Spends nothing."""

    activation: int
    attempt: int
    at: float
    waits_for: tuple[str, ...] = ()
    """Keys of the questions of which it had heard no answer; empty: of all that are open."""


@dataclass(frozen=True, slots=True)
class ValueKept:
    """A running attempt keeps a value for those after it. A key that is known changes nothing."""

    activation: int
    attempt: int
    key: str
    value: Value
    at: float


@dataclass(frozen=True, slots=True)
class TimerFired:
    """Time has passed; what waited for a moment up to `at` may go on."""

    at: float


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """Somebody wants the run to end now."""

    message: str
    at: float


@dataclass(frozen=True, slots=True)
class RunFailed:
    """The host cannot go on with this run, for a reason that is no task's."""

    error: Error
    at: float


Event: TypeAlias = (
    RunStarted
    | AttemptClaimed
    | AttemptSucceeded
    | AttemptFailed
    | AttemptLost
    | QuestionAsked
    | QuestionAnswered
    | AttemptParked
    | ValueKept
    | TimerFired
    | CancelRequested
    | RunFailed
)
