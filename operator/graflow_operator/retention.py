"""What ended runs leave, taken away in time: their pods by the policy, themselves by their ttl."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any

from graflow.api import names
from graflow_operator.cluster import PODS, WORKFLOWS, Object
from graflow_operator.cluster_errors import ClusterError, ConflictError, NotFoundError
from graflow_operator.facts import PodFact, of_pod
from graflow_operator.keeping import Keep
from graflow_operator.objects import seconds
from graflow_operator.parts import Parts
from graflow_operator.refs import RunRef

AT_ONCE = 8
"""Deletions under way at one time, of all runs together."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EndedRun:
    """What counts of a run that has ended."""

    run: RunRef
    at: float
    """When, in seconds since the epoch."""

    failed: frozenset[str]
    """Names of pods that failed though their containers ended well, as by `os._exit(0)`."""


class Retention:
    """Deletes pods of ended runs by the policy, and the runs themselves when their ttl is over.

    Timers are made from what the objects say, so a restarted operator makes the same ones; what one
    of them could not do, the next comparison with what exists does.
    """

    def __init__(self, parts: Parts, errand: Callable[[Coroutine[Any, Any, None]], None]) -> None:
        self._parts = parts
        self._policy = parts.settings.pods
        self._errand = errand
        self._timers: dict[tuple[str, str], asyncio.TimerHandle] = {}
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._runs = asyncio.Semaphore(AT_ONCE)
        """Ended runs that are looked after at one time: an operator that was away for a night may
        find thousands whose time is over."""

    def ended(self, workflow: Object, facts: Iterable[PodFact] | None) -> None:
        """Arrange what is to be done about a run that has ended.

        Args:
            workflow: Its object.
            facts: Its pods; None if nobody has looked.
        """
        run = RunRef.of(workflow)
        status = workflow.get("status") or {}
        ended_at = seconds(status.get("completionTime"))
        ttl = (workflow.get("spec") or {}).get("ttlSecondsAfterFinished")
        if ttl is None or not ended_at:
            self._drop(run.uid, "ttl")
        else:
            version = str(workflow["metadata"]["resourceVersion"])
            self._at(ended_at + ttl, run.uid, "ttl", lambda: self._delete_run(run, version))
        if ended_at:
            tasks = [task for task in status.get("tasks", ()) if task.get("phase") == "Failed"]
            failed = frozenset(str(task["pod"]) for task in tasks if task.get("pod"))
            self._arrange(EndedRun(run, ended_at, failed), facts)

    def gone(self, uid: str) -> None:
        """Forget a run that exists no more."""
        self._drop(uid, "ttl")
        self._drop(uid, "pods")

    def close(self) -> None:
        """Do nothing any more."""
        for handle in self._timers.values():
            handle.cancel()
        self._timers.clear()

    # -- pods -------------------------------------------------------------------------------------

    def _arrange(self, ended: EndedRun, facts: Iterable[PodFact] | None) -> None:
        if facts is None:
            if self._policy.keep is Keep.ON_COMMIT or (ended.run.uid, "pods") in self._timers:
                return
            next_at = self._policy.next_at(ended.at, self._parts.clock())
        else:
            times = [self._goes_at(ended, fact) for fact in facts if not fact.deleting]
            next_at = min((at for at in times if at is not None), default=None)
        if next_at is None:
            self._drop(ended.run.uid, "pods")
        else:
            self._at(next_at, ended.run.uid, "pods", lambda: self._clear(ended))

    def _goes_at(self, ended: EndedRun, fact: PodFact) -> float | None:
        if fact.ended is None or fact.held:
            return None  # an actor stops those, and lets go of them
        failed = fact.ended.exit_code != 0 or fact.name in ended.failed
        return self._policy.goes_at(ended.at, failed=failed)

    async def _clear(self, ended: EndedRun) -> None:
        """Delete the pods of an ended run whose time is over; arrange for the others."""
        async with self._runs:
            await self._clear_now(ended)

    async def _clear_now(self, ended: EndedRun) -> None:
        run = ended.run
        selector = f"{names.LABEL_RUN}={run.uid}"
        try:
            pods = await self._parts.cluster.find(PODS, run.namespace, selector)
        except ClusterError as error:
            log.warning(
                "%s: its pods are not cleared away: %s; the next comparison tries", run, error
            )
            return
        facts = [fact for pod in pods if (fact := of_pod(pod))]
        now = self._parts.clock()
        times = ((fact, self._goes_at(ended, fact)) for fact in facts if not fact.deleting)
        due = [fact for fact, at in times if at is not None and at <= now]
        await asyncio.gather(*(self._delete_pod(run, fact) for fact in due))
        self._arrange(ended, [fact for fact in facts if fact not in due])

    async def _delete_pod(self, run: RunRef, fact: PodFact) -> None:
        async with self._turn:
            try:
                await self._parts.cluster.delete(PODS, run.namespace, fact.name, uid=fact.uid)
            except (NotFoundError, ConflictError):
                return
            except ClusterError as error:
                log.warning("%s: pod %s is not deleted: %s", run, fact.name, error)

    # -- runs -------------------------------------------------------------------------------------

    async def _delete_run(self, run: RunRef, version: str) -> None:
        """Delete a run unless it was changed: somebody may have given it more time.

        Who changed it, or a list, lets us know of it, and then its time is looked at again.
        """
        delete = self._parts.cluster.delete
        try:
            async with self._runs:
                await delete(WORKFLOWS, run.namespace, run.name, uid=run.uid, version=version)
        except (NotFoundError, ConflictError):
            return
        except ClusterError as error:
            log.warning("%s: not deleted after its ttl: %s; the next comparison tries", run, error)

    # -- timers -----------------------------------------------------------------------------------

    def _at(
        self, time: float, uid: str, what: str, errand: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        self._drop(uid, what)

        def begin() -> None:
            self._timers.pop((uid, what), None)
            self._errand(errand())

        wait = max(0.0, time - self._parts.clock())
        self._timers[uid, what] = asyncio.get_running_loop().call_later(wait, begin)

    def _drop(self, uid: str, what: str) -> None:
        if handle := self._timers.pop((uid, what), None):
            handle.cancel()
