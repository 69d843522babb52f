"""C2: the channel's operations, atomic across threads, on copies."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from graflow.dsl.copies import UncopyableValueWarning
from graflow.dsl.memory_channel import MemoryChannel


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_keys_are_set_read_and_forgotten():
    channel = MemoryChannel({"a": 1})
    channel.set("b", None)
    assert (channel.get("a"), channel.get("b", 5), channel.get("c", 5)) == (1, None, 5)
    assert (channel.exists("b"), channel.exists("c")) == (True, False)
    assert channel.keys() == ["a", "b"]
    assert (channel.delete("a"), channel.delete("a")) == (True, False)
    channel.clear()
    assert channel.keys() == []


def test_values_are_copies_on_the_way_in_and_out():
    channel = MemoryChannel()
    mine = [1]
    channel.set("k", mine)
    mine.append(2)
    channel.get("k").append(3)
    assert channel.get("k") == [1]


def test_lists_grow_at_both_ends():
    channel = MemoryChannel()
    assert [channel.append("k", 2), channel.append("k", 3), channel.prepend("k", 1)] == [1, 2, 3]
    assert channel.get("k") == [1, 2, 3]
    channel.set("text", "abc")
    with pytest.raises(TypeError, match="'text' holds 'abc', which is not a list"):
        channel.append("text", 1)


def test_numbers_are_added_to():
    channel = MemoryChannel()
    assert [channel.atomic_add("n"), channel.atomic_add("n", 4), channel.atomic_add("n", -0.5)] == [
        1,
        5,
        4.5,
    ]
    channel.set("text", "abc")
    with pytest.raises(TypeError, match="'text' holds 'abc', which is not a number"):
        channel.atomic_add("text")


def test_a_key_is_gone_when_its_time_has_passed():
    clock = Clock()
    channel = MemoryChannel(clock=clock)
    channel.set("k", 1, ttl=10)
    channel.append("list", 1, ttl=10)
    channel.append("list", 2)
    channel.set("forever", 1)
    clock.now = 9.9
    assert channel.keys() == ["k", "list", "forever"]
    assert channel.atomic_add("k") == 2
    clock.now = 10
    assert channel.keys() == ["forever"]
    assert channel.get("k", "gone") == "gone"
    assert channel.append("list", 3) == 1
    channel.set("k", 1, ttl=10)
    channel.set("k", 1)
    clock.now = 1000
    assert channel.exists("k"), "a value without a time to live has none of the one before"


def test_increments_from_many_threads_all_count():
    channel = MemoryChannel()

    def work(_):
        for _ in range(200):
            channel.atomic_add("n")
            channel.append("list", 1)

    with ThreadPoolExecutor(5) as pool:
        list(pool.map(work, range(5)))
    assert channel.get("n") == 1000
    assert len(channel.get("list")) == 1000


def test_a_lock_is_held_by_one_at_a_time():
    channel = MemoryChannel()
    second = channel.lock("l", timeout=0.01)
    with channel.lock("l"), pytest.raises(TimeoutError, match="lock 'l' was not free"), second:
        pass
    with pytest.raises(KeyError), channel.lock("l"):
        raise KeyError
    with channel.lock("l"), channel.lock("other"):
        pass


def test_keys_are_texts():
    with pytest.raises(TypeError, match="a channel key is a text, not 3"):
        MemoryChannel().set(3, 1)


def test_what_cannot_be_copied_is_shared_with_one_warning():
    channel = MemoryChannel()
    lock = threading.Lock()
    with pytest.warns(UncopyableValueWarning, match="channel key 'k'") as caught:
        channel.set("k", lock)
    channel.set("k", lock)
    assert len(caught) == 1
    assert channel.get("k") is lock
