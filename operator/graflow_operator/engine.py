"""All runs of this replica while it leads: an actor for each that has not ended.

An engine lives for one term of leadership. It begins by listing what exists, which is also how it
recovers from a crash, and compares again every minute: no news of a watch is ever relied upon.
"""

import asyncio
import logging
import random
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from graflow.api import names
from graflow_operator import metrics, restarts
from graflow_operator.actor import Actor
from graflow_operator.census import Census
from graflow_operator.cluster import PODS, WORKFLOWS, Kind, Object
from graflow_operator.cluster_errors import ClusterError, ForbiddenError, NotFoundError
from graflow_operator.facts import PodFact, of_pod
from graflow_operator.hearing import Hearing
from graflow_operator.leftovers import Leftovers
from graflow_operator.letters import Answered, FencedError, NotYetError
from graflow_operator.lookout import Lookout
from graflow_operator.objects import has_ended, is_leaving, seconds, version_of
from graflow_operator.parts import Parts
from graflow_operator.people import People
from graflow_operator.refs import RunRef
from graflow_operator.remains import Remains
from graflow_operator.retention import Retention
from graflow_operator.sweep import Sweep

POD_SELECTOR = f"{names.LABEL_APP_NAME}={names.RUNNER_APP},{names.LABEL_RUN}"

log = logging.getLogger(__name__)


class Engine:
    """Drives every run of this installation."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.synced = False
        """Whether all that exists has been read."""

        self._closed = False
        """Whether its term is over. Watches may still tell of something then: what the next leader
        commits, above all."""

        self._shut: frozenset[str | None] = frozenset()
        """Namespaces that are to be served, and where we are not let know what exists."""

        self.deaf = ""
        """Why the watches tell nothing of what changes, if they do not."""

        self._hearing = {kind: Hearing(kind.plural) for kind in (WORKFLOWS, PODS)}
        self._census = Census()
        self._actors: dict[str, Actor] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._deaths: dict[str, int] = {}
        """How often in a row the actors of runs have died of errors of ours."""

        self._pauses: dict[str, asyncio.Future[None]] = {}
        """Of runs whose actors have died; one that is cancelled is over."""

        self._errands: set[asyncio.Task[None]] = set()
        self._retention = Retention(parts, self._errand)
        self._remains = Remains(parts, self._errand)
        self._sweep = Sweep(parts)
        self._leftovers = Leftovers(parts, self._errand, self._exists)
        self.people = People(parts, self)
        self._ended: set[str] = set()
        self._between: set[str] = set()
        """Runs whose actors have left and which are being looked at again."""

        self._left: dict[str, int] = {}
        """Versions of the Workflows that actors knew when they left since the last comparison, by
        uid."""

    # -- news -------------------------------------------------------------------------------------

    def workflow_seen(self, kind: str | None, workflow: Object) -> None:
        """Take note of a Workflow that a watch or a list showed."""
        if self._closed:
            return
        metrics.WATCH_EVENTS.inc("workflows")
        self._census.heard("workflows")
        self._hearing[WORKFLOWS].heard(workflow["metadata"]["uid"], version_of(workflow))
        if self._is_ours(workflow):
            self._census.workflow_seen(kind, workflow)
        uid = workflow["metadata"]["uid"]
        if kind == "DELETED":
            workflow["metadata"].setdefault("deletionTimestamp", "now")
            self._ended.discard(uid)
            self._left.pop(uid, None)
            self._retention.gone(uid)
            self._sweep.gone(uid)
        if has_ended(workflow):
            self.people.run_ended(uid)
        if uid in self._actors:
            self._tell(self._actors[uid], workflow)
        elif kind != "DELETED" and self.synced:
            self._consider(workflow, None)

    def pod_seen(self, kind: str | None, pod: Object) -> None:
        """Take note of a pod that a watch showed."""
        if self._closed:
            return
        metrics.WATCH_EVENTS.inc("pods")
        self._census.heard("pods")
        self._hearing[PODS].heard(pod["metadata"]["uid"], version_of(pod))
        fact = of_pod(pod)
        actor = self._actors.get(fact.run) if fact else None
        if fact is None:
            return
        if actor is None:
            self.parts.places.undriven(fact, there=kind != "DELETED")
            if self.synced and kind != "DELETED" and fact.run not in self._between:
                self._leftovers.seen(fact)
            return
        if kind == "DELETED":
            actor.book.seen(fact)  # it may show the end for the first time
            actor.book.gone(fact.attempt, fact.uid)
            actor.claimants.gone(fact.uid)
        else:
            actor.book.seen(fact)
            actor.claimants.seen(pod)

    def actor(self, uid: str) -> Actor:
        """Return the actor of a run.

        Raises:
            NotYetError: If it is not known yet whether there is such a run.
            FencedError: If there is none, or it has ended.
        """
        found = self._actors.get(uid)
        if found is not None:
            return found
        if not self.synced or self._shut or uid in self._between:
            raise NotYetError("the operator is reading what exists")
        raise FencedError("the run has ended, or is gone")

    def answered(self, run: str, letter: Answered) -> None:
        """Tell a run, by its uid, of an answer; nothing happens if it is not driven.

        Nor if the question is in another namespace, where others say who may make one and answer.
        """
        actor = self._actors.get(run)
        if actor is not None and actor.run.namespace == letter.namespace:
            actor.questions.answered(letter)

    def gone(self, run: str, activation: int, key: str) -> None:
        """Take note that the object of a question is gone; a run that still asks makes it anew."""
        if (actor := self._actors.get(run)) is not None:
            actor.questions.gone(activation, key)

    def is_over(self, run: str, activation: int) -> bool:
        """Whether a task of a run that is driven is known to have ended."""
        actor = self._actors.get(run)
        return actor is not None and actor.questions.is_over(activation)

    def drives(self, run: str) -> bool:
        """Whether a run is driven now, or may be in a moment."""
        return run in self._actors or run in self._between or not self.synced

    def lasts_since(self, at: float) -> bool:
        """Whether a run may last that was made before a time, in seconds since the epoch."""
        if not self.synced or self._shut or self._between:
            return True
        return any(seconds(actor.created) < at for actor in self._actors.values())

    # -- life -------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Drive until cancelled."""
        while not self.synced:
            try:
                await self._begin()
            except ClusterError as error:
                log.warning("cannot list what exists: %s; trying again", error)
                await self.parts.sleep(max(1.0, error.retry_after_s))
        rounds = [
            asyncio.create_task(self._sweep.run()),
            asyncio.create_task(Lookout(self.parts, self._actors.values).run()),
            asyncio.create_task(self.people.run()),
        ]
        try:
            await self._keep_comparing()
        finally:
            for others in rounds:
                others.cancel()

    async def _keep_comparing(self) -> None:
        while True:
            await self.parts.sleep(self.parts.settings.resync_s * random.uniform(0.8, 1.2))  # noqa: S311
            try:
                await self._compare()
            except ClusterError as error:
                metrics.RESYNCS.inc("failed")
                log.warning("cannot compare with what exists: %s", error)
            else:
                metrics.RESYNCS.inc("compared")

    async def close(self, grace_s: float = 5.0) -> None:
        """Stop the actors; a commit that is under way is let finish. Nobody drives any more."""
        self._closed = True
        self._retention.close()
        tasks = [*self._tasks.values(), *self._errands]
        for actor in self._actors.values():
            actor.stop()
        for pause in self._pauses.values():
            pause.cancel()
        self._census.close()
        await self.people.close()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=grace_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _begin(self) -> None:
        workflows = await self._workflows()
        # The pods after the runs: every attempt that a run's state knows of was made before.
        pods = await self._everything(PODS, POD_SELECTOR)
        facts = _by_run(pods)
        self.parts.places.begin(fact for found in facts.values() for fact in found)
        for workflow in workflows:
            self._consider_safely(workflow, facts.pop(workflow["metadata"]["uid"], ()))
        self.synced = True
        self._sweep.compared({workflow["metadata"]["uid"] for workflow in workflows})
        log.info("%d runs to drive, of %d", len(self._actors), len(workflows))
        await self._clear(pods, facts)

    async def _compare(self) -> None:
        known = {uid: actor.book.uids() for uid, actor in self._actors.items()}
        undriven = self.parts.places.uids()
        workflows = await self._workflows()
        pods = await self._everything(PODS, POD_SELECTOR)
        self._compare_hearing(workflows, pods)
        facts = _by_run(pods)
        others = [fact for uid in facts.keys() - self._actors.keys() for fact in facts[uid]]
        self.parts.places.listed(others, undriven)
        for workflow in workflows:
            uid = workflow["metadata"]["uid"]
            mine = facts.pop(uid, ())
            actor = self._actors.get(uid)
            if actor is not None:
                self._tell(actor, workflow)
                actor.book.listed(mine, known.get(uid, ()))
            else:
                self._consider_safely(workflow, mine)
        present = {workflow["metadata"]["uid"] for workflow in workflows}
        self._sweep.compared(present)
        self._between -= known.keys() | self._actors.keys() | (self._between - present)
        for uid in self._ended - present:
            self._ended.discard(uid)
            self._retention.gone(uid)
        # No longer: versions go back where a cluster is restored from a backup.
        self._left.clear()
        for uid in known.keys() - present:
            actor = self._actors.get(uid)
            if actor is not None and actor.run.namespace not in self._shut:
                await self._look_for(actor)
        await self._clear(pods, facts)

    def _compare_hearing(self, workflows: list[Object], pods: list[Object]) -> None:
        """See whether the watches have told of what there is."""
        for kind, there in ((WORKFLOWS, workflows), (PODS, pods)):
            versions = [(one["metadata"]["uid"], version_of(one)) for one in there]
            self.deaf = self.deaf or self._hearing[kind].listed(versions)

    async def _clear(self, pods: Iterable[Object], ownerless: Mapping[str, list[PodFact]]) -> None:
        """Take away what is left of runs that no list has shown."""
        for found in ownerless.values():
            for fact in found:
                self._leftovers.seen(fact)
        await self._leftovers.let_go_of_strays(pods)

    def _exists(self, workflow: Object, fact: PodFact) -> None:
        """Look at a run whose pod is on its way out while nobody drives it."""
        if has_ended(workflow) or is_leaving(workflow):
            self._consider(workflow, (fact,))

    async def _look_for(self, actor: Actor) -> None:
        """Ask for a run that a list did not show: it is gone, or was made meanwhile."""
        run = actor.run
        try:
            workflow = await self.parts.cluster.get(WORKFLOWS, run.namespace, run.name)
        except NotFoundError:
            workflow = {"metadata": {"uid": run.uid, "deletionTimestamp": "now"}}
        self._tell(actor, workflow)

    def _tell(self, actor: Actor, workflow: Object) -> None:
        """Tell an actor of its Workflow; what people ask of it does not wait for a pause to end."""
        pause = self._pauses.get(actor.run.uid)
        if pause is not None and (is_leaving(workflow) or actor.is_changed(workflow)):
            pause.cancel()
        actor.workflow_seen(workflow)

    async def _everything(self, kind: Kind, selector: str = "") -> list[Object]:
        namespaces = self.parts.settings.namespaces or (None,)
        found: list[Object] = []
        shut: list[str | None] = []
        for namespace in namespaces:
            try:
                found += await self.parts.cluster.find(kind, namespace, selector)
            except ForbiddenError as error:
                # As when it was deleted, and our rights there with it: the others go on.
                shut.append(namespace)
                if len(shut) == len(namespaces):
                    raise
                log.warning("namespace %s is not served: %s", namespace, error)
        if kind is WORKFLOWS:
            self._shut = frozenset(shut)
        self._census.heard(kind.plural)
        return found

    async def _workflows(self) -> list[Object]:
        """Return the Workflows of this installation."""
        found = await self._everything(WORKFLOWS)
        ours = [workflow for workflow in found if self._is_ours(workflow)]
        self._census.listed(ours)
        return ours

    def _is_ours(self, workflow: Object) -> bool:
        spec = workflow.get("spec") or {}
        return (spec.get("operator") or "") == self.parts.settings.instance

    def publish(self) -> None:
        """Tell Prometheus how the runs stand."""
        driven = (actor.standing() for actor in self._actors.values())
        self._census.publish(driven, self.parts.clock())
        self.people.publish()

    # -- runs -------------------------------------------------------------------------------------

    def _consider_safely(self, workflow: Object, facts: Collection[PodFact]) -> None:
        """Consider a run; one that trips us up must not stand in the way of the others."""
        try:
            self._consider(workflow, facts)
        except Exception:
            log.exception("Workflow %s cannot be driven", workflow["metadata"].get("uid"))

    def _consider(
        self, workflow: Object, facts: Collection[PodFact] | None, *, tidied: bool = False
    ) -> None:
        """Begin to drive a run, if it is ours and there is anything to do for it.

        Args:
            workflow: Its object.
            facts: Its pods; None if nobody has looked.
            tidied: Whether an actor has just seen to it that nothing of an ended run runs on.
        """
        if not self._is_ours(workflow) or self._is_outdated(workflow):
            return
        uid, status = workflow["metadata"]["uid"], workflow.get("status") or {}
        if is_leaving(workflow):
            if facts:
                self._errand(self._leftovers.let_go(RunRef.of(workflow), facts))
            return
        if has_ended(workflow):
            self._retention.ended(workflow, facts)
            left = [f for f in facts or () if f.held or not (f.ended or f.deleting)]
            if not left and (tidied or facts is not None):
                self._remains.seen(workflow)
            if uid in self._ended and not left:
                return
            self._ended.add(uid)
            if tidied or (facts is not None and not left):
                return
            if status.get("cursor") is None:
                return
        if uid not in self._actors and not self._closed:
            self._drive(workflow, facts)

    def _is_outdated(self, workflow: Object) -> bool:
        """Whether the last actor of a run knew more: another would begin where it stood once."""
        return version_of(workflow) < self._left.get(workflow["metadata"]["uid"], 0)

    def _drive(self, workflow: Object, facts: Iterable[PodFact] | None) -> None:
        actor = Actor(self.parts, workflow, facts)
        uid = actor.run.uid
        self._actors[uid] = actor
        self._tasks[uid] = asyncio.create_task(self._life(actor), name=f"run {actor.run}")

    async def _life(self, actor: Actor) -> None:
        uid, began = actor.run.uid, self.parts.clock()
        try:
            await actor.drive()
        except Exception as error:
            lived_s = self.parts.clock() - began
            self._deaths[uid] = died = restarts.deaths(self._deaths.get(uid, 0), lived_s)
            words = "%s: its actor died, %d in a row by now; it begins again in %.0f s"
            log.exception(words, actor.run, died, restarts.pause_s(died, uid))
            await self._mourn(actor, error, died)
        else:
            self._deaths.pop(uid, None)
        finally:
            self._between.add(uid)
            self._left[uid] = actor.version
            self._actors.pop(uid, None)
            self._tasks.pop(uid, None)
        if not (actor.stopped or self._closed):
            self._errand(self._again(actor.run, tuple(actor.book.facts.values())))

    async def _mourn(self, actor: Actor, error: Exception, died: int) -> None:
        """Say that an actor died of an error of ours, and wait until it is time for another one."""
        metrics.DEATHS.inc()
        uid = actor.run.uid
        pause = asyncio.ensure_future(self.parts.sleep(restarts.pause_s(died, uid)))
        self._pauses[uid] = pause
        try:
            await self._say_died(actor, error, died)
            await asyncio.wait([pause])
        finally:
            pause.cancel()
            del self._pauses[uid]

    async def _say_died(self, actor: Actor, error: Exception, died: int) -> None:
        try:
            await actor.say(restarts.told(error, died, actor.run.uid))
        except Exception:
            log.exception("%s: cannot say so in its status", actor.run)

    async def _again(self, run: RunRef, facts: Collection[PodFact]) -> None:
        """Look at a run whose actor has left: to delete it in time, or to begin again.

        Args:
            run: The run.
            facts: Its pods that may still run, as the actor knew them.
        """
        try:
            workflow = await self.parts.cluster.get(WORKFLOWS, run.namespace, run.name)
        except NotFoundError:
            self._between.discard(run.uid)
            self._deaths.pop(run.uid, None)
            # The others are the garbage collector's.
            await self._leftovers.let_go(run, [fact for fact in facts if fact.held])
            return
        except ClusterError as error:
            log.warning("%s: %s; the next comparison looks again", run, error)
            return
        self._between.discard(run.uid)
        if workflow["metadata"]["uid"] != run.uid:
            self._consider(workflow, None)
            await self._leftovers.let_go(run, [fact for fact in facts if fact.held])
        elif is_leaving(workflow):
            await self._leftovers.let_go(run, facts)
        else:
            self._consider(workflow, None, tidied=True)

    def _errand(self, errand: Any) -> None:  # noqa: ANN401  any coroutine
        task = asyncio.create_task(errand)
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)


def _by_run(pods: Iterable[Object]) -> dict[str, list[PodFact]]:
    found: dict[str, list[PodFact]] = {}
    for pod in pods:
        if fact := of_pod(pod):
            found.setdefault(fact.run, []).append(fact)
    return found
