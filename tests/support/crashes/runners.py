"""Pods in memory: a kubelet that runs them, and runners that claim, work, report and end."""

import asyncio
import contextlib
import json

from graflow.api import names
from graflow.store import ObjectMissingError
from graflow_operator.cluster import PODS
from graflow_operator.refs import AttemptRef
from graflow_runner import exitcodes, termination
from graflow_runner.calls import Signer
from support.crashes.bucket import SCHEME

PATIENCE_S = 600.0
STORE_AFTER_S = 5.0
TWINS, TWIN = 0.5, "twin"
"""How often a second process of a pod asks for the task as well."""

OK, CONFLICT, PASSING = 200, 409, (408, 429, 500, 503)


class UnreachableError(Exception):
    """Nobody answers."""


class FencedError(Exception):
    """The attempt is over."""


class GaveUpError(Exception):
    """Nobody has answered for as long as a runner is patient."""


class Kubelet:
    """Runs the pods of a scene."""

    def __init__(self, scene):
        self._scene = scene
        self._pods = {}
        self._lost = set()
        self._cut_off = set()

    def runs(self, pod):
        """Whether a pod's runner is alive."""
        life = self._pods.get(pod["metadata"]["uid"])
        return life is not None and not life.done()

    def loses(self, uid, *, is_cut_off):
        """Let a pod's runner live on when the pod is deleted; it may not reach the operator."""
        self._lost.add(uid)
        if is_cut_off:
            self._cut_off.add(uid)

    def reaches(self, uid):
        """Whether a pod's runner reaches the operator, if there is one."""
        return uid not in self._cut_off

    def seen(self, kind, pod):
        """Take note of a change of a pod."""
        uid = pod["metadata"]["uid"]
        if kind == "ADDED":
            self._pods[uid] = self._scene.spawn(self._run(pod))
        elif uid in self._lost:
            pass
        elif kind == "DELETED" or "deletionTimestamp" in pod["metadata"]:
            life = self._pods.pop(uid, None)
            if life is not None and not life.done():
                life.cancel()
                if kind != "DELETED":
                    self._ended(pod["metadata"]["name"], uid, 137, "", "Error")

    async def _run(self, pod):
        scene, name, uid = self._scene, pod["metadata"]["name"], pod["metadata"]["uid"]
        await scene.while_()
        running = {"name": names.TASK_CONTAINER, "state": {"running": {"startedAt": scene.stamp()}}}
        self._set(name, uid, {"phase": "Running", "containerStatuses": [running]})
        await scene.while_()
        task = pod["metadata"].get("annotations", {}).get("graflow.dev/task-id", name)
        if "fieldRef" not in json.dumps(pod["spec"]):
            self._ended(name, uid, 0, f"done by {task}", "Completed")
            return
        code, message = await Runner(scene, pod).run()
        self._ended(name, uid, code, message, "Completed" if code == 0 else "Error")

    def _ended(self, name, uid, code, message, reason):
        state = {"terminated": {"exitCode": code, "message": message, "reason": reason}}
        status = {"name": names.TASK_CONTAINER, "state": state}
        phase = "Succeeded" if code == 0 else "Failed"
        if code == 0 and message:
            self._keeps(name, uid, message)
        self._set(name, uid, {"phase": phase, "containerStatuses": [status]})

    def _keeps(self, name, uid, message):
        """Tell of an outcome that is in a pod which cannot go before it was read."""
        pod = self._scene.cluster.peek(PODS, self._scene.namespace, name)
        if pod is not None and pod["metadata"]["uid"] == uid and pod["metadata"].get("finalizers"):
            ref = AttemptRef.of(pod["metadata"]["labels"])
            by_runner = message.startswith("{")
            report = json.loads(message)["report"] if by_runner else {"outcome": "Succeeded"}
            self._scene.observer.outcome_accepted(ref, report, uid)

    def _set(self, name, uid, status):
        cluster, namespace = self._scene.cluster, self._scene.namespace
        found = cluster.peek(PODS, namespace, name)
        if found is not None and found["metadata"]["uid"] == uid:
            cluster.set_status(PODS, namespace, name, {**found.get("status", {}), **status})


class Runner:
    """One runner, from its claim to its end."""

    def __init__(self, scene, pod):
        self._scene = scene
        self._pod = pod["metadata"]
        self._signer = None
        self._number = 0

    async def run(self):
        """Return an exit code and a termination message."""
        message = ""
        try:
            order = await self._claim()
            ref = AttemptRef(order["activation"], order["attempt"])
            report = await self._work(order)
            sealed = self._signer.sealed(json.loads(report))
            message = sealed.decode() if len(sealed) <= termination.MAX_BYTES else ""
            well = json.loads(report)["outcome"] in ("Succeeded", "Parked")
            code = 0 if well else exitcodes.TASK_FAILED
            try:
                await self._call("report", report, store=(order["outcome"], sealed))
            except GaveUpError as error:
                return (code if error.args else exitcodes.UNREACHABLE), message
            self._scene.observer.report_answered(ref, self._signer.claim)
        except FencedError:
            return exitcodes.FENCED, message
        except GaveUpError:
            return exitcodes.UNREACHABLE, message
        return code, message

    async def _claim(self):
        scene, pod = self._scene, self._pod
        nonce = pod["uid"].encode().hex().rjust(32, "0")[-32:]
        body = self._claim_body(nonce)
        bearer = {"Authorization": f"Bearer {scene.master.of_run(scene.uid).hex()}"}
        told = await self._until_answered("claim", body, lambda: bearer)
        order = json.loads(told)
        claim = f"{pod['uid']}/{nonce}"
        self._signer = Signer(
            order["attemptKey"],
            run=scene.uid,
            activation=order["activation"],
            attempt=order["attempt"],
            claim=claim,
        )
        scene.observer.claim_answered(order, claim)
        if scene.rng.random() < TWINS:
            await self._claim_again(bearer)
        return order

    def _claim_body(self, nonce):
        pod = self._pod
        body = {
            "run": self._scene.uid,
            "namespace": pod["namespace"],
            "pod": {"name": pod["name"], "uid": pod["uid"]},
            "nonce": nonce,
            "python": "3.11.2",
        }
        return json.dumps(body).encode()

    async def _claim_again(self, bearer):
        """Ask for the same attempt as another process of the pod does that was begun anew."""
        nonce = TWIN.encode().hex().rjust(32, "0")
        with contextlib.suppress(UnreachableError):
            status, answer = await self._scene.ask("claim", bearer, self._claim_body(nonce))
            if status == OK:
                claim = f"{self._pod['uid']}/{nonce}"
                self._scene.observer.claim_answered(json.loads(answer), claim)

    async def _work(self, order):
        """Do the task; return its report."""
        answers, text = [], json.dumps(order)
        while True:
            action = self._scene.player.next(text, answers)
            match action.kind:
                case "report":
                    return action.body
                case "call":
                    answers.append(await self._call(action.path, action.body))
                case "upload":
                    await self._upload(action)
                    answers.append(b"")
                case _:
                    answers.append(await self._fetched(action.path))

    async def _upload(self, action):
        asked = {"sha256": action.path, "size": len(action.body)}
        place = json.loads(await self._call("blob", json.dumps(asked).encode()))
        if not place["stored"]:
            self._scene.bucket.put(place["url"].removeprefix(SCHEME), action.body)

    async def _fetched(self, sha256):
        await self._scene.while_()
        try:
            return self._scene.bucket.get(self._scene.observer.keys.blob(sha256))
        except ObjectMissingError:
            self._scene.observer.wrong("what the cursor names is there", f"blob {sha256} is gone")
            raise

    async def _call(self, call, body, store=None):
        path = f"{names.RUNNER_PREFIX}/{call}"
        self._number += 1
        number = self._number
        headers = lambda: self._signer.headers("POST", path, body, number)  # noqa: E731
        ref = AttemptRef(self._signer.activation, self._signer.attempt)
        observer = self._scene.observer
        if call == "keep":
            observer.asked.step_ran(ref, json.loads(body)["key"])
        answer = await self._until_answered(call, body, headers, store)
        match call:
            case "channel":
                observer.operation_answered(ref, json.loads(body), json.loads(answer))
            case "ask":
                observer.asked.ask_answered(ref, json.loads(body), json.loads(answer))
            case "keep":
                observer.asked.keep_answered(ref, json.loads(body)["key"])
        return answer

    async def _until_answered(self, call, body, headers, store=None):
        """Ask again and again; leave an outcome in the store when nobody has answered for long."""
        scene, began, pause_s, stored = self._scene, self._scene.clock(), 0.1, False
        while True:
            status, answer = 503, b""
            if scene.kubelet.reaches(self._pod["uid"]):
                with contextlib.suppress(UnreachableError):
                    status, answer = await scene.ask(call, headers(), body)
            if status == OK:
                return answer
            if status == CONFLICT:
                if json.loads(answer)["reason"] != "Fenced":
                    raise AssertionError(answer)
                raise FencedError(answer)
            if status not in PASSING:
                raise AssertionError(f"{call} was answered with {status} {answer}")
            waited = scene.clock() - began
            if store is not None and store[0] and not stored and waited >= STORE_AFTER_S:
                stored = True
                self._leave(store[0]["url"].removeprefix(SCHEME), store[1])
            if waited >= PATIENCE_S:
                raise GaveUpError(*(["stored"] if stored else []))
            await asyncio.sleep(pause_s * (1 + scene.rng.random() / 2))
            pause_s = min(pause_s * 2, 5.0)

    def _leave(self, key, sealed):
        """Leave an outcome in the store, unless something is there."""
        if self._scene.bucket.put_if_absent(key, sealed):
            ref = AttemptRef(self._signer.activation, self._signer.attempt)
            self._scene.observer.outcome_accepted(ref, json.loads(sealed)["report"])
