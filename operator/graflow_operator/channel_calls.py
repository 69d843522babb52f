"""Operations of runners that wait for their answers, and the batches that they are applied in."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from graflow.ledger.state import Answer, Caller, End, Extend, Lock, Op, Set, State, apply, call
from graflow_operator import channel_log, metrics
from graflow_operator.channel_log import Record
from graflow_operator.letters import FencedError, NotYetError
from graflow_operator.refs import AttemptRef

MOST_CALLS = 1000
"""Calls of one batch."""

MOST_BYTES = 16 << 20
"""Bytes of a channel; values of more than a few KiB are in the store, and do not count."""

MOST_LOCKS = 10_000
"""Locks that the attempts of a run hold or wait for at a time, by their names."""


@dataclass(frozen=True, slots=True)
class Call:
    """An operation that waits for its answer."""

    attempt: AttemptRef
    claim: str
    by: Caller
    number: int
    op: Op
    answer: asyncio.Future[Answer]


@dataclass(frozen=True, slots=True)
class Batch:
    """Operations that were applied, and what their callers will be told."""

    state: State
    records: tuple[Record, ...]
    """What has changed anything."""

    answers: tuple[tuple[Call, Answer | Exception], ...]
    data: bytes = b""
    """The segment that makes it durable in a store."""


class Calls:
    """The calls of one run that were not applied yet, or not committed.

    Args:
        holder: Raises if an attempt is not its caller's any more.
        is_current: Whether an attempt may still ask for anything.
    """

    def __init__(
        self,
        holder: Callable[[AttemptRef, str], object],
        is_current: Callable[[tuple[int, int]], bool],
    ) -> None:
        self._holder = holder
        self._is_current = is_current
        self._waiting: dict[tuple[Caller, int], Call] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(
        self, attempt: AttemptRef, claim: str, number: tuple[int, int], op: Op
    ) -> asyncio.Future[Answer]:
        """Let an operation wait, and return its answer to come; one that waits already is one."""
        by = Caller(attempt.activation, attempt.attempt, number[0])
        found = self._waiting.get((by, number[1]))
        if found is None:
            answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
            found = Call(attempt, claim, by, number[1], op, answer)
            self._waiting[by, number[1]] = found
        return found.answer

    def drafted(self, committed: State, now: float, writer: str) -> Batch:
        """Apply what waits to a copy of the state.

        Args:
            committed: What it is applied to.
            now: Seconds since the epoch.
            writer: Who signs the segment.
        """
        state = committed.copy()
        records: list[Record] = []
        answers: list[tuple[Call, Answer | Exception]] = []
        if ended := frozenset(known for known in state.known() if not self._is_current(known)):
            end = End(ended)
            apply(state, end, now, channel_log.NOBODY)
            records.append(Record(end))
        for one in tuple(self._waiting.values())[:MOST_CALLS]:
            del self._waiting[one.by, one.number]
            answer, new = self._applied(state, one, now)
            answers.append((one, answer))
            if new:
                records.append(Record(one.op, one.by, one.number))
        data = channel_log.segment(writer, now, records) if records else b""
        return Batch(state, tuple(records), tuple(answers), data)

    def _applied(self, state: State, one: Call, now: float) -> tuple[Answer | Exception, bool]:
        try:
            self._holder(one.attempt, one.claim)
        except (FencedError, NotYetError) as error:
            return error, False
        if full := _full(state, one.op):
            return Answer(error="ChannelFull", message=full), False
        return call(state, one.by, one.number, one.op, now)

    def put_back(self, batch: Batch | None) -> None:
        """Let operations wait again whose batch was not committed; they come before newer ones."""
        if batch is not None:
            newer = self._waiting
            self._waiting = {(one.by, one.number): one for one, _ in batch.answers} | newer

    @staticmethod
    def tell(batch: Batch) -> None:
        """Answer the calls of a batch."""
        for one, answer in batch.answers:
            if one.answer.done():
                continue
            if isinstance(answer, Exception):
                one.answer.set_exception(answer)
            else:
                metrics.CHANNEL_OPERATIONS.inc(type(one.op).__name__.lower())
                one.answer.set_result(answer)

    def turn_away(self, reason: Exception) -> None:
        """Refuse all that waits."""
        for one in self._waiting.values():
            if not one.answer.done():
                one.answer.set_exception(reason)
                one.answer.exception()  # whoever asked may be gone: that is no news for the log
        self._waiting.clear()


def _full(state: State, op: Op) -> str:
    """Return why there is no room for an operation, or nothing."""
    if isinstance(op, Lock) and len(state.locks) >= MOST_LOCKS:
        return f"the run holds {len(state.locks)} locks, and may hold {MOST_LOCKS}"
    size = op.entry.size if isinstance(op, Set) else op.size if isinstance(op, Extend) else 0
    if size and state.size + size > MOST_BYTES:
        return (
            f"the channel has {state.size} bytes and may have {MOST_BYTES}: delete keys, or hand"
            " large data on as results"
        )
    return ""
