"""One run in this process: threads that carry its scopes, around the machine's state.

The calling thread carries the run's own scope: it begins what was created there, one activation at
a time, in the order of creation. Each branch of a group is carried to its end in the same way by a
thread of its own (R4); what a task spawned is carried by whoever carries the task. A carrier with
nothing to begin sleeps until a fold changes that, or until a retry is due.
"""

import contextvars
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from graflow.dsl import handles
from graflow.dsl.memory_channel import MemoryChannel
from graflow.dsl.program import Program
from graflow.exceptions import CheckpointError
from graflow.local.attempt import Attempts
from graflow.local.deadline import RunDeadline
from graflow.local.failures import checkpoint_error
from graflow.local.inner import InnerPeople
from graflow.local.live import Live
from graflow.local.nodes import Nodes
from graflow.local.people import RunPeople
from graflow.local.tracing import Tracing
from graflow.local.turn import Turn
from graflow.local.views import TaskView
from graflow.machine import reasons
from graflow.machine.commands import WakeAt
from graflow.machine.due import due
from graflow.machine.events import (
    AttemptClaimed,
    AttemptFailed,
    AttemptParked,
    AttemptSucceeded,
    Event,
    RunFailed,
    RunStarted,
    TimerFired,
)
from graflow.machine.objections import objection
from graflow.machine.reducer import fold
from graflow.machine.state import RUN_SCOPE, Activation, Error, Phase, State

if TYPE_CHECKING:  # only `graflow run --isolated` needs cloudpickle and what compiles
    from graflow.local.isolation import Isolation

_LOOK_S: Final = 0.5
"""Between looks for questions of branches that a run does not wait for any more."""


@dataclass(frozen=True, slots=True)
class _Group:
    """Branches that have been opened and that nobody carries yet."""

    number: int
    """Of the group's activation."""

    branches: tuple[int, ...]


class LocalRun:
    """A run from its start to its end."""

    def __init__(
        self,
        program: Program,
        channel: MemoryChannel,
        session_id: str,
        isolation: "Isolation | None" = None,
        state: State | None = None,
    ) -> None:
        """Take what is run.

        Args:
            program: What to run.
            channel: Its channel.
            session_id: Its id.
            isolation: What copies the things that tasks captured.
            state: A live one to go on from; None: the run has yet to begin.
        """
        self._plan = program.plan
        self._deadline_s = program.deadline_s
        self.channel = channel
        self.session_id = session_id
        self._state = state or State()
        self._mutex = threading.Lock()
        """Held while the state is changed, or read in more than one step."""
        self._nodes = Nodes(program, self._state)
        self.around = handles.around()
        """The task that executes it; None: it is not part of another run."""
        asks = self._nodes, session_id, self._mutex, self._note
        self.people = InnerPeople(*asks, self.around) if self.around else RunPeople(*asks)
        self.live = Live(self._nodes, channel, self.people, self._mutex)
        self._attempts = Attempts(self._nodes, self.live, isolation)
        self.tracing = Tracing(self._nodes, self.live) if program.services.tracer else None
        self._context = contextvars.copy_context()
        """The program's; what a task does to its own copy ends with it."""
        self._changed: dict[int, threading.Condition] = {}
        """By carried scope: notified when its carrier may have something to do."""
        self._carriers: dict[int, int] = {RUN_SCOPE: RUN_SCOPE}
        """For every scope that was ever opened: the branch, or the run, that it is carried with."""
        self._around: dict[int, int] = {}
        """For every branch that was ever opened: what the group is carried with."""
        self._unopened: dict[int, deque[_Group]] = {}
        """Groups whose branches wait for the carrier of their scope, by carried scope."""
        self._scopes_seen = 0
        self._threads: list[threading.Thread] = []
        self._alone = True
        """Whether no thread was ever begun: then nobody else folds while a task runs."""
        self._parked = False
        """Whether an attempt has ever ended to wait for people."""
        self._abandoned: BaseException | None = None

    def to_its_end(self) -> State:
        """Run the program and return the state that it ended in.

        If that is no end, all that could go on waits for people.

        Raises:
            BaseException: What abandoned the run: KeyboardInterrupt in a task, in a branch too.
        """
        self._begin()
        try:
            with self._deadline():
                self._carry(RUN_SCOPE)
        except BaseException as error:
            self._abandon(error)
            raise
        if self._abandoned is not None:
            raise self._abandoned
        for thread in self._threads:
            while thread.is_alive():
                if self._state.phase.ended:  # and nobody may wait for people any more
                    self.people.withdraw()
                thread.join(_LOOK_S)
        return self._state

    def _begin(self) -> None:
        """Begin the run, or look at what there is to go on with: then the fact is no news."""
        started = RunStarted(time.time())
        if self.tracing is None:
            with self._mutex:
                self._fold(started, RUN_SCOPE)
        else:
            self.tracing.run_started()
            self._record(started, self.tracing)

    def _deadline(self) -> AbstractContextManager[object]:
        if self._deadline_s is None:
            return nullcontext()
        self._attempts.run_deadline = RunDeadline(self._deadline_s, self._time_is_up)
        return self._attempts.run_deadline

    def _time_is_up(self) -> None:
        words = f"the run took longer than its deadline, {self._deadline_s:g} s"
        error = Error(reasons.DEADLINE_EXCEEDED, words)
        with self._mutex:
            self._fold(RunFailed(error, time.time()), RUN_SCOPE)

    def _carry(self, scope: int, turn: Turn | None = None) -> None:
        """Begin what is to begin in a scope, until it is over.

        Args:
            scope: The run, or a branch.
            turn: Is over when the first activation is about to run, or none can.
        """
        begin = None if turn is None else turn.over
        while True:
            wait = turn is None or turn.is_over
            activation, group, over = self._next(scope, wait=wait)
            if activation is not None:
                self._attempt(activation, begin)
            if turn is not None:
                turn.over()
            if group is not None:
                self._open(group)
            if over:
                return

    def _attempt(self, activation: Activation, begin: Callable[[], None] | None) -> None:
        view = TaskView(self._nodes, self.channel, activation, self._mutex, self.live)
        try:
            if self.tracing is None:
                event = self._ended(activation, view, begin)
                with self._mutex:
                    self._fold(self._accepted(activation, event), activation.scope)
            else:
                self.tracing.attempt_started(activation)
                self._record(self._ended(activation, view, begin), self.tracing, activation)
        finally:
            view.close()

    def _ended(
        self, activation: Activation, view: TaskView, begin: Callable[[], None] | None
    ) -> Event:
        """Make an attempt, and with its success the checkpoint that it asked for.

        That is there before anything that follows from the success begins. If it cannot be taken,
        the attempt has failed.
        """
        event = self._attempts.run(activation, view, begin)
        if view.deferred is None or not isinstance(event, AttemptSucceeded):
            return event
        with self._mutex:
            if self._state.phase.ended or self._accepted(activation, event) is not event:
                return event
            state = self._state.copy()
            fold(self._plan, state, event)
            rest = self.live.rest(state)
        try:
            self.live.take(view.deferred, rest)
        except CheckpointError as error:
            task = self._nodes.task(activation)
            failed = checkpoint_error(task.task_id, activation, error)
            return AttemptFailed(event.activation, event.attempt, failed, time.time())
        return event

    def _record(self, event: Event, tracing: Tracing, activation: Activation | None = None) -> None:
        """Fold a fact and tell of it, before anything that follows from it can be told."""
        with tracing.turn:
            with self._mutex:
                event = self._accepted(activation, event)
                self._fold(event, activation.scope if activation else RUN_SCOPE)
                news = tracing.news()
            if activation is not None:
                tracing.attempt_ended(activation, event)
            tracing.tell(news)

    def _next(self, scope: int, *, wait: bool) -> tuple[Activation | None, _Group | None, bool]:
        """Take what was created first in a carried scope: an activation, claimed, or a group.

        Returns:
            The one or the other, or neither; and whether the scope is over.
        """
        with self._mutex:
            while not self._over(scope):
                start = self._first_start(scope)
                groups = self._unopened.get(scope)
                if groups and (start is None or groups[0].number < start.number):
                    return None, groups.popleft(), False
                if start is not None:
                    return self._claim(start), None, False
                if not wait:
                    return None, None, False
                self._sleep(scope)
            return None, None, True

    def _sleep(self, scope: int) -> None:
        if scope not in self._changed:
            self._changed[scope] = threading.Condition(self._mutex)
        self._await(self._changed[scope])
        if self._seconds_to_wake() == 0.0:
            self._fold(TimerFired(time.time()), scope)
            self._wake_all()

    def _await(self, changed: threading.Condition) -> None:
        try:
            changed.wait(self._seconds_to_wake())
        except KeyboardInterrupt:
            # It is meant for the question on the terminal, which another thread asks.
            if not self.people.let_go():
                raise

    def _note(self, event: Event, activation: Activation) -> None:
        """Fold what an attempt says before it ends."""
        with self._mutex:
            self._tell_of_claim(activation)
            self._fold(event, activation.scope)

    def _tell_of_claim(self, activation: Activation) -> None:
        """See to it that the machine knows that an attempt runs: what it says counts only then."""
        now = self._state.activations.get(activation.number)
        if now is not None and now.phase is Phase.STARTING:
            claim = threading.current_thread().name
            claimed = AttemptClaimed(now.number, now.attempt, claim, time.time())
            self._fold(claimed, activation.scope)

    def _accepted(self, activation: Activation | None, event: Event) -> Event:
        """Return the end of an attempt, or its failure if what it decided cannot be done."""
        if activation is not None and isinstance(event, AttemptParked):
            self._tell_of_claim(activation)
        if not isinstance(event, AttemptSucceeded) or not event.directives:
            return event
        if activation is None or activation.number not in self._state.activations:
            return event
        complaint = objection(self._plan, self._state, activation, event.directives)
        if complaint is None:
            return event
        error = Error(reasons.INVALID_TRANSITION, complaint, retryable=False)
        return AttemptFailed(event.activation, event.attempt, error, event.at)

    def _open(self, group: _Group) -> None:
        """See to it that the branches of a group are carried."""
        carrying = self._nodes.carrying(group.number)
        if self.tracing is not None:
            self.tracing.group_opened(group.number)
        if carrying.inline:
            for branch in group.branches:
                self._carry(branch)
            return
        self._alone = False
        waiting = deque(group.branches)
        turn = threading.Lock()
        for n in range(min(carrying.most or len(waiting), len(waiting))):
            thread = threading.Thread(
                target=self._context.copy().run,
                args=(self._work, waiting, turn),
                name=f"graflow branch {group.branches[n]}",
                daemon=True,  # an abandoned run must not keep the program from ending
            )
            self._threads.append(thread)
            thread.start()

    def _work(self, waiting: deque[int], turn: threading.Lock) -> None:
        """Be a thread: carry one branch after the other while any waits for its turn."""
        try:
            while True:
                begun = Turn(turn)
                try:
                    if not waiting:
                        return
                    self._carry(waiting.popleft(), begun)
                finally:
                    begun.over()
        except BaseException as error:  # noqa: BLE001 - raised again where `execute` was called
            self._abandon(error)

    def _fold(self, event: Event, scope: int) -> None:
        """Fold a fact about a scope, and wake the carriers that it may concern."""
        fold(self._plan, self._state, event)
        if isinstance(event, AttemptParked):
            self._parked = True
            self._wake_all()
        if self._state.scopes_made > self._scopes_seen:
            self._note_new_scopes()
        if self._state.phase.ended:
            self._wake_all()
            return
        for carried in self._carried_with(scope):
            self._wake(carried)

    def _note_new_scopes(self) -> None:
        state = self._state
        branches: dict[int, list[int]] = {}
        for number in range(self._scopes_seen, state.scopes_made):
            scope = state.scopes.get(number)
            if scope is None or number == RUN_SCOPE:
                continue
            around = self._carriers[scope.parent]
            if scope.is_branch:
                self._carriers[number], self._around[number] = number, around
                if not scope.ended:  # of a group that goes on, some may have been carried before
                    branches.setdefault(scope.owner, []).append(number)
            else:
                self._carriers[number] = around
        for owner, opened in branches.items():
            around = self._around[opened[0]]
            self._unopened.setdefault(around, deque()).append(_Group(owner, tuple(opened)))
            self._wake(around)
        self._scopes_seen = state.scopes_made

    def _first_start(self, scope: int) -> Activation | None:
        activations, carriers = self._state.activations, self._carriers
        for number in self._state.starting:
            activation = activations[number]
            if carriers[activation.scope] == scope:
                return activation
        return None

    def _claim(self, start: Activation) -> Activation:
        # What nobody else can change need not be told to the machine before it has ended.
        if not self._alone:
            claim = threading.current_thread().name
            event = AttemptClaimed(start.number, start.attempt, claim, time.time())
            self._fold(event, start.scope)
        return start

    def _over(self, scope: int) -> bool:
        if self._abandoned is not None or self._state.phase.ended:
            return True
        found = self._state.scopes.get(scope)
        if found is None or found.ended:
            return True
        return self._parked and not self._moves(scope)

    def _moves(self, scope: int) -> bool:
        """Whether anything in a carried scope, or in branches inside, goes on without people."""
        return any(
            scope in self._carried_with(activation.scope)
            for activation in self._state.activations.values()
            if activation.phase.has_attempt or activation.phase is Phase.BACKOFF
        )

    def _carried_with(self, scope: int) -> Iterator[int]:
        """Yield what carries a scope, and what carries the groups around it."""
        carried = self._carriers[scope]
        while carried != RUN_SCOPE:
            yield carried
            carried = self._around[carried]
        yield RUN_SCOPE

    def _seconds_to_wake(self) -> float | None:
        for command in due(self._plan, self._state):
            if isinstance(command, WakeAt):
                return max(0.0, command.at - time.time())
        return None

    def _wake(self, scope: int) -> None:
        if scope in self._changed:
            self._changed[scope].notify_all()

    def _wake_all(self) -> None:
        for scope in self._changed:
            self._wake(scope)

    def _abandon(self, error: BaseException) -> None:
        with self._mutex:
            if self._abandoned is None:
                self._abandoned = error
            self._wake_all()
