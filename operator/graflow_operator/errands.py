"""What an actor has done for it while it goes on: make a pod, find out how one ended, remove one.

An errand decides nothing about the run: it comes back with a letter, or with a pod's latest fact.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from graflow.api.pod import PodSettings
from graflow.api.workflow import TaskSpec
from graflow.machine import reasons
from graflow.machine.state import Error
from graflow.store import ObjectMissingError
from graflow_operator import outcomes, removal, reports, strictjson, values, verdicts
from graflow_operator.cluster import PODS, Object
from graflow_operator.cluster_errors import (
    AlreadyExistsError,
    ClusterError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    TooManyError,
    UnavailableError,
)
from graflow_operator.denials import denial
from graflow_operator.facts import Ended, PodFact, Taken, of_pod
from graflow_operator.letters import (
    Judged,
    Letter,
    ProfileAwaited,
    ProfileFound,
    Refused,
    Unstartable,
)
from graflow_operator.outcomes import TOMBSTONE, Outcome, Returned
from graflow_operator.parts import Parts
from graflow_operator.profiles import FRESH_S, ProfileUnusableError
from graflow_operator.refs import AttemptRef, RunRef, is_pod_of, pod_name
from graflow_operator.verdicts import Failed, Lost, Succeeded, Told, Verdict

INQUIRY = "inquire"
"""What the errand is called that finds out how an attempt ended."""

INPUT_BYTES = 32 * 1024
RETRY_S = 0.5
MOST_RETRY_S = 15.0
log = logging.getLogger(__name__)


class BadInputError(Exception):
    """A container task's input cannot be handed to it."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of an attempt that is to be looked into."""

    claim: str
    """The claim that was committed for it; empty if there was none."""

    fact: PodFact | None
    """What its pod showed last; None if the pod is thought to be gone."""

    why: Error | None = None
    """Why it is lost, if nothing better is found."""

    given_up: Error | None = None
    """What it waited for too long, if it did; its pod goes when that is committed."""

    taken: Taken | None = None
    """Who took its pod away, if that was seen before it was gone."""

    unseen: bool = False
    """Whether nobody has ever shown its pod: there may have been none."""


@dataclass(frozen=True)
class Errands:
    """The errands of one run."""

    parts: Parts
    run: RunRef
    deliver: Callable[[Letter], None]
    pod_seen: Callable[[PodFact], None]
    pod_gone: Callable[[AttemptRef, str], None]
    keep_log: Callable[[AttemptRef, bytes], None]

    async def start(
        self,
        attempt: AttemptRef,
        task: TaskSpec,
        body: Object,
        wanted: Callable[[], bool],
        *,
        mendable: bool,
    ) -> None:
        """Make the attempt's pod, or adopt it; try until that is known, or no longer wanted.

        Args:
            attempt: Which attempt.
            task: Its task.
            body: The pod.
            wanted: Whether it is still to be made.
            mendable: Whether parts of it come from where somebody can mend them.
        """
        pause, unsure = RETRY_S, False
        while wanted():
            asked_s = 0.0
            try:
                made = await self.parts.cluster.create(PODS, self.run.namespace, body)
            except AlreadyExistsError:
                if await self._adopt(attempt, task):
                    return
            except TooManyError as error:
                await self.parts.sleep(error.retry_after_s)
                continue
            except (ForbiddenError, InvalidError, NotFoundError, UnavailableError) as error:
                why, asked_s = denial(error), error.retry_after_s
                if why is None:
                    unsure = True
                    log.warning("%s: pod of attempt %s: %s", self.run, attempt, error)
                elif unsure:
                    # An earlier try may have made it all the same, so the number may be burnt.
                    if await self._adopt(attempt, task):
                        return
                else:
                    self._refused(attempt, why, error.retry_after_s, mendable=mendable)
                    return
            else:
                self._seen(made)
                return
            await self.parts.sleep(max(pause, asked_s))
            pause = min(pause * 2, MOST_RETRY_S)

    def _refused(self, attempt: AttemptRef, why: Error, after_s: float, *, mendable: bool) -> None:
        """Say that there is no pod, for now or for good."""
        if why.reason == reasons.POD_INVALID and not mendable:
            self.deliver(Unstartable(attempt, replace(why, retryable=False)))
        else:
            self.deliver(Refused(attempt, why, after_s))

    async def profile(
        self, attempt: AttemptRef, name: str, wanted: Callable[[], bool]
    ) -> PodSettings | None:
        """Return a profile if it is there; else say so, wait for it, say that it came: None.

        An attempt whose profile is missing gives its turn away, so its pod is not to be made
        before a commit lets it go once more.
        """
        told: Error | None = None
        while wanted():
            try:
                found = await self.parts.profiles.get(self.run.namespace, name)
            except ProfileUnusableError as error:
                if error.error != told:
                    told = error.error
                    self.deliver(ProfileAwaited(attempt, told))
                await self.parts.sleep(FRESH_S)
            except ForbiddenError as error:
                words = f"RunnerProfile {name!r}: {error}"
                self.deliver(Refused(attempt, Error(reasons.FORBIDDEN, words)))
                return None
            else:
                if told is None:
                    return found
                self.deliver(ProfileFound(attempt))
                return None
        return None

    async def _adopt(self, attempt: AttemptRef, task: TaskSpec) -> bool:
        """Look at the pod that has the attempt's name; return whether that settled the matter."""
        name = pod_name(self.run, task.name, attempt)
        try:
            pod = await self.parts.cluster.get(PODS, self.run.namespace, name)
        except NotFoundError:
            # One was there a moment ago and is gone: the number is burnt.
            self.deliver(Judged(attempt, verdicts.gone(name, claimed=False)))
            return True
        except ClusterError as error:
            log.warning("%s: pod %s: %s", self.run, name, error)
            return False
        if is_pod_of(pod, self.run, task.name, attempt):
            # On its way out or not, it is ours: what becomes of it says what became of the attempt.
            self._seen(pod)
        else:
            words = f"pod {name} exists and is not of this run; delete it"
            self.deliver(Judged(attempt, Lost(Error(reasons.POD_REFUSED, words), spends=False)))
        return True

    def _seen(self, pod: Object) -> None:
        if fact := of_pod(pod):
            self.pod_seen(fact)

    async def inputs(self, asked: Mapping[str, values.ValueRef]) -> dict[str, str]:
        """Return the inputs of a container task as texts.

        Raises:
            BadInputError: If one is too large, or is no JSON.
            StoreError: If one is in the store, and the store does not give it.
        """
        return {name: await self._text(name, value) for name, value in asked.items()}

    async def _text(self, name: str, value: values.ValueRef) -> str:
        [(form, content)] = value.items()
        if form == "blob":
            content = await self._fetched(name, content)
        elif form == "group":
            content = {
                m: strictjson.loads(await self._text(f"{name}.{m}", v)) for m, v in content.items()
            }
        elif form != "json":
            raise BadInputError(f"input {name!r} is a Python object, which a container cannot read")
        text = content if isinstance(content, str) else json.dumps(content)
        size = len(text.encode(errors="surrogatepass"))
        if size > INPUT_BYTES:
            raise BadInputError(
                f"input {name!r} has {size} bytes, and an environment variable takes"
                f" {INPUT_BYTES}; hand over a name or an address instead"
            )
        return text

    async def _fetched(self, name: str, blob: Object) -> object:
        if blob["encoding"] != "json":
            raise BadInputError(f"input {name!r} is a Python object, which a container cannot read")
        if blob["size"] > INPUT_BYTES * 2 or self.parts.storage is None:
            raise BadInputError(
                f"input {name!r} has {blob['size']} bytes, and an environment variable takes"
                f" {INPUT_BYTES}; hand over a name or an address instead"
            )
        key = self.parts.store_keys(self.run).blob(blob["sha256"])
        return strictjson.loads(await self.parts.storage.get(key))

    async def inquire(self, attempt: AttemptRef, task: TaskSpec, known: Known) -> None:
        """Find out how an attempt ended whose pod has ended, is gone, or is out of reach."""
        name = pod_name(self.run, task.name, attempt)
        if known.fact is None:
            try:
                pod = await self.parts.cluster.get(PODS, self.run.namespace, name)
            except NotFoundError:
                pod = None
            if pod is not None and is_pod_of(pod, self.run, task.name, attempt):
                self._seen(pod)
                return
        verdict = await self._verdict(attempt, task, known, name)
        tail = b""
        if known.fact is not None and not isinstance(verdict, Succeeded):
            tail = await self._tail(known.fact)
            self.keep_log(attempt, tail)
        self.deliver(Judged(attempt, verdict, tail.decode(errors="replace"), known.claim))

    async def _tail(self, fact: PodFact) -> bytes:
        """Return the last that a pod printed: its log, or what the kubelet kept of it."""
        if fact.ended is not None and fact.ended.exit_code is None:
            return b""  # its container never ran
        said = fact.ended.message if fact.ended and self.parts.settings.pods.keep_logs else ""
        if said.startswith("{"):
            said = ""  # the outcome of a runner
        return await self.parts.tails.read(fact) or said.encode(errors="replace")

    async def _verdict(
        self, attempt: AttemptRef, task: TaskSpec, known: Known, name: str
    ) -> Verdict:
        claim, ended = known.claim, known.fact.ended if known.fact else None
        if known.given_up is not None and not claim:
            return verdicts.given_up(known.given_up)
        if task.container is not None:
            verdict = verdicts.of_container(name, ended) if ended else _vanished(name, known)
            if isinstance(verdict, Succeeded):
                return await self._settled(attempt, Outcome(Returned(verdict.value))) or verdict
            return verdict
        if claim and (report := await self._outcome(attempt, claim, ended)):
            return _explained(name, known, report)
        if ended is None:
            return _vanished(name, known)
        return verdicts.of_runner(name, ended, claimed=bool(claim))

    async def _outcome(self, attempt: AttemptRef, claim: str, ended: Ended | None) -> Told | None:
        """Return what a runner left in its pod or in the store; None if that is nothing."""
        found = self._read(ended.message if ended else "", attempt, claim)
        if found is None:
            found = await self._left_in_store(attempt, claim)
        return await self._settled(attempt, found) if found is not None else None

    async def _left_in_store(self, attempt: AttemptRef, claim: str) -> Outcome | None:
        """Put a tombstone where an outcome would be; if there is an outcome already, return it."""
        storage = self.parts.storage
        if storage is None:
            return None
        key = self.parts.store_keys(self.run).outcome(attempt.activation, attempt.attempt)
        if await storage.put_if_absent(key, TOMBSTONE):
            return None
        return self._read(await storage.get(key), attempt, claim)

    def _read(self, data: bytes | str, attempt: AttemptRef, claim: str) -> Outcome | None:
        """Return the outcome in a document; None if no key that the pod may have has signed it."""
        for key in self.parts.master.any_of_run(self.run.uid):
            if found := outcomes.read(data, run_key=key, attempt=attempt, claim=claim):
                return found
        return None

    async def _settled(self, attempt: AttemptRef, found: Outcome) -> Told | None:
        """Return an outcome's report, its value where a run keeps values; None if that is lost."""
        if not isinstance(found.report, Returned):
            return found.report
        keys, storage = self.parts.store_keys(self.run), self.parts.storage
        try:
            if found.value is None:
                return await reports.settled(found.report, storage, keys)
            if storage is None:
                return None
            data = await storage.get(keys.outcome_value(attempt.activation, attempt.attempt))
            if hashlib.sha256(data).hexdigest() != found.value.sha256:
                log.warning("%s: value of attempt %s is not the one reported", self.run, attempt)
                return None
            value = await values.keep(data, found.value.encoding, storage, keys)
            return await reports.with_value(found.report, value, storage, keys)
        except (values.BadValueError, ObjectMissingError) as error:
            log.warning("%s: outcome of attempt %s: %s", self.run, attempt, error)
            return None

    async def remove(self, fact: PodFact) -> None:
        """Stop a pod that is not to go on, and let it go."""
        if pod := await removal.remove(self.parts.cluster, self.run.namespace, fact):
            self._seen(pod)

    async def release(self, fact: PodFact) -> None:
        """Take our finalizer off a pod whose outcome is committed, or does not matter any more."""
        try:
            pod = await removal.let_go(self.parts.cluster, self.run.namespace, fact)
        except NotFoundError:
            self.pod_gone(fact.attempt, fact.uid)  # its news may be lost, and it is asked no more
        except InvalidError:
            if not await self._has_changed(fact):
                raise
        else:
            if pod:
                self._seen(pod)

    async def _has_changed(self, fact: PodFact) -> bool:
        """Look at a pod that is not as it was thought to be; return whether that is so."""
        try:
            pod = await self.parts.cluster.get(PODS, self.run.namespace, fact.name)
        except NotFoundError:
            pod = None
        found = of_pod(pod) if pod else None
        if found is None or found.uid != fact.uid:
            self.pod_gone(fact.attempt, fact.uid)
            return True
        self.pod_seen(found)
        return found.finalizers != fact.finalizers


def _vanished(name: str, known: Known) -> Lost:
    """Return the verdict on an attempt whose pod is out of reach, and shows no end."""
    if known.why is not None:
        return Lost(known.why)
    if known.unseen and not known.claim:
        return verdicts.unmade(name)
    return verdicts.gone(name, claimed=bool(known.claim), taken=known.taken)


def _explained(name: str, known: Known, report: Told) -> Verdict:
    """Return an outcome; where its runner was only told to stop, with who told it."""
    if not isinstance(report, Failed) or report.error.reason != reasons.INTERRUPTED:
        return verdicts.of_report(report)
    ended = known.fact.ended if known.fact else None
    if ended is None and (known.why is not None or known.taken is not None):
        why = _vanished(name, known).error
        return Lost(replace(report.error, reason=why.reason, message=why.message))
    return verdicts.stopped(name, report.error, ended)
