"""Where a run is: scopes, tokens, live activations, and the results that later tasks may read.

What changes with every event is a named tuple: a changed copy of one takes a quarter of the time
that a changed copy of a frozen dataclass takes, and that is most of what a fold does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple, TypeAlias

from graflow.machine.shelf import Shelf

Value: TypeAlias = Any
"""A value as the host hands it over: an object locally, a JSON reference on a cluster.
The machine passes it on and never looks inside."""

RUN_SCOPE = 0

NOTHING: Shelf[Any, Any] = Shelf()
"""What every mapping of a state begins as."""


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
        return self in (RunPhase.SUCCEEDED, RunPhase.FAILED, RunPhase.CANCELLED)


class Phase(StrEnum):
    """Where a live activation stands."""

    PENDING = "Pending"
    """Created; another activation of its node runs first, or its scope has failed."""

    STARTING = "Starting"
    """Its current attempt should have a runner, which has not claimed it yet."""

    RUNNING = "Running"
    """Its current attempt was claimed; for a group: its branches are alive."""

    BACKOFF = "Backoff"
    """Waits for `not_before` before the next attempt."""

    FAILED = "Failed"
    """Failed for good; kept until its scope has ended, for a run to be resumed."""


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


@dataclass(frozen=True, slots=True)
class Sent:
    """What came with one token: a sender, and its value."""

    sender: str
    value: Value


class Token(NamedTuple):
    """Arrivals on a node for one round, in the order in which they came."""

    node: str
    round: int
    sent: tuple[Sent, ...]


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

    branches: tuple[int, ...] = ()
    """For a group: the scopes of its branches, in the order of the members."""


@dataclass(frozen=True, slots=True)
class Result:
    """The value of the latest success of an id, as others may see it."""

    value: Value
    seq: int
    """Sequence number of the fold that recorded it."""


@dataclass(frozen=True, slots=True)
class End:
    """The best candidate for the value of a scope (R6): greatest order, round, iteration."""

    order: int
    round: int
    iteration: int
    node: str
    value: Value


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


class Scope(NamedTuple):
    """The run itself, or one branch of a group: a space in which tokens meet."""

    path: tuple[tuple[str, str], ...] = ()
    """The (group, member) pairs that lead here; empty for the run."""

    parent: int = RUN_SCOPE
    """The enclosing scope."""

    owner: int = 0
    """Number of the group's activation whose branch this is; 0 for the run."""

    as_of: int = 0
    """Sequence number when it was opened: of the enclosing scopes it sees no later result."""

    children: int = 0
    """Open scopes inside this one, which may still read results that were replaced since."""

    tokens: Mapping[str, tuple[Token, ...]] = NOTHING
    """Tokens that no activation has consumed, by node, in order of their rounds."""

    queues: Shelf[str, tuple[int, ...]] = NOTHING
    """Live activations of each node, in order of creation; the first one runs."""

    counts: Shelf[str, int] = NOTHING
    """Activations made of each node so far."""

    results: Shelf[str, tuple[Result, ...]] = NOTHING
    """Results by id; the last one is the latest, older ones are kept while `children` need them."""

    end: End | None = None
    """The best end so far."""

    failure: Failure | None = None
    """The first failure; once set, nothing more is created here or inside."""

    ended: bool = False
    """Whether nothing is alive here any more (or, after a failure, nothing runs)."""

    alive: Shelf[str, tuple[int, ...]] = NOTHING
    """Rounds of what is alive at each node, sorted. Derived; not persisted."""

    arrivals: Shelf[str, tuple[int, int]] = NOTHING
    """For each node the least round in which something alive may still come to it over an edge, and
    over how many edges that round can be had. Derived; not persisted. See `joins`."""


class State(NamedTuple):
    """A run at one moment. `State()` is a run that has not begun."""

    phase: RunPhase = RunPhase.PENDING
    reason: str = ""
    message: str = ""
    seq: int = 0
    """How many folds have changed the state."""

    steps: int = 0
    """How many activations were created; the number of the latest one."""

    scopes: Mapping[int, Scope] = NOTHING
    scopes_made: int = 0
    activations: Mapping[int, Activation] = NOTHING
    """Live activations by number."""

    starting: Mapping[int, None] = NOTHING
    """Numbers of the activations in phase Starting, in the order in which they came there."""

    backoff: Mapping[int, None] = NOTHING
    """Numbers of the activations in phase Backoff."""

    completed: int = 0
    """Task activations that succeeded."""

    value: Value = None
    """The value of the run (R6), once it has succeeded."""

    failure: Failure | None = None
    """The first failure of the run, once it has failed."""

    started_at: float = 0.0
    ended_at: float = 0.0
