"""What a task decides while it runs, as part of its success (T1): values, no effects.

The order in which a task asked is the order of the directives; `reducer` applies them in the order
of T6.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from graflow.machine.plan import Plan
from graflow.machine.state import Value


@dataclass(frozen=True, slots=True)
class Jump:
    """Go to a task that exists, instead of to the successors (R5)."""

    target: str
    reason: str = ""
    """Why, in words of user code."""


@dataclass(frozen=True, slots=True)
class Spawn:
    """Run a fragment (T3), then go on."""

    fragment: Plan
    """Its nodes, edges and starts; an `Exit` in it stands for a node outside."""

    goto: bool = False
    """Whether own successors are skipped after it."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Iterate:
    """Run this task again."""

    again: Value = None
    """What the pass is given, in words of the host (data or bound arguments); None: what the pass
    before was given."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Terminate:
    """End the run as Succeeded, with the value of this task."""

    message: str


@dataclass(frozen=True, slots=True)
class Cancel:
    """End the run as Cancelled."""

    message: str


Directive: TypeAlias = Jump | Spawn | Iterate | Terminate | Cancel


class Kind(StrEnum):
    """Kinds of transitions that tasks decide."""

    JUMP = "Jump"
    SPAWN = "Spawn"
    ITERATION = "Iteration"
    TERMINATION = "Termination"
    CANCELLATION = "Cancellation"
