"""A world around one run: a cluster in memory, runners that claim, work and report, and time."""

import asyncio
import contextlib
import copy
import json
import sys

from graflow.store import StoreUnavailableError
from graflow.store.memory import MemoryStore
from graflow_operator import keys, reports
from graflow_operator.actor import Actor
from graflow_operator.cluster import PODS, WORKFLOWS
from graflow_operator.facts import of_pod
from graflow_operator.keys import MasterKey
from graflow_operator.letters import FencedError, NotYetError
from graflow_operator.notes import Notes
from graflow_operator.outcomes import report_of
from graflow_operator.parts import Parts
from graflow_operator.refs import RunRef
from graflow_operator.run_ids import RunIds
from graflow_operator.settings import Settings
from graflow_operator.storage import Storage
from graflow_operator.verdicts import Succeeded
from support.fakes import Client, FakeCluster

NAMESPACE, NAME = "team", "run"
PATIENCE = 20_000
"""Turns of the loop. Threads of the store may get little of a busy machine, and cost turns then."""
HANGS = object()
"""What `work` returns for a task that never ends; None: its process ends without a report."""


def script(name, *after, **more):
    """Return a task as a spec says it, which comes after those."""
    return {"name": name, "after": list(after), "script": "return 1", **more}


def returned(value, *directives):
    """Return the report of a task that returned JSON, and decided this."""
    return {"outcome": "Succeeded", "value": {"json": value}, "directives": list(directives)}


class World:
    """Everything but the actor survives a crash.

    `work(task, order)` is what tasks do: it returns a verdict, or a report as a runner sends it,
    directives and all; `returned` makes one. It may be a coroutine.

    A world `beside` another one has a run of its own in the same cluster, with the same store.
    """

    def __init__(  # noqa: PLR0913 - what tests choose
        self, spec, *, store=True, settings=None, work=None, name=NAME, beside=None
    ):
        self.name = name
        self.cluster = beside.cluster if beside else FakeCluster()
        self._elsewhere, self.cluster.on_pod = self.cluster.on_pod, self._pod_made
        self._beside = beside
        self.store = beside.store if beside else MemoryStore() if store else None
        self.storage = (
            beside.storage if beside else Storage(self.store, threads=2) if store else None
        )
        self.settings = settings or Settings(operator_namespace="graflow")
        self.now = beside.now if beside else 1_000_000.0
        self.work = work or (lambda task, order: Succeeded({"json": task}))
        self.executed = []
        self.orders = []
        self.answers = []
        self.actor = None
        self.client = None
        self.run_ids = beside.run_ids if beside else RunIds()
        self.driving = None
        self._broken = []
        self.runners = {}
        self.auto_run = True
        self.spec = spec

    async def __aenter__(self):
        # The loop never rests while it waits: without this the store's threads get their turn 200
        # times a second.
        self._switch_s = sys.getswitchinterval()
        sys.setswitchinterval(0.0002)
        body = {
            "apiVersion": "graflow.dev/v1alpha1",
            "kind": "Workflow",
            "metadata": {"name": self.name},
            "spec": self.spec,
        }
        await self.cluster.create(WORKFLOWS, NAMESPACE, body)
        return self

    async def __aexit__(self, *_):
        sys.setswitchinterval(self._switch_s)
        await self.crash()
        for runner in self.runners.values():
            runner.cancel()
        await asyncio.gather(*self.runners.values(), return_exceptions=True)
        if self.storage and not self._beside:
            self.storage.close()

    @property
    def workflow(self):
        return self.cluster.peek(WORKFLOWS, NAMESPACE, self.name)

    @property
    def status(self):
        return self.workflow.get("status", {})

    @property
    def pods(self):
        return self.cluster.all(PODS)

    def made(self, plural):
        return [
            name for verb, kind, name in self.cluster.writes if (verb, kind) == ("create", plural)
        ]

    def start(self, seen=None, **faults):
        """Start an operator process that drives the run, which it has seen so or as it is."""
        self.client = Client(self.cluster, **faults)
        clock = lambda: self.now  # noqa: E731
        parts = Parts(
            self.client,
            self.storage,
            MasterKey(b"k" * 32),
            self.settings,
            Notes(self.client, "test", clock),
            clock=clock,
            sleep=self._sleep,
            run_ids=self.run_ids,
        )
        self.actor = Actor(parts, copy.deepcopy(seen or self.workflow), None)
        self.driving = asyncio.create_task(self.actor.drive())

    async def crash(self):
        """Kill the operator process as kill -9 would."""
        driving, self.actor, self.driving = self.driving, None, None
        if driving is not None:
            driving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await driving

    async def _sleep(self, seconds):
        until = self.now + seconds
        while self.now < until:  # noqa: ASYNC110 - time is a number here
            await asyncio.sleep(0)

    async def until(self, condition, *, restart=False):
        """Let the world go on until something holds; time passes when nothing else happens."""
        for turn in range(PATIENCE):
            if condition():
                return
            if self.driving is not None and self.driving.done():
                self.driving.result()
                if not condition() and not restart:
                    break
            if self._broken:
                self._broken.pop().result()
            if restart and self.client.dead.is_set():
                await self.crash()
                self.start(**(restart() if callable(restart) else {}))
            await asyncio.sleep(0.0005 if self.storage and turn % 5 == 0 else 0)
            if turn % 10 == 9:
                self.now += 0.25
                if self.actor is not None:
                    self.actor.workflow_seen(self.workflow)
        raise AssertionError(f"it never came: {json.dumps(self.status, default=str)[:2000]}")

    async def end(self, **options):
        await self.until(lambda: self.status.get("completionTime"), **options)
        return self.status

    # -- pods -----------------------------------------------------------------------------------

    def _pod_made(self, pod):
        if pod["metadata"]["labels"]["graflow.dev/run"] != self.workflow["metadata"]["uid"]:
            if self._elsewhere:
                self._elsewhere(pod)
            return
        if self.auto_run and "fieldRef" in json.dumps(pod["spec"]):
            runner = asyncio.create_task(self._runner(pod))
            runner.add_done_callback(self._runner_ended)
            self.runners[pod["metadata"]["uid"]] = runner

    def _runner_ended(self, runner):
        if not runner.cancelled() and runner.exception():
            self._broken.append(runner)

    async def _ask(self, call):
        """Ask as a runner does: again and again, of whoever leads."""
        while True:
            actor = self.actor
            if actor is not None:
                asking = asyncio.create_task(call(actor))
                while not asking.done() and self.actor is actor:  # noqa: ASYNC110 - either
                    await asyncio.sleep(0)
                if not asking.done():
                    asking.cancel()
                try:
                    return await asking
                except NotYetError:
                    pass
                except asyncio.CancelledError:
                    if asyncio.current_task().cancelling():
                        raise
            await asyncio.sleep(0)

    async def _runner(self, pod):
        """A pod's life: claim, work, report, end."""
        name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
        nonce = uid.rjust(32, "0")
        code = 0
        try:
            order = await self._ask(lambda actor: actor.claim(pod, nonce, "3.11.2"))
            fact = of_pod(pod)
            self.executed.append(order["task"]["id"])
            self.orders.append(order)
            told = self.work(order["task"]["id"], {**order, "claim": f"{uid}/{nonce}"})
            if asyncio.iscoroutine(told):
                told = await told
            if told is HANGS:
                await asyncio.Event().wait()
            if isinstance(told, dict):
                run = RunRef.of(self.workflow)
                told = await self._settled(report_of(told), Parts.store_keys(run))
            if told is not None:
                claim = f"{uid}/{nonce}"
                answer = await self._ask(lambda a: a.report(fact.attempt, claim, told))
                self.answers.append(answer)
        except FencedError as error:
            self.answers.append(error)
            code = 65
        self.end_pod(name, code)

    async def _settled(self, told, store_keys):
        """Have a report made ready; a runner that is told 503 sends it again."""
        while True:
            try:
                return await reports.settled(told, self.storage, store_keys)
            except StoreUnavailableError:
                await asyncio.sleep(0)

    def end_pod(self, name, code, *, message="", reason="Completed", **status):
        """Let the kubelet tell that a pod's container has ended."""
        if self.cluster.peek(PODS, NAMESPACE, name) is None:
            return
        state = {"terminated": {"exitCode": code, "message": message, "reason": reason}}
        pod = self.cluster.set_status(
            PODS,
            NAMESPACE,
            name,
            {
                "phase": "Succeeded" if code == 0 else "Failed",
                "containerStatuses": [{"name": "task", "state": state}],
                **status,
            },
        )
        self.seen(pod)

    def seen(self, pod):
        if self.actor is not None:
            self.actor.book.seen(of_pod(pod))

    def pod_of(self, task):
        return next(
            pod for pod in self.pods if pod["metadata"]["labels"]["graflow.dev/task"] == task
        )

    def run_key(self):
        return MasterKey(b"k" * 32).of_run(self.workflow["metadata"]["uid"])

    def outcome(self, attempt, claim, report):
        """Return an outcome document as the runner of this attempt signs it."""
        document = {
            "v": 1,
            "activation": attempt.activation,
            "attempt": attempt.attempt,
            "claim": claim,
            "report": report,
        }
        key = keys.of_attempt(self.run_key(), attempt.activation, attempt.attempt, claim)
        return json.dumps({**document, "mac": keys.mac_of_document(key, document)})
