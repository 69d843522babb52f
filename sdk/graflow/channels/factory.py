"""Channels by the name of their backend, for programs that make one by hand."""

from collections.abc import Callable
from typing import Any, ClassVar

from graflow.channels.redis_channel import RedisChannel
from graflow.dsl.channel import Channel
from graflow.dsl.memory_channel import MemoryChannel
from graflow.exceptions import ConfigError, hint

__all__ = ["ChannelFactory"]


class ChannelFactory:
    """Makes channels. They belong to nobody's run; that of a run is `ctx.get_channel()`."""

    _backends: ClassVar[dict[str, Callable[..., Channel]]] = {
        "memory": MemoryChannel,
        "redis": RedisChannel,
    }

    @classmethod
    def create_channel(cls, backend: str, name: str, **options: Any) -> Channel:  # noqa: ANN401 - the backend's own
        """Return a new channel.

        Raises:
            ConfigError: If the backend is not known.
        """
        if backend not in cls._backends:
            raise ConfigError(f"Unsupported backend {backend!r}; {hint(backend, cls._backends)}")
        return cls._backends[backend](name, **options)

    @classmethod
    def register_backend(cls, name: str, channel_class: Callable[..., Channel]) -> None:
        """Make a kind of channel known under a name."""
        cls._backends[name] = channel_class

    @classmethod
    def get_available_backends(cls) -> list[str]:
        """Return the names that are known."""
        return list(cls._backends)

    @classmethod
    def is_backend_available(cls, backend: str) -> bool:
        """Return whether a name is known."""
        return backend in cls._backends
