"""Graflow's own module paths of channels. A run's channel is its host's: `ctx.get_channel()`."""
