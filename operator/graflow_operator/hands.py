"""What follows from what is committed: pods made, looked into, stopped, let go.

Called after each commit, and derives everything from the committed state and the pods there are: an
operator that was restarted does the very same.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import partial

from graflow.api.placement import laid_over, profile_of
from graflow.api.pod import PodSettings
from graflow.machine import faults, reasons
from graflow.machine.check import Problem
from graflow.machine.faults import FaultKind
from graflow.machine.state import Activation, Error, Phase, State
from graflow.store import ObjectCorruptError, ObjectMissingError, StoreError
from graflow_operator import folding, orders, pods, trials
from graflow_operator.cluster_errors import (
    ForbiddenError,
    InvalidError,
    NotFoundError,
    UnavailableError,
)
from graflow_operator.denials import denial
from graflow_operator.dispatch import Dispatch
from graflow_operator.errands import INQUIRY, BadInputError, Errands, Known
from graflow_operator.facts import PodFact
from graflow_operator.keeping import Keep
from graflow_operator.letters import Letter, Refused, Unstartable
from graflow_operator.parts import Parts
from graflow_operator.podbook import PodBook
from graflow_operator.program import Program
from graflow_operator.refs import AttemptRef, RunRef
from graflow_operator.snapshot import Snapshot
from graflow_operator.work import work_of

MUTE_S = 900.0
"""How long a container may run whose runner has not asked for its task; longer than runners try."""

_UNUSABLE = (BadInputError, pods.UnknownInputError, ObjectMissingError, ObjectCorruptError)
"""What is the matter with an input that no other attempt would find otherwise."""


class Hands:
    """Acts for one run."""

    def __init__(  # noqa: PLR0913, PLR0917 - what an actor lends to its hands
        self,
        parts: Parts,
        run: RunRef,
        book: PodBook,
        dispatch: Dispatch,
        deliver: Callable[[Letter], None],
        mark: Callable[[AttemptRef, str], None],
        channel: Callable[[], orders.Channel],
    ) -> None:
        self._parts = parts
        self._run = run
        self._book = book
        self._dispatch = dispatch
        self._deliver = deliver
        self._mark = mark
        self._channel = channel
        self._errands = Errands(parts, run, deliver, book.seen, book.gone, self._keep)
        self._committed = Snapshot()
        self._removed: set[str] = set()
        self._lost: dict[AttemptRef, Error] = {}
        """Attempts whose node is lost: their pods' news will not come any more."""

        self._given_up: dict[AttemptRef, Error] = {}
        """Attempts that wait too long for what they need, and why they are to fail."""

        self._secret_made = ""
        """The name of the last one."""

        self._secret_turn = asyncio.Lock()
        self._secret_missed: set[str] = set()
        """Uids of pods that showed that it is gone, since when it was made again."""

    def act(
        self,
        program: Program,
        committed: Snapshot,
        refused: Collection[AttemptRef],
        now: float,
    ) -> None:
        """Begin all that is due and is not under way yet.

        Args:
            program: What the run executes.
            committed: Where it stands.
            refused: Attempts whose pods cannot be made for now.
            now: Seconds since the epoch.
        """
        self._committed = committed
        # What is not current any more is stopped below, whatever made it so.
        if not committed.state.phase.ended:
            under_way = folding.under_way(committed.state, committed.held)
            for attempt, activation in under_way.items():
                if activation.phase is Phase.STARTING and attempt not in refused:
                    self._start(program, attempt)
            self._replace_secret()
            self._give_up(committed.state, now)
            self._inquire(program, committed.state, under_way)
        self._tidy(committed.state)

    async def tried(self, program: Program) -> list[Problem]:
        """Return what is wrong with the pods of a run that has not begun."""
        return await trials.problems(self._parts, self._runner(), program)

    def node_lost(self, attempt: AttemptRef, words: str) -> None:
        """Take note that nothing more will be heard of an attempt's pod."""
        self._lost[attempt] = Error(reasons.NODE_LOST, words)

    async def last_lines(self, attempt: AttemptRef) -> str:
        """Return the last lines that an attempt has printed, if they can be had at once."""
        fact = self._book.facts.get(attempt)
        tail = await self._parts.tails.read(fact) if fact else b""
        self._keep(attempt, tail)
        return tail.decode(errors="replace")

    def _keep(self, attempt: AttemptRef, tail: bytes) -> None:
        """Put the end of a log into the store, in its own time; it is no loss if that fails."""
        if tail and self._parts.storage is not None:
            key = self._parts.store_keys(self._run).log(attempt.activation, attempt.attempt)
            self._dispatch.send(("log", attempt), partial(self._parts.storage.put, key, tail))

    def wakes(self) -> list[float]:
        """Return when to look again though nothing may have come, in seconds since the epoch."""
        activations = self._committed.state.activations
        return [
            until
            for attempt, fact in self._book.facts.items()
            if attempt not in self._given_up
            and (found := activations.get(attempt.activation)) is not None
            and not found.claim
            and (until := self.gives_up_at(fact) or _mute_until(fact))
        ]

    def gives_up_at(self, fact: PodFact) -> float:
        """Return when a pod is given up that does not start; 0 if it is waited for without end."""
        pending = fact.pending
        if pending is None or fact.ended:
            return 0.0
        patience_s = self._patience_s(pending.reason)
        return (pending.since or fact.created_at) + patience_s if patience_s else 0.0

    def _patience_s(self, reason: str) -> float:
        """Return how long a pod is waited for that does not start, in seconds; 0 for no end.

        People get an hour to mend what is theirs; a node that cannot run pods is as good as lost.
        """
        kind, settings = faults.of(reason).kind, self._parts.settings
        if kind is FaultKind.CONFIGURATION:
            return settings.configuration_s
        return settings.node_lost_s if kind is FaultKind.INFRASTRUCTURE else 0.0

    def left(self) -> bool:
        """Whether pods are still to be stopped or let go, or errands under way."""
        running = any(
            not fact.ended and not fact.deleting and fact.uid not in self._removed
            for fact in self._book.facts.values()
        )
        held = any(fact.held for fact in self._book.facts.values())
        return running or held or self._dispatch.busy

    # -- starting ---------------------------------------------------------------------------------

    def _start(self, program: Program, attempt: AttemptRef) -> None:
        if attempt not in self._book.facts and attempt not in self._book.missing:
            self._mark(attempt, "due")
            self._dispatch.send(("start", attempt), partial(self._make_pod, program, attempt))

    async def _make_pod(self, program: Program, attempt: AttemptRef) -> None:
        state = self._committed.state
        activation = state.activations.get(attempt.activation)
        if activation is None:
            return
        task = work_of(program, state, activation).task
        inputs: dict[str, str] = {}
        profile: PodSettings | None = None
        if name := profile_of(task, program.spec):
            profile = await self._errands.profile(attempt, name, partial(self._is_wanted, attempt))
            if profile is None:
                return
        try:
            if task.container is not None:
                asked = orders.inputs(program, state, activation, self._channel())
                inputs = await self._errands.inputs(asked)
            else:
                await self._make_secret()
            below = laid_over(profile, program.spec.pod)
            body = pods.build(self._runner(), task, attempt, below, inputs)
        except _UNUSABLE as error:
            corrupt = isinstance(error, ObjectCorruptError)
            reason = reasons.OBJECT_CORRUPT if corrupt else reasons.INPUT_UNUSABLE
            broken = Error(reason, f"task {task.name!r}: {error}", retryable=False)
            self._deliver(Unstartable(attempt, broken))
            return
        except StoreError as error:
            words = f"an input of task {task.name!r}: {error}"
            self._deliver(Refused(attempt, Error(reasons.STORE_UNAVAILABLE, words)))
            return
        except (ForbiddenError, InvalidError, NotFoundError, UnavailableError) as error:
            why = denial(error)
            if why is None:
                raise  # nobody knows what is the matter; it is tried again
            words = f"the Secret with the run's key: {why.message}"
            said = replace(why, message=words)
            self._deliver(Refused(attempt, said, error.retry_after_s, of_all=True))
            return
        wanted = partial(self._is_wanted, attempt)
        mendable = profile is not None
        await self._errands.start(attempt, task, body, wanted, mendable=mendable)
        if attempt in self._book.facts:
            self._mark(attempt, "created")

    async def _make_secret(self) -> None:
        """Make the Secret with the run's key; of many who want it at once, one asks."""
        async with self._secret_turn:
            while self._secret_made != (name := self._parts.secret_name(self._run)):
                await self._parts.make_secret(self._run)
                self._secret_made = name

    def _replace_secret(self) -> None:
        """Have the Secret made again if a pod shows that somebody deleted it.

        Once for each such pod, which may show it for a while after it is there again.
        """
        sign = f'secret "{self._parts.secret_name(self._run)}" not found'
        missed = {
            fact.uid
            for fact in self._book.facts.values()
            if fact.pending and not fact.ended and sign in fact.pending.message
        }
        if missed - self._secret_missed:
            self._dispatch.send("secret", partial(self._make_secret_again, missed))

    async def _make_secret_again(self, missed: set[str]) -> None:
        self._secret_made = ""
        await self._make_secret()
        self._secret_missed |= missed

    def _is_wanted(self, attempt: AttemptRef) -> bool:
        state = self._committed.state
        activation = state.activations.get(attempt.activation)
        return (
            not state.phase.ended
            and activation is not None
            and activation.attempt == attempt.attempt
            and activation.phase is Phase.STARTING
        )

    def _runner(self) -> pods.Runner:
        settings = self._parts.settings
        return pods.Runner(
            self._run,
            settings.runner_image,
            settings.advertise,
            self._parts.secret_name(self._run),
            settings.instance,
            self._parts.ca_pem,
            settings.runner_resources,
            settings.pods.keep_logs,
        )

    # -- looking into and clearing up --------------------------------------------------------------

    def _inquire(
        self, program: Program, state: State, under_way: Mapping[AttemptRef, Activation]
    ) -> None:
        """Find out about attempts that should be under way and whose pods ended or are gone."""
        for attempt, activation in under_way.items():
            fact = self._book.facts.get(attempt)
            why = self._lost.get(attempt)
            given_up = None if activation.claim else self._given_up.get(attempt)
            lost = fact is None and (attempt in self._book.missing or bool(activation.claim))
            if not (lost or why or given_up or (fact and fact.ended)):
                continue
            task = work_of(program, state, activation).task
            claim, taken = activation.claim, self._book.taken.get(attempt)
            unseen = attempt in self._book.unseen
            known = Known(claim, fact, why, given_up, taken, unseen)
            self._dispatch.send(
                (INQUIRY, attempt), partial(self._errands.inquire, attempt, task, known)
            )

    def _give_up(self, state: State, now: float) -> None:
        """Take note of pods that wait for what nobody has mended in all the time there was.

        They are removed when it is committed that their attempts are over, as all others are: a
        successor may have given such a pod its task by now, and then that commit is refused.
        """
        for attempt, fact in self._book.facts.items():
            activation = folding.current(state, attempt)
            if activation is None or activation.claim:
                continue
            until = self.gives_up_at(fact) or _mute_until(fact)
            if until and now >= until:
                self._given_up[attempt] = self._why_given_up(fact)
            else:
                self._given_up.pop(attempt, None)

    def _why_given_up(self, fact: PodFact) -> Error:
        settings = self._parts.settings
        if fact.pending is None:
            words = (
                f"the runner of pod {fact.name} has not asked for its task in {MUTE_S:g} s: see"
                f" whether its image has the runner, and reaches {settings.advertise}"
            )
            return Error(reasons.RUNNER_FAILED, words)
        waited_s = self._patience_s(fact.pending.reason)
        words = f"pod {fact.name} could not start in {waited_s:g} s"
        return Error(fact.pending.reason, f"{words}: {fact.pending.message}")

    def _tidy(self, state: State) -> None:
        """Stop pods that are not to go on; let go of those whose outcome is committed."""
        on_commit = self._parts.settings.pods.keep is Keep.ON_COMMIT
        for attempt, fact in tuple(self._book.facts.items()):
            if folding.current(state, attempt) or folding.is_unheard_of(state, attempt):
                continue
            over = fact.ended or attempt in self._committed.reported
            stays = over and not (fact.ended and (on_commit or _has_parked(state, fact)))
            if stays or fact.deleting or fact.uid in self._removed:
                if fact.held:
                    self._dispatch.send(("release", fact.uid), partial(self._errands.release, fact))
                elif fact.ended:
                    self._book.forget(attempt)
            else:
                self._dispatch.send(("remove", fact.uid), partial(self._remove, fact))

    async def _remove(self, fact: PodFact) -> None:
        await self._errands.remove(fact)
        self._removed.add(fact.uid)


def _has_parked(state: State, fact: PodFact) -> bool:
    """Whether a pod ended well, and its attempt is over without a success: it has parked."""
    activation = state.activations.get(fact.attempt.activation)
    older = activation is not None and fact.attempt.attempt < activation.attempt
    return older and fact.ended is not None and fact.ended.exit_code == 0


def _mute_until(fact: PodFact) -> float:
    """Return until when a runner has time to ask for its task; 0 if none runs."""
    return fact.runs_since + MUTE_S if fact.runs_since and not fact.ended else 0.0
