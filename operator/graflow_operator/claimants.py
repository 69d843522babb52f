"""The pods whose runners may claim, as the watch showed them last: a question less at each claim.

A pod's address never changes while its uid is the same, so what was shown once may be believed.
"""

import asyncio
from contextlib import suppress

from graflow_operator.cluster import Object

MOST = 256
"""Pods that are kept; a claim of another one costs a question to the API server."""


class Claimants:
    """Pods of one run that have an address."""

    def __init__(self) -> None:
        self._pods: dict[str, Object] = {}
        self._waiting: dict[str, set[asyncio.Future[Object]]] = {}

    def seen(self, pod: Object) -> None:
        """Take note of a pod as a watch showed it."""
        uid = pod["metadata"]["uid"]
        if not addresses(pod):
            return
        self._pods.pop(uid, None)
        self._pods[uid] = pod
        if len(self._pods) > MOST:
            del self._pods[next(iter(self._pods))]
        for waiting in self._waiting.get(uid, ()):
            if not waiting.done():
                waiting.set_result(pod)

    def gone(self, uid: str) -> None:
        """Forget a pod."""
        self._pods.pop(uid, None)

    def get(self, uid: str) -> Object | None:
        """Return a pod, if it was shown with an address."""
        return self._pods.get(uid)

    async def wait(self, uid: str, within_s: float) -> Object | None:
        """Return a pod once it is shown with an address; None if that takes too long."""
        if found := self.get(uid):
            return found
        waiting: asyncio.Future[Object] = asyncio.get_running_loop().create_future()
        others = self._waiting.setdefault(uid, set())
        others.add(waiting)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(within_s):
                    return await waiting
            return None
        finally:
            others.discard(waiting)
            if not others:
                self._waiting.pop(uid, None)


def addresses(pod: Object) -> set[str]:
    """Return the addresses that a pod is known to have."""
    status = pod.get("status", {})
    found = {ip.get("ip") for ip in status.get("podIPs", ())} | {status.get("podIP")}
    return {address for address in found if address}
