"""Facts of the cluster folded into a run. Pure: a draft begins from what is committed."""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace

from graflow.api.attempts import Attempt
from graflow.machine import objections, reasons
from graflow.machine.events import (
    AttemptClaimed,
    AttemptFailed,
    AttemptLost,
    AttemptParked,
    AttemptSucceeded,
    CancelRequested,
    Event,
    QuestionAnswered,
    QuestionAsked,
    RunFailed,
    RunStarted,
    TimerFired,
    ValueKept,
)
from graflow.machine.reducer import fold
from graflow.machine.state import Activation, Error, Phase, RunPhase, State, Transition
from graflow_operator import group_policy, takings, verdicts
from graflow_operator.bundles import Bundle
from graflow_operator.checkpoint import Label, Reason
from graflow_operator.facts import PodFact
from graflow_operator.letters import (
    Answered,
    Ask,
    Claim,
    FencedError,
    Keep,
    NotYetError,
    Report,
    Save,
)
from graflow_operator.program import Program, wrong_python
from graflow_operator.refs import AttemptRef
from graflow_operator.snapshot import Snapshot
from graflow_operator.verdicts import (
    Failed,
    Lost,
    Parked,
    Succeeded,
    Told,
    Verdict,
    invalid,
)
from graflow_operator.work import Work, foreign, work_of


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What is known of the run as a whole."""

    ready: bool = True
    """Whether all that it needs to begin is there."""

    fatal: Error | None = None
    """Why it cannot go on, if it cannot."""


def under_way(state: State, held: Container[AttemptRef]) -> dict[AttemptRef, Activation]:
    """Return the attempts of which there may be pods: those that should run and are not held."""
    return {
        AttemptRef(number, activation.attempt): activation
        for number, activation in state.activations.items()
        if (activation.phase is Phase.RUNNING or activation.phase is Phase.STARTING)
        and (number, activation.attempt) not in held  # many thousands may be
    }


def current(state: State, attempt: AttemptRef) -> Activation | None:
    """Return the activation of an attempt if that should be under way."""
    activation = state.activations.get(attempt.activation)
    if state.phase.ended or activation is None or activation.attempt != attempt.attempt:
        return None
    return activation if activation.phase.has_attempt else None


def is_unheard_of(state: State, attempt: AttemptRef) -> bool:
    """Whether an attempt is later than all that a state knows: somebody else drives the run."""
    known = state.activations.get(attempt.activation)
    newer = known is not None and attempt.attempt > known.attempt
    return newer or attempt.activation > state.steps


def absent(state: State, attempt: AttemptRef) -> FencedError | NotYetError:
    """Return why an attempt is not the current one of its activation."""
    if is_unheard_of(state, attempt):
        return NotYetError(f"nothing is known yet of attempt {attempt}")
    return FencedError(f"attempt {attempt} is over")


EXPLAINED_S = 10.0
"""How long whoever stops a pod has to say why."""


class Draft:
    """A run under change, and what the senders of facts are to be told."""

    def __init__(
        self,
        program: Program,
        before: Snapshot,
        now: float,
        pods: Mapping[AttemptRef, PodFact],
        bundle: Bundle | None = None,
    ) -> None:
        self._program = program
        self._pods = pods
        self._bundle = bundle
        self._reported = dict(before.reported)
        self._now = now
        self._changing: State | None = None
        """A copy of what is committed, made for the first fact; all facts are folded into it."""

        self.told_to_stop: dict[AttemptRef, float] = {}
        """When runners said first that they were told to stop, where nobody has said why."""

        self.state = before.state
        self.ended: list[tuple[str, str]] = []
        """Attempts that have ended by the facts folded so far: outcome and reason."""

        self.parked: list[str] = []
        """Tasks that wait for a person now, by the facts folded so far."""

        self.wishes: list[Label] = []
        """Checkpoints that tasks have asked for by the reports folded so far."""

        self.history = before.history
        self.transitions: list[Transition] = []
        """What tasks have decided, according to the facts folded so far."""

    def about_the_run(self, facts: RunFacts) -> None:
        """Fold what concerns the run as a whole."""
        spec, now = self._program.spec, self._now
        if facts.fatal is not None:
            self._fold(RunFailed(facts.fatal, now))
        if spec.cancel:
            self._fold(CancelRequested(spec.cancel_reason or "spec.cancel was set", now))
        if self.state.phase is RunPhase.PENDING and facts.ready and not spec.suspend:
            self._fold(RunStarted(now))
        limit = spec.active_deadline_seconds
        if limit and self.state.started_at and now >= self.state.started_at + limit:
            words = f"the run took longer than activeDeadlineSeconds, {limit} s"
            self._fold(RunFailed(Error(reasons.DEADLINE_EXCEEDED, words), now))
        if any(self.state.activations[n].not_before <= now for n in self.state.backoff):
            self._fold(TimerFired(now))

    def about_pods(self) -> None:
        """Fold that containers run of which nobody else would tell."""
        for fact in self._pods.values():
            activation = self._current(fact.attempt)
            if activation is None or activation.phase is not Phase.STARTING or not fact.running:
                continue
            if self._work(activation).task.container is not None:
                self._fold(AttemptClaimed(*_pair(fact.attempt), fact.uid, self._now))

    def claimed(self, letter: Claim) -> Exception | None:
        """Give an attempt to a runner; return why not, if it cannot have it."""
        attempt = letter.attempt
        activation = self._current(attempt)
        if activation is None:
            return absent(self.state, attempt)
        if activation.claim:
            if activation.claim == letter.claim:
                return None
            return FencedError(f"another runner holds attempt {attempt}")
        uses_python = self._work(activation).task.function is not None
        python = self._bundle.python if self._bundle else ""
        minor = ".".join(letter.python.split(".")[:2])
        if uses_python and python and minor and minor != python:
            error = wrong_python(python, minor)
            self.judged(attempt, Failed(error))
            return FencedError(error.message)
        self._fold(AttemptClaimed(*_pair(attempt), letter.claim, self._now))
        return None

    def reported(self, letter: Report) -> Exception | None:
        """Record how an attempt ended; return why not, if the sender does not hold it."""
        attempt = letter.attempt
        if self._reported.get(attempt) == letter.claim:
            return None
        activation = self._current(attempt)
        if activation is None:
            return absent(self.state, attempt)
        if activation.claim != letter.claim:
            return FencedError(f"another runner holds attempt {attempt}")
        verdict = self._explained(attempt, activation, letter.report)
        if verdict is None:
            return NotYetError("why the pod was told to stop is not known yet")
        self.judged(attempt, verdict, letter.log)
        self._reported[attempt] = letter.claim
        return None

    def saved(self, letter: Save) -> Exception | None:
        """Return why a runner cannot have a checkpoint, if it does not hold its attempt."""
        return self._not_held(letter.attempt, letter.claim)

    def asked(self, letter: Ask) -> Exception | None:
        """Take note of a question; return why not, if the sender does not hold its attempt.

        Where the task's scope has failed, nobody is asked: then the state does not have it.
        """
        refusal = self._not_held(letter.attempt, letter.claim)
        if refusal is None:
            self._fold(QuestionAsked(*_pair(letter.attempt), letter.question, self._now))
        return refusal

    def kept(self, letter: Keep) -> Exception | None:
        """Keep a value; return why not, if the sender does not hold its attempt."""
        refusal = self._not_held(letter.attempt, letter.claim)
        if refusal is None:
            self._fold(ValueKept(*_pair(letter.attempt), letter.key, letter.value, self._now))
        return refusal

    def answered(self, letter: Answered) -> None:
        """Give an answer to the question that it is for, and to no other."""
        activation = self.state.activations.get(letter.activation)
        questions = activation.questions if activation else ()
        meant = (letter.key, letter.sha256, letter.name)
        if any((known.key, known.digest, known.name) == meant for known in questions):
            which = (letter.activation, letter.key)
            self._fold(QuestionAnswered(*which, letter.answer, self._now, letter.lapsed))

    def _not_held(self, attempt: AttemptRef, claim: str) -> Exception | None:
        activation = self._current(attempt)
        if activation is None:
            return absent(self.state, attempt)
        if activation.claim != claim:
            return FencedError(f"another runner holds attempt {attempt}")
        return None

    def _explained(
        self, attempt: AttemptRef, activation: Activation, report: Told
    ) -> Verdict | None:
        """Say why a runner was told to stop: it only knows that it was.

        What takes a pod away may say so later than it stops it: for a while that is None.
        """
        if not isinstance(report, Failed) or report.error.reason != reasons.INTERRUPTED:
            return verdicts.of_report(report)
        fact, limit = self._pods.get(attempt), self._work(activation).task.timeout_seconds
        began = (fact.started_at if fact else 0.0) or activation.since
        if limit is not None and self._now - began >= limit:
            words = f"the task was stopped: its timeoutSeconds, {limit:g}, have passed"
            return Failed(replace(report.error, reason=reasons.DEADLINE_EXCEEDED, message=words))
        if fact is not None and fact.taken is not None and fact.ended is None:
            why = takings.taken(fact.name, fact.taken, "while its task ran")
            return Lost(replace(report.error, reason=why.reason, message=why.message))
        ended = fact.ended if fact else None
        since = self.told_to_stop.setdefault(attempt, self._now)
        if ended is None and self._now - since < EXPLAINED_S:
            return None
        return verdicts.stopped(fact.name if fact else "", report.error, ended)

    def judged(self, attempt: AttemptRef, verdict: Verdict, log: str = "") -> None:
        """Fold how an attempt ended, and remember it, with the last it printed, if it failed."""
        pair, activation = _pair(attempt), self._current(attempt)
        if isinstance(verdict, Succeeded) and verdict.directives:
            verdict = self._objected(attempt, verdict)
        match verdict:
            case Succeeded(value=value, directives=directives, wish=wish):
                self._fold(AttemptSucceeded(*pair, value, self._now, directives))
                if activation is not None and wish is not None:
                    self.wishes.append(Label(Reason.ASKED, activation.node, wish))
            case Failed(error=error, spends=spends):
                if activation:
                    error = group_policy.verdict(self._program, self.state, activation, error)
                self._fold(AttemptFailed(*pair, error, self._now, spends))
                self._remember(attempt, activation, error, log)
            case Parked(waits_for=waits_for):
                self._fold(AttemptParked(*pair, self._now, waits_for))
                now = self.state.activations.get(attempt.activation)
                if now is not None and now.phase is Phase.PARKED and activation is not None:
                    self.parked.append(now.node)
            case Lost(error=error, spends=spends):
                self._fold(AttemptLost(*pair, error, self._now, spends))
                self._remember(attempt, activation, error, log)

    def _remember(
        self, attempt: AttemptRef, before: Activation | None, error: Error, log: str
    ) -> None:
        if before is None:
            return
        fact = self._pods.get(attempt)
        ended = Attempt(
            attempt.attempt,
            error.reason,
            error.message,
            self._now,
            before.since if before.claim else 0.0,
            fact.name if fact else "",
            fact.node if fact else "",
            fact.ended.exit_code if fact and fact.ended else None,
        )
        self.history = self.history.with_attempt(attempt.activation, ended)
        after = self.state.activations.get(attempt.activation)
        if after is not None and after.phase is Phase.FAILED:
            self.history = self.history.with_log(attempt.activation, log)

    def _objected(self, attempt: AttemptRef, success: Succeeded) -> Verdict:
        """Return a success, or its failure where what it decided cannot be."""
        activation = self._current(attempt)
        if activation is None:
            return success
        words = objections.objection(
            self._program.plan, self.state, activation, success.directives
        ) or foreign(success.directives, self._bundle)
        return invalid(words) if words else success

    def snapshot(self, before: Snapshot, living: Iterable[AttemptRef]) -> Snapshot:
        """Return the run as drafted.

        Args:
            before: What is committed.
            living: Attempts whose pods have not ended and may repeat what they said.
        """
        alive = set(living)
        new = self._reported.keys() - before.reported.keys()
        kept = {ref: claim for ref, claim in self._reported.items() if ref in alive or ref in new}
        decided = tuple(self.transitions)
        history = self.history.of(self.state) if self.state is not before.state else self.history
        return replace(before, state=self.state, reported=kept, history=history, decided=decided)

    def claim_of(self, attempt: AttemptRef) -> str:
        """Return who holds an attempt that goes on; "" if nobody does."""
        activation = self._current(attempt)
        return activation.claim if activation else ""

    def _current(self, attempt: AttemptRef) -> Activation | None:
        return current(self.state, attempt)

    def _work(self, activation: Activation) -> Work:
        return work_of(self._program, self.state, activation)

    def _fold(self, event: Event) -> None:
        changing = self._changing = self._changing or self.state.draft()
        known = changing.transitions_made
        if fold(self._program.plan, changing, event):
            self.state = changing
            match event:
                case AttemptSucceeded():
                    self.ended.append(("succeeded", ""))
                case AttemptFailed(error=error):
                    self.ended.append(("failed", error.reason))
                case AttemptLost(error=error):
                    self.ended.append(("lost", error.reason))
                case _:
                    pass
            self.transitions += [t for t in changing.transitions if t.number > known]


def _pair(attempt: AttemptRef) -> tuple[int, int]:
    return attempt.activation, attempt.attempt
