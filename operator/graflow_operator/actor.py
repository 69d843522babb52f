"""One run, one writer: facts in, one commit, then what is due.

The loop is: take what has come, fold it, commit it in one guarded write, answer who waits, act.
Nothing that follows from a fact is done before the commit that holds it. After a crash the same
loop begins from what was committed and what exists; there is no other way to recover.
"""

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress

from graflow.api import names
from graflow.api.errors import InvalidWorkflow
from graflow.api.inputs import channel_keys
from graflow.api.runnable import needs_plan
from graflow.machine import reasons
from graflow.machine.check import Problem
from graflow.machine.due import wakes as timers
from graflow.machine.state import Activation, Error, RunPhase, State
from graflow.store import ObjectCorruptError, StoreError
from graflow_operator import (
    beginning,
    checkpoints,
    folding,
    mail,
    metrics,
    orders,
    program,
    statuses,
)
from graflow_operator.beginning import RefusedError
from graflow_operator.bundles import Bundle, BundleUnusableError
from graflow_operator.census import Standing
from graflow_operator.channel import Hold, RunChannel
from graflow_operator.checkpoint import Wish
from graflow_operator.checkpoints import Checkpoints
from graflow_operator.claimants import Claimants
from graflow_operator.cluster import PODS, Object
from graflow_operator.cluster_errors import ClusterError, NotFoundError
from graflow_operator.code import BundleAwaitedError, Code
from graflow_operator.commits import SupersededError
from graflow_operator.desk import Desk
from graflow_operator.dispatch import Dispatch
from graflow_operator.facts import PodFact, of_pod
from graflow_operator.folding import Draft, RunFacts
from graflow_operator.hands import Hands
from graflow_operator.journal import StoreRequiredError
from graflow_operator.laps import Laps
from graflow_operator.letters import Claim, FencedError, Json, Letter, NotYetError, Save
from graflow_operator.moments import Moments
from graflow_operator.objects import is_leaving, version_of
from graflow_operator.parts import Parts
from graflow_operator.places import Applicant
from graflow_operator.podbook import PodBook
from graflow_operator.program import Program
from graflow_operator.record import NO_NEWS, News, Record
from graflow_operator.refs import AttemptRef, RunRef, is_pod_of
from graflow_operator.refusals import Refusals
from graflow_operator.run_questions import RunQuestions
from graflow_operator.snapshot import Snapshot, UnreadableSnapshotError
from graflow_operator.starts import Starts
from graflow_operator.sweep import RunMark
from graflow_operator.verdicts import Failed, Told, given_up
from graflow_operator.withheld import Withheld

PAUSE_S = 0.5
MOST_PAUSE_S = 30.0
BUNDLE_S = 3.0
log = logging.getLogger(__name__)


class Actor:
    """Drives one run. All methods are for the engine's loop."""

    def __init__(self, parts: Parts, workflow: Object, facts: Iterable[PodFact] | None) -> None:
        self.run = RunRef.of(workflow)
        self.parts = parts
        self.book = PodBook(self.ring)
        self.claimants = Claimants()
        self._laps = laps = Laps()
        self._bell = asyncio.Event()
        self._desk = Desk(self.ring, laps)
        self._dispatch = Dispatch(parts, self.run, self.ring)
        hold = Hold(self.holder, lambda: self._snapshot.state, self.ring, self._dispatch)
        self.channel = RunChannel(parts, self.run, hold)
        self._hands = Hands(
            parts,
            self.run,
            self.book,
            self._dispatch,
            self._desk.deliver,
            laps.mark,
            lambda: self.channel.values,
        )
        self.withheld = Withheld(self._dispatch, self.ring)
        self.questions = RunQuestions(parts, self.run, self._desk, self._dispatch, self.holder)
        self._record = Record(parts, workflow, self._dispatch)
        self._mark = RunMark(parts, self.run, self._dispatch)
        self._checkpoints = Checkpoints(parts, self.run, self._dispatch)
        self._moments = Moments(parts.clock)
        self._code = Code(parts, self.run.namespace)
        self._refused = Refusals(parts.settings.configuration_s)
        self.created = created = workflow["metadata"].get("creationTimestamp") or ""
        """When the Workflow was made, as the API server says it."""

        parts.run_ids.enter(workflow)
        self._places = Applicant(parts.places, self.run, created, self.ring)
        self._starts = Starts(self._refused, self._places, self.book)
        self._told_to_stop: dict[AttemptRef, float] = {}
        self._listed = None if facts is None else tuple(facts)
        self._newer: Object | None = None
        self._program: Program | None = None
        self._generation = 0
        self._snapshot = Snapshot()
        self._wakes: list[float] = []
        self._pause_s = 0.0
        self._fatal: Error | None = None
        """Why the run cannot go on, once that is known."""

        self.done = False
        """Whether nothing is left to do for this run."""

        self.stopped = False
        """Whether it was told to stop, though something may be left to do."""

    # -- what the outside tells -------------------------------------------------------------------

    def ring(self) -> None:
        """Say that there is something to look at."""
        self._bell.set()

    def workflow_seen(self, workflow: Object) -> None:
        """Take note of the Workflow object as a watch showed it."""
        self._newer = workflow
        self.ring()

    def is_changed(self, workflow: Object) -> bool:
        """Whether a Workflow's spec is a newer one than the run is driven by."""
        return int(workflow["metadata"].get("generation", 0)) > self._record.generation

    @property
    def version(self) -> int:
        """The version of the Workflow as it was seen last."""
        return version_of(self._record.workflow)

    def node_lost(self, attempt: AttemptRef, words: str) -> None:
        """Take note that the node of an attempt's pod is lost."""
        self._hands.node_lost(attempt, words)
        self.ring()

    def standing(self) -> tuple[Standing, int]:
        """Return how the run stands, and how many letters wait to be folded."""
        return self._record.standing, len(self._desk)

    def stop(self) -> None:
        """Leave after the round that is under way."""
        self.stopped = True
        self.ring()

    # -- what runners ask -------------------------------------------------------------------------

    async def claim(self, pod: Object, nonce: str, python: str) -> Json:
        """Give the attempt to a pod and return its order; the claim is committed before.

        Raises:
            FencedError: If the attempt is over, or another runner has it.
            NotYetError: If that is not known yet.
        """
        found, state = self._read_already(), self._snapshot.state
        if self._code.is_needed(found):
            raise NotYetError("the run's code bundle is being read")
        fact = of_pod(pod)
        if fact is None:
            raise FencedError("this is not the pod that was made for its attempt")
        activation = state.activations.get(fact.attempt.activation)
        if activation is None:
            raise folding.absent(state, fact.attempt)
        if not is_pod_of(pod, self.run, activation.node, fact.attempt):
            raise FencedError("this is not the pod that was made for its attempt")
        self.book.seen(fact)
        return await self._desk.claim(fact.attempt, f"{fact.uid}/{nonce}", python)

    async def report(self, attempt: AttemptRef, claim: str, report: Told) -> Json:
        """Record how user code ended; returns when that is committed.

        Raises:
            FencedError: If the caller does not hold the attempt any more.
            NotYetError: If that is not known yet.
        """
        log = ""
        activation = self._snapshot.state.activations.get(attempt.activation)
        if isinstance(report, Failed) and activation and activation.attempt == attempt.attempt:
            log = await self._hands.last_lines(attempt)
        return await self._desk.report(attempt, claim, report, log)

    async def save(
        self, attempt: AttemptRef, claim: str, number: tuple[int, int], wish: Wish
    ) -> Json:
        """Take a checkpoint of the run as it is; returns when that is committed.

        Args:
            attempt: Whose call it is.
            claim: Its claim.
            number: Stream, and number of the call in it.
            wish: What is asked for.

        Raises:
            FencedError: If the caller does not hold the attempt any more.
            NotYetError: If that is not known yet.
        """
        self.holder(attempt, claim)
        return await self._desk.save(attempt, claim, number, wish)

    def reports(self, attempt: AttemptRef, ran: str) -> None:
        """Take note that a report has come, and of what its sender says of its time."""
        self._laps.reported(attempt, ran)

    def holder(self, attempt: AttemptRef, claim: str) -> tuple[Program, State, Activation]:
        """Return what a runner may read of: program, committed state, its own activation.

        Raises:
            FencedError: If the caller does not hold the attempt.
            NotYetError: If that is not known yet.
        """
        found, state = self._read_already(), self._snapshot.state
        activation = state.activations.get(attempt.activation)
        if state.phase.ended or activation is None or activation.attempt != attempt.attempt:
            raise folding.absent(state, attempt)
        if activation.claim != claim:
            raise FencedError(f"another runner holds attempt {attempt}")
        return found, state, activation

    def _read_already(self) -> Program:
        if self._program is None:
            raise NotYetError("the run is being read")
        return self._program

    @property
    def bundle(self) -> Bundle | None:
        """The run's code, once it was read."""
        return self._code.bundle

    # -- the loop ---------------------------------------------------------------------------------

    async def drive(self) -> None:
        """Drive the run to its end; returns when nothing is left to do."""
        try:
            while not (self.done or self.stopped):
                await self._round()
        finally:
            self._dispatch.close()
            self.parts.run_ids.leave(self.run)
            self._places.leave(self.book.facts.values())
            reason = FencedError("the run is over") if self.done else None
            self._desk.close(reason)
            self.channel.close(reason or NotYetError("the operator is stopping"))

    async def say(self, hold_up: Error) -> None:
        """Say why nobody drives the run."""
        await self._record.say(hold_up)

    async def _round(self) -> None:
        letters: list[Letter] = []
        try:
            if self._program is None and not await self._read():
                return
            await self._wait()
            if self.stopped:
                return
            letters = self._desk.take()
            self._take_newer()
            await self._step(letters)
        except SupersededError as error:
            log.warning("%s: %s; reading it again", self.run, error)
            self._program, self._listed = None, None
            self._checkpoints.forget()
            self._moments.over()
            self._record = Record(self.parts, error.workflow, self._dispatch)
        except NotFoundError:
            log.info("%s: the Workflow is gone", self.run)
            self.done = True
        except StoreRequiredError as error:
            await self._outgrown(error)
        except (UnreadableSnapshotError, ObjectCorruptError, BundleAwaitedError) as error:
            awaited = isinstance(error, BundleAwaitedError)
            reason = reasons.BUNDLE_MISSING if awaited else reasons.STATE_UNREADABLE
            await self._record.say(Error(reason, str(error)))
            await self._take_a_breath(error)
        except StoreError as error:
            self.withheld.commit = error
            await self._record.say(Error(reasons.STORE_UNAVAILABLE, str(error)))
            await self._take_a_breath(error)
        except ClusterError as error:
            await self._take_a_breath(error)
        else:
            self._pause_s = 0.0
            return
        self._desk.put_back(letters)
        self.ring()

    async def _outgrown(self, error: StoreRequiredError) -> None:
        """End a run that there is no room for; one whose state cannot be had can only wait."""
        self._fatal = Error(reasons.STORE_REQUIRED, str(error), retryable=False)
        if self._program is None:
            await self._record.say(self._fatal)
            await self._take_a_breath(error)

    async def _take_a_breath(self, error: Exception) -> None:
        self._pause_s = min(max(self._pause_s * 2, PAUSE_S), MOST_PAUSE_S)
        if isinstance(error, ClusterError):
            self._pause_s = max(self._pause_s, error.retry_after_s)
        log.warning("%s: %s; trying again in %.1f s", self.run, error, self._pause_s)
        await self.parts.sleep(self._pause_s)

    async def _wait(self) -> None:
        wakes = [*self._wakes, *([self._record.soft_at] if self._record.soft_at else [])]
        timeout = max(0.0, min(wakes) - self.parts.clock()) if wakes else None
        # Not `wait_for`: in Python 3.11 it can swallow a cancellation.
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._bell.wait()
        self._bell.clear()

    async def _read(self) -> bool:
        """Read spec, state and pods; return whether there is something to drive."""
        self._take_newer()
        workflow = self._record.workflow
        if workflow["metadata"]["uid"] != self.run.uid or is_leaving(workflow):
            self.done = True
            return False
        try:
            found = await self._code.program_of(workflow)
        except InvalidWorkflow as error:
            await self._refuse(reasons.INVALID, error.problems)
            return False
        except BundleUnusableError as error:
            await self._refuse(error.error.reason, [Problem("", str(error))])
            return False
        committed = await self._record.read(found.plan)
        try:
            self._snapshot = committed or await self._begin(found)
        except RefusedError as error:
            await self._refuse(error.reason, error.problems)
            return False
        if committed is not None:
            await self._recover()
        ended = self._snapshot.state.phase.ended
        await self.channel.recover(self._record.channel, channel_keys(found.spec), ended=ended)
        # Only now may runners be answered: before, nothing is known of their attempts.
        self._program, self._generation = found, self._record.generation
        self._fatal = None
        self._mark.leave(ended=ended)
        self.ring()
        return True

    async def _begin(self, found: Program) -> Snapshot:
        """Return where a run begins, committed if that is not at the start of its plan."""
        begun = await beginning.begun(self.parts, self.run, found, self._mark, self._hands.tried)
        if begun is None:
            return Snapshot()
        made, self._record.origin = begun.snapshot, begun.resumed_from
        await self._record.commit(found, Snapshot(), made, NO_NEWS, {}, begun.channel)
        return made

    async def _refuse(self, reason: str, problems: Iterable[Problem]) -> None:
        """Leave a run alone that cannot begin."""
        await self._record.refuse(reason, problems)
        self.done = True

    async def _recover(self) -> None:
        """Learn which pods exist; what should exist and does not may have been and be gone."""
        listed, self._listed = self._listed, None
        if listed is None:
            selector = f"{names.LABEL_RUN}={self.run.uid}"
            found = await self.parts.cluster.find(PODS, self.run.namespace, selector)
            listed = tuple(fact for pod in found if (fact := of_pod(pod)))
        for fact in listed:
            self.book.seen(fact)
        state = self._snapshot.state
        self._refused.recall(self._snapshot.refused)
        if not state.phase.ended:
            self.book.expected(folding.under_way(state, self._snapshot.held).keys())

    def _take_newer(self) -> None:
        """Take over a spec that somebody changed."""
        newer, self._newer = self._newer, None
        if newer is not None:
            if newer["metadata"]["uid"] != self.run.uid or is_leaving(newer):
                raise NotFoundError("the Workflow was deleted")
            self._record.take(newer)
        if self._program is None or self._record.generation == self._generation:
            return
        self._generation = self._record.generation
        try:
            plan = self.bundle.plan() if self.bundle and needs_plan(self._record.workflow) else None
            self._program = program.read(self._record.workflow, plan)
        except InvalidWorkflow as error:
            log.warning("%s: changed spec not taken over: %s", self.run, error)

    async def _step(self, letters: list[Letter]) -> None:
        """Fold, commit, answer, act."""
        found, before = self._read_already(), self._snapshot
        if not before.state.phase.ended:
            await self._code.fetch(found)
        if self._code.unusable and before.state.phase is RunPhase.PENDING:
            problem = Problem("", self._code.unusable.message)
            await self._refuse(self._code.unusable.reason, [problem])
            return
        now = self._moments.of(letters)
        draft = Draft(found, before, now, self.book.facts, self.bundle)
        draft.told_to_stop = self._told_to_stop
        fatal = self._fatal or self._code.unusable
        draft.about_the_run(RunFacts(not self._code.is_needed(found), fatal))
        draft.about_pods()
        answers = [(letter, mail.folded(draft, letter, self._refused, now)) for letter in letters]
        for attempt, why in self._refused.overdue(now).items():
            draft.judged(attempt, given_up(why))
        after = self._starts.held(
            before, draft.snapshot(before, self.book.living()), found.limits, now
        )
        news = self._news(found, after, now)
        kept = [letter for letter, error in answers if error is None]
        cut = checkpoints.due(found.spec, before, after, draft, kept)
        async with self.channel.turn:
            part = await self.channel.part(after.state, moved=after.differs_from(before))
            taken = await self._checkpoints.take(
                cut, found, after, self.channel.state, self._record.cursor, now
            )
            facts = self.book.facts
            if await self._record.commit(found, before, after, news, facts, part, taken):
                self.withheld.commit = None
                self._checkpoints.committed(taken)
            self._moments.over()
            self._snapshot = after
            self.questions.committed(after.state)
            self.channel.committed(part, after.state.phase)
        for outcome, reason in draft.ended:
            metrics.attempt(outcome, reason)
        for letter, error in answers:
            self._answer(found, letter, error)
        self._act(found, now)

    def _news(self, found: Program, after: Snapshot, now: float) -> News:
        """Return what people are to be told besides the state."""
        if after.state.phase.ended:
            return News({}, None)
        waiters = statuses.Waiters(
            after.held,
            found.limits,
            self.book.facts,
            self._refused,
            self._hands.gives_up_at,
            self._places,
        )
        waits = statuses.waits(waiters, self._starts.due(after.state), now)
        suspended = Error(reasons.SUSPENDED, "spec.suspend is true: nothing new starts")
        by_people = suspended if found.spec.suspend else None
        withheld = self.withheld.why(after.state)
        return News(waits, withheld or self._code.missing or by_people)

    def _answer(self, found: Program, letter: Letter, error: Exception | None) -> None:
        """Tell a letter's sender what is committed now."""
        order = None
        if isinstance(letter, Save) and error is None:
            order = self._checkpoints.answer(letter, self._snapshot.state.steps)
        if isinstance(letter, Claim) and error is None:
            activation = self._snapshot.state.activations.get(letter.attempt.activation)
            if activation is None or activation.claim != letter.claim:
                error = FencedError(f"attempt {letter.attempt} is over")
            else:
                state = self._snapshot.state
                order = orders.order(
                    self.run, found, state, activation, self.bundle, self.channel.values
                )
        self._desk.answer(letter, error, order)

    def _act(self, found: Program, now: float) -> None:
        """Do what follows from what is committed, and arrange to be woken."""
        state = self._snapshot.state
        refused = self._refused.waiting(now) | self._desk.without_pod()
        self.questions.act(found, state)
        self._hands.act(found, self._snapshot, refused, now)
        self._mark.leave(ended=state.phase.ended)
        self.done = state.phase.ended and not self._hands.left()
        wakes = [] if state.phase.ended else [command.at for command in timers(state)]
        limit = found.spec.active_deadline_seconds
        if limit and not state.phase.ended and state.started_at:
            wakes.append(state.started_at + limit)
        if self._code.is_needed(found) and not state.phase.ended:
            wakes.append(now + BUNDLE_S)
        wakes += self.channel.wakes()
        later = [*self._hands.wakes(), *self._refused.wakes()]
        later += [statuses.slow_at(fact) for fact in self.book.facts.values() if fact.pending]
        # What is over already was looked at just now, and is waited for no more.
        self._wakes = [*wakes, *(wake for wake in later if wake > now)]
