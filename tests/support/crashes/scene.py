"""A run from its submission until nothing is left of it, with operators that die on the way."""

import asyncio
import contextlib
import json
import logging
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from types import SimpleNamespace
from unittest import mock

from aiohttp import web
from aiohttp.http import HttpVersion11
from aiohttp.http_parser import RawRequestMessage
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from graflow.api import names
from graflow_operator import questions, responding
from graflow_operator.cluster import BUNDLES, FEEDBACK_REQUESTS, PODS, WORKFLOWS
from graflow_operator.cluster_errors import ClusterError
from graflow_operator.engine import Engine
from graflow_operator.keeping import PodPolicy
from graflow_operator.keys import MasterKey
from graflow_operator.notes import Notes
from graflow_operator.parts import Parts
from graflow_operator.server.app import application
from graflow_operator.server.replica import Replica
from graflow_operator.settings import Settings
from graflow_operator.targets import Target
from support.crashes.bucket import Bucket
from support.crashes.cluster import LivingCluster
from support.crashes.observer import Observer
from support.crashes.people import Courier, People
from support.crashes.process import LATENCY_S, ClusterWay, Process, StoreWay
from support.crashes.promises import ENDS
from support.crashes.runners import CONFLICT, OK, Kubelet, UnreachableError
from support.crashes.script import CANCEL, CUT, DELETE, FORCE
from support.fakes import clone

NAMESPACE = "team"
EPOCH = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
CLIENT_S = 10.0
"""How long a runner waits for an answer."""

LONG_S = 4000.0
"""Virtual seconds after which a run that has not ended never will."""

SETTLED_S = 500.0
"""After the end of a run: time for pods to go, and for whoever has died to come back."""

AWAY_S = (0.1, 2.0, 20.0)
LONG_AWAY_S = 700.0
"""Longer than runners try."""

LOST_NEWS = 0.02
CUT_OFF = 0.5
"""How often a runner that lives on reaches nothing but the store."""

TWICE = 0.1
WATCHED = {"workflows": WORKFLOWS, "pods": PODS, "feedbackrequests": FEEDBACK_REQUESTS}
"""What operators are told of, by plural."""


@dataclass
class Seen:
    """What came of a run."""

    outcome: dict
    violations: list
    effects: list = field(default_factory=list)
    """Of each process, in the order of their starts."""

    checked: Counter = field(default_factory=Counter)
    """How often each promise was asked about."""

    reached: bool = True
    """Whether all that should be done to the run was done."""

    answers: Mapping = field(default_factory=dict)
    """What was said to each question, by task, pass and key."""

    told_twice: bool = False
    """Whether two attempts of one activation have used the channel: what the first one wrote there
    stays, so the run may end otherwise."""


class Scene:
    """A run, all who have to do with it, and what is done to it.

    Args:
        case: The program.
        script: What is done.
        answers: What people say to each question, by task, pass and key; None: as they like.
    """

    def __init__(self, case, script, answers=None):
        self.case = case
        self.script = script
        self.namespace = NAMESPACE
        self.name = case.workflow["metadata"]["name"]
        self.rng = random.Random(script.seed)
        random.seed(script.seed)
        self.cluster = LivingCluster()
        self.bucket = Bucket() if case.store else None
        self.master = MasterKey(b"k" * 32)
        self.player = case.player
        self.reached = 0
        """Points that were come to."""

        self.seats = []
        self.tasks = set()
        self.kubelet = Kubelet(self)
        self.people = People(self, answers)
        self.observer = None
        self.uid = ""
        self.broken = None
        """An error of this world's own."""

    def __str__(self):
        return f"{self.case.name} {self.script}"

    # -- time -------------------------------------------------------------------------------------

    def clock(self):
        return EPOCH + asyncio.get_running_loop().time()

    def stamp(self):
        return datetime.fromtimestamp(self.clock(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    async def while_(self):
        await asyncio.sleep(self.rng.random() * LATENCY_S)

    def spawn(self, coroutine):
        task = asyncio.get_running_loop().create_task(coroutine)
        self.tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task):
        self.tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.broken = self.broken or task.exception()

    # -- the run ----------------------------------------------------------------------------------

    async def play(self):
        """Return what was seen."""
        with contextlib.ExitStack() as stack:
            for place, number in self.case.constants.items():
                stack.enter_context(mock.patch(place, number))
            return await self._play()

    async def _play(self):
        await self._submit()
        self.spawn(self._supervise())
        await self._until(lambda: self._ended, LONG_S)
        if self._ended:
            away_s = LONG_AWAY_S if self.script.long else 200.0
            settled_s = SETTLED_S + away_s * len(self.script.points)
            await asyncio.sleep(settled_s)
            outcome = self.observer.outcome()
            self.observer.look_for_leaks(self.reached, raced=self.script.sleeps)
            for found in self.cluster.all(WORKFLOWS):
                self.cluster.delete_now(WORKFLOWS, NAMESPACE, found["metadata"]["name"])
            await asyncio.sleep(settled_s)
            self.observer.look_for_ruins()
        else:
            outcome = self.observer.outcome()
            self.observer.wrong(ENDS, f"it stands still: {outcome}")
        effects = [seat.process.effects for seat in self.seats]
        seen = self.observer
        reached = self.reached == len(self.script.points)
        answers = seen.asked.answers
        known = outcome, seen.violations, effects, seen.checked, reached, answers
        return Seen(*known, told_twice=seen.is_told_twice)

    async def _submit(self):
        for body in self.case.others:
            await self.cluster.create(BUNDLES, NAMESPACE, clone(body))
        self.cluster.on_change = self._changed
        if self.case.source is not None:
            await self._run_source(self.case.source)
        await self._create(self.case.workflow)

    async def _run_source(self, workflow):
        """Let a run that the other one goes on from come to its end, undisturbed."""
        await self._create(workflow)
        seat = self._begin(None)
        await self._until(lambda: self._has_ended(workflow["metadata"]["name"]), LONG_S)
        await asyncio.sleep(5.0)
        seat.process.stop()
        self.seats.clear()

    async def _create(self, workflow):
        made = await self.cluster.create(WORKFLOWS, NAMESPACE, clone(workflow))
        self.uid = made["metadata"]["uid"]
        self.observer = Observer(self.cluster, self.bucket, made, self.case.plan, self.clock)
        if self.bucket is not None:
            self.bucket.on_change = self.observer.store_changed

    @property
    def _ended(self):
        return self._has_ended(self.name)

    def _has_ended(self, name):
        found = self.cluster.peek(WORKFLOWS, NAMESPACE, name)
        return found is None or bool((found.get("status") or {}).get("completionTime"))

    async def _until(self, condition, most_s):
        deadline = self.clock() + most_s
        while not condition() and self.clock() < deadline:
            await asyncio.sleep(0.5)
            if self.broken is not None:
                raise self.broken

    async def _supervise(self):
        """Start operators: the next one when the last one has stopped."""
        for number, point in enumerate([*self.script.points, None]):
            sleeps = self.script.sleeps and number == 0
            seat = self._begin(point, sleeps=sleeps)
            await seat.process.stopped.wait()
            await asyncio.sleep(LONG_AWAY_S if self.script.long else self.rng.choice(AWAY_S))
            if sleeps:
                self.spawn(self._wake(seat))

    async def _wake(self, seat):
        await asyncio.sleep(self.rng.choice((0.5, 5.0, 30.0)))
        seat.process.wake()

    # -- operators --------------------------------------------------------------------------------

    def _begin(self, point, *, sleeps=False):
        process = Process(self.rng, point, self._at_point, sleeps=sleeps)
        seat = Seat(self, process)
        self.seats.append(seat)
        seat.begin()
        return seat

    # -- what is done to it -----------------------------------------------------------------------

    def _at_point(self, process):
        self.reached += 1
        seed = self.script.seed_from(self.reached)
        self.rng.seed(seed)
        random.seed(seed)
        if self.reached > 1 or self.script.stops:
            process.stop()
        if self.reached > 1:
            return
        if self.script.deed == CANCEL:
            self._cancel()
        if self.script.deed in (DELETE, FORCE, CUT):
            self._delete_pod()

    def _cancel(self):
        if self.cluster.peek(WORKFLOWS, NAMESPACE, self.name) is not None:
            self.cluster.edit_spec(WORKFLOWS, NAMESPACE, self.name, cancel=True)

    def _delete_pod(self):
        """Delete a pod of the run as somebody does who should not."""
        pods = self.cluster.pods_of(self.uid)
        found = [pod for pod in pods if self.kubelet.runs(pod)] or pods
        if not found:
            return
        pod = self.rng.choice(found)["metadata"]
        if self.script.deed != DELETE:
            is_cut_off = self.script.deed == CUT or self.rng.random() < CUT_OFF
            self.kubelet.loses(pod["uid"], is_cut_off=is_cut_off)
        self.cluster.delete_now(PODS, NAMESPACE, pod["name"])

    def _changed(self, kind, plural, body):
        """Tell everybody of a change: the observer at once, operators when the news arrives."""
        try:
            self._look(kind, plural, body)
        except Exception as error:  # noqa: BLE001 - not for the operator, which has only written
            self.broken = self.broken or error
        if plural in WATCHED:
            for seat in self.seats:
                seat.news(kind, plural, body)

    def _look(self, kind, plural, body):
        if self.observer is None:
            return
        if plural == "workflows" and body["metadata"]["uid"] == self.uid:
            self.observer.status_written(body)
        if plural == "pods":
            if kind == "ADDED":
                stale = self.seats[-1].process is not self.seats[0].process
                self.observer.pod_made(body, stale=stale and self.script.sleeps)
            self.kubelet.seen(kind, body)
        if plural == "feedbackrequests" and kind != "DELETED":
            if not self.observer.asked:
                self.spawn(self._look_at_questions())
            self.observer.asked.object_seen(body)
            self.people.seen(body)

    async def _look_at_questions(self):
        """Look now and then whether what should not be there any more is."""
        while True:
            await asyncio.sleep(5.0)
            seat = self.seats[-1]
            if seat.process.is_up:
                self.observer.asked.look(self.clock(), seat.began)

    async def ask(self, call, headers, body):
        """Send a runner's request to an operator; return status and body of the answer."""
        return await self._sent(lambda *seat: Seat.serve(*seat, call, headers, body))

    async def respond(self, name, reply):
        """Send somebody's answer to an operator; return what has become of the question."""
        return await self._sent(lambda *seat: Seat.respond(*seat, name, reply))

    async def _sent(self, request):
        await self.while_()
        seat = self._server()
        answer = asyncio.get_running_loop().create_future()
        self.spawn(request(seat, answer))
        stopped = asyncio.ensure_future(seat.process.stopped.wait())
        waits = {answer} if seat.process.sleeps else {answer, stopped}
        await asyncio.wait(waits, timeout=CLIENT_S, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if answer.done():
            return answer.result()
        answer.cancel()
        raise UnreachableError

    def _server(self):
        """Return the operator that the Service, or the Lease, leads to."""
        up = [seat for seat in self.seats if seat.process.is_up]
        if not up:
            raise UnreachableError
        return up[-1]


class Seat:
    """One operator: its process, and all that is made anew with it."""

    def __init__(self, scene, process):
        self._scene = scene
        self.process = process
        cluster = ClusterWay(scene.cluster, process)
        storage = StoreWay(scene.bucket, process) if scene.bucket is not None else None
        settings = Settings(
            operator_namespace="graflow",
            check_peer=False,
            pods=PodPolicy(failed_s=200.0, succeeded_s=100.0, keep_logs=False),
            deleted_runs_s=100.0,
            notifications=(Target("ops", "webhook"),),
        )
        self._parts = parts = Parts(
            cluster,
            storage,
            scene.master,
            settings,
            Notes(cluster, "test", scene.clock),
            clock=scene.clock,
            cluster_id="here",
        )
        parts.courier = Courier(scene, process)
        self._engine = Engine(parts)
        replica = Replica(parts, SimpleNamespace(leads=self._leads, leader=""), self._engine)
        self._app = application(replica)
        self._app.freeze()
        self._due = {}
        self.began = 0.0

    def begin(self):
        scene = self._scene
        self.began = scene.clock()
        scene.spawn(self._engine.run())
        for plural, kind in WATCHED.items():
            for body in scene.cluster.all(kind):
                self.news(None, plural, clone(body))

    def _leads(self):
        return self._scene.seats[-1] is self

    def news(self, kind, plural, body):
        """Hand on what a watch shows: late, perhaps twice, and now and then not at all.

        News of one object comes in order, as in every watch.
        """
        rng, loop = self._scene.rng, asyncio.get_running_loop()
        if rng.random() < LOST_NEWS:
            return
        of = (plural, body["metadata"]["name"])
        for _ in range(2 if rng.random() < TWICE else 1):
            at = max(self._due.get(of, 0.0) + 1e-4, loop.time() + rng.random() * LATENCY_S)
            self._due[of] = at
            loop.call_at(at, self._tell, kind, plural, body)

    def _tell(self, kind, plural, body):
        if not self.process.is_up:
            return
        engine = self._engine
        seen = {
            "workflows": engine.workflow_seen,
            "pods": engine.pod_seen,
            "feedbackrequests": engine.people.seen,
        }
        seen[plural](kind, clone(body))

    async def serve(self, answer, call, headers, body):
        """Answer a request; that is an effect, unless it only says to come again."""
        request = self._request(f"{names.RUNNER_PREFIX}/{call}", headers, body)
        response = await self._app._handle(request)
        told = (response.status, bytes(response.body or b""))
        is_order = call == "claim" and response.status == OK
        wrong = self._scene.observer.order_ready(json.loads(told[1])) if is_order else []

        def tell():
            if not answer.done():
                self._scene.observer.violations += wrong
                answer.set_result(told)

        if response.status in (OK, CONFLICT):
            await self.process.effect(f"reply ({call})", tell)
        else:
            await self.process.pass_gate()
            tell()

    async def respond(self, answer, name, reply):
        """Write somebody's answer into a question, and tell them what came of it."""
        try:
            found = await responding.respond(self._parts, NAMESPACE, name, reply)
        except (ClusterError, questions.NotOpenError) as error:
            tell = partial(_settle, answer, answer.set_exception, error)
        else:
            tell = partial(_settle, answer, answer.set_result, found)
        await self.process.effect("reply (respond)", tell)

    def _request(self, path, headers, body):
        headers = CIMultiDict({**headers, "Content-Length": str(len(body))})
        raw = tuple((k.encode(), v.encode()) for k, v in headers.items())
        message = RawRequestMessage(
            "POST", path, HttpVersion11, CIMultiDictProxy(headers), raw,
            False, None, False, False, URL(path),  # noqa: FBT003 - it takes no names
        )  # fmt: skip
        protocol = SimpleNamespace(
            ssl_context=None, peername=("10.0.0.1", 1), sockname=("10.0.0.2", 2), transport=None
        )
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        return web.Request(message, _Body(body), protocol, None, task, loop)


class _Body:
    """A request's body, all of it there."""

    def __init__(self, data):
        self._data = data

    async def readany(self):
        data, self._data = self._data, b""
        return data


def _settle(answer, settle, what):
    if not answer.done():
        settle(what)


def quiet():
    """Keep the operator's log from telling of what is done to it on purpose."""
    _level(logging.CRITICAL)


def loud():
    """Show the operator's log after all."""
    logging.basicConfig(format="%(message)s")
    _level(logging.INFO)


def _level(level):
    for name in ("graflow_operator", "asyncio"):
        logging.getLogger(name).setLevel(level)
