"""The addresses at which an outcome is left when nobody hears it, renewed before they are over.

A signature lives for a week at most, and no longer than the credentials that made it; a task may
run for longer. This is no heartbeat: an attempt that never renews is none the worse for it.
"""

import json
import time
from collections.abc import MutableMapping
from typing import Any

from graflow_runner.calls import OK, Operator
from graflow_runner.environment import say
from graflow_runner.errors import Fenced
from graflow_runner.wire import UnreachableError


def keep_renewing(
    order: MutableMapping[str, Any], operator: Operator, *, ends: float, least_s: float
) -> None:
    """Renew until the attempt is over; to be called at a third of the addresses' life.

    Whatever comes of it, user code goes on.

    Args:
        order: The operator's order; its `outcome` is replaced.
        operator: Whom to ask.
        ends: When the addresses are over, by the monotonic clock.
        least_s: Shortest pause between two questions, in seconds.
    """
    while True:
        try:
            ends = _renewed(order, operator) or ends
        except Fenced as fenced:
            say(f"the attempt is over, and what this pod does will not count: {fenced}")
            return
        except (UnreachableError, ValueError, KeyError, TypeError):
            pass  # whoever is away now may be back in time
        # A third of what is left: the closer the end, the more often.
        time.sleep(max((ends - time.monotonic()) / 3, least_s))


def _renewed(order: MutableMapping[str, Any], operator: Operator) -> float | None:
    """Ask for addresses once; return when they are over, or None if there are none."""
    answer = operator.prepared("POST", "renewal")()
    if answer.status != OK:
        return None
    found = json.loads(answer.body)["outcome"]
    ends = time.monotonic() + float(found["expiresSeconds"])
    order["outcome"] = found
    return ends
