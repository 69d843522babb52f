"""The store, off the event loop, for runs that a store which does not answer must not stop.

Calls have a bounded pool of threads; a call that finds all of them waiting for the store fails
instead of standing behind them. A store that has not been proven fit is not used at all.
"""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from graflow.store import (
    ObjectCorruptError,
    ObjectMissingError,
    ObjectStore,
    StoreError,
    StoreUnavailableError,
    require_conditional_put,
)
from graflow.store.base import Method
from graflow.store.keys import sha256_of
from graflow_operator import metrics

T = TypeVar("T")
THREADS = 16
CROWDED_S = 5.0
"""Longest wait for a thread: less than a runner waits for an answer."""
LEAST_ADDRESS_S = 15


class CrowdedError(StoreUnavailableError):
    """All threads wait for the store."""


class Storage:
    """An `ObjectStore` whose calls are awaited.

    Args:
        store: Where the objects are.
        threads: Calls at one time.
        proven: Whether the store is known to be fit; otherwise `prove` comes first.
    """

    def __init__(self, store: ObjectStore, threads: int = THREADS, *, proven: bool = True) -> None:
        self._store = store
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="store")
        self._signing = ThreadPoolExecutor(1, thread_name_prefix="signing")
        self._free = asyncio.Semaphore(threads)
        self._trouble: StoreError | None = None
        """How the last call failed; None if it did not."""

        self.unproven: StoreError | None = (
            None if proven else StoreUnavailableError("the store was not asked yet")
        )
        """Why the store is not used yet; None once it is known to be fit."""

    async def prove(self) -> None:
        """Find out whether the store is fit to be used.

        Raises:
            StoreUnfitError: If it is not.
            StoreError: If that cannot be found out; it is what all calls fail with until then.
        """
        try:
            await self._threaded("put_if_absent", lambda: require_conditional_put(self._store))
        except StoreError as error:
            self.unproven = error
            raise
        self.unproven = None

    def close(self) -> None:
        """Take no more calls."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._signing.shutdown(wait=False, cancel_futures=True)

    async def get(self, key: str) -> bytes:
        """Return the object; `ObjectCorruptError` if its key says that it was another one."""
        return await self._run("get", lambda: _intact(self._store, key))

    async def size(self, key: str) -> int | None:
        """Return the object's size in bytes; None if there is none."""
        return await self._run("size", lambda: self._store.size(key))

    async def put(self, key: str, data: bytes) -> None:
        """Write the object."""
        await self._run("put", lambda: self._store.put(key, data))

    async def put_if_absent(self, key: str, data: bytes) -> bool:
        """Write the object unless there is one."""
        return await self._run("put_if_absent", lambda: self._store.put_if_absent(key, data))

    async def copy(self, source: str, target: str) -> None:
        """Write the bytes of one object under another key too."""
        await self._run("copy", lambda: self._store.copy(source, target))

    async def list(self, prefix: str) -> list[str]:
        """Return the keys that begin with the prefix, in order."""
        return await self._run("list", lambda: list(self._store.list(prefix)))

    async def delete(self, key: str) -> None:
        """Remove the object."""
        await self._run("delete", lambda: self._store.delete(key))

    async def presign(
        self, method: Method, keys: dict[str, str], *, expires_s: int, only_if_absent: bool = False
    ) -> dict[str, str]:
        """Return URLs by the names of the keys; none for stores without addresses."""

        def sign() -> dict[str, str]:
            urls = {
                name: self._store.presign(
                    method, key, expires_s=expires_s, only_if_absent=only_if_absent
                )
                for name, key in keys.items()
            }
            return {name: url for name, url in urls.items() if url is not None}

        # No thread of those that wait for the store: nothing is asked of it.
        if not keys:
            return {}
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._signing, _measured("presign", sign))

    def addresses_last_s(self, wanted_s: int) -> int:
        """Return how many seconds the addresses that were signed last will do, at most as wanted.

        At least `LEAST_ADDRESS_S`: whoever has them asks for others at a third of that time, and is
        not to ask more often while credentials that are nearly over cannot be replaced.
        """
        last_s = self._store.credentials_last_s()
        return wanted_s if last_s is None else max(LEAST_ADDRESS_S, min(wanted_s, int(last_s)))

    async def chunks(self, key: str) -> AsyncIterator[bytes]:
        """Return the object piece by piece; each piece is read when it is asked for."""
        pieces: Iterator[bytes] = await self._run("get", lambda: iter(self._store.chunks(key)))
        while (piece := await self._run("get", lambda: next(pieces, b""))) != b"":
            yield piece

    async def _run(self, operation: str, call: Callable[[], T]) -> T:
        if self.unproven is not None:
            raise type(self.unproven)(str(self.unproven))
        return await self._threaded(operation, call)

    async def _threaded(self, operation: str, call: Callable[[], T]) -> T:
        loop = asyncio.get_running_loop()

        def is_free(_: "Future[T]") -> None:
            with suppress(RuntimeError):  # of a loop that has ended meanwhile
                loop.call_soon_threadsafe(self._free.release)

        try:
            await self._wait_for_thread()
            # Who gives up waiting leaves the thread behind: it is free when the store answers.
            job = self._pool.submit(_measured(operation, call))
            job.add_done_callback(is_free)
            answer = await asyncio.wrap_future(job)
        except ObjectMissingError:
            self._trouble = None
            raise
        except StoreError as error:
            if not isinstance(error, CrowdedError):
                self._trouble = error
            metrics.STORE_ERRORS.inc(operation, _kind(error))
            raise
        self._trouble = None
        return answer

    async def _wait_for_thread(self) -> None:
        try:
            async with asyncio.timeout(CROWDED_S):
                await self._free.acquire()
        except TimeoutError:
            why = f"; the last that failed: {self._trouble}" if self._trouble else ""
            raise CrowdedError(
                f"{self._threads} calls wait for the store, and none has ended in"
                f" {CROWDED_S:g} s{why}"
            ) from None


def _measured(operation: str, call: Callable[[], T]) -> Callable[[], T]:
    def measured() -> T:
        began = time.monotonic()
        try:
            return call()
        finally:
            metrics.STORE_LATENCY.observe(time.monotonic() - began, operation)

    return measured


def _intact(store: ObjectStore, key: str) -> bytes:
    """Return an object, if it is the one that its key names; read twice before it is called not."""
    data, expected = store.get(key), sha256_of(key)
    if expected is None or _sha256(data) == expected:
        return data
    data = store.get(key)
    if (found := _sha256(data)) != expected:
        raise ObjectCorruptError(key, expected, found)
    return data


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _kind(error: StoreError) -> str:
    if isinstance(error, StoreUnavailableError):
        return "unavailable"
    return "corrupt" if isinstance(error, ObjectCorruptError) else "refused"
