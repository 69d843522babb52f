"""One run in this process: threads that carry its scopes, around the machine's state.

The calling thread carries the run's own scope: it begins what was created there, one activation at
a time, in the order of creation. Each branch of a group is carried to its end in the same way by a
thread of its own (R4). A carrier with nothing to begin sleeps until a fold changes that, or until a
retry is due.
"""

import contextvars
import threading
import time
from collections import deque
from dataclasses import dataclass

from graflow.dsl.channel import Channel
from graflow.dsl.program import Carrying, Program
from graflow.local.attempt import Attempts
from graflow.local.turn import Turn
from graflow.local.views import TaskView
from graflow.machine.commands import WakeAt
from graflow.machine.due import due
from graflow.machine.events import AttemptClaimed, Event, RunStarted, TimerFired
from graflow.machine.reducer import reduce
from graflow.machine.state import RUN_SCOPE, Activation, State


@dataclass(frozen=True, slots=True)
class _Group:
    """A group that has begun and whose branches nobody carries yet."""

    number: int
    node: str
    branches: tuple[int, ...]


class LocalRun:
    """A run from its start to its end."""

    def __init__(self, program: Program, channel: Channel, session_id: str) -> None:
        self._program = program
        self.channel = channel
        self.session_id = session_id
        self._state = State()
        self._attempts = Attempts(program, session_id, contextvars.copy_context())
        self._mutex = threading.Lock()
        self._changed: dict[int, threading.Condition] = {}
        """By scope: notified when its carrier may have something to do."""
        self._parents: dict[int, int] = {}
        """Of every scope that was ever opened."""
        self._unopened: dict[int, deque[_Group]] = {}
        """Groups that wait for the carrier of their scope, by that scope."""
        self._scopes_seen = 0
        self._threads: list[threading.Thread] = []
        self._abandoned: BaseException | None = None

    def to_its_end(self) -> State:
        """Run the program and return the state that it ended in.

        Raises:
            BaseException: What abandoned the run: KeyboardInterrupt in a task, in a branch too.
        """
        with self._mutex:
            self._fold(RunStarted(time.time()), RUN_SCOPE)
        try:
            self._carry(RUN_SCOPE)
        except BaseException as error:
            self._abandon(error)
            raise
        if self._abandoned is not None:
            raise self._abandoned
        for thread in self._threads:
            thread.join()
        return self._state

    def _carry(self, scope: int, turn: Turn | None = None) -> None:
        """Begin what is to begin in a scope, until it is over.

        Args:
            scope: Whose activations to run.
            turn: Is over when the first of them is about to run, or none can.
        """
        turn = turn or Turn(threading.Lock())
        while True:
            activation, group, over = self._next(scope, wait=turn.is_over)
            if activation is not None:
                self._attempt(activation, turn)
            turn.over()
            if group is not None:
                self._open(group)
            if over:
                return

    def _next(self, scope: int, *, wait: bool) -> tuple[Activation | None, _Group | None, bool]:
        """Take what was created first in a scope: an activation, claimed, or a group.

        Returns:
            The one or the other, or neither; and whether the scope is over.
        """
        with self._mutex:
            changed = self._changed.setdefault(scope, threading.Condition(self._mutex))
            while not self._over(scope):
                start = self._first_start(scope)
                groups = self._unopened.get(scope)
                if groups and (start is None or groups[0].number < start.number):
                    return None, groups.popleft(), False
                if start is not None:
                    return self._claim(start), None, False
                if not wait:
                    return None, None, False
                changed.wait(self._seconds_to_wake())
                self._fire_timers(scope)
            return None, None, True

    def _attempt(self, activation: Activation, turn: Turn) -> None:
        view = TaskView(
            self._program.plan,
            self._program.graph,
            self.channel,
            activation.scope,
            lambda: self._state,
        )
        event = self._attempts.run(activation, view, turn.over)
        with self._mutex:
            self._fold(event, activation.scope)

    def _open(self, group: _Group) -> None:
        """See to it that the branches of a group are carried."""
        carrying = self._program.carrying.get(group.node, Carrying(inline=False, most=None))
        if carrying.inline:
            for branch in group.branches:
                self._carry(branch)
            return
        waiting = deque(group.branches)
        turn = threading.Lock()
        for n in range(min(carrying.most or len(waiting), len(waiting))):
            thread = threading.Thread(
                target=self._work,
                args=(waiting, turn),
                name=f"graflow {group.node} {n + 1}",
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
        self._state = reduce(self._program.plan, self._state, event)
        self._note_new_groups()
        if self._state.phase.ended:
            self._wake_all()
            return
        while scope != RUN_SCOPE:
            scope = self._parents[scope]
            self._wake(scope)

    def _note_new_groups(self) -> None:
        state = self._state
        noted: set[int] = set()
        for number in range(self._scopes_seen, state.scopes_made):
            scope = state.scopes.get(number)
            if scope is None or number == RUN_SCOPE:
                continue
            self._parents[number] = scope.parent
            if scope.owner not in noted:
                noted.add(scope.owner)
                group = state.activations[scope.owner]
                found = _Group(group.number, group.node, group.branches)
                self._unopened.setdefault(scope.parent, deque()).append(found)
        self._scopes_seen = state.scopes_made

    def _first_start(self, scope: int) -> Activation | None:
        for number in self._state.starting:
            activation = self._state.activations[number]
            if activation.scope == scope:
                return activation
        return None

    def _claim(self, start: Activation) -> Activation:
        claim = threading.current_thread().name
        event = AttemptClaimed(start.number, start.attempt, claim, time.time())
        self._fold(event, start.scope)
        return start

    def _over(self, scope: int) -> bool:
        if self._abandoned is not None or self._state.phase.ended:
            return True
        found = self._state.scopes.get(scope)
        return found is None or found.ended

    def _seconds_to_wake(self) -> float | None:
        for command in due(self._program.plan, self._state):
            if isinstance(command, WakeAt):
                return max(0.0, command.at - time.time())
        return None

    def _fire_timers(self, scope: int) -> None:
        if self._seconds_to_wake() == 0.0:
            self._fold(TimerFired(time.time()), scope)
            self._wake_all()

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
