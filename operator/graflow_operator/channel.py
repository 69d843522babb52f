"""The run's channel, served by its single writer (C2): apply, make durable, answer.

With a store, operations that have come are applied to a copy of the state, written as one segment
of the chain (`channel_log`), and answered; the cluster sees nothing of it but that a run uses its
channel at all, and now and then where the chain begins. Without a store they go into the Workflow's
status, with the state of the run, at most once a second.

Nobody is answered before the Workflow's status names this operator's epoch: that commit is guarded
like any other, so whoever has succeeded with it knows every operation that was ever answered.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from graflow.ledger.state import Answer, End, Op, Owner, State, apply
from graflow.machine.state import RunPhase
from graflow.machine.state import State as RunState
from graflow.store import ObjectMissingError, StoreError, StoreUnavailableError
from graflow_operator import channel_log, metrics
from graflow_operator.channel_calls import Batch, Calls
from graflow_operator.channel_log import Log, TakenError
from graflow_operator.channel_values import Values
from graflow_operator.cluster import WORKFLOWS
from graflow_operator.commits import SupersededError
from graflow_operator.dispatch import Dispatch
from graflow_operator.journal import StoreRequiredError
from graflow_operator.letters import FencedError, NotYetError
from graflow_operator.parts import Parts
from graflow_operator.refs import AttemptRef, RunRef
from graflow_operator.snapshot import UnreadableSnapshotError

Json = dict[str, Any]

LONG_CHAIN = 1024
LONG_CHAIN_BYTES = 2 << 20
"""When the chain begins anew, with the channel as it is."""

STATUS_S = 1.0
"""Without a store: least time between two commits for operations alone."""

SERVED_S = 5.0
"""Longest wait for the commit that lets this operator answer."""

PAUSE_S = 0.2
MOST_PAUSE_S = 5.0
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Hold:
    """What the channel asks and tells about the run; it decides nothing about it."""

    holder: Callable[[AttemptRef, str], object]
    """Raises if an attempt is not its caller's any more."""

    state: Callable[[], RunState]
    """The run as committed."""

    ring: Callable[[], None]
    """Makes the actor look whether there is something to commit."""

    dispatch: Dispatch


class RunChannel:
    """The channel of one run. All methods are for the engine's loop."""

    def __init__(self, parts: Parts, run: RunRef, hold: Hold) -> None:
        self.turn = asyncio.Lock()
        """Held while the run or the channel is committed: what ends an attempt and what an
        attempt has asked for come one after the other."""

        self._parts = parts
        self._run = run
        self._hold = hold
        self._log: Log | None = None
        self._state = State()
        self._part: Json | None = None
        """What the committed cursor says of the channel."""

        self._epoch = ""
        self._calls = Calls(hold.holder, self._is_current)
        self._batch: Batch | None = None
        """Not known to be committed."""

        self._trouble: StoreError | None = None
        self._wanted = False
        self._serving = False
        self._taken = False
        self._over = False
        self._committed_at = 0.0
        self._closed: Exception | None = None
        self._queue: dict[asyncio.Future[None], tuple[str, Owner]] = {}
        """Who waits for which lock."""

        self._bell = asyncio.Event()
        self._changed = asyncio.Event()
        self._work: asyncio.Task[None] | None = None

    # -- what runners ask -------------------------------------------------------------------------

    async def ask(self, attempt: AttemptRef, claim: str, number: tuple[int, int], op: Op) -> Answer:
        """Apply an operation once; returns when that is committed.

        Args:
            attempt: Whose call it is.
            claim: Its claim.
            number: Stream, and number of the call in it.
            op: What is asked.

        Raises:
            FencedError: If the caller does not hold the attempt any more.
            NotYetError: If that is not known yet.
        """
        self._hold.holder(attempt, claim)
        self._check_open()
        answer = self._calls.add(attempt, claim, number, op)
        self._want()
        return await asyncio.shield(answer)

    async def read(self, attempt: AttemptRef, claim: str) -> tuple[State, float]:
        """Return the channel as committed, and the time, for reading.

        Raises:
            FencedError, NotYetError: As `ask`.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(SERVED_S):
                while not self._serving:
                    self._check_open()
                    self._want()
                    await self._changed.wait()
        if not self._serving:
            raise NotYetError("the channel is being read")
        self._hold.holder(attempt, claim)
        return self._state, self._parts.clock()

    async def wait(
        self, attempt: AttemptRef, claim: str, key: str, owner: Owner, within_s: float
    ) -> bool:
        """Return whether a lock is held; waits for it, but not for ever.

        Raises:
            FencedError, NotYetError: As `ask`.
        """
        state, _ = await self.read(attempt, claim)
        if state.waits(key, owner) and not state.holds(key, owner):
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._queue[turn] = (key, owner)
            try:
                await asyncio.wait({turn}, timeout=within_s)
            finally:
                del self._queue[turn]
            state, _ = await self.read(attempt, claim)
        return state.holds(key, owner)

    @property
    def state(self) -> State:
        """The channel as committed; while `turn` is held nobody changes it."""
        return self._state

    @property
    def values(self) -> Values:
        """What is committed, for what follows from a commit of the run."""
        return Values(self._state, self._parts.clock())

    def _check_open(self) -> None:
        if self._closed is not None:
            raise self._closed

    def _want(self) -> None:
        """See to it that somebody looks at the calls."""
        self._wanted = True
        self._bell.set()
        if self._log is None or not self._serving:
            self._hold.ring()

    # -- what the actor does ----------------------------------------------------------------------

    async def recover(self, part: Json | None, given: Mapping[str, Any], *, ended: bool) -> None:
        """Learn where the channel stands, and keep others from adding to it.

        Args:
            part: What the committed cursor says of it.
            given: The keys that it has from the beginning.
            ended: Whether the run has.

        Raises:
            SupersededError: If the cursor is not the committed one any more.
            StoreRequiredError: If the channel is in a store, and there is none.
            UnreadableSnapshotError: If the channel cannot be made out.
            StoreError: If the store does not give it.
        """
        async with self.turn:
            self._serving = self._taken = self._wanted = False
            self._put_back()
            self._part, self._epoch = part, secrets.token_hex(8)
            self._over = ended
            storage = self._parts.storage
            if storage is None and part is not None and part.get("chain") and not ended:
                raise StoreRequiredError(
                    f"the channel of {self._run} is in a store, and this operator has none"
                )
            begins = part["seq"] if part else 0
            keys = self._parts.store_keys(self._run)
            self._log = Log(storage, keys, begins) if storage else None
            try:
                kept = await channel_log.kept(part, storage) if part else None
                self._state = kept or channel_log.initial(given)
                if part is not None and self._log is not None and not ended:
                    await self._follow(self._log)
            except ObjectMissingError as error:
                raise await self._moved_on(error) from error
            except ValueError as error:
                raise UnreadableSnapshotError(str(error)) from error
            if self._calls:
                self._want()

    async def _follow(self, chain: Log) -> None:
        """Read the chain to its end and close it to all others."""
        fence = channel_log.fence(self._epoch, self._state.clock)
        while True:
            for data in await chain.rest():
                channel_log.replay(self._state, data)
            try:
                await chain.append(fence)
            except TakenError:
                continue
            return

    async def _moved_on(self, error: ObjectMissingError) -> Exception:
        """Return why something is not in the store: the cursor is old, or somebody removed it."""
        found = await self._parts.cluster.get(WORKFLOWS, self._run.namespace, self._run.name)
        cursor = (found.get("status") or {}).get("cursor") or {}
        if found["metadata"]["uid"] != self._run.uid or cursor.get("channel") != self._part:
            return SupersededError(found)
        return UnreadableSnapshotError(f"the channel cannot be read: {error}")

    async def part(self, after: RunState, *, moved: bool) -> Json | None:
        """Return what the next cursor is to say of the channel; `turn` is held.

        Args:
            after: The run as it will be committed.
            moved: Whether a commit is made anyway.

        Raises:
            SupersededError: If somebody else has gone on with the channel.
            StoreError: If it is not known how far the channel has come.
        """
        if self._taken:
            found = await self._parts.cluster.get(WORKFLOWS, self._run.namespace, self._run.name)
            raise SupersededError(found)
        if self._log is None:
            self._put_back()
        elif self._batch is not None:
            raise self._trouble or StoreUnavailableError("a batch of the channel is not written")
        if after.phase.ended:
            return await self._last_part(after.ended_at)
        if not self._serving:
            return self._first_part()
        if self._log is None:
            return self._in_status(moved=moved)
        if self._is_long(self._log):
            part, self._state = await self._log.save(self._state)
            return {**part, "epoch": self._epoch, "chain": True}
        return self._part

    def _first_part(self) -> Json | None:
        if self._part is None and not self._wanted:
            return None
        part = self._part or {"seq": 0}
        if self._log is not None:
            return {**part, "epoch": self._epoch, "chain": True}
        return {**part, "epoch": self._epoch, "state": channel_log.text_of(self._state)}

    async def _last_part(self, now: float) -> Json | None:
        """Return the channel as it is kept after the run: the keys, and nothing of locks.

        What is left of its chain is `remains`'s.
        """
        if self._part is None or self._over:
            return self._part
        state = self._state.copy()
        apply(state, End(frozenset(state.known())), now, channel_log.NOBODY)
        if self._log is not None:
            part, _ = await self._log.save(state)
            return {**part, "epoch": self._epoch, "chain": True}
        seq, text = self._part["seq"] + 1, channel_log.text_of(state)
        return {"seq": seq, "epoch": self._epoch, "state": text}

    def _in_status(self, *, moved: bool) -> Json | None:
        """Apply what has come, as far as it is time for that."""
        part = self._part
        if part is None or not self._due(moved=moved):
            return part
        batch = self._drafted()
        if not batch.records:
            self._calls.tell(batch)
            return part
        self._batch = batch
        text = channel_log.text_of(batch.state)
        return {"seq": part["seq"] + 1, "epoch": self._epoch, "state": text}

    def _due(self, *, moved: bool) -> bool:
        if not self._calls and not self._stale():
            return False
        return moved or self._parts.clock() >= self._committed_at + STATUS_S

    def wakes(self) -> list[float]:
        """Return when to look again though nothing may have come, in seconds since the epoch."""
        waiting = self._log is None and self._serving and (self._calls or self._stale())
        return [self._committed_at + STATUS_S] if waiting else []

    def committed(self, part: Json | None, phase: RunPhase) -> None:
        """Take note of what the committed cursor says, and of how the run stands."""
        old, self._part = self._part, part
        if phase.ended:
            self._over = True
            self.close(FencedError("the run is over"))
        elif part is not None and not self._serving:
            self._serving = True
            self._announce()
            if self._log is not None and self._work is None:
                self._work = asyncio.create_task(self._serve(), name=f"channel {self._run}")
        if self._batch is not None and self._log is None:
            self._adopt(self._batch)
        if part != old:
            self._committed_at = self._parts.clock()
            self._forget(old, part)
        if self._serving and self._stale():
            self._bell.set()

    def _forget(self, old: Json | None, new: Json | None) -> None:
        """Have removed what the committed cursor does not need."""
        chain = self._log
        if chain is None or new is None:
            return
        if self._over:
            errand = partial(chain.forget_all, new)
        elif old is not None and old["seq"] != new["seq"]:
            errand = partial(chain.forget, old, new)
        else:
            return
        self._hold.dispatch.send(("channel", new["seq"], self._over), errand)

    def close(self, reason: Exception) -> None:
        """Turn away whoever waits, and whoever comes from now on."""
        self._closed, self._serving = reason, False
        if self._work is not None:
            self._work.cancel()
        self._put_back()
        self._calls.turn_away(reason)
        self._announce()

    # -- batches ----------------------------------------------------------------------------------

    async def _serve(self) -> None:
        """Write segments while there is anything to write."""
        pause_s = PAUSE_S
        while True:
            await self._bell.wait()
            self._bell.clear()
            try:
                while self._serving and (self._calls or self._batch or self._stale()):
                    await self._write()
                    pause_s = PAUSE_S
            except TakenError as error:
                log.warning("%s: %s; reading it again", self._run, error)
                self._taken, self._serving = True, False
                self._hold.ring()
            except StoreError as error:
                log.warning("%s: channel: %s; trying again in %.1f s", self._run, error, pause_s)
                self._trouble = error
                self._hold.ring()  # its next commit meets the trouble, and says so
                self._bell.set()
                await self._parts.sleep(pause_s)
                pause_s = min(pause_s * 2, MOST_PAUSE_S)
            except Exception:
                log.exception("%s: its channel failed; trying again", self._run)
                self._bell.set()
                await self._parts.sleep(MOST_PAUSE_S)

    async def _write(self) -> None:
        """Write one segment; one that may have been written is written again as it is."""
        async with self.turn:
            if not self._serving or self._log is None:
                return
            batch = self._batch = self._batch or self._drafted()
            if batch.records:
                began = time.monotonic()
                await self._log.append(batch.data)
                metrics.CHANNEL_COMMITS.observe(time.monotonic() - began)
            self._adopt(batch)
            if self._is_long(self._log):
                self._hold.ring()

    def _is_long(self, chain: Log) -> bool:
        begins = (self._part or {"seq": 0})["seq"]
        return chain.seq - begins >= LONG_CHAIN or chain.bytes >= LONG_CHAIN_BYTES

    def _drafted(self) -> Batch:
        return self._calls.drafted(self._state, self._parts.clock(), self._epoch)

    def _adopt(self, batch: Batch) -> None:
        """Make a batch the committed state, and tell everybody."""
        self._state, self._batch, self._trouble = batch.state, None, None
        if batch.records:
            metrics.CHANNEL_BATCH.observe(len(batch.records))
        self._calls.tell(batch)
        self._announce()

    def _put_back(self) -> None:
        batch, self._batch = self._batch, None
        self._calls.put_back(batch)

    def _announce(self) -> None:
        """Tell whoever waits for something that it may have come."""
        self._changed.set()
        self._changed = asyncio.Event()
        self._bell.set()
        for turn, (key, owner) in self._queue.items():
            over = self._state.holds(key, owner) or not self._state.waits(key, owner)
            if not turn.done() and (over or not self._serving):
                turn.set_result(None)

    def _stale(self) -> bool:
        """Whether a lock is kept for an attempt that has ended."""
        return any(not self._is_current(attempt) for attempt in self._state.attempts())

    def _is_current(self, attempt: tuple[int, int]) -> bool:
        state = self._hold.state()
        activation = state.activations.get(attempt[0])
        if state.phase.ended or activation is None:
            return False
        return activation.attempt == attempt[1] and bool(activation.claim)
