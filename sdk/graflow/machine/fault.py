"""What a reason is: whose fault, what it means, and what to do about it."""

from dataclasses import dataclass
from enum import StrEnum


class FaultKind(StrEnum):
    """Who has to act, and so which budget a fault spends (F2)."""

    USER = "User"
    """The program, or whoever started or stopped it. Spends the task's retries."""

    INFRASTRUCTURE = "Infrastructure"
    """Something took the attempt away. Spends the losses of its activation, never a retry."""

    CONFIGURATION = "Configuration"
    """Something that the task needs is not there or not allowed. Spends time and nothing else."""

    WAIT = "Wait"
    """Nothing is wrong, or nothing of this run: it waits for as long as it takes."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One reason, explained."""

    reason: str
    kind: FaultKind
    meaning: str
    """One sentence: what has happened."""

    advice: str
    """One sentence: what to do about it."""

    seen: str = ""
    """What Kubernetes or a process says where this is found out; empty where we say it ourselves.
    In Markdown."""

    at_once: bool = False
    """Whether it ends the task, or the run, with no other try: another one could not help."""

    pace: str = ""
    """How often it is tried again, where that is not what its kind says."""
