"""A state under change: what the rules of `reducer` read and write while one event is folded.

Everything here keeps what is said twice in a state (queues and activations, tokens and arrivals)
consistent; nothing here decides.
"""

from graflow.machine.graph import scope_graph
from graflow.machine.joins import Tracker
from graflow.machine.plan import Plan, Retry
from graflow.machine.retry import backoff_s
from graflow.machine.scopes import plan_at
from graflow.machine.state import (
    KEPT_TRANSITIONS,
    RUN_SCOPE,
    Activation,
    End,
    Phase,
    Result,
    Scope,
    Sent,
    State,
    Token,
    Transition,
    Value,
)


class Fold:
    """A state, one event, and what the event has left to look at."""

    __slots__ = ("_noted", "at", "candidates", "plan", "seq", "state", "unsettled")

    def __init__(self, plan: Plan, state: State, at: float) -> None:
        self.plan = plan
        self.state = state
        self.at = at
        self.seq = state.seq + 1
        self._noted = 0
        self.candidates: dict[tuple[int, str], None] = {}
        """Nodes by scope whose tokens may have become free, in the order to look at them."""

        self.unsettled: dict[int, None] = {}
        """Scopes that may have ended."""

    def halted(self, scope: int) -> bool:
        """Whether nothing more is created in the scope, because it or one around it failed (R7)."""
        scopes = self.state.scopes
        while True:
            found = scopes[scope]
            if found.failure:
                return True
            if scope == RUN_SCOPE:
                return False
            scope = found.parent

    def wait_s(self, activation: Activation, retry: Retry, failures: int) -> float:
        """Return how long an activation waits after so many failures, in seconds."""
        return backoff_s(retry, failures, salt=f"{self.state.started_at}/{activation.number}")

    def open_run(self) -> None:
        """Open the run's own scope."""
        self._open(Scope(Tracker(scope_graph(self.plan, ()))))

    def open_branch(self, group: Activation, member: str, call: int) -> int:
        """Open the scope of one branch of a group."""
        around = self.state.scopes[group.scope]
        path = (*around.path, (group.node, member))
        graph = scope_graph(plan_at(self.plan, self.state, group.scope), path)
        self._count_children(group.scope, 1)
        branch = Scope(Tracker(graph), path, group.scope, group.number, call, around.home)
        branch.as_of = self.seq
        return self._open(branch)

    def open_fragment(self, spawner: Activation, fragment: Plan, call: int) -> int:
        """Open the scope of one fragment (T5)."""
        number = self.state.scopes_made
        graph = scope_graph(fragment, ())
        return self._open(
            Scope(Tracker(graph), (), spawner.scope, spawner.number, call, number, fragment)
        )

    def _open(self, scope: Scope) -> int:
        number = self.state.scopes_made
        self.state.scopes_made += 1
        self.state.scopes[number] = scope
        self.state.own.add(number)
        return number

    def close(self, holder: Activation, scopes: tuple[int, ...]) -> None:
        """Let scopes of an activation go, with whatever is in them and inside them."""
        state = self.state
        gone = set(scopes)
        for number in [n for n in state.scopes if n > min(gone, default=n)]:
            if state.scopes[number].parent in gone:  # a scope inside another is the later one
                gone.add(number)
        for number in [n for n, a in state.activations.items() if a.scope in gone]:
            del state.activations[number]
            _forget(state, number)
        branches = sum(state.scopes[number].is_branch for number in scopes)
        for number in gone:
            del state.scopes[number]
        state.own -= gone
        self._count_children(holder.scope, -branches)

    def _count_children(self, scope: int, more: int) -> None:
        """Count branches in the scope, and in those around it that they see through fragments."""
        if not more:
            return
        while True:
            found = self.state.scope(scope)
            found.children += more
            if scope == RUN_SCOPE or found.is_branch:
                return
            scope = found.parent

    def create(self, scope: int, token: Token, phase: Phase) -> Activation:
        """Create an activation of a token, which stays alive at its node as what it has become."""
        state, found, node = self.state, self.state.scope(scope), token.node
        number = state.steps = state.steps + 1
        iteration = found.counts[node] = found.counts.pop(node, 0) + 1
        queue = found.queues.get(node)
        found.queues[node] = (*queue, number) if queue else (number,)
        made = Activation(
            number,
            scope,
            node,
            token.round,
            iteration,
            tuple(token.sent),
            phase,
            since=self.at,
            again=token.again,
        )
        state.activations[number] = made
        if phase is Phase.STARTING:
            state.starting[number] = None
        return made

    def put(self, activation: Activation, phase: Phase, **changes: object) -> Activation:
        """Bring a live activation to a phase."""
        since = self.at if phase is not activation.phase else activation.since
        changed = activation._replace(phase=phase, since=since, **changes)  # type: ignore[arg-type]  # names of fields
        state, number = self.state, activation.number
        state.activations[number] = changed
        state.starting.pop(number, None)
        state.backoff.pop(number, None)
        if phase is Phase.STARTING:
            state.starting[number] = None
        elif phase is Phase.BACKOFF:
            state.backoff[number] = None
        if not changed.is_asking:
            state.asking.pop(number, None)
        elif number not in state.asking:
            state.asking[number] = None
        return changed

    def retire(self, activation: Activation) -> None:
        """Let a completed activation go; the next one of its node may have its turn."""
        number, node = activation.number, activation.node
        scope = self.state.scope(activation.scope)
        del self.state.activations[number]
        _forget(self.state, number)
        queue = scope.queues[node]
        if len(queue) == 1:
            del scope.queues[node]
        else:
            scope.queues[node] = tuple(n for n in queue if n != number)
        self.vanish(activation.scope, node, activation.round)
        self.unsettled[activation.scope] = None

    def vanish(self, scope: int, node: str, round_: int) -> None:
        """Note that something alive at a node is gone: tokens elsewhere may have become free."""
        tracker = self.state.scope(scope).tracker
        tracker.vanish(node, round_)
        risen = tracker.risen
        if not risen:
            return
        if len(risen) > 1:
            order = plan_at(self.plan, self.state, scope).order
            risen.sort(key=order.__getitem__)
        for other in risen:
            self.candidates[scope, other] = None
        risen.clear()

    def send(self, activation: Activation, value: Value) -> bool:
        """Put a token on each successor (R1); return whether there are any."""
        found = self.state.scopes[activation.scope]
        successors = found.tracker.graph.after[activation.node]
        if not successors:
            return False
        sent = (Sent(activation.node, value),)
        for node, weight in successors:
            self.put_token(activation.scope, node, activation.round + weight, sent)
        return True

    def put_token(self, scope: int, node: str, round_: int, sent: tuple[Sent, ...]) -> None:
        """Put an ordinary token on a node; it merges with those of its round."""
        found = self.state.scope(scope)
        tokens = found.tokens.get(node, ())
        for token in tokens:
            if token.round == round_ and not token.explicit:
                token.sent.extend(sent)
                break
        else:
            self.add_token(scope, Token(node, round_, [*sent]))
        self.candidates[scope, node] = None

    def add_token(self, scope: int, token: Token) -> None:
        """Put a token on its node, to be alive there."""
        found = self.state.scope(scope)
        tokens = found.tokens.get(token.node, ())
        found.tokens[token.node] = (
            tuple(sorted((*tokens, token), key=_round)) if tokens else (token,)
        )
        found.tracker.appear(token.node, token.round)

    def take(self, scope: int, token: Token) -> None:
        """Consume a token; it stays alive as the activation made of it."""
        tokens = self.state.scope(scope).tokens
        rest = tokens[token.node]
        if len(rest) == 1:
            del tokens[token.node]
            return
        at = next(n for n, other in enumerate(rest) if other is token)
        tokens[token.node] = (*rest[:at], *rest[at + 1 :])

    def record(self, scope: int, node: str, value: Value, completed: int | None = None) -> None:
        """Make a value the latest result of an id (C1), keeping what open branches may read.

        Args:
            scope: Where it is to be seen.
            node: Its id.
            value: The value.
            completed: Its place in the order of completion; None: the next one.
        """
        if completed is None:
            completed = self.state.recorded = self.state.recorded + 1
        found = self.state.scope(scope)
        result = Result(value, self.seq, completed)
        known = found.results.pop(node, ())
        found.results[node] = (*known, result) if found.children else (result,)

    def merge_results(self, into: int, source: Scope) -> None:
        """Make the results of a scope that has ended visible around it (G4)."""
        for node, results in source.results.items():
            self.record(into, node, results[-1].value, results[-1].completed)

    def order_of(self, activation: Activation) -> tuple[int, ...]:
        """Return the place of an activation's node in the order of declaration (R6)."""
        tail: list[int] = []
        state = self.state
        while True:
            place = plan_at(self.plan, state, activation.scope).order[activation.node]
            home = state.scopes[activation.scope].home
            while state.scopes[home].is_branch:  # its plan extends that of the fragment around it
                home = state.scopes[state.scopes[home].parent].home
            if home == RUN_SCOPE:
                return (*(1,) * (len(tail) // 3), 0, place, *reversed(tail))
            fragment = state.scopes[home]
            activation = state.activations[fragment.owner]
            tail += (place, fragment.call, activation.iteration)

    def offer_end(self, scope: int, end: End) -> None:
        """Take an end of a scope for its value, if it is the best so far (R6)."""
        found = self.state.scope(scope)
        if found.end is None or end.rank >= found.end.rank:
            found.end = end

    def note(self, source: Activation, kind: str, target: str, reason: str) -> None:
        """Note a move that a task decided."""
        state = self.state
        state.transitions_made += 1
        made = Transition(
            state.transitions_made, self.at, source.node, target, kind, source.iteration, reason
        )
        self._noted += 1
        kept = max(KEPT_TRANSITIONS, self._noted)
        state.transitions = (*state.transitions, made)[-kept:]


def _forget(state: State, number: int) -> None:
    state.starting.pop(number, None)
    state.backoff.pop(number, None)
    state.asking.pop(number, None)


def _round(token: Token) -> int:
    return token.round
