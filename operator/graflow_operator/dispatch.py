"""Errands under way: each at most once at a time, tried again by whoever sent it."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from graflow.store import StoreError
from graflow_operator.cluster_errors import ClusterError, TooManyError
from graflow_operator.parts import Parts
from graflow_operator.refs import RunRef

PAUSE_S = 0.5
LONG_PAUSE_S = 30.0
log = logging.getLogger(__name__)


class Dispatch:
    """The errands of one run. When one is back, the actor looks again at what is to be done."""

    def __init__(self, parts: Parts, run: RunRef, ring: Callable[[], None]) -> None:
        self._parts = parts
        self._run = run
        self._ring = ring
        self._tasks: dict[object, asyncio.Task[None]] = {}
        self._pauses_s: dict[object, float] = {}
        """Of what failed the last time, how long it waited then."""

        self._store_failed: dict[object, StoreError] = {}
        """Of what the store failed the last time, how."""

    @property
    def busy(self) -> bool:
        """Whether anybody is under way."""
        return bool(self._tasks)

    def __contains__(self, key: object) -> bool:
        return key in self._tasks

    def send(self, key: object, errand: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Send somebody off, unless one is under way for the same thing."""
        if key not in self._tasks:
            self._tasks[key] = asyncio.create_task(self._go(key, errand))

    def store_failures(self, kind: str) -> dict[Any, StoreError]:
        """Return what the store failed the last time among errands of one kind, and how."""
        return {
            key[1]: error
            for key, error in self._store_failed.items()
            if isinstance(key, tuple) and key[0] == kind
        }

    def close(self) -> None:
        """Call everybody back."""
        for task in self._tasks.values():
            task.cancel()

    async def _go(self, key: object, errand: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await errand()
        except TooManyError as error:
            await self._parts.sleep(error.retry_after_s)
        except (ClusterError, StoreError) as error:
            asked_s = error.retry_after_s if isinstance(error, ClusterError) else 0.0
            pause_s = max(self._longer(key), asked_s)
            if isinstance(error, StoreError):
                self._store_failed[key] = error
            what = _in_words(key)
            log.warning("%s: %s: %s; trying again in %.1f s", self._run, what, error, pause_s)
            await self._parts.sleep(pause_s)
        except Exception:
            log.exception("%s: %s failed; trying again", self._run, _in_words(key))
            await self._parts.sleep(LONG_PAUSE_S)
        else:
            self._pauses_s.pop(key, None)
            self._store_failed.pop(key, None)
        finally:
            self._tasks.pop(key, None)
            self._ring()

    def _longer(self, key: object) -> float:
        """Return how long to wait now: a thousand errands must not storm a server that says no."""
        before_s = self._pauses_s.get(key)
        pause_s = PAUSE_S if before_s is None else min(before_s * 2, LONG_PAUSE_S)
        self._pauses_s[key] = pause_s
        return pause_s


def _in_words(key: object) -> str:
    """Return what an errand is for, as the log says it."""
    return " ".join(str(part) for part in key) if type(key) is tuple else str(key)
