"""States as an operator keeps them: in a status, or in the store."""

from typing import Any

from graflow.machine.state import State
from graflow_operator import journal, snapshot
from graflow_operator.snapshot import Snapshot


def inline(state: State) -> dict[str, Any]:
    """The cursor of a state that is in the status."""
    return journal.inline(snapshot.pack(Snapshot(state))).cursor


def stored(state: State) -> tuple[dict[str, Any], bytes]:
    """The cursor of a state that is in the store, and what is there."""
    packed = snapshot.pack(Snapshot(state))
    key = f"team/u1/state/{packed.seq}-{packed.sha256}"
    return journal.stored(packed, key).cursor, packed.data
