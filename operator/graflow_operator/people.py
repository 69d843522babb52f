"""Questions to people, of all runs: kept by one watch, each changed by what it says itself.

For one term of leadership. Nothing here is remembered that an object does not say, so whoever leads
next goes on from there; no news of a watch is relied upon, for a list comes every minute. Whatever
is to happen at a time stands in one agenda: questions that wait cost nothing.
"""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Coroutine
from typing import Any, NamedTuple, Protocol

from graflow.api import names
from graflow.api.feedback_status import FeedbackPhase
from graflow_operator import metrics, outbox, questions
from graflow_operator.agenda import Agenda
from graflow_operator.cluster import FEEDBACK_REQUESTS, WORKFLOWS, Object
from graflow_operator.cluster_errors import (
    ClusterError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    UnavailableError,
)
from graflow_operator.deliveries import Deliveries
from graflow_operator.hearing import Hearing
from graflow_operator.letters import Answered
from graflow_operator.objects import has_ended, is_leaving, seconds, version_of
from graflow_operator.parts import Parts

AT_ONCE = 8
"""Requests that are written at one time."""

MOST_WRITES = 10
"""Of one request, one after the other; others are first now and then."""

TRY_AGAIN_S, MOST_PAUSE_S = 1.0, 60.0
"""After the API server did not take a write: twice as long each time, and the most."""

RUN_OVER = "the run has ended"
TASK_OVER = "the task that asks has ended"

log = logging.getLogger(__name__)


def selector(instance: str) -> str:
    """Return what selects the FeedbackRequests of an installation."""
    return f"{names.LABEL_INSTANCE}={instance}" if instance else f"!{names.LABEL_INSTANCE}"


class Runs(Protocol):
    """The runs that are driven here."""

    def answered(self, run: str, letter: Answered) -> None:
        """Tell a run, by its uid, of an answer; nothing happens if it does not wait for it."""

    def gone(self, run: str, activation: int, key: str) -> None:
        """Take note that the object of a question is gone; a run that still asks makes it anew."""

    def is_over(self, run: str, activation: int) -> bool:
        """Whether a task of a run that is driven is known to have ended."""

    def drives(self, run: str) -> bool:
        """Whether a run is driven now, or may be in a moment."""


class Standing(NamedTuple):
    """What is counted of a request for which something may be left to do."""

    ends: str
    """Whether it has a deadline, `set` or `none`; empty: it is decided."""

    since: float
    """When it was made, in seconds since the epoch."""

    reminded: bool
    notifications: int
    """That were not delivered yet."""


class People:
    """Looks after all questions of this installation."""

    def __init__(self, parts: Parts, runs: Runs) -> None:
        self._parts = parts
        self._runs = runs
        self._hearing = Hearing(FEEDBACK_REQUESTS.plural)
        self.deaf = ""
        """Why the watch tells nothing of what changes, if it does not."""

        self._known: dict[str, Object] = {}
        """Requests for which something may be left to do, by uid."""

        self._standing: dict[str, Standing] = {}
        """How these stand, as Prometheus is told twice a second."""

        self._phases: dict[str, tuple[int, str]] = {}
        """Version and phase of every request there is, by uid."""

        self._of_run: dict[str, set[str]] = {}
        """Their uids by that of their run."""

        self._over: dict[str, str] = {}
        """Those of them that nobody waits for any more, and why."""

        self._agenda = Agenda()
        self._news = asyncio.Event()
        self._deliveries = Deliveries(parts, self._look)
        self._looking: dict[str, bool] = {}
        """Requests that are looked at now, and whether they are to be again."""

        self._refused: Counter[str] = Counter()
        """How often in a row the API server did not take what was to be written, by uid."""

        self._turn = asyncio.Semaphore(AT_ONCE)
        self._errands: set[asyncio.Task[None]] = set()
        self._closed = False

    # -- news -------------------------------------------------------------------------------------

    def seen(self, kind: str | None, request: Object) -> None:
        """Take note of a request that the watch showed; `kind` is DELETED, or anything else."""
        if self._closed:
            return
        metrics.WATCH_EVENTS.inc(FEEDBACK_REQUESTS.plural)
        self._hearing.heard(request["metadata"]["uid"], version_of(request))
        if kind == "DELETED":
            self._forget(request["metadata"]["uid"])
        else:
            self._keep(request)

    def run_ended(self, run: str) -> None:
        """Take note that a run has ended: nobody is to answer its questions any more."""
        for uid in self._of_run.get(run, ()):
            self._over[uid] = RUN_OVER
            self._look(uid)

    def publish(self) -> None:
        """Tell Prometheus how the questions stand."""
        if self._closed:
            return
        phases = Counter({phase.value: 0 for phase in FeedbackPhase})
        phases.update(phase for _, phase in self._phases.values())
        metrics.FEEDBACK_REQUESTS.replace(phases)
        now = self._parts.clock()
        oldest, reminded, waiting = dict[str, float](), Counter[str](), 0
        for one in self._standing.values():
            waiting += one.notifications
            if one.ends:
                oldest[one.ends] = min(oldest.get(one.ends, one.since), one.since)
                reminded[one.ends] += one.reminded
        metrics.FEEDBACK_OLDEST.replace({e: max(0.0, now - at) for e, at in oldest.items()})
        metrics.FEEDBACK_REMINDED.replace(reminded)
        metrics.NOTIFICATIONS_PENDING.set(waiting)

    # -- life -------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Look after them until cancelled."""
        comparing = asyncio.create_task(self._keep_comparing())
        try:
            await self._keep_time()
        finally:
            comparing.cancel()

    async def close(self) -> None:
        """Do nothing any more."""
        self._closed = True
        await self._deliveries.close()
        for errand in tuple(self._errands):
            errand.cancel()
        await asyncio.gather(*self._errands, return_exceptions=True)
        for level in (
            *(metrics.FEEDBACK_REQUESTS, metrics.FEEDBACK_OLDEST),
            *(metrics.FEEDBACK_REMINDED, metrics.NOTIFICATIONS_PENDING),
        ):
            level.clear()

    async def _keep_comparing(self) -> None:
        while True:
            pause_s = self._parts.settings.resync_s * random.uniform(0.8, 1.2)  # noqa: S311
            try:
                await self.compare()
            except ClusterError as error:
                log.warning("cannot compare questions with what exists: %s", error)
                pause_s = min(pause_s, max(TRY_AGAIN_S, error.retry_after_s))
            except Exception:
                log.exception("cannot compare questions with what exists")
            await self._parts.sleep(pause_s)

    async def compare(self) -> None:
        """Compare what is known with what exists, and look at what is decided, or may be over.

        Raises:
            ClusterError: If that cannot be known.
        """
        before = self._phases.keys() | self._known.keys()
        found = await self._everything()
        self.deaf = self.deaf or self._hearing.listed(
            [(one["metadata"]["uid"], version_of(one)) for one in found]
        )
        for uid in before - {one["metadata"]["uid"] for one in found}:
            self._forget(uid)
        for request in found:
            self._keep_safely(request)
        await self._look_for_ends()

    async def _everything(self) -> list[Object]:
        settings = self._parts.settings
        found: list[Object] = []
        for namespace in settings.namespaces or (None,):
            try:
                found += await self._parts.cluster.find(
                    FEEDBACK_REQUESTS, namespace, selector(settings.instance)
                )
            except ForbiddenError as error:
                # As when it was deleted, and our rights there with it: the others go on.
                log.warning("questions of namespace %s are not looked after: %s", namespace, error)
        return found

    async def _look_for_ends(self) -> None:
        """See which tasks and runs have ended, and left open what they have asked."""
        for uid, request in self._known.items():
            if self._runs.is_over(_run_of(request), request["spec"]["activation"]):
                self._over.setdefault(uid, TASK_OVER)
                self._look(uid)
        idle = {
            _run_of(request): request
            for request in self._known.values()
            if questions.is_open(request) and not self._runs.drives(_run_of(request))
        }
        for run, request in idle.items():
            namespace, name = request["metadata"]["namespace"], request["spec"]["workflow"]["name"]
            try:
                workflow = await self._parts.cluster.get(WORKFLOWS, namespace, name)
            except NotFoundError:
                continue  # they go with it
            if workflow["metadata"]["uid"] == run and has_ended(workflow):
                self.run_ended(run)

    async def _keep_time(self) -> None:
        while True:
            self._news.clear()
            for uid in self._agenda.due(self._parts.clock()):
                if uid in self._looking:
                    self._looking[uid] = True
                elif uid in self._known:
                    self._looking[uid] = False
                    self._errand(self._look_at(uid))
            await self._until(self._agenda.next_at())

    async def _until(self, at: float | None) -> None:
        """Wait for news, or until a moment comes."""
        waits: list[asyncio.Future[Any]] = [asyncio.ensure_future(self._news.wait())]
        if at is not None:
            waits.append(
                asyncio.ensure_future(self._parts.sleep(max(0.0, at - self._parts.clock())))
            )
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    # -- one request ------------------------------------------------------------------------------

    def _keep_safely(self, request: Object) -> None:
        """Take note of a request; one that trips us up must not stand in the way of the others."""
        try:
            self._keep(request)
        except Exception:
            log.exception("question %s cannot be looked after", request["metadata"].get("uid"))

    def _keep(self, request: Object) -> None:
        """Take note of a request as it is now, and have it looked at if that is news."""
        uid, version = request["metadata"]["uid"], version_of(request)
        if (request["spec"].get("operator") or "") != self._parts.settings.instance:
            return
        known = self._phases[uid][0] if uid in self._phases else -1
        if version < known:
            return
        if is_leaving(request):
            self._forget(uid)
            return
        self._tell(request)
        if version == known:
            return
        self._phases[uid] = (version, questions.phase_of(request).value)
        if not (questions.is_open(request) or outbox.pending(request)):
            self._drop(uid)
            return
        self._known[uid] = _light(request)
        self._standing[uid] = _standing(request)
        self._of_run.setdefault(_run_of(request), set()).add(uid)
        self._look(uid)

    def _look(self, uid: str) -> None:
        """Have a request looked at, now, if anything may be left to do for it."""
        if uid in self._known:
            self._agenda.now(uid)
            self._news.set()
        else:
            self._deliveries.drop(uid)

    def _forget(self, uid: str) -> None:
        """Take note that a request is gone; a run that still asks makes it anew."""
        self._phases.pop(uid, None)
        if (request := self._known.get(uid)) is not None:
            spec = request["spec"]
            self._runs.gone(_run_of(request), spec["activation"], spec["key"])
        self._drop(uid)

    def _drop(self, uid: str) -> None:
        """Look at a request no more."""
        request = self._known.pop(uid, None)
        self._standing.pop(uid, None)
        self._agenda.put(uid, None)
        self._over.pop(uid, None)
        self._refused.pop(uid, None)
        self._deliveries.drop(uid)
        if request is not None and (run := _run_of(request)) in self._of_run:
            self._of_run[run].discard(uid)
            if not self._of_run[run]:
                del self._of_run[run]

    def _tell(self, request: Object) -> None:
        """Tell the run what was decided; again and again, until it does not ask any more."""
        answer, spec, metadata = questions.heard(request), request["spec"], request["metadata"]
        if answer is not None:
            which = (spec["activation"], spec["key"], spec["sha256"])
            letter = Answered(*which, answer, metadata["namespace"], metadata["name"])
            self._runs.answered(_run_of(request), letter)

    async def _look_at(self, uid: str) -> None:
        pause_s: float | None = None
        try:
            async with self._turn:
                await self._bring_forward(uid)
            self._refused.pop(uid, None)
        except ClusterError as error:
            pause_s = max(self._pause_s(uid), error.retry_after_s)
            log.warning("question %s: %s; trying again", self._name(uid), error)
        except Exception:
            pause_s = self._parts.settings.resync_s
            log.exception("question %s cannot be looked after", self._name(uid))
        finally:
            again = self._looking.pop(uid)
        if again and uid in self._known:
            self._agenda.now(uid)
        elif pause_s is not None and uid in self._known:
            self._agenda.put(uid, self._parts.clock() + pause_s)
        self._news.set()

    def _pause_s(self, uid: str) -> float:
        """Return how long to wait after one more refusal: some will never be taken."""
        self._refused[uid] += 1
        return min(TRY_AGAIN_S * 2.0 ** min(self._refused[uid] - 1, 10), MOST_PAUSE_S)

    async def _bring_forward(self, uid: str) -> None:
        """Write what a request comes to until it says so; then see to what follows.

        Raises:
            ClusterError: If the API server does not take it.
        """
        for _ in range(MOST_WRITES):
            request = self._known.get(uid)
            if request is None:
                return
            status, next_at = self._due(request)
            if status is None:
                moments = (next_at, self._deliveries.send(request))
                self._agenda.put(uid, min((at for at in moments if at is not None), default=None))
                return
            await self._write(request, status)
        raise UnavailableError("what is written does not stay as it is written")

    def _due(self, request: Object) -> tuple[Object | None, float | None]:
        """Return the status that a request is to have, if another, and when it changes next."""
        now = self._parts.clock()
        uid = request["metadata"]["uid"]
        step = questions.step(request, now, self._parts.settings.notifications)
        before = request.get("status") or {}
        status = step.status or before
        if uid in self._over and questions.is_open({"status": status}):
            status = questions.withdrawn(request, now, self._over[uid])
        status = outbox.recorded(status, self._deliveries.tried(uid))
        return (status if status != before else None), step.next_at

    async def _write(self, request: Object, status: Object) -> None:
        """Write a status, unless somebody was first: then take note of what that one wrote."""
        namespace, name = request["metadata"]["namespace"], request["metadata"]["name"]
        version = request["metadata"]["resourceVersion"]
        patch = {"metadata": {"resourceVersion": version}, "status": status}
        cluster = self._parts.cluster
        try:
            try:
                after = await cluster.patch_status(FEEDBACK_REQUESTS, namespace, name, patch)
            except ConflictError:
                after = await cluster.get(FEEDBACK_REQUESTS, namespace, name)
        except NotFoundError:
            self._forget(request["metadata"]["uid"])
            return
        if after["metadata"]["uid"] != request["metadata"]["uid"]:
            self._forget(request["metadata"]["uid"])
        self._keep(after)

    def _name(self, uid: str) -> str:
        metadata = (self._known.get(uid) or {"metadata": {}})["metadata"]
        return f"{metadata.get('namespace')}/{metadata.get('name')}"

    def _errand(self, errand: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(errand)
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)


def _light(request: Object) -> Object:
    """Return a request without what nobody needs who looks after it: there may be many."""
    metadata = {name: part for name, part in request["metadata"].items() if name != "managedFields"}
    spec = {name: part for name, part in request["spec"].items() if name != "payload"}
    return {**request, "metadata": metadata, "spec": spec}


def _standing(request: Object) -> Standing:
    ends = "set" if request["spec"].get("deadline") else "none"
    return Standing(
        ends if questions.is_open(request) else "",
        seconds(request["metadata"].get("creationTimestamp")),
        "reminders" in (request.get("status") or {}),
        len(outbox.pending(request)),
    )


def _run_of(request: Object) -> str:
    """Return the uid of the run that asks."""
    return str(request["spec"]["workflow"]["uid"])
