"""Graflow's path for the channel that is shared between machines: here that of the run's host."""

import warnings

from graflow.dsl.memory_channel import MemoryChannel

__all__ = ["RedisChannel"]


class RedisChannel(MemoryChannel):
    """A channel of this process, for programs that make one by hand; there is no Redis."""

    def __init__(self, name: str = "redis", **connection: object) -> None:
        """Take a name; the connection is of no use, which is said once for each place."""
        del connection
        warnings.warn(
            "RedisChannel connects to no Redis: it is a channel of this process. What tasks share, "
            "on a cluster too, is the run's own channel, ctx.get_channel()",
            UserWarning,
            stacklevel=2,
        )
        super().__init__(name)
