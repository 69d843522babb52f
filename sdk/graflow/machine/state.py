"""Where a run is: scopes, tokens, live activations, and the results that later tasks may read.

`State` and `Scope` are changed in place by `reducer.fold`, which is most of what makes it fast;
`reducer.reduce` folds a copy. Everything that they hold is immutable.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple, TypeAlias

from graflow.machine.joins import Tracker
from graflow.machine.plan import Plan

Value: TypeAlias = Any
"""A value as the host hands it over: an object locally, a JSON reference on a cluster.
The machine passes it on and never looks inside."""

RUN_SCOPE = 0


@dataclass(frozen=True, slots=True)
class GroupValue:
    """The value of a group: branch values by member, in the order of the members (G4)."""

    branches: tuple[tuple[str, Value], ...]


class RunPhase(StrEnum):
    """Where a run stands."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELLED = "Cancelled"

    @property
    def ended(self) -> bool:
        """Whether the phase can never change again."""
        return self is not RunPhase.RUNNING and self is not RunPhase.PENDING


class Phase(StrEnum):
    """Where a live activation stands."""

    PENDING = "Pending"
    """Created; another activation of its node runs first, or its scope has failed."""

    STARTING = "Starting"
    """Its current attempt should have a runner, which has not claimed it yet."""

    RUNNING = "Running"
    """Its current attempt was claimed. A group's attempt is that of its custom policy."""

    HOLDING = "Holding"
    """Scopes of its own are alive: the branches of a group, or what a task has spawned (T5)."""

    BACKOFF = "Backoff"
    """Waits for `not_before` before the next attempt, or before branches are run again."""

    PARKED = "Parked"
    """Its last attempt has asked somebody and let its runner go; an answer begins the next one."""

    FAILED = "Failed"
    """Failed for good; kept until its scope has ended, for a run to be resumed."""

    @property
    def has_attempt(self) -> bool:
        """Whether the current attempt has begun, or should begin now."""
        return self is Phase.STARTING or self is Phase.RUNNING


_AT_REST = frozenset({Phase.PENDING, Phase.HOLDING, Phase.FAILED})


@dataclass(frozen=True, slots=True)
class Error:
    """Why an attempt, an activation or a run failed."""

    reason: str
    """One PascalCase word of `graflow.machine.reasons`."""

    message: str
    """One sentence for people; for user code `Type: text` of the exception."""

    detail: Value = None
    """What the host knows besides: traceback, exit code, pickled exception."""

    retryable: bool = True
    """False when another attempt cannot help, as with arguments that are missing."""


@dataclass(frozen=True, slots=True)
class GroupFailure:
    """Detail of the error of a group whose verdict failed; both in the order of the members."""

    group: str
    failed: tuple[tuple[str, Error], ...]
    succeeded: tuple[str, ...]


class Sent(NamedTuple):
    """What came with one token: a sender, and its value."""

    sender: str
    value: Value


class Token(NamedTuple):
    """Arrivals on a node for one round, in the order in which they came."""

    node: str
    round: int
    sent: list[Sent]
    """Grows with each arrival: ten thousand tasks may lead to one node."""

    explicit: bool = False
    """A start, jump or pass that could not be created (R5, R7): it merges with nothing."""

    again: Value = None
    """For a pass that `next_iteration` asked for: what it is given."""


class Continuation(NamedTuple):
    """What a task that has succeeded goes on with, once what it spawned has ended (T6)."""

    jumps: tuple[tuple[str, str], ...] = ()
    """(target, reason)."""

    iterate: tuple[Value, str] | None = None
    """(what the next pass is given, reason)."""

    skip: bool = False
    """Own successors are skipped."""


class Question(NamedTuple):
    """What an activation has asked a person (section 9)."""

    key: str
    """Tells it from the other questions of the activation."""

    digest: str
    """Of what is shown; an answer holds for nothing else."""

    asked: Value
    """What the host needs to ask it, again if need be."""

    name: str = ""
    """What the host calls it, for people who are to find it."""

    at: float = 0.0
    """When it was asked first, in seconds since the epoch."""

    answer: Value = None
    """What came of it; None: nothing yet."""

    lapsed: bool = False
    """Whether that is that nobody answers: a run that is resumed asks it again."""


class Activation(NamedTuple):
    """One scheduled run of a node in a scope."""

    number: int
    """Unique in the run, in order of creation, from 1."""

    scope: int
    node: str
    round: int
    iteration: int
    """Which activation of this node in this scope it is, from 1 (`ctx.cycle_count`)."""

    sent: tuple[Sent, ...]
    """Its input (A1): what came with the tokens that it was made of."""

    phase: Phase = Phase.PENDING
    attempt: int = 1
    """Number of the current attempt, from 1; never used again once a runner may have existed."""

    failures: int = 0
    """Attempts that user code failed; the retry policy counts these."""

    losses: int = 0
    """Attempts that the infrastructure lost."""

    claim: str = ""
    """Who runs the current attempt; empty until it was claimed."""

    not_before: float = 0.0
    """When a Backoff ends, in seconds since the epoch."""

    error: Error | None = None
    """Why the last attempt failed."""

    since: float = 0.0
    """When it came to its phase, in seconds since the epoch."""

    scopes: tuple[int, ...] = ()
    """Scopes of its own: branches in the order of the members, fragments in that of the calls."""

    again: Value = None
    """What `next_iteration` gave this pass; None: nothing."""

    value: Value = None
    """Of a task that holds: what it returned."""

    then: Continuation | None = None
    """Of a task that holds: what it goes on with."""

    led: bool = False
    """Of a task that holds: what it spawned has left for a node outside."""

    questions: tuple[Question, ...] = ()
    """What its attempts have asked, in the order in which they did."""

    kept: tuple[tuple[str, Value], ...] = ()
    """What its attempts have kept for those after them (`ctx.step`), by key."""

    parks: int = 0
    """Attempts that have let their runner go to wait for an answer."""

    @property
    def is_asking(self) -> bool:
        """Whether a question of its is open: nothing has come of it, and an attempt could go on."""
        if not self.questions or self.phase in _AT_REST:
            return False
        return any(question.answer is None for question in self.questions)


class Result(NamedTuple):
    """The value of the latest success of an id, as others may see it."""

    value: Value
    seq: int
    """Sequence number of the fold that made it visible here."""

    completed: int
    """Its place in the order of completion: how many tasks and groups had succeeded."""


class End(NamedTuple):
    """The best candidate for the value of a scope (R6): greatest order, round, iteration."""

    order: tuple[int, ...]
    """(0, place in the plan) of a static node; of a dynamic one 1, its spawner's order, the
    spawner's pass, the call, and its place in the fragment."""

    round: int
    iteration: int
    node: str
    value: Value

    @property
    def rank(self) -> tuple[tuple[int, ...], int, int]:
        """What decides between two ends."""
        return self.order, self.round, self.iteration


@dataclass(frozen=True, slots=True)
class Failure:
    """The first failure in a scope."""

    node: str
    iteration: int
    attempt: int
    failures: int
    """Attempts that user code failed, this one included; 0 when the infrastructure is to blame."""

    error: Error
    seq: int


@dataclass(frozen=True, slots=True)
class Transition:
    """A move that a task decided at run time (section 4)."""

    number: int
    """Place among the transitions of the run, from 1."""

    at: float
    """When it took effect, in seconds since the epoch."""

    source: str
    target: str
    """The node or nodes that it leads to; empty when it ends the run."""

    kind: str
    """One of `directives.Kind`."""

    iteration: int
    """The pass of the source that decided it."""

    reason: str
    """In words of user code."""


@dataclass(slots=True)
class Scope:
    """The run itself, one branch of a group, or one fragment: a space in which tokens meet."""

    tracker: Tracker
    """What is alive at each node, and where it may still come to. Derived; not persisted."""

    path: tuple[tuple[str, str], ...] = ()
    """The (group, member) pairs that lead here from the run or from the fragment around it."""

    parent: int = RUN_SCOPE
    """The enclosing scope."""

    owner: int = 0
    """Number of the activation that holds it open: a group, or a spawner; 0 for the run."""

    call: int = 0
    """Which of the owner's scopes it is, from 0."""

    home: int = RUN_SCOPE
    """The scope whose plan names the nodes: the run, or the innermost fragment around."""

    plan: Plan | None = None
    """Of a fragment: its nodes and edges."""

    whole: bool = False
    """Of a branch: a jump has led it beyond what its member leads to."""

    as_of: int | None = None
    """Of a branch: sequence number when it was opened; of the enclosing scopes it sees no later
    result."""

    children: int = 0
    """Open branches inside this one, which may still read results that were replaced since."""

    tokens: dict[str, tuple[Token, ...]] = field(default_factory=dict)
    """Tokens that no activation has consumed, by node, in order of their rounds."""

    queues: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """Live activations of each node, in order of creation; the first one runs."""

    counts: dict[str, int] = field(default_factory=dict)
    """Activations made of each node so far; the node of the latest one comes last."""

    results: dict[str, tuple[Result, ...]] = field(default_factory=dict)
    """Results by id, that of the latest one last; of one id the last one is the latest, older ones
    are kept while `children` need them."""

    end: End | None = None
    """The best end so far."""

    failure: Failure | None = None
    """The first failure; once set, nothing more is created here or inside."""

    ended: bool = False
    """Whether nothing is alive here any more (or, after a failure, nothing runs)."""

    @property
    def is_branch(self) -> bool:
        """Whether this is a branch of a group, which no jump leaves (G6)."""
        return self.as_of is not None

    def copy(self) -> "Scope":
        """Return a scope that shares nothing that changes."""
        made: Scope = _shallow(self, Scope)
        made.tracker = self.tracker.copy()
        made.tokens = {
            node: tuple(token._replace(sent=[*token.sent]) for token in tokens)
            for node, tokens in self.tokens.items()
        }
        made.queues = dict(self.queues)
        made.counts = dict(self.counts)
        made.results = dict(self.results)
        return made


@dataclass(slots=True)
class State:
    """A run at one moment. `State()` is a run that has not begun."""

    phase: RunPhase = RunPhase.PENDING
    reason: str = ""
    message: str = ""
    seq: int = 0
    """How many folds have changed the state."""

    steps: int = 0
    """How many activations were created; the number of the latest one."""

    scopes: dict[int, Scope] = field(default_factory=dict)
    scopes_made: int = 0
    own: set[int] = field(default_factory=set, repr=False, compare=False)
    """Numbers of the scopes that no other state has: these alone may be changed in place."""

    activations: dict[int, Activation] = field(default_factory=dict)
    """Live activations by number."""

    starting: OrderedDict[int, None] = field(default_factory=OrderedDict)
    """Numbers of the activations in phase Starting, in the order in which they came there. (The
    first one of a plain dict is slow to find once many before it have gone.)"""

    backoff: dict[int, None] = field(default_factory=dict)
    """Numbers of the activations in phase Backoff."""

    asking: dict[int, None] = field(default_factory=dict)
    """Numbers of the activations that have a question open."""

    completed: int = 0
    """Task activations that succeeded."""

    recorded: int = 0
    """Results that were recorded, those of groups included."""

    value: Value = None
    """The value of the run (R6), once it has succeeded."""

    failure: Failure | None = None
    """The first failure of the run, once it has failed."""

    transitions: tuple[Transition, ...] = ()
    """The latest ones, `KEPT_TRANSITIONS` of them; all of the last fold when that made more."""

    transitions_made: int = 0
    started_at: float = 0.0
    ended_at: float = 0.0

    def copy(self) -> "State":
        """Return a state that shares nothing that changes."""
        made = self.draft()
        for number in made.scopes:
            made.scope(number)
        return made

    def draft(self) -> "State":
        """Return a state to fold into; of the scopes it copies those that are changed.

        There may be many thousands, and a fold changes a few of them.
        """
        made: State = _shallow(self, State)
        made.scopes, made.own, self.own = dict(self.scopes), set(), set()
        made.activations = dict(self.activations)
        made.starting = self.starting.copy()
        made.backoff = dict(self.backoff)
        made.asking = dict(self.asking)
        return made

    def scope(self, number: int) -> Scope:
        """Return a scope to change it; what was read of it before may be another state's."""
        if number not in self.own:
            self.scopes[number] = self.scopes[number].copy()
            self.own.add(number)
        return self.scopes[number]


KEPT_TRANSITIONS = 20


def _shallow(value: Any, kind: Callable[..., Any]) -> Any:  # noqa: ANN401  both are of one class
    # `copy.copy` takes five times as long, and every pure fold pays for it.
    names = kind.__slots__  # type: ignore[attr-defined]  # a dataclass with slots
    return kind(**{name: getattr(value, name) for name in names})
