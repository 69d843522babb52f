"""Values on their way: checked, moved to the store, found again, and never looked into."""

import base64
import hashlib
import json

import pytest

from graflow.store.keys import RunKeys
from graflow.store.memory import MemoryStore
from graflow_operator import values
from graflow_operator.storage import Storage
from graflow_operator.values import BadValueError

KEYS = RunKeys("team", "u1")
SHA = "a" * 64


@pytest.fixture
def storage():
    found = Storage(MemoryStore(), threads=1)
    yield found
    found.close()


@pytest.mark.parametrize(
    "value",
    [
        {"json": None},
        {"pickle": base64.b64encode(b"x").decode()},
        {"blob": {"sha256": SHA, "size": 1, "encoding": "pickle"}},
        {"group": {"a": {"json": 1}, "b": {"group": {}}}},
    ],
)
def test_every_form_of_a_value_passes_the_check(value):
    assert values.check(value) == value


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        {"json": 1, "pickle": ""},
        {"other": 1},
        {"pickle": "no base64!"},
        {"blob": {"sha256": "short", "size": 1, "encoding": "json"}},
        {"blob": {"sha256": f"{SHA}\n", "size": 1, "encoding": "json"}},
        {"blob": {"sha256": SHA, "size": True, "encoding": "json"}},
        {"blob": {"sha256": SHA, "size": -1, "encoding": "json"}},
        {"blob": {"sha256": SHA, "size": 1, "encoding": "yaml"}},
        {"group": []},
        {"group": {"a": 1}},
    ],
)
def test_what_is_no_value_is_refused_in_words(value):
    with pytest.raises(BadValueError, match=r"value|blob"):
        values.check(value)


def test_an_address_that_came_with_a_blob_is_dropped():
    blob = {"sha256": SHA, "size": 1, "encoding": "json"}
    assert values.check({"blob": {**blob, "url": "http://evil"}}) == {"blob": blob}


async def test_small_values_stay_where_they_are(storage):
    assert await values.settle({"json": [1]}, storage, KEYS) == {"json": [1]}


async def test_large_values_go_to_the_store_by_the_hash_of_their_bytes(storage):
    content = ["x" * 2000]
    data = json.dumps(content).encode()
    sha = hashlib.sha256(data).hexdigest()
    settled = await values.settle({"group": {"a": {"json": content}}}, storage, KEYS)
    blob = {"sha256": sha, "size": len(data), "encoding": "json"}
    assert settled == {"group": {"a": {"blob": blob}}}
    assert await storage.get(KEYS.blob(sha)) == data


async def test_large_pickles_are_stored_as_the_bytes_they_are(storage):
    data = bytes(2000)
    settled = await values.settle({"pickle": base64.b64encode(data).decode()}, storage, KEYS)
    assert await storage.get(KEYS.blob(settled["blob"]["sha256"])) == data


async def test_without_a_store_everything_stays_inline():
    large = {"json": "x" * 5000}
    assert await values.settle(large, None, KEYS) == large


def test_a_users_own_json_that_looks_like_a_blob_is_left_alone():
    own = {"json": {"blob": {"sha256": SHA}}}
    assert list(values.blobs(own)) == []
    assert values.with_urls(own, {SHA: "http://x"}) == own


def test_every_blob_of_a_document_gets_its_address():
    blob = {"blob": {"sha256": SHA, "size": 1, "encoding": "json"}}
    document = {"sent": [{"task": "a", "value": {"group": {"m": blob}}}]}
    assert list(values.blobs(document)) == [SHA]
    found = values.with_urls(document, {SHA: "http://x"})
    assert found["sent"][0]["value"]["group"]["m"]["blob"]["url"] == "http://x"
