"""A state under change: what the rules of `reducer` read and write while one event is folded.

A fold starts from a frozen state and ends in another (`done`); only what it touches is copied.
"""

from graflow.machine.graph import scope_graph
from graflow.machine.joins import Tracker
from graflow.machine.plan import Plan
from graflow.machine.state import (
    RUN_SCOPE,
    Activation,
    End,
    Phase,
    Result,
    Scope,
    Sent,
    State,
    Token,
    Value,
)


class Fold:
    """The parts of a state that rules change, with the operations that keep them consistent."""

    def __init__(self, plan: Plan, state: State, at: float) -> None:
        self.plan = plan
        self.base = state
        self.at = at
        self.state = state
        self.seq = state.seq + 1
        self.scopes = dict(state.scopes)
        self.activations = dict(state.activations)
        self.starting = dict(state.starting)
        self.backoff = dict(state.backoff)
        self.steps = state.steps
        self.scopes_made = state.scopes_made
        self.completed = state.completed
        self.candidates: dict[tuple[int, str], None] = {}
        """Nodes by scope whose tokens may have become free, in the order to look at them."""

        self.unsettled: dict[int, None] = {}
        """Scopes that may have ended."""

        self._trackers: dict[int, Tracker] = {}

    def done(self) -> State:
        """Return the state that the fold has led to."""
        for scope, tracker in self._trackers.items():
            if scope in self.scopes:
                self._set(scope, alive=tracker.alive, arrivals=tracker.arrivals)
        return self.state._replace(
            seq=self.seq,
            steps=self.steps,
            scopes=self.scopes,
            scopes_made=self.scopes_made,
            activations=self.activations,
            starting=self.starting,
            backoff=self.backoff,
            completed=self.completed,
        )

    def _set(self, scope: int, **changes: object) -> None:
        self.scopes[scope] = self.scopes[scope]._replace(**changes)  # type: ignore[arg-type]

    def tracker(self, scope: int) -> Tracker:
        """Return the arrivals of a scope, to be changed."""
        if scope not in self._trackers:
            found = self.scopes[scope]
            graph = scope_graph(self.plan, found.path)
            self._trackers[scope] = Tracker(graph, found.alive, found.arrivals)
        return self._trackers[scope]

    def halted(self, scope: int) -> bool:
        """Whether nothing more is created in the scope, because it or one around it failed (R7)."""
        while True:
            found = self.scopes[scope]
            if found.failure:
                return True
            if scope == RUN_SCOPE:
                return False
            scope = found.parent

    def open_scope(self, parent: int, owner: int, path: tuple[tuple[str, str], ...]) -> int:
        """Open the scope of a branch, or of the run when the path is empty."""
        number = self.scopes_made if path else RUN_SCOPE
        self.scopes_made = number + 1
        self.scopes[number] = Scope(path, parent, owner, self.seq)
        if path:
            self._set(parent, children=self.scopes[parent].children + 1)
        return number

    def create(self, scope: int, token: Token) -> Activation:
        """Create an activation of a token, which stays alive at its node as what it has become."""
        found = self.scopes[scope]
        node = token.node
        self.steps += 1
        iteration = found.counts.get(node, 0) + 1
        made = Activation(
            self.steps, scope, node, token.round, iteration, token.sent, since=self.at
        )
        self._set(
            scope,
            counts=found.counts.put(node, iteration),
            queues=found.queues.put(node, (*found.queues.get(node, ()), made.number)),
        )
        self.activations[made.number] = made
        return made

    def put(self, activation: Activation, phase: Phase, **changes: object) -> Activation:
        """Bring a live activation to a phase."""
        since = self.at if phase is not activation.phase else activation.since
        changed = activation._replace(phase=phase, since=since, **changes)  # type: ignore[arg-type]
        self.activations[changed.number] = changed
        self.starting.pop(changed.number, None)
        self.backoff.pop(changed.number, None)
        if phase is Phase.STARTING:
            self.starting[changed.number] = None
        elif phase is Phase.BACKOFF:
            self.backoff[changed.number] = None
        return changed

    def retire(self, activation: Activation) -> None:
        """Let a completed activation go; the next one of its node may have its turn."""
        scope = self.scopes[activation.scope]
        del self.activations[activation.number]
        self.starting.pop(activation.number, None)
        rest = tuple(n for n in scope.queues[activation.node] if n != activation.number)
        queues = scope.queues.put(activation.node, rest)
        self._set(activation.scope, queues=queues if rest else queues.drop(activation.node))
        tracker = self.tracker(activation.scope)
        tracker.vanish(activation.node, activation.round)
        for node in sorted(tracker.risen, key=self.plan.order.__getitem__):
            self.candidates[activation.scope, node] = None
        tracker.risen.clear()
        self.unsettled[activation.scope] = None

    def send(self, activation: Activation, value: Value) -> int:
        """Put a token on each successor (R1); return how many there are."""
        scope = self.scopes[activation.scope]
        tracker = self.tracker(activation.scope)
        successors = tracker.graph.after.get(activation.node, ())
        tokens = dict(scope.tokens)
        sent = Sent(activation.node, value)
        for node, weight in successors:
            round_ = activation.round + weight
            others = {token.round: token for token in tokens.get(node, ())}
            if round_ in others:
                others[round_] = others[round_]._replace(sent=(*others[round_].sent, sent))
            else:
                others[round_] = Token(node, round_, (sent,))
                tracker.appear(node, round_)
            tokens[node] = tuple(others[r] for r in sorted(others))
            self.candidates[activation.scope, node] = None
        if successors:
            self._set(activation.scope, tokens=tokens)
        return len(successors)

    def take(self, scope: int, token: Token) -> None:
        """Consume the tokens of a round; they stay alive as the activation made of them."""
        tokens = dict(self.scopes[scope].tokens)
        rest = tuple(other for other in tokens.pop(token.node) if other.round != token.round)
        if rest:
            tokens[token.node] = rest
        self._set(scope, tokens=tokens)

    def record(self, scope: int, node: str, value: Value) -> None:
        """Make a value the latest result of an id (C1), keeping what open branches may read."""
        found = self.scopes[scope]
        kept = found.results.get(node, ()) if found.children else ()
        self._set(scope, results=found.results.put(node, (*kept, Result(value, self.seq))))

    def offer_end(self, activation: Activation, value: Value) -> None:
        """Take an activation that led nowhere for the end of its scope, if it is the best (R6)."""
        scope = self.scopes[activation.scope]
        order = self.plan.order[activation.node]
        end = End(order, activation.round, activation.iteration, activation.node, value)
        rank = (end.order, end.round, end.iteration)
        if scope.end is None or rank >= (scope.end.order, scope.end.round, scope.end.iteration):
            self._set(activation.scope, end=end)
