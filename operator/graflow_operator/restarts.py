"""How long a run waits whose actor has died of an error of ours. Pure."""

from typing import Final

from graflow.machine import reasons
from graflow.machine.plan import Retry
from graflow.machine.retry import backoff_s
from graflow.machine.state import Error

PACE: Final = Retry(initial_s=5.0, factor=2.0, max_s=300.0, jitter=True)
"""What a run trips over once may be gone in a moment; what it trips over each time is mended by
people, and until then costs a read of its state and a write of its status per try. Runs that one
error has hit together begin again one by one."""


def deaths(before: int, lived_s: float) -> int:
    """Return how often an actor has now died in a row.

    Args:
        before: How often those before it had.
        lived_s: How long this one drove the run; after the longest pause it counts as well.

    >>> deaths(3, lived_s=2.0), deaths(3, lived_s=300.0)
    (4, 1)
    """
    return 1 if lived_s >= PACE.max_s else before + 1


def pause_s(died: int, uid: str) -> float:
    """Return the pause in seconds after so many deaths in a row (at least 1).

    Args:
        died: How often in a row an actor of the run has died.
        uid: The run's; by it, a pause is up to half longer or shorter.

    >>> [round(pause_s(n, "6f1b")) for n in (1, 2, 3, 99)]
    [4, 12, 27, 421]
    """
    return backoff_s(PACE, died, salt=uid)


def told(error: Exception, died: int, uid: str) -> Error:
    """Return what people are told of an actor's death.

    Args:
        error: What it died of; only its kind is told, since its words may be user code's.
        died: How often in a row an actor of the run has died.
        uid: The run's.
    """
    often = f", {died} times in a row by now," if died > 1 else ""
    words = f"the operator fails at this run ({type(error).__name__}){often} and tries again in"
    return Error(reasons.OPERATOR_FAILED, f"{words} {pause_s(died, uid):.0f} s; its log says why")
