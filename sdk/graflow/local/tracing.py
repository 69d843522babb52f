"""Tells a program's tracer what happens in a run."""

import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from graflow.dsl.flow import Executable, ParallelGroup
from graflow.local.live import Live, RunningContext
from graflow.local.nodes import Nodes
from graflow.local.views import thaw
from graflow.machine.directives import Iterate, Spawn
from graflow.machine.events import AttemptFailed, AttemptSucceeded, Event
from graflow.machine.state import RUN_SCOPE, Activation, Phase


class TracerWarning(UserWarning):
    """A tracer raised an exception; it is told nothing more, and the run goes on."""


@dataclass(frozen=True, slots=True)
class _Group:
    """A group whose branches have begun."""

    name: str
    members: Sequence[str]
    scope: int
    seq: int
    """How many folds there were before."""


@dataclass(frozen=True, slots=True)
class _Attempt:
    """An attempt that goes on."""

    node: Executable
    context: RunningContext
    tracer: Any


News = Sequence[Callable[[], object]]


class Tracing:
    """One run as its tracer hears of it: never two calls at a time, a clone for each branch.

    No call is made while the state is locked: a tracer may look at the run.
    """

    def __init__(self, nodes: Nodes, live: Live) -> None:
        self._nodes = nodes
        self._live = live
        self._tracers: dict[int, Any] = {RUN_SCOPE: nodes.program.services.tracer}
        """By scope: the run's, and a clone for each branch."""
        self._attempts: dict[int, _Attempt] = {}
        """By activation."""
        self._groups: dict[int, _Group] = {}
        """By activation."""
        self._queued = 0
        self.turn = threading.RLock()
        """Held while a call is made; taken before the state is locked, never after."""
        self._broken = False

    def run_started(self) -> None:
        """Tell that the run begins."""
        tracer, name = self._tracers[RUN_SCOPE], self._nodes.program.name
        self._tell(lambda: tracer.on_workflow_start(name, self._live.context()))

    def run_ended(self, value: object, error: BaseException | None) -> None:
        """Tell that the run has ended."""
        tracer, name = self._tracers[RUN_SCOPE], self._nodes.program.name
        context = self._live.context()
        context.error = error
        self._tell(lambda: tracer.on_workflow_end(name, context, value))
        self._tell(tracer.flush)

    def attempt_started(self, activation: Activation) -> None:
        """Tell that an attempt begins."""
        node = self._nodes.node(activation)
        if isinstance(node, ParallelGroup):  # its attempt is that of its policy
            return
        found = _Attempt(node, self._context(activation.scope), self._tracer(activation.scope))
        self._attempts[activation.number] = found
        self._tell(lambda: found.tracer.on_task_start(node, found.context))

    def attempt_ended(self, activation: Activation, event: Event) -> None:
        """Tell how an attempt ended, and what it asked for."""
        found = self._attempts.pop(activation.number, None)
        if found is None:
            return
        end = found.tracer.on_task_end
        if isinstance(event, AttemptFailed):
            error = getattr(event.error.detail, "cause", None) or event.error.detail
            self._tell(lambda: end(found.node, found.context, None, error))
        if not isinstance(event, AttemptSucceeded):
            return
        self._tell(lambda: end(found.node, found.context, thaw(event.value), None))
        for directive in event.directives:
            if isinstance(directive, Spawn):
                for name in directive.fragment.start:
                    self._added(found, name, activation, again=False)
            elif isinstance(directive, Iterate):
                self._added(found, activation.node, activation, again=True)

    def group_opened(self, number: int) -> None:
        """Tell that the branches of a group begin."""
        if number in self._groups:  # tried again: only the branches that failed
            return
        state = self._nodes.state
        activation = state.activations[number]
        members = [member.task_id for member in self._nodes.group(activation).tasks]
        self._groups[number] = _Group(activation.node, members, activation.scope, state.seq)
        context, tracer = self._context(activation.scope), self._tracer(activation.scope)
        self._tell(lambda: tracer.on_parallel_group_start(activation.node, members, context))

    def news(self) -> News:
        """Return what a change of the state has brought; called while the state is locked."""
        state = self._nodes.state
        found = [self._ended(number) for number in list(self._groups)]
        found += [self._created(n) for n in range(self._queued + 1, state.steps + 1)]
        self._queued = state.steps
        return [call for call in found if call is not None]

    def tell(self, news: News) -> None:
        """Tell what `news` found."""
        for call in news:
            self._tell(call)

    def _ended(self, number: int) -> Callable[[], object] | None:
        activation = self._nodes.state.activations.get(number)
        if activation is not None and activation.phase is not Phase.FAILED:
            return None
        group = self._groups.pop(number)
        scope = self._nodes.state.scopes.get(group.scope)
        latest = scope.results.get(group.name, ()) if scope else ()
        value = latest[-1].value if latest and latest[-1].seq > group.seq else None
        tracer = self._tracers.get(group.scope, self._tracers[RUN_SCOPE])
        end, context = tracer.on_parallel_group_end, self._live.context()
        return lambda: end(group.name, group.members, context, thaw(value))

    def _created(self, number: int) -> Callable[[], object] | None:
        activation = self._nodes.state.activations.get(number)
        node = self._nodes.node(activation) if activation else None
        if activation is None or node is None or isinstance(node, ParallelGroup):
            return None
        scope, context = activation.scope, self._context(activation.scope)
        return lambda: self._tracer(scope).on_task_queued(node, context)

    def _added(self, found: _Attempt, name: str, activation: Activation, *, again: bool) -> None:
        add, facts = found.tracer.on_dynamic_task_added, {"cycle_count": activation.iteration}
        self._tell(lambda: add(name, activation.node, again, facts))

    def _tracer(self, scope: int) -> Any:  # noqa: ANN401 - a Tracer
        """Return the tracer of a scope: its own if it is a branch, otherwise that around it."""
        with self.turn:
            if scope not in self._tracers:
                found = self._nodes.state.scopes.get(scope)
                if found is None:  # it has ended meanwhile
                    return self._tracers[RUN_SCOPE]
                around = self._tracers[scope] = self._tracer(found.parent)
                if found.is_branch:
                    trace_id = self._live.context().trace_id
                    self._tell(
                        lambda: self._tracers.update({scope: around.clone_for_branch(trace_id)})
                    )
            return self._tracers[scope]

    def _context(self, scope: int) -> RunningContext:
        if scope == RUN_SCOPE:
            return self._live.context()
        state = self._nodes.state
        return self._live.context(state.activations[state.scopes[scope].owner].node)

    def _tell(self, call: Callable[[], object]) -> None:
        """Make a call of the tracer; one that raises is the last."""
        with self.turn:
            if self._broken:
                return
            try:
                call()
            except Exception as error:  # noqa: BLE001 - a tracer's mistake is no failure of the run
                self._broken = True
                kind = type(self._tracers[RUN_SCOPE]).__name__
                warnings.warn(
                    f"the tracer {kind} raised {type(error).__name__}: {error}; it is told nothing "
                    "more of this run, which goes on",
                    TracerWarning,
                    stacklevel=2,
                )
