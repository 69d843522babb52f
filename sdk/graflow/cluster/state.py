"""The state that a run has ended in: where all its results are, however many."""

import base64
import hashlib
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
        text = zlib.decompress(_packed(cursor, handout))
        return codec.decode(plan, json.loads(text)["machine"])
    except (zlib.error, ValueError, KeyError) as error:
        raise ValueLostError(
            f"the state of workflow {handout.workflow!r} cannot be read: {error}"
        ) from error


def _packed(cursor: Cursor, handout: Handout) -> bytes:
    if cursor.state is not None:
        return base64.b64decode(cursor.state)
    if cursor.key is None:
        raise ValueLostError(f"the status of workflow {handout.workflow!r} does not name its state")
    data = handout.read(f"state/{cursor.key.rpartition('/')[2]}", "the state")
    if hashlib.sha256(data).hexdigest() != cursor.sha256:
        raise ValueLostError(
            f"the state of workflow {handout.workflow!r} came with other content than the run "
            f"recorded; it was changed in the store"
        )
    return data
