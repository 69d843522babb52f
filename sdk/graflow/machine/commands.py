"""What a host must make true, derived from the state alone by `due`."""

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class StartAttempt:
    """Make sure that a runner for this attempt exists."""

    activation: int
    attempt: int


@dataclass(frozen=True, slots=True)
class StopAttempt:
    """Make sure that no runner of this attempt goes on."""

    activation: int
    attempt: int


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Report `TimerFired` at this moment, in seconds since the epoch."""

    at: float


@dataclass(frozen=True, slots=True)
class AskPerson:
    """Make sure that somebody can answer this question."""

    activation: int
    key: str


@dataclass(frozen=True, slots=True)
class FinishRun:
    """The run has ended; record its end and let go of what it held."""


Command: TypeAlias = StartAttempt | StopAttempt | AskPerson | WakeAt | FinishRun
