"""One process of the operator as seen from outside: what it does to anything but itself.

Each effect has a number. At any of them something can be done, right before or right after it. When
the process is killed, or stopped as by SIGSTOP, it reaches nothing from then on: all its ways out
lead through here.
"""

import asyncio
from dataclasses import dataclass

from graflow.store.keys import IDS
from graflow_operator.storage import Storage

CLUSTER_WRITES = ("create", "replace", "patch_status", "patch_json", "delete")
STORE_READS = ("get", "size", "list", "presign")
UNCOUNTED = ("events", "leases")
"""Notes for people, and what only avoids work."""

LATENCY_S = 0.02
KINDS = {
    ("patch_status", "workflows"): "status",
    ("create", "pods"): "pod create",
    ("delete", "pods"): "pod delete",
    ("patch_json", "pods"): "finalizer off",
    ("create", "secrets"): "Secret create",
    ("delete", "workflows"): "run delete",
    ("create", "feedbackrequests"): "question create",
    ("patch_status", "feedbackrequests"): "question status",
}


@dataclass(frozen=True)
class Point:
    """A moment in the life of a process."""

    number: int
    """Of an effect, from 1."""

    after: bool

    def __str__(self):
        return f"{'after' if self.after else 'before'}:{self.number}"


class Process:
    """Alive until its point, then dead, or asleep until it is woken.

    Args:
        rng: Decides how long each thing takes.
        point: Where something is done to it; None: nowhere.
        at_point: Does it, given the process.
        sleeps: Whether it only sleeps when it is stopped.
    """

    def __init__(self, rng, point=None, at_point=None, *, sleeps=False):
        self._rng = rng
        self._point = point
        self._at_point = at_point
        self.sleeps = sleeps
        self.effects = []
        """What each was, in order."""

        self.stopped = asyncio.Event()
        self._goes = asyncio.Event()
        self._goes.set()

    @property
    def is_up(self):
        return self._goes.is_set()

    def wake(self):
        self._goes.set()

    def stop(self):
        self._goes.clear()
        self.stopped.set()

    async def pass_gate(self):
        """Go on some time later, unless the process does not."""
        await asyncio.sleep(self._rng.random() * LATENCY_S)
        await self._goes.wait()

    async def effect(self, kind, do):
        """Do something to the outside; `do` is called once, or never.

        What kind of effect it is may only be known when it is done: `kind` may be a function.
        """
        await self.pass_gate()
        number = len(self.effects) + 1
        self.effects.append(kind if isinstance(kind, str) else "")
        here = self._point is not None and self._point.number == number
        if here and not self._point.after:
            self._at_point(self)
            await self._goes.wait()
        try:
            answer = do()
            if asyncio.iscoroutine(answer):
                answer = await answer
        finally:
            if not isinstance(kind, str):
                self.effects[number - 1] = kind()
            if here and self._point.after:
                self._at_point(self)
        await self.pass_gate()
        return answer


class ClusterWay:
    """A process's way to the API server."""

    def __init__(self, cluster, process):
        self._cluster = cluster
        self._process = process

    def __getattr__(self, verb):
        call = getattr(self._cluster, verb)

        async def ask(kind, *arguments, **options):
            plural = getattr(kind, "plural", "")
            if verb not in CLUSTER_WRITES or plural in UNCOUNTED:
                await self._process.pass_gate()
                return await call(kind, *arguments, **options)
            label = KINDS.get((verb, plural), f"{plural} {verb}")
            return await self._process.effect(label, lambda: call(kind, *arguments, **options))

        return ask


class StoreWay(Storage):
    """A process's way to the store, without threads."""

    def __init__(self, bucket, process):
        super().__init__(bucket, threads=1)
        self._bucket = bucket
        self._process = process

    async def _run(self, operation, call):
        process = self._process
        if operation not in STORE_READS:
            verb = "delete" if operation == "delete" else "put"
            return await process.effect(
                lambda: f"store {verb} ({part_of(self._bucket.touched)})", call
            )
        await process.pass_gate()
        return call()


def part_of(key):
    """Return what an object is, by its key: state, channel, blobs …"""
    if key.startswith("."):
        return "completion" if key.startswith(IDS) else "mark"
    return key.split("/")[2]
