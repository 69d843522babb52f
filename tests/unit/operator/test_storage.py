"""A store that fails, as the operator's loop sees it."""

import asyncio
import hashlib
import threading

import pytest

from graflow.store import (
    ObjectCorruptError,
    StoreRefusedError,
    StoreUnavailableError,
    StoreUnfitError,
)
from graflow.store.keys import RunKeys
from graflow.store.memory import MemoryStore
from graflow_operator import storage as storage_module
from graflow_operator.storage import Storage

KEYS = RunKeys("team", "u1")


class Hanging(MemoryStore):
    """Answers nothing until it is let go."""

    def __init__(self):
        super().__init__()
        self.go = threading.Event()

    def get(self, key):
        self.go.wait()
        return super().get(key)


async def test_a_store_that_never_answers_holds_up_no_more_calls_than_there_are_threads(
    monkeypatch,
):
    monkeypatch.setattr(storage_module, "CROWDED_S", 0.02)
    store = Hanging()
    store.put("a", b"1")
    storage = Storage(store, threads=2)
    try:
        hanging = [asyncio.create_task(storage.get("a")) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(StoreUnavailableError, match="2 calls wait for the store"):
            await storage.put("b", b"2")
        assert await storage.presign("GET", {"a": "a"}, expires_s=60) == {}
        store.go.set()
        assert await asyncio.gather(*hanging) == [b"1", b"1"]
        await storage.put("b", b"2")
    finally:
        store.go.set()
        storage.close()


async def test_who_gives_up_a_call_does_not_free_its_thread(monkeypatch):
    monkeypatch.setattr(storage_module, "CROWDED_S", 0.02)
    store = Hanging()
    store.put("a", b"1")
    storage = Storage(store, threads=1)
    try:
        given_up = asyncio.create_task(storage.get("a"))
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.gather(given_up, return_exceptions=True)
        with pytest.raises(StoreUnavailableError):
            await storage.put("b", b"2")
        store.go.set()
        await storage.put("b", b"2")
    finally:
        store.go.set()
        storage.close()


def named(data):
    sha256 = hashlib.sha256(data).hexdigest()
    return [
        KEYS.blob(sha256),
        KEYS.state(7, sha256),
        KEYS.history(f"7-{sha256}"),
        KEYS.channel(7, sha256),
    ]


@pytest.mark.parametrize("key", named(b"what was written"))
async def test_an_object_that_was_changed_is_named_with_what_it_should_be(key):
    store = MemoryStore()
    storage = Storage(store, threads=1)
    store.put(key, b"what was written")
    assert await storage.get(key) == b"what was written"
    store.put(key, b"what was wRitten")
    with pytest.raises(ObjectCorruptError) as found:
        await storage.get(key)
    changed = hashlib.sha256(b"what was wRitten").hexdigest()
    assert all(word in str(found.value) for word in (key, found.value.expected, changed))
    storage.close()


async def test_a_byte_that_was_changed_on_the_way_once_does_no_harm():
    class Flipping(MemoryStore):
        flips = 1

        def get(self, key):
            self.flips -= 1
            return b"garbled" if self.flips >= 0 else super().get(key)

    key = named(b"whole")[0]
    storage = Storage(store := Flipping(), threads=1)
    store.put(key, b"whole")
    assert await storage.get(key) == b"whole"
    storage.close()


async def test_a_store_that_refuses_is_not_used_before_it_was_proven():
    class Refusing(MemoryStore):
        refuses = True

        def put_if_absent(self, key, data):
            if self.refuses:
                raise StoreRefusedError("wrong credentials")
            return super().put_if_absent(key, data)

    storage = Storage(store := Refusing(), threads=1, proven=False)
    with pytest.raises(StoreUnavailableError):
        await storage.put("a", b"1")
    with pytest.raises(StoreRefusedError, match="wrong credentials"):
        await storage.prove()
    with pytest.raises(StoreRefusedError, match="wrong credentials"):
        await storage.put("a", b"1")
    store.refuses = False
    await storage.prove()
    await storage.put("a", b"1")
    assert list(store.list("")) == ["a"]
    storage.close()


async def test_a_store_that_ignores_conditions_is_never_used():
    class Ignoring(MemoryStore):
        def put_if_absent(self, key, data):
            self.put(key, data)
            return True

    storage = Storage(Ignoring(), threads=1, proven=False)
    for call in (storage.prove(), storage.put("a", b"1")):
        with pytest.raises(StoreUnfitError, match="If-None-Match"):
            await call
    storage.close()
