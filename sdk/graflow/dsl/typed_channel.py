"""Messages of a known form in a channel."""

from typing import Any, ClassVar, Generic, TypeVar, get_type_hints, is_typeddict

from graflow.dsl.annotations import matches
from graflow.dsl.channel import Channel
from graflow.exceptions import ConfigError, hint

M = TypeVar("M")


class TypedChannel(Generic[M]):
    """A channel in which every message has the form of one TypedDict."""

    def __init__(self, channel: Channel, message_type: type[M]) -> None:
        """Take the channel and the form.

        Raises:
            ValueError: If `message_type` is no TypedDict.
        """
        self._channel = channel
        self._message_type = _checked(message_type)

    @property
    def name(self) -> str:
        """Name of the channel."""
        return self._channel.name

    @property
    def message_type(self) -> type[M]:
        """The TypedDict that messages conform to."""
        return self._message_type

    def send(self, key: str, message: M, ttl: float | None = None) -> None:
        """Give the key a message.

        Raises:
            TypeError: If it does not conform; names what is wrong.
        """
        if wrong := _wrong(message, self._message_type):
            name = self._message_type.__name__
            raise TypeError(f"Message does not conform to {name}: {wrong}")
        self._channel.set(key, message, ttl)

    def receive(self, key: str, default: M | None = None) -> M | None:
        """Return the message of the key; None if it does not conform."""
        found = self._channel.get(key, default)
        return None if _wrong(found, self._message_type) else found

    def set(self, key: str, value: M, ttl: float | None = None) -> None:
        """Do as `send` does."""
        self.send(key, value, ttl)

    def get(self, key: str, default: M | None = None) -> M | None:
        """Do as `receive` does."""
        return self.receive(key, default)

    def delete(self, key: str) -> bool:
        """Forget the key; return whether it was there."""
        return self._channel.delete(key)

    def exists(self, key: str) -> bool:
        """Return whether the key has a value, of whatever form."""
        return self._channel.exists(key)

    def keys(self) -> list[str]:
        """Return the keys of the channel, in the order in which they came."""
        return self._channel.keys()

    def clear(self) -> None:
        """Forget all keys of the channel."""
        self._channel.clear()


class ChannelTypeRegistry:
    """Forms of messages by name."""

    _types: ClassVar[dict[str, type]] = {}

    @classmethod
    def register(cls, name: str, message_type: type) -> None:
        """Give a form a name.

        Raises:
            ValueError: If it is no TypedDict.
        """
        cls._types[name] = _checked(message_type)

    @classmethod
    def get(cls, name: str) -> type | None:
        """Return the form of a name, if it has one."""
        return cls._types.get(name)

    @classmethod
    def create_channel(cls, channel: Channel, type_name: str) -> TypedChannel[Any]:
        """Return a typed channel for the form of a name.

        Raises:
            ConfigError: If there is none.
        """
        found = cls.get(type_name)
        if found is None:
            raise ConfigError(
                f"Message type {type_name!r} not registered; {hint(type_name, cls._types)}"
            )
        return TypedChannel(channel, found)


def _checked(message_type: type[M]) -> type[M]:
    if not is_typeddict(message_type):
        raise ValueError(f"message_type must be a TypedDict, got {message_type!r}")
    return message_type


def _wrong(message: object, form: type) -> str:
    """Return in what a message does not conform, or nothing."""
    if not isinstance(message, dict):
        return f"it is a {type(message).__name__}, not a dict"
    wanted = get_type_hints(form)
    required: frozenset[str] = form.__required_keys__  # type: ignore[attr-defined]  # a TypedDict
    if missing := sorted(required - message.keys()):
        return f"it has no {', '.join(map(repr, missing))}"
    if extra := sorted(str(key) for key in message.keys() - wanted.keys()):
        return f"there is no {', '.join(map(repr, extra))} in it"
    for key, value in message.items():
        if not matches(value, wanted[key]):
            return f"{key!r} is {repr(value)[:100]}, not {_name(wanted[key])}"
    return ""


def _name(kind: object) -> str:
    return kind.__name__ if isinstance(kind, type) else str(kind)
