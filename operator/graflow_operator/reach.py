"""What an ended run refers to in the store, from its status on, in as many steps as it takes.

Rather too much than too little: a value counts as referred to when its SHA-256 is anywhere in what
was read, whatever it stands for there. Where something that is named cannot be read, nothing is
known of what it would have named, and so nothing of the run is garbage.
"""

import base64
import json
import re
import zlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from graflow.store import ObjectCorruptError, ObjectMissingError
from graflow.store.keys import RunKeys, is_segment
from graflow_operator import channel_log, checkpoint
from graflow_operator.checkpoint import UnreadableCheckpointError
from graflow_operator.storage import Storage

_SHA256 = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
FOLDERS = (
    "blobs/",
    "state/",
    "changes/",
    "channel/",
    "history/",
    "checkpoints/",
    "logs/",
    "outcomes/",
)
"""Folders of a run; what is in any other was put there by another version, and stays."""

_BROKEN = (zlib.error, ValueError, KeyError, TypeError, AttributeError)


class UnknownReachError(Exception):
    """It cannot be known what a run refers to; the message says why."""


class Reach:
    """Collects what one run refers to."""

    def __init__(self, storage: Storage, keys: RunKeys) -> None:
        self._storage = storage
        self._keys = keys
        self._named: set[str] = set()
        self._values: set[str] = set()
        self._channel_seq = 0

    async def follow(self, status: Mapping[str, Any]) -> None:
        """Read all that the status of an ended run names, and what that names in turn.

        Raises:
            UnknownReachError: If something of it cannot be read.
            StoreError: If the store does not answer.
        """
        cursor = status.get("cursor") or {}
        try:
            self._mentions(json.dumps(status))
            await self._packed(cursor)
            await self._changes(cursor)
            channel = cursor.get("channel") or {}
            self._channel_seq = int(channel.get("seq", 0))
            await self._packed(channel)
            await self._history(cursor.get("history"))
            await self._checkpoints(cursor.get("checkpoint"))
        except (UnreadableCheckpointError, *_BROKEN) as error:
            raise UnknownReachError(f"what its status refers to cannot be read: {error}") from error

    async def keep_fences(self, keys: Iterable[str]) -> None:
        """Take note of the fences of the channel among objects of the run.

        They hold numbers that an operator which was replaced without knowing it must not get.
        """
        for key in keys:
            number = self._keys.segment_in(key)
            if number is None or number > self._channel_seq:
                continue
            with suppress(ObjectMissingError):
                if channel_log.is_fence(await self._storage.get(key)):
                    self._named.add(key)

    def holds(self, key: str, *, logs: bool) -> bool:
        """Whether an object of the run has to stay.

        Args:
            key: Its key.
            logs: Whether the last lines of attempts are kept.
        """
        path = key.removeprefix(self._keys.prefix)
        if not path.startswith(FOLDERS) or key in self._named:
            return True
        if path.startswith("logs/"):
            return logs
        if path.startswith("blobs/"):
            return path.removeprefix("blobs/") in self._values
        # What was said in a channel after what its cursor names counts.
        number = self._keys.segment_in(key)
        return number is not None and number > self._channel_seq

    def _mentions(self, text: str) -> None:
        self._values.update(_SHA256.findall(text))

    async def _packed(self, part: Mapping[str, Any]) -> None:
        """Take note of what a packed state or channel mentions, which a cursor holds or names."""
        if (text := part.get("state")) is not None:
            self._mentions(_inflated(base64.b64decode(text)))
        elif (key := part.get("key")) is not None:
            self._mentions(_inflated(await self._read(key)))

    async def _changes(self, cursor: Mapping[str, Any]) -> None:
        """Take note of what changes since the state mention, in the cursor or named by it."""
        for name in cursor.get("segments") or ():
            self._mentions(_inflated(await self._read(self._keys.changes(_segment(name)))))
        if text := cursor.get("changes"):
            self._mentions(_inflated(base64.b64decode(text)))

    async def _history(self, newest: object) -> None:
        """Follow segments of the history: each names the one before."""
        name = newest
        while name is not None:
            key = self._keys.history(_segment(name))
            if key in self._named:
                return
            data = await self._read(key)
            head, _, _ = data.decode().partition("\n")
            name = json.loads(head)["previous"]

    async def _checkpoints(self, newest: object) -> None:
        """Follow the checkpoints: each names the one before."""
        name = None if newest is None else checkpoint.checked_name(newest)
        while name is not None:
            data = await self._read(self._keys.checkpoint(name))
            document = checkpoint.document_in(name, data)
            self._mentions(json.dumps(document))
            for part in ("snapshot", "channel"):
                self._mentions(_inflated(base64.b64decode(document[part])))
            await self._history_before(document["history"])
            previous = document["previous"]
            name = None if previous is None else checkpoint.checked_name(previous)

    async def _history_before(self, name: object) -> None:
        """Follow the history that a checkpoint names, unless a longer segment has replaced it."""
        if name is not None:
            key = self._keys.history(_segment(name))
            if await self._storage.size(key) is not None:
                await self._history(name)

    async def _read(self, key: object) -> bytes:
        if not isinstance(key, str) or not self._keys.owns(key):
            raise UnknownReachError(f"{str(key)[:200]!r} is no key of this run")
        try:
            data = await self._storage.get(key)
        except ObjectMissingError as error:
            raise UnknownReachError(f"{key} is named and is not there") from error
        except ObjectCorruptError as error:
            raise UnknownReachError(str(error)) from error
        self._named.add(key)
        return data


def _segment(name: object) -> str:
    if not is_segment(name):
        raise UnknownReachError(f"{str(name)[:200]!r} is no segment of this run")
    return name


def _inflated(data: bytes) -> str:
    return zlib.decompressobj().decompress(data, checkpoint.MAX_BYTES).decode()
