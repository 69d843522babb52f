"""The store, off the event loop: a bounded pool of threads, so that a slow store stops nothing."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from graflow.store import ObjectStore, StoreError, StoreUnavailableError
from graflow.store.base import Method
from graflow_operator import metrics

T = TypeVar("T")
THREADS = 16


class Storage:
    """An `ObjectStore` whose calls are awaited."""

    def __init__(self, store: ObjectStore, threads: int = THREADS) -> None:
        self._store = store
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="store")

    def close(self) -> None:
        """Take no more calls."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def get(self, key: str) -> bytes:
        """Return the object."""
        return await self._run("get", lambda: self._store.get(key))

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

        return await self._run("presign", sign) if keys else {}

    async def chunks(self, key: str) -> AsyncIterator[bytes]:
        """Return the object piece by piece; each piece is read when it is asked for."""
        pieces: Iterator[bytes] = await self._run("get", lambda: iter(self._store.chunks(key)))
        while (piece := await self._run("get", lambda: next(pieces, b""))) != b"":
            yield piece

    async def _run(self, operation: str, call: Callable[[], T]) -> T:
        def measured() -> T:
            began = time.monotonic()
            try:
                return call()
            finally:
                metrics.STORE_LATENCY.observe(time.monotonic() - began, operation)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, measured)
        except StoreError as error:
            kind = "unavailable" if isinstance(error, StoreUnavailableError) else "refused"
            metrics.STORE_ERRORS.inc(operation, kind)
            raise
