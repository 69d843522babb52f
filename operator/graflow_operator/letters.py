"""What an actor is told: by runners, and by its own errands."""

import asyncio
from dataclasses import dataclass
from typing import Any, TypeAlias

from graflow.ledger.state import Caller
from graflow.machine.state import Error, Question
from graflow_operator.checkpoint import Wish
from graflow_operator.refs import AttemptRef
from graflow_operator.values import ValueRef
from graflow_operator.verdicts import Told, Verdict

Json = dict[str, Any]


class FencedError(Exception):
    """The caller does not hold the attempt it speaks for, and never will again."""


class NotYetError(Exception):
    """The answer is not known yet: ask again."""


class ChangedQuestionError(Exception):
    """A question was asked in other words before."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A runner asks for its order."""

    attempt: AttemptRef
    claim: str
    python: str
    """Version of the runner's Python; empty if it did not say."""

    answer: asyncio.Future[Json]


@dataclass(frozen=True, slots=True)
class Report:
    """A runner tells how user code ended."""

    attempt: AttemptRef
    claim: str
    report: Told
    log: str
    """The last that the attempt printed, where that is of use and known."""

    answer: asyncio.Future[Json]


@dataclass(frozen=True, slots=True)
class Save:
    """A runner asks for a checkpoint of the run as it is."""

    attempt: AttemptRef
    claim: str
    by: Caller
    """The process that asks."""

    number: int
    """Of the call; each process counts up."""

    wish: Wish
    answer: asyncio.Future[Json]


@dataclass(frozen=True, slots=True)
class Ask:
    """A task that runs asks a person."""

    attempt: AttemptRef
    claim: str
    question: Question
    answer: asyncio.Future[Json]


@dataclass(frozen=True, slots=True)
class Keep:
    """A task that runs keeps a value for its later attempts."""

    attempt: AttemptRef
    claim: str
    key: str
    value: ValueRef
    answer: asyncio.Future[Json]


Call: TypeAlias = Claim | Report | Save | Ask | Keep
"""What a runner says, which waits for what comes of it."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A question of the run was decided; told until the run waits for it no more."""

    activation: int
    key: str
    sha256: str
    """What was asked, by its digest."""

    answer: Json
    """As the question's object has it; as a value once the run has it."""

    namespace: str
    name: str
    """Of the object that has been answered: any other can say whose it is, too."""

    lapsed: bool = False
    """Whether it is that nobody answers; known once the run has it."""


@dataclass(frozen=True, slots=True)
class Judged:
    """An errand found out how an attempt ended that did not tell itself."""

    attempt: AttemptRef
    verdict: Verdict
    log: str = ""
    """The last that it printed, where that is of use and known."""

    claim: str = ""
    """Who held the attempt when that was found out; it counts only as long as the same does."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The API server does not let the attempt's pod be made, for now; there is none."""

    attempt: AttemptRef
    error: Error
    after_s: float = 0.0
    """How long the API server asks to be left alone, in seconds."""

    of_all: bool = False
    """Whether no other attempt could start either, whatever the reason."""


@dataclass(frozen=True, slots=True)
class ProfileAwaited:
    """There is no profile yet that the attempt's pod can be made from; there is no pod."""

    attempt: AttemptRef
    error: Error


@dataclass(frozen=True, slots=True)
class ProfileFound:
    """There is one now."""

    attempt: AttemptRef


@dataclass(frozen=True, slots=True)
class Unstartable:
    """No pod of this attempt can be made, whenever one tries."""

    attempt: AttemptRef
    error: Error


Letter: TypeAlias = Call | Answered | Judged | Refused | ProfileAwaited | ProfileFound | Unstartable
