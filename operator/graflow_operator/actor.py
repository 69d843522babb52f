"""One run, one writer: facts in, one commit, then what is due.

The loop is: take what has come, fold it, commit it in one guarded write, answer who waits, act.
Nothing that follows from a fact is done before the commit that holds it. After a crash the same
loop begins from what was committed and what exists; there is no other way to recover.
"""

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from functools import partial

from graflow.api import names
from graflow.api.errors import InvalidWorkflow
from graflow.api.workflow_status import Cursor
from graflow.machine import reasons
from graflow.machine.commands import WakeAt
from graflow.machine.due import due
from graflow.machine.state import Error, State
from graflow.store import StoreError
from graflow_operator import folding, metrics, orders, program, snapshot, statuses, turns
from graflow_operator.bundles import Bundle
from graflow_operator.cluster import PODS, Object
from graflow_operator.cluster_errors import ClusterError, NotFoundError, TooManyError
from graflow_operator.code import Code
from graflow_operator.commits import Commits, StoreRequiredError, SupersededError
from graflow_operator.dispatch import Dispatch
from graflow_operator.facts import PodFact, of_pod
from graflow_operator.folding import Draft, RunFacts
from graflow_operator.hands import Hands
from graflow_operator.laps import Laps
from graflow_operator.letters import (
    Claim,
    FencedError,
    Json,
    Judged,
    Letter,
    NotYetError,
    Refused,
    Report,
    Unstartable,
)
from graflow_operator.parts import Parts
from graflow_operator.podbook import PodBook
from graflow_operator.program import Program
from graflow_operator.refs import AttemptRef, RunRef, is_pod_of
from graflow_operator.refusals import Refusals
from graflow_operator.snapshot import Snapshot
from graflow_operator.verdicts import Failed, Succeeded

PAUSE_S = 0.5
MOST_PAUSE_S = 30.0
SOFT_S = 2.0
"""How long news that only people want may wait for company, in seconds."""

BUNDLE_S = 3.0
log = logging.getLogger(__name__)


class Actor:
    """Drives one run. All methods are for the engine's loop."""

    def __init__(self, parts: Parts, workflow: Object, facts: Iterable[PodFact] | None) -> None:
        self.run = RunRef.of(workflow)
        self.parts = parts
        self.book = PodBook(self.ring)
        self._bell = asyncio.Event()
        self._letters: list[Letter] = []
        self._newer: Object | None = None
        self._dispatch = Dispatch(parts, self.run, self.ring)
        self.laps = Laps()
        self._hands = Hands(
            parts, self.run, self.book, self._dispatch, self._deliver, self.laps.mark
        )
        self._commits = Commits(parts.cluster, parts.storage, workflow)
        self._program: Program | None = None
        self._generation = 0
        self._code = Code(parts, self.run.namespace)
        self._snapshot = Snapshot()
        self._listed = None if facts is None else tuple(facts)
        self._refused = Refusals()
        self._previous = statuses.previous(workflow)
        self._told: tuple[statuses.Waits, Error | None] = ({}, None)
        self._soft_at = 0.0
        self._wakes: list[float] = []
        self._pause_s = 0.0
        self._fatal: Error | None = None
        """Why the run cannot go on, once that is known."""

        self._store_away: Error | None = None
        """Why nothing can be committed, while the store does not answer."""

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

    def store_failed(self, error: StoreError) -> None:
        """Take note that the store does not take what a runner reports."""
        self._store_away = Error(reasons.STORE_UNAVAILABLE, str(error))
        self.ring()

    def node_lost(self, attempt: AttemptRef, words: str) -> None:
        """Take note that the node of an attempt's pod is lost."""
        self._hands.node_lost(attempt, words)
        self.ring()

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
        if self._program is None:
            raise NotYetError("the run is being read")
        if self._code.is_needed(self._program):
            raise NotYetError("the run's code bundle is being read")
        fact = of_pod(pod)
        activation = fact and self._snapshot.state.activations.get(fact.attempt.activation)
        if fact is None or activation is None:
            raise FencedError("the attempt of this pod is over")
        if not is_pod_of(pod, self.run, activation.node, fact.attempt):
            raise FencedError("this is not the pod that was made for its attempt")
        self.book.seen(fact)
        claim = f"{fact.uid}/{nonce}"
        return await self._ask(Claim(fact.attempt, claim, python, self._future()))

    async def report(self, attempt: AttemptRef, claim: str, report: Succeeded | Failed) -> Json:
        """Record how user code ended; returns when that is committed.

        Raises:
            FencedError: If the caller does not hold the attempt any more.
            NotYetError: If that is not known yet.
        """
        return await self._ask(Report(attempt, claim, report, self._future()))

    def holder(self, attempt: AttemptRef, claim: str) -> tuple[Program, State, int]:
        """Return what a runner may read of: program, committed state, its scope.

        Raises:
            FencedError: If the caller does not hold the attempt.
            NotYetError: If the run is not read yet.
        """
        state = self._snapshot.state
        if self._program is None:
            raise NotYetError("the run is being read")
        activation = state.activations.get(attempt.activation)
        if state.phase.ended or activation is None or activation.attempt != attempt.attempt:
            raise FencedError("the attempt is over")
        if activation.claim != claim:
            raise FencedError("another runner holds the attempt")
        return self._program, state, activation.scope

    @property
    def bundle(self) -> Bundle | None:
        """The run's code, once it was read."""
        return self._code.bundle

    def _future(self) -> asyncio.Future[Json]:
        return asyncio.get_running_loop().create_future()

    async def _ask(self, letter: Claim | Report) -> Json:
        if self.done:
            raise FencedError("the run is over")
        self._deliver(letter)
        return await letter.answer

    def _deliver(self, letter: Letter) -> None:
        self._letters.append(letter)
        if isinstance(letter, Report):
            self.laps.mark(letter.attempt, "reported")
        self.ring()

    # -- the loop ---------------------------------------------------------------------------------

    async def drive(self) -> None:
        """Drive the run to its end; returns when nothing is left to do."""
        try:
            while not (self.done or self.stopped):
                await self._round()
        finally:
            self._dispatch.close()
            for letter in self._letters:
                self._refuse(
                    letter,
                    FencedError("the run is over")
                    if self.done
                    else NotYetError("the operator is stopping"),
                )

    async def _round(self) -> None:
        letters: list[Letter] = []
        try:
            if self._program is None and not await self._read():
                return
            await self._wait()
            if self.stopped:
                return
            letters, self._letters = self._letters, []
            self._take_newer()
            await self._step(letters)
            self._pause_s = 0.0
        except SupersededError as error:
            self._letters[:0] = letters
            log.warning("%s: %s; reading it again", self.run, error)
            self._program, self._listed = None, None
            self._commits = Commits(self.parts.cluster, self.parts.storage, error.workflow)
            self._previous = statuses.previous(error.workflow)
        except NotFoundError:
            log.info("%s: the Workflow is gone", self.run)
            self._letters[:0] = letters
            self.done = True
        except StoreRequiredError as error:
            self._letters[:0] = letters
            self._fatal = Error(reasons.STORE_REQUIRED, str(error), retryable=False)
            self.ring()
        except StoreError as error:
            self._letters[:0] = letters
            self._store_away = Error(reasons.STORE_UNAVAILABLE, str(error))
            await self._tell_hold_up()
            await self._take_a_breath(error)
        except ClusterError as error:
            self._letters[:0] = letters
            await self._take_a_breath(error)

    async def _take_a_breath(self, error: ClusterError | StoreError) -> None:
        self._pause_s = min(max(self._pause_s * 2, PAUSE_S), MOST_PAUSE_S)
        if isinstance(error, TooManyError):
            self._pause_s = max(self._pause_s, error.retry_after_s)
        log.warning("%s: %s; trying again in %.1f s", self.run, error, self._pause_s)
        self.ring()
        await self.parts.sleep(self._pause_s)

    async def _wait(self) -> None:
        wakes = [*self._wakes, *([self._soft_at] if self._soft_at else [])]
        timeout = max(0.0, min(wakes) - self.parts.clock()) if wakes else None
        with suppress(TimeoutError):
            await asyncio.wait_for(self._bell.wait(), timeout)
        self._bell.clear()

    async def _read(self) -> bool:
        """Read spec, state and pods; return whether there is something to drive."""
        workflow = self._commits.workflow
        if workflow["metadata"]["uid"] != self.run.uid or _leaving(workflow):
            self.done = True
            return False
        try:
            found = program.read(workflow)
        except InvalidWorkflow as error:
            await self._refuse_run(error)
            self.done = True
            return False
        data = await self._commits.packed_state()
        if data is None:
            self._snapshot = Snapshot()
        else:
            self._snapshot = snapshot.unpack(found.plan, data)
            await self._recover()
        # Only now may runners be answered: before, nothing is known of their attempts.
        self._program, self._generation = found, _generation(workflow)
        self.ring()
        return True

    async def _recover(self) -> None:
        """Learn which pods exist; what should exist and does not may have been and be gone."""
        if self._listed is None:
            selector = f"{names.LABEL_RUN}={self.run.uid}"
            found = await self.parts.cluster.find(PODS, self.run.namespace, selector)
            self._listed = tuple(fact for pod in found if (fact := of_pod(pod)))
        for fact in self._listed:
            self.book.seen(fact)
        state = self._snapshot.state
        if not state.phase.ended:
            expected = {ref for ref, _ in folding.current(state)} - self._snapshot.held
            self.book.missing |= expected - self.book.facts.keys()

    async def _refuse_run(self, error: InvalidWorkflow) -> None:
        """Say what is wrong with a spec that cannot run."""
        now = self.parts.clock()
        found = statuses.refused(self._about(), error.problems, self._previous, now=now)
        await self._commits.write(found.manifest())
        self.parts.notes.post(self.run, reasons.INVALID, str(error), warning=True)

    def _about(self) -> statuses.About:
        return statuses.About(_generation(self._commits.workflow), self.parts.settings.instance)

    def _take_newer(self) -> None:
        """Take over a spec that somebody changed."""
        newer, self._newer = self._newer, None
        if newer is not None:
            if newer["metadata"]["uid"] != self.run.uid or _leaving(newer):
                raise NotFoundError("the Workflow was deleted")
            self._commits.take(newer)
        workflow = self._commits.workflow
        if self._program is None or _generation(workflow) == self._generation:
            return
        self._generation = _generation(workflow)
        try:
            self._program = program.read(workflow)
        except InvalidWorkflow as error:
            log.warning("%s: changed spec not taken over: %s", self.run, error)

    async def _step(self, letters: list[Letter]) -> None:
        """Fold, commit, answer, act."""
        if self._program is None:
            return
        now = self.parts.clock()
        if not self._snapshot.state.phase.ended:
            await self._code.fetch(self._program)
        draft = Draft(self._program, self._snapshot, now, self.book.facts)
        if any(isinstance(letter, Report) for letter in letters):
            self._store_away = None  # its value is where it belongs
        fatal = self._fatal or self._code.unusable
        draft.about_the_run(RunFacts(not self._code.is_needed(self._program), fatal))
        draft.about_pods()
        answers = [(letter, self._fold(draft, letter)) for letter in letters]
        after = self._with_holds(draft.snapshot(self._snapshot, self.book.living()), now)
        await self._commit(after, now)
        for letter, error in answers:
            self._answer(letter, error)
            self._count(letter, error)
        self._act(now)

    def _with_holds(self, after: Snapshot, now: float) -> Snapshot:
        """Decide which of the attempts that are due may start with this commit."""
        if self._program is None:
            return after
        before = self._snapshot
        let_go = set(turns.starting(before.state)) - before.held - self._refused.keys()
        waiting = self._refused.waiting(now)
        held = turns.held(after.state, self._program.limits, let_go=let_go, refused=waiting)
        return replace(after, held=held)

    async def _commit(self, after: Snapshot, now: float) -> None:
        """Make what has changed durable; what is news for people alone waits for company."""
        if self._program is None:
            return
        before = self._snapshot
        moved = after.state != before.state or after.held != before.held
        waits = statuses.waits(
            after.held,
            self._program.limits,
            self.book.facts,
            self._refused,
            turns.starting(after.state),
        )
        told = (waits, self._standing(after.state))
        if not moved and not self._soft_due(now, changed=told != self._told):
            return
        if moved or self._commits.cursor is None:
            cursor = await self._commits.place(snapshot.pack(after))
            self._store_away = None
        else:
            cursor = self._commits.cursor
        await self._write(self._program, after, cursor, waits, now)
        if not moved:
            return
        for ref in self._refused.keys() - after.held:
            del self._refused[ref]
        metrics.COMMIT_FACTS.observe(after.state.seq - before.state.seq)
        statuses.post_notes(self.parts.notes, self.run, before.state, after.state)

    async def _write(
        self, found: Program, after: Snapshot, cursor: Object, waits: statuses.Waits, now: float
    ) -> None:
        old_key = (self._commits.cursor or {}).get("key")
        notes = statuses.pod_notes(self.book.facts, waits)
        status = statuses.status(
            self._about(), found.plan, after.state, self._standing(after.state),
            self._previous, notes, now=now,
        )  # fmt: skip
        await self._commits.write({**status.manifest(), "cursor": cursor})
        # The very same cursor as before means that `reported` alone may differ: not committed.
        self._snapshot = after
        self._previous = status.model_copy(update={"cursor": Cursor(seq=cursor["seq"])})
        self._told, self._soft_at = (waits, self._standing(after.state)), 0.0
        if old_key and old_key != cursor.get("key") and self.parts.storage:
            self._dispatch.send(("forget", old_key), partial(self.parts.storage.delete, old_key))

    async def _tell_hold_up(self) -> None:
        """Say why the run stands still, with the state that is committed already."""
        if self._program is None or self._commits.cursor is None:
            return
        if self._told[1] == self._store_away:
            return
        with suppress(ClusterError, SupersededError):
            waits, _ = self._told
            cursor, now = self._commits.cursor, self.parts.clock()
            await self._write(self._program, self._snapshot, cursor, waits, now)

    def _standing(self, state: State) -> Error | None:
        """Return why the run as a whole does not go on, if it does not."""
        if state.phase.ended:
            return None
        suspended = self._program is not None and self._program.spec.suspend
        words = "spec.suspend is true: nothing new starts"
        by_people = Error(reasons.SUSPENDED, words) if suspended else None
        return self._store_away or self._code.missing or by_people

    def _soft_due(self, now: float, *, changed: bool) -> bool:
        if not changed:
            self._soft_at = 0.0
            return False
        if not self._soft_at:
            self._soft_at = now + SOFT_S
        return now >= self._soft_at

    # -- folding ----------------------------------------------------------------------------------

    def _fold(self, draft: Draft, letter: Letter) -> Exception | None:
        """Fold a letter; return why its sender is to be turned away, if it is."""
        match letter:
            case Refused(attempt=attempt, message=message):
                self._refused.add(attempt, message, self.parts.clock())
            case Unstartable(attempt=attempt, error=error):
                draft.judged(attempt, Failed(error))
            case Claim():
                python = self.bundle.python if self.bundle else ""
                return draft.claimed(letter, python)
            case Report():
                return draft.reported(letter)
            case _:
                draft.judged(letter.attempt, letter.verdict)
        return None

    def _count(self, letter: Letter, error: Exception | None) -> None:
        """Tell the metrics what a letter came to."""
        match letter:
            case Claim() if error is None:
                self.laps.mark(letter.attempt, "claimed")
            case Report(report=verdict) | Judged(verdict=verdict) if error is None:
                self.laps.mark(letter.attempt, "committed")
                metrics.ATTEMPTS.labels(type(verdict).__name__.lower()).inc()
            case _:
                pass

    def _answer(self, letter: Letter, error: Exception | None) -> None:
        """Tell the sender what is committed now."""
        if not isinstance(letter, Claim | Report) or letter.answer.done():
            return
        if error is not None:
            letter.answer.set_exception(error)
        elif isinstance(letter, Report):
            letter.answer.set_result({"committed": True})
        else:
            self._give_order(letter)

    def _give_order(self, letter: Claim) -> None:
        state = self._snapshot.state
        activation = state.activations.get(letter.attempt.activation)
        if self._program is None or activation is None or activation.claim != letter.claim:
            letter.answer.set_exception(FencedError("the attempt is over"))
            return
        found = orders.order(self.run, self._program, state, activation, self.bundle)
        letter.answer.set_result(found)

    def _refuse(self, letter: Letter, error: Exception) -> None:
        if isinstance(letter, Claim | Report) and not letter.answer.done():
            letter.answer.set_exception(error)

    def _act(self, now: float) -> None:
        """Do what follows from what is committed, and arrange to be woken."""
        if self._program is None:
            return
        state = self._snapshot.state
        self._hands.act(self._program, self._snapshot, self._refused, now)
        self.done = state.phase.ended and not self._hands.left()
        found = due(self._program.plan, state)
        wakes = [command.at for command in found if isinstance(command, WakeAt)]
        limit = self._program.spec.active_deadline_seconds
        if limit and not state.phase.ended and state.started_at:
            wakes.append(state.started_at + limit)
        if self._code.is_needed(self._program) and not state.phase.ended:
            wakes.append(now + BUNDLE_S)
        wakes += self._hands.wakes()
        self._wakes = [*wakes, *(refusal.until for refusal in self._refused.values())]


def _generation(workflow: Object) -> int:
    generation: int = workflow["metadata"].get("generation", 0)
    return generation


def _leaving(workflow: Object) -> bool:
    return "deletionTimestamp" in workflow["metadata"]
