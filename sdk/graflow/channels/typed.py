"""Graflow's path for channels of messages."""

from graflow.dsl.typed_channel import ChannelTypeRegistry, TypedChannel

__all__ = ["ChannelTypeRegistry", "TypedChannel"]
