"""C2: the channel's operations, atomic across threads, on copies."""

import pickle
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
    channel = MemoryChannel(initial={"a": 1})
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
    with pytest.raises(TypeError, match="'text' holds a value of type str, which is not a list"):
        channel.append("text", 1)


def test_numbers_are_added_to():
    channel = MemoryChannel()
    assert [channel.atomic_add("n"), channel.atomic_add("n", 4), channel.atomic_add("n", -0.5)] == [
        1,
        5,
        4.5,
    ]
    channel.set("text", "abc")
    with pytest.raises(TypeError, match="'text' holds a value of type str, which is not a number"):
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


def elsewhere(call):
    """Call in another thread, and return what came of it."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result()


def hold(channel, key, timeout=0.0):
    with channel.lock(key, timeout=timeout):
        return "held"


def test_a_lock_is_held_by_one_thread_at_a_time_which_may_enter_it_again():
    channel = MemoryChannel()
    busy = pytest.raises(TimeoutError, match=r"lock 'l' was not free within 0\.0 s")
    with channel.lock("l"), channel.lock("l"), channel.lock("other"), busy:
        elsewhere(lambda: hold(channel, "l"))
    assert elsewhere(lambda: hold(channel, "l")) == "held"
    with pytest.raises(KeyError), channel.lock("l"):
        raise KeyError
    assert elsewhere(lambda: hold(channel, "l")) == "held"


def test_a_lock_is_given_to_those_who_wait_in_order_of_arrival():
    channel = MemoryChannel()
    order, waiting = [], channel._core.state.locks

    def work(name):
        with channel.lock("l"):
            order.append(name)

    with ThreadPoolExecutor(5) as pool, channel.lock("l"):
        for name in range(5):
            pool.submit(work, name)
            while len(waiting["l"]) < name + 2:
                pass
    assert order == [0, 1, 2, 3, 4]
    assert waiting == {}


def test_the_end_of_an_attempt_gives_its_locks_back_and_nobody_elses():
    channel = MemoryChannel()
    mine, other = channel.of_attempt(1, 1), channel.of_attempt(1, 2)
    held = [mine.lock("l"), other.lock("m")]
    for lock in held:
        lock.__enter__()
    mine.end()
    assert elsewhere(lambda: hold(other, "l")) == "held"
    with pytest.raises(TimeoutError):
        elsewhere(lambda: hold(mine, "m"))


def test_a_lock_that_was_waited_for_in_vain_is_not_given_later():
    channel = MemoryChannel()
    with channel.lock("l"), pytest.raises(TimeoutError):
        elsewhere(lambda: hold(channel, "l"))
    assert channel._core.state.locks == {}


def test_lists_hold_whatever_can_be_pickled_and_numbers_of_any_size():
    channel = MemoryChannel(initial={"l": [{1, 2}, None]})
    assert channel.append("l", {3}) == 3
    assert channel.prepend("l", b"0") == 4
    assert channel.get("l") == [b"0", {1, 2}, None, {3}]
    channel.get("l")[1].add(9)
    assert channel.get("l")[1] == {1, 2}
    assert channel.atomic_add("n", 2**100) == 2**100
    assert channel.atomic_add("n", 1) == 2**100 + 1
    channel.set("huge", 10**400)
    with pytest.raises(OverflowError, match="channel key 'huge'"):
        channel.atomic_add("huge", 0.5)
    for wrong in (True, "1", None):
        with pytest.raises(TypeError, match="adds an int or a float"):
            channel.atomic_add("n", wrong)


def test_a_time_to_live_is_a_number_of_seconds():
    channel = MemoryChannel()
    with pytest.raises(TypeError, match="ttl is a number of seconds or None, not '5'"):
        channel.set("k", 1, ttl="5")
    with pytest.raises(ValueError, match="None keeps a key for good"):
        channel.append("k", 1, ttl=float("inf"))


def test_a_channel_that_belongs_to_no_run_is_pickled_with_what_is_in_it():
    channel = MemoryChannel("mine", initial={"k": [1], "n": 2, "o": {3}})
    copy = pickle.loads(pickle.dumps(channel))
    copy.append("k", 2)
    assert (copy.name, copy.get("k"), copy.get("n"), copy.get("o")) == ("mine", [1, 2], 2, {3})
    assert channel.get("k") == [1]


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
