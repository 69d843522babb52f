"""The state that a run has ended in: where all its results are, however many."""

import json
import zlib

from graflow.api.workflow_status import Cursor
from graflow.cluster.errors import ValueLostError
from graflow.cluster.handout import Handout
from graflow.machine import codec
from graflow.machine.plan import Plan
from graflow.machine.state import State


def ended_in(cursor: Cursor | None, plan: Plan, handout: Handout) -> State:
    """Return the state that a run has ended in.

    Args:
        cursor: What its last status says of it.
        plan: What ran.
        handout: Reads what is not in the status.

    Raises:
        ValueLostError: If it cannot be read.
    """
    if cursor is None:
        return State()
    try:
        text = zlib.decompress(handout.kept(cursor, "state", "the state"))
        return codec.decode(plan, json.loads(text)["machine"])
    except (zlib.error, ValueError, KeyError) as error:
        raise ValueLostError(
            f"the state of workflow {handout.workflow!r} cannot be read: {error}"
        ) from error
