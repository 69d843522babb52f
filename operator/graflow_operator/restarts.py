"""How long a run waits whose actor has died of an error of ours. Pure."""

from typing import Final

from graflow.machine import reasons
from graflow.machine.plan import Retry
from graflow.machine.retry import backoff_s
from graflow.machine.state import Error

PACE: Final = Retry(initial_s=5.0, factor=2.0, max_s=300.0)
"""What a run trips over once may be gone in a moment; what it trips over each time is mended by
people, and until then costs a read of its state and a write of its status per try."""


def deaths(before: int, lived_s: float) -> int:
    """Return how often an actor has now died in a row.

    Args:
        before: How often those before it had.
        lived_s: How long this one drove the run; after the longest pause it counts as well.

    >>> deaths(3, lived_s=2.0), deaths(3, lived_s=300.0)
    (4, 1)
    """
    return 1 if lived_s >= PACE.max_s else before + 1


def pause_s(died: int) -> float:
    """Return the pause in seconds after so many deaths in a row (at least 1).

    >>> [pause_s(n) for n in (1, 2, 3, 99)]
    [5.0, 10.0, 20.0, 300.0]
    """
    return backoff_s(PACE, died)


def told(error: Exception, died: int) -> Error:
    """Return what people are told of an actor's death.

    Args:
        error: What it died of; only its kind is told, since its words may be user code's.
        died: How often in a row an actor of the run has died.
    """
    often = f", {died} times in a row by now," if died > 1 else ""
    words = f"the operator fails at this run ({type(error).__name__}){often} and tries again in"
    return Error(reasons.OPERATOR_FAILED, f"{words} {pause_s(died):g} s; its log says why")
