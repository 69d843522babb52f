"""Graflow's path for the channel's interface."""

from graflow.dsl.channel import Channel

__all__ = ["Channel"]
