"""Graflow's path for the channel of this process."""

from graflow.dsl.memory_channel import MemoryChannel

__all__ = ["MemoryChannel"]
