"""C2: typed channels, and Graflow's module paths of channels."""

from typing import NotRequired, TypedDict

import pytest

from graflow.channels.base import Channel
from graflow.channels.factory import ChannelFactory
from graflow.channels.memory_channel import MemoryChannel
from graflow.channels.redis_channel import RedisChannel
from graflow.channels.schemas import TaskProgressMessage
from graflow.channels.typed import ChannelTypeRegistry, TypedChannel
from graflow.dsl import channel as dsl_channel
from graflow.dsl.context import TaskExecutionContext, TaskFacts
from graflow.dsl.lone import LoneBackend
from graflow.exceptions import ConfigError


class Message(TypedDict):
    id: int
    tags: list[str]
    score: NotRequired[float]


GOOD = {"id": 1, "tags": ["a"]}


def test_c2_a_message_that_conforms_is_sent_and_received():
    typed = TypedChannel(MemoryChannel("c"), Message)
    typed.send("k", GOOD)
    typed.set("l", {**GOOD, "score": 1})
    assert (typed.receive("k"), typed.get("l")) == (GOOD, {**GOOD, "score": 1})
    assert (typed.keys(), typed.exists("k"), typed.delete("k")) == (["k", "l"], True, True)
    assert (typed.name, typed.message_type) == ("c", Message)
    typed.clear()
    assert typed.keys() == []


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("text", "it is a str, not a dict"),
        ({"id": 1}, "it has no 'tags'"),
        ({**GOOD, "more": 1}, "there is no 'more' in it"),
        ({**GOOD, "id": "1"}, "'id' is '1', not int"),
        ({**GOOD, "tags": "abc"}, "'tags' is 'abc', not list"),
        ({**GOOD, "tags": [1]}, r"'tags' is \[1\], not list\[str\]"),
    ],
)
def test_c2_a_message_that_does_not_conform_is_refused_and_read_as_none(message, words):
    channel = MemoryChannel()
    typed = TypedChannel(channel, Message)
    with pytest.raises(TypeError, match=f"Message does not conform to Message: {words}"):
        typed.send("k", message)
    with pytest.raises(TypeError, match="does not conform"):
        typed.set("k", message)
    assert not channel.exists("k")
    channel.set("k", message)
    assert typed.receive("k") is None
    assert typed.receive("missing") is None
    assert typed.receive("missing", GOOD) == GOOD


def test_c2_what_is_no_typed_dict_is_refused():
    context = TaskExecutionContext(TaskFacts(task_id="t"), LoneBackend())
    assert isinstance(context.get_typed_channel(Message), TypedChannel)
    with pytest.raises(ValueError, match="message_type must be a TypedDict, got <class 'dict'>"):
        context.get_typed_channel(dict)
    with pytest.raises(ValueError, match="must be a TypedDict"):
        ChannelTypeRegistry.register("wrong", int)


def test_forms_of_messages_have_names():
    typed = ChannelTypeRegistry.create_channel(MemoryChannel(), "task_progress")
    assert typed.message_type is ChannelTypeRegistry.get("task_progress") is TaskProgressMessage
    with pytest.raises(ConfigError, match="'task_progres' not registered; did you mean"):
        ChannelTypeRegistry.create_channel(MemoryChannel(), "task_progres")


def test_channels_are_made_by_the_name_of_their_backend():
    assert Channel is dsl_channel.Channel
    made = ChannelFactory.create_channel("memory", "mine")
    made.set("k", 1)
    assert (made.name, made.get("k")) == ("mine", 1)
    with pytest.warns(UserWarning, match="connects to no Redis"):
        assert isinstance(ChannelFactory.create_channel("redis", "r", host="x"), RedisChannel)
    with pytest.raises(ConfigError, match="Unsupported backend 'memry'; did you mean 'memory'"):
        ChannelFactory.create_channel("memry", "x")
    ChannelFactory.register_backend("own", MemoryChannel)
    assert ChannelFactory.get_available_backends() == ["memory", "redis", "own"]
    assert ChannelFactory.is_backend_available("own")
