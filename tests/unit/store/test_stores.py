"""Every store keeps the same promises."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from graflow.store import (
    ObjectMissingError,
    StoreRefusedError,
    StoreUnfitError,
    require_conditional_put,
)
from graflow.store.folder import FolderStore
from graflow.store.keys import IdKeys, RunKeys, is_segment, segment_name, sha256_of
from graflow.store.memory import MemoryStore


@pytest.fixture(params=["memory", "folder"])
def store(request, tmp_path):
    return MemoryStore() if request.param == "memory" else FolderStore(tmp_path)


def test_what_was_put_is_what_one_gets(store):
    store.put("ns/uid/blobs/x", b"one")
    store.put("ns/uid/blobs/x", b"two")
    assert store.get("ns/uid/blobs/x") == b"two"
    assert b"".join(store.chunks("ns/uid/blobs/x")) == b"two"
    assert store.size("ns/uid/blobs/x") == 3


def test_a_missing_object_is_named_in_the_error(store):
    with pytest.raises(ObjectMissingError, match="ns/uid/blobs/none"):
        store.get("ns/uid/blobs/none")
    assert store.size("ns/uid/blobs/none") is None
    store.delete("ns/uid/blobs/none")


def test_a_copy_has_the_bytes_of_its_source_and_outlives_it(store):
    store.put("ns/one/blobs/x", b"bytes")
    store.copy("ns/one/blobs/x", "ns/two/blobs/x")
    store.copy("ns/one/blobs/x", "ns/two/blobs/x")
    store.delete("ns/one/blobs/x")
    assert store.get("ns/two/blobs/x") == b"bytes"


def test_a_copy_of_what_is_missing_names_it(store):
    with pytest.raises(ObjectMissingError, match="ns/one/blobs/none"):
        store.copy("ns/one/blobs/none", "ns/two/blobs/none")


def test_of_many_writers_that_must_not_replace_exactly_one_wins(store):
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda n: store.put_if_absent("a/b", b"%d" % n), range(40)))
    assert won.count(True) == 1
    assert store.get("a/b") == b"%d" % won.index(True)


def test_keys_are_listed_in_order_and_by_prefix(store):
    for key in ("a/2", "a/1", "b/1"):
        store.put(key, b"")
    assert list(store.list("a/")) == ["a/1", "a/2"]


def test_a_store_with_conditional_writes_is_accepted_and_left_clean(store):
    require_conditional_put(store)
    assert list(store.list("")) == []


def test_a_store_without_conditional_writes_is_refused():
    class Overwrites(MemoryStore):
        def put_if_absent(self, key, data):
            self.put(key, data)
            return True

    with pytest.raises(StoreUnfitError, match="If-None-Match"):
        require_conditional_put(Overwrites())


def test_no_key_leads_out_of_the_folder(tmp_path):
    with pytest.raises(StoreRefusedError, match="outside the folder"):
        FolderStore(tmp_path / "store").put("../elsewhere", b"")


def test_every_key_of_a_run_is_under_its_namespace_and_uid():
    keys = RunKeys("team", "u-1")
    assert keys.outcome_value(3, 2) == "team/u-1/outcomes/3/2.value"
    for key in (keys.blob("f" * 64), keys.outcome(3, 2), keys.state(7, "e" * 64)):
        assert key.startswith(keys.prefix)


def test_a_name_of_what_a_run_has_done_is_known_again_and_nothing_else_is_taken_for_one():
    name, keys = segment_name(7, b"done"), RunKeys("team", "u-1")
    assert is_segment(name)
    for key in (keys.changes(name), keys.history(name), keys.checkpoint(name)):
        assert sha256_of(key) == name.removeprefix("7-")
    for other in (None, 7, "7", name + "0", f"../{name}", name.upper(), f"{name}\n"):
        assert not is_segment(other)


def test_what_is_recorded_of_an_id_is_under_no_run_and_no_namespace():
    keys = IdKeys("team", "nightly/../7")
    assert keys.completion.startswith(".graflow/ids/team/")
    assert keys.blob("f" * 64) == f"{keys.completion}.blobs/{'f' * 64}"
    assert ".." not in keys.completion
