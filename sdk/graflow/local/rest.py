"""A run at rest: all that a checkpoint keeps of it (K2)."""

from dataclasses import dataclass

from graflow.dsl.memory_channel import MemoryChannel
from graflow.dsl.program import Program
from graflow.machine.state import State


@dataclass(frozen=True)
class Rest:
    """A run at one moment."""

    program: Program
    state: State
    """Belongs to this object alone."""

    channel: MemoryChannel
    """Belongs to this object alone."""

    session_id: str
