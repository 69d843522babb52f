"""Questions to people in a cluster in memory: who looks after them, who answers, who is told."""

import asyncio
import contextlib

from graflow.api.moment import rfc3339
from graflow.questions import digest
from graflow_operator.cluster import FEEDBACK_REQUESTS, WORKFLOWS
from graflow_operator.keys import MasterKey
from graflow_operator.notes import Notes
from graflow_operator.parts import Parts
from graflow_operator.people import People
from graflow_operator.settings import Settings
from support.fakes import Client, FakeCluster

NAMESPACE = "team"
BEGAN = 1_767_225_600.0  # 2026-01-01, when objects of the fake cluster are made
RUN = {"name": "run", "uid": "uid-of-run"}


def question(kind="approval", **spec):
    """Return the spec of a FeedbackRequest."""
    shown = {"type": kind, "prompt": "Shall we?"} | spec
    if "deadline" in spec:
        shown.setdefault("timeoutSeconds", 60)
    return {
        "workflow": RUN,
        "task": "approve",
        "iteration": 1,
        "activation": 7,
        "key": "q1",
        **shown,
        "sha256": digest(shown),
    }


def at(seconds):
    """Return a moment so many seconds after the question was asked."""
    return rfc3339(BEGAN + seconds)


def response(by="alice", seconds=1, how="API", spec=None, **said):
    """Return a response as a status has it."""
    sha256 = (spec or question())["sha256"]
    return {"by": by, "at": at(seconds), "how": how, **said, "sha256": sha256}


class FakeCourier:
    """Keeps what it is to deliver; `refusal` says why it does not."""

    def __init__(self):
        self.tried = []
        self.refusal = lambda target, request, entry: ""

    async def deliver(self, target, request, entry):
        self.tried.append((target.name, entry.event))
        await asyncio.sleep(0)
        return self.refusal(target, request, entry)

    async def close(self):
        pass


class FakeRuns:
    """Runs that keep what they hear."""

    def __init__(self):
        self.heard = []
        self.lost = []
        self.over = set()
        self.driven = {RUN["uid"]}

    def answered(self, run, letter):
        self.heard.append((run, letter))

    def gone(self, run, activation, key):
        self.lost.append((run, activation, key))

    def is_over(self, run, activation):
        return (run, activation) in self.over

    def drives(self, run):
        return run in self.driven

    @property
    def answers(self):
        return [letter.answer for _, letter in self.heard]


class Town:
    """Everything but the process that looks after questions survives a crash."""

    def __init__(self, *targets, **settings):
        self.cluster = FakeCluster()
        self.settings = Settings(notifications=tuple(targets), **settings)
        self.now = BEGAN
        self.courier = FakeCourier()
        self.people = self.client = self._task = None

    async def __aenter__(self):
        self.start()
        return self

    async def __aexit__(self, *_):
        await self.crash()

    def start(self, **faults):
        """Start a process that leads."""
        self.client = Client(self.cluster, **faults)
        clock = lambda: self.now  # noqa: E731
        notes = Notes(self.client, "test", clock)
        parts = Parts(self.client, None, MasterKey(b"k" * 32), self.settings, notes,
                      clock=clock, sleep=self._sleep)  # fmt: skip
        parts.courier = self.courier
        self.parts = parts
        self.runs = FakeRuns()
        self.people = People(parts, self.runs)
        self._task = asyncio.create_task(self.people.run())

    async def crash(self):
        """Kill the process."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            await self.people.close()
            self._task = None

    async def _sleep(self, seconds):
        until = self.now + seconds
        while self.now < until:  # noqa: ASYNC110 - time is a number here
            await asyncio.sleep(0)

    async def ask(self, name="q", *, rests=True, **spec):
        """Make a question; the watch tells of it."""
        spec = question(**spec)
        body = {"metadata": {"name": name, "labels": {}}, "spec": spec}
        await self.cluster.create(FEEDBACK_REQUESTS, NAMESPACE, body)
        self.tell(name)
        if rests:
            await self.rest()

    def tell(self, name="q", kind="MODIFIED"):
        """Let the watch tell of a question as it is."""
        if found := self.request(name):
            self.people.seen(kind, found)

    def request(self, name="q"):
        return self.cluster.peek(FEEDBACK_REQUESTS, NAMESPACE, name)

    def status(self, name="q"):
        return self.request(name).get("status", {})

    def patch(self, name="q", **changes):
        """Change a status as somebody with kubectl does."""
        status = {**self.status(name), **changes}
        self.cluster.set_status(FEEDBACK_REQUESTS, NAMESPACE, name, status)
        self.tell(name)

    async def make_run(self, **status):
        """Make the run that asks."""
        body = {"metadata": {"name": RUN["name"]}, "spec": {}, "status": status}
        await self.cluster.create(WORKFLOWS, NAMESPACE, body)
        self.cluster.peek(WORKFLOWS, NAMESPACE, RUN["name"])["metadata"]["uid"] = RUN["uid"]

    async def rest(self, turns=60):
        """Let everybody do what there is to do at this time."""
        for _ in range(turns):
            await asyncio.sleep(0)

    async def pass_by(self, seconds):
        """Let time pass."""
        self.now += seconds
        await self.rest()

    @property
    def writes(self):
        return [name for verb, kind, name in self.cluster.writes if verb == "patch_status"]
