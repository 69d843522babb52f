"""Values on their way: checked when they come in, moved to the store when they are large.

The operator never unpickles: a value is JSON, base64, or the name of bytes in the store.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from graflow.machine.codec import encode_value
from graflow.store.keys import RunKeys, is_sha256
from graflow_operator.storage import Storage

INLINE_BYTES = 1024
"""Larger values are not kept in a run's state."""

REPORT_INLINE_BYTES = 256 * 1024
"""Larger values do not pass through the operator."""

_DEPTH = 20

ValueRef = dict[str, Any]


class BadValueError(Exception):
    """Something that is no value; the message says why."""


def check(value: object, depth: int = _DEPTH) -> ValueRef:
    """Return a value reference of a known form, without anything else in it.

    Raises:
        BadValueError: If it is none.
    """
    if not isinstance(value, dict) or len(value) != 1:
        raise BadValueError("a value is an object with exactly one of json, pickle, blob, group")
    [(form, content)] = value.items()
    match form:
        case "json":
            return {"json": content}
        case "pickle":
            _decoded(content)
            return {"pickle": content}
        case "blob":
            return {"blob": _blob(content)}
        case "group" if isinstance(content, dict) and depth > 0:
            return {"group": {str(m): check(inner, depth - 1) for m, inner in content.items()}}
        case _:
            raise BadValueError(f"a value has no form {form!r}; it has json, pickle, blob or group")


def _decoded(content: object) -> bytes:
    try:
        return base64.b64decode(str(content), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadValueError(f"a pickled value is base64: {error}") from error


def _blob(content: object) -> ValueRef:
    if not isinstance(content, dict):
        raise BadValueError("a blob has sha256, size and encoding")
    sha256, size, encoding = (content.get(field) for field in ("sha256", "size", "encoding"))
    if not is_sha256(sha256):
        raise BadValueError(f"a blob's sha256 is 64 hex digits; this is {str(sha256)[:80]!r}")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise BadValueError(f"a blob's size is its number of bytes; this is {str(size)[:80]!r}")
    if encoding not in ("json", "pickle"):
        raise BadValueError(f"a blob's encoding is json or pickle; this is {str(encoding)[:80]!r}")
    return {"sha256": sha256, "size": size, "encoding": encoding}


def parts(value: ValueRef) -> Iterator[ValueRef]:
    """Return what a checked value is made of: itself, or the values in a group."""
    match value:
        case {"group": dict(members)}:
            for inner in members.values():
                yield from parts(inner)
        case _:
            yield value


async def settle(value: ValueRef, storage: Storage | None, keys: RunKeys) -> ValueRef:
    """Return a checked value as a run's state keeps it, its bytes stored first when large.

    Raises:
        BadValueError: If it names bytes that are not in the store.
        StoreError: If the store does not do what is asked.
    """
    [(form, content)] = value.items()
    if form == "group":
        return {"group": {m: await settle(v, storage, keys) for m, v in content.items()}}
    if form == "blob":
        await _require(content, storage, keys)
        return value
    data = json.dumps(content).encode() if form == "json" else _decoded(content)
    if storage is None or len(data) <= INLINE_BYTES:
        return value
    return await keep(data, form, storage, keys)


async def keep(data: bytes, encoding: str, storage: Storage, keys: RunKeys) -> ValueRef:
    """Put a value's bytes into the store and return the reference to them."""
    sha256 = hashlib.sha256(data).hexdigest()
    await storage.put(keys.blob(sha256), data)
    return {"blob": {"sha256": sha256, "size": len(data), "encoding": encoding}}


async def _require(blob: Mapping[str, Any], storage: Storage | None, keys: RunKeys) -> None:
    if storage is None:
        raise BadValueError("the value is said to be in the store, and there is none")
    size = await storage.size(keys.blob(blob["sha256"]))
    if size != blob["size"]:
        found = "is not there" if size is None else f"has {size} bytes there"
        raise BadValueError(
            f"blob {blob['sha256']} of {blob['size']} bytes {found}; upload it before the report"
        )


def wire(value: object) -> ValueRef:
    """Return a value of the machine as JSON, group values included."""
    encoded = encode_value(value)
    return encoded if isinstance(encoded, dict) else {"json": encoded}


def blobs(document: object) -> Iterator[str]:
    """Return the SHA-256 of every blob that a JSON document refers to."""
    if isinstance(document, dict):
        blob = document.get("blob")
        if set(document) == {"blob"} and isinstance(blob, dict) and "sha256" in blob:
            yield blob["sha256"]
            return
        if "json" in document and len(document) == 1:
            return  # a user's own JSON, whatever it looks like
        for inner in document.values():
            yield from blobs(inner)
    elif isinstance(document, list):
        for inner in document:
            yield from blobs(inner)


def with_urls(document: Any, urls: Mapping[str, str]) -> Any:  # noqa: ANN401  JSON in, JSON out
    """Return the document with an address beside every blob that has one."""
    if isinstance(document, dict):
        blob = document.get("blob")
        if set(document) == {"blob"} and isinstance(blob, dict) and "sha256" in blob:
            url = urls.get(blob["sha256"])
            return {"blob": {**blob, "url": url}} if url else document
        if "json" in document and len(document) == 1:
            return document
        return {name: with_urls(inner, urls) for name, inner in document.items()}
    if isinstance(document, list):
        return [with_urls(inner, urls) for inner in document]
    return document
