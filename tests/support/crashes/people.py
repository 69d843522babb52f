"""People who answer: each question once, sometime; now and then two at once say otherwise."""

import asyncio

from graflow.api import answering
from graflow.api.moment import rfc3339
from graflow_operator import questions
from graflow_operator.cluster import FEEDBACK_REQUESTS
from graflow_operator.cluster_errors import ClusterError, ConflictError, NotFoundError
from graflow_operator.questions import NotOpenError
from graflow_operator.responding import Person, Reply
from support.crashes.asked import which
from support.crashes.runners import UnreachableError
from support.fakes import clone

QUICK_S, SLOW_S = 12.0, 300.0
"""Within one, a pod may still be there; with the other it is gone for long."""

TWO = 0.3
"""How often two people answer at one time, and not the same."""

LATE, AROUND_S = 0.5, 1.0
"""How often somebody answers when the deadline comes, or soon before or after it."""

BY_PATCH = 0.5
ANN, BOB = "ann", "bob"
"""They never say the same."""


class People:
    """Everybody who is asked in a scene.

    Args:
        scene: Where.
        given: What is said to each question, by task, pass and key; None: as they like.
    """

    def __init__(self, scene, given=None):
        self._scene = scene
        self._given = given
        self._met = set()
        self._open = []

    def seen(self, request):
        """Take note of a question that is new, and have it answered in time."""
        uid = request["metadata"]["uid"]
        if uid in self._met:
            return
        self._met.add(uid)
        self._open.append(request)
        if len(self._met) >= self._scene.case.together:
            while self._open:
                self._scene.spawn(self._answer(self._open.pop()))

    async def _answer(self, request):
        scene, spec = self._scene, request["spec"]
        name, rng = request["metadata"]["name"], scene.rng
        if spec["task"] in scene.case.silent:
            return
        if self._given is not None:
            if given := self._given.get(which(spec)):
                await self._says(ANN, name, given)  # at once: some deadlines are soon
            return
        await asyncio.sleep(self._pause_s(spec))
        who, other = rng.sample((ANN, BOB), 2)
        if rng.random() < TWO:
            scene.spawn(self._says(other, name, _said(other, spec)))
        await self._says(who, name, _said(who, spec))

    def _pause_s(self, spec):
        """Return after how long somebody answers."""
        rng = self._scene.rng
        if "deadline" in spec and rng.random() < LATE:
            ends_s = answering.seconds_of(spec["deadline"]) - self._scene.clock()
            return max(0.0, ends_s + rng.uniform(-AROUND_S, AROUND_S))
        return rng.random() * rng.choice((QUICK_S, SLOW_S))

    async def _says(self, who, name, said):
        """Answer in one way or the other, until that counts, or cannot any more."""
        way = self._patch if self._scene.rng.random() < BY_PATCH else self._post
        while True:
            try:
                await way(who, name, said)
            except (NotFoundError, NotOpenError):
                return
            except ConflictError:
                pass  # somebody else has changed it: read again
            except (UnreachableError, ClusterError):
                await asyncio.sleep(1.0 + self._scene.rng.random())
            else:
                return

    async def _post(self, who, name, said):
        await self._scene.respond(name, Reply(Person(who), "API", said))

    async def _patch(self, who, name, said):
        """Answer as `kubectl patch` does; what the API server refuses then is refused here."""
        scene = self._scene
        await scene.while_()
        request = await scene.cluster.get(FEEDBACK_REQUESTS, scene.namespace, name)
        asked, before = questions.Asked(request), request.get("status") or {}
        if not questions.is_open(request) or answering.decide(asked.spec, asked.status.responses):
            raise NotOpenError
        response = {"by": who, "at": rfc3339(scene.clock()), "how": "Patch", **said}
        response["sha256"] = request["spec"]["sha256"]
        responses = [*(before.get("responses") or ()), response]
        version = {"resourceVersion": request["metadata"]["resourceVersion"]}
        patch = {"metadata": version, "status": {**before, "responses": responses}}
        await scene.while_()
        await scene.cluster.patch_status(FEEDBACK_REQUESTS, scene.namespace, name, clone(patch))


def _said(who, spec):
    """Return what somebody says to a question."""
    options = spec.get("options", ())
    match spec["type"]:
        case "approval":
            return {"approved": who == ANN}
        case "text":
            return {"text": f"{who}'s"}
        case "selection":
            return {"selected": options[0 if who == ANN else -1]}
        case _:
            return {"selectedMultiple": list(options if who == ANN else ())}


class Courier:
    """Tells people what an operator has to tell, and fails at it now and then.

    Args:
        scene: Where.
        process: Of the operator.
    """

    FAILS = 0.1

    def __init__(self, scene, process):
        self._scene = scene
        self._process = process

    async def deliver(self, target, request, entry):
        fails = self._scene.rng.random() < self.FAILS
        told = self._scene.observer.asked.told
        name = request["metadata"]["name"]
        await self._process.effect("notification", lambda: fails or told(name, entry))
        return "it answered 503" if fails else ""

    async def close(self):
        pass
