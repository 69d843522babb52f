"""The checkpoints of one run: when one is due, and how it comes to be before what names it."""

import asyncio
import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from graflow.api import cut
from graflow.api.moment import rfc3339
from graflow.api.workflow import WorkflowSpec
from graflow.ledger.state import Caller
from graflow.ledger.state import State as Channel
from graflow.store import ObjectCorruptError, ObjectMissingError
from graflow_operator import checkpoint
from graflow_operator.checkpoint import Checkpoint, Label, Reason, UnreadableCheckpointError
from graflow_operator.dispatch import Dispatch
from graflow_operator.folding import Draft
from graflow_operator.letters import Json, Letter, Save
from graflow_operator.parts import Parts
from graflow_operator.program import Program
from graflow_operator.refs import RunRef
from graflow_operator.snapshot import Snapshot
from graflow_operator.storage import Storage

LARGE = 200
"""Results, and bytes of a channel in KiB, above which a checkpoint is packed in a thread."""

KEPT = 10
"""Checkpoints that a status shows."""

SHOWN_BYTES = 1280
"""Of metadata in a status: a kibibyte that a task may say, and what its context says."""

PATH_BYTES = 200
"""Of a label in a status."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Cut:
    """What a commit's checkpoint is taken for, if one is."""

    labels: tuple[Label, ...] = ()
    calls: tuple[Save, ...] = ()
    """Of tasks that wait for theirs."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A checkpoint that is in the store; the next status makes it true."""

    name: str
    entries: tuple[Json, ...]
    """What a status shows of it."""

    answered: Mapping[Caller, tuple[int, int]] = field(default_factory=dict)

    def shown(self, before: Iterable[Mapping[str, Any]]) -> list[Json]:
        """Return the newest checkpoints, this one with them.

        One that has the number of this one cannot be asked for any more.
        """
        seq = checkpoint.seq_of(self.name)
        others = [dict(entry) for entry in before if entry.get("seq") != seq]
        return [*others, *self.entries][-KEPT:]


def due(
    spec: WorkflowSpec, before: Snapshot, after: Snapshot, draft: Draft, letters: Iterable[Letter]
) -> Cut:
    """Return what a commit owes a checkpoint for. Pure.

    Args:
        spec: Of the Workflow.
        before: What is committed.
        after: What will be.
        draft: How it came to that.
        letters: Those that were folded and not refused.
    """
    labels = list(draft.wishes)
    every = spec.checkpoint_every
    if every and after.state.recorded // every > before.state.recorded // every:
        labels.append(Label(Reason.EVERY))
    labels += [Label(Reason.PERSON, task) for task in draft.parked]
    if after.state.phase.ended and not before.state.phase.ended:
        labels.append(Label(Reason.END))
    return Cut(tuple(labels), tuple(letter for letter in letters if isinstance(letter, Save)))


class Checkpoints:
    """Takes the checkpoints of one run, and remembers which calls were answered with which."""

    def __init__(self, parts: Parts, run: RunRef, dispatch: Dispatch) -> None:
        self._parts = parts
        self._run = run
        self._dispatch = dispatch
        self._answered: Mapping[Caller, tuple[int, int]] | None = None
        """None: the newest checkpoint, which has them, was not read yet."""

        self._put: set[str] = set()
        """Names of those that may be in the store since the last commit."""

    def forget(self) -> None:
        """Take nothing for known any more: somebody else may have gone on with the run."""
        self._answered = None
        self._put.clear()

    async def take(  # noqa: PLR0913, PLR0917 - all that is in one
        self,
        cut: Cut,
        found: Program,
        after: Snapshot,
        channel: Channel,
        cursor: Json,
        now: float,
    ) -> Taken | None:
        """Put the checkpoint of a commit into the store; None if none is owed.

        Args:
            cut: What it is taken for.
            found: What the run executes.
            after: The run as it will be committed.
            channel: Its channel at that very moment.
            cursor: The committed cursor.
            now: Moment of the commit, in seconds since the epoch.

        Raises:
            StoreError: If the store does not take it.
        """
        storage = self._parts.storage
        if storage is None or not (cut.labels or cut.calls):
            return None
        answered = await self._recalled(storage, cursor.get("checkpoint"))
        calls = [call for call in cut.calls if answered.get(call.by, (0, 0))[0] < call.number]
        asked = [Label(Reason.ASKED, _node(after, call), call.wish) for call in calls]
        labels = _telling((*asked, *cut.labels))
        if not labels:
            return None
        live = {one.number: one.attempt for one in after.state.activations.values()}
        kept = {by: one for by, one in answered.items() if live.get(by.activation) == by.attempt}
        kept |= {call.by: (call.number, after.state.seq) for call in calls}
        made = Checkpoint(
            self._run,
            now,
            labels,
            found.plan,
            after,
            channel,
            found.spec.manifest(),
            cursor.get("history"),
            cursor.get("checkpoint"),
            kept,
        )
        large = after.state.recorded + len(found.plan.nodes) + channel.size // 1024 > LARGE
        name, data = (
            await asyncio.to_thread(checkpoint.pack, made) if large else checkpoint.pack(made)
        )
        self._put.add(name)
        await storage.put(self._parts.store_keys(self._run).checkpoint(name), data)
        return Taken(name, tuple(_entry(made, label) for label in labels), kept)

    def committed(self, taken: Taken | None) -> None:
        """Take note that a commit was made, by which a checkpoint has become true, if it has one.

        No commit that was tried before can be made any more, so what was taken for these goes.
        """
        if taken is not None:
            self._answered = taken.answered
            self._put.discard(taken.name)
        if (storage := self._parts.storage) is not None:
            for name in self._put:
                key = self._parts.store_keys(self._run).checkpoint(name)
                self._dispatch.send(("forget", key), partial(storage.delete, key))
        self._put.clear()

    def answer(self, call: Save, steps: int) -> Json:
        """Return what a task is told whose checkpoint is committed.

        Args:
            call: What it has asked.
            steps: Activations that the run has made so far.
        """
        return {"seq": (self._answered or {})[call.by][1], "steps": steps}

    async def _recalled(
        self, storage: Storage, newest: str | None
    ) -> Mapping[Caller, tuple[int, int]]:
        """Return which calls were answered; without the newest checkpoint they are made again."""
        if self._answered is None:
            self._answered = {}
            if newest is not None:
                try:
                    key = self._parts.store_keys(self._run).checkpoint(
                        checkpoint.checked_name(newest)
                    )
                    data = await storage.get(key)
                    self._answered = (
                        await asyncio.to_thread(checkpoint.unpack, newest, data)
                    ).answered
                except (ObjectMissingError, ObjectCorruptError, UnreadableCheckpointError) as error:
                    log.warning("%s: %s", self._run, error)
        return self._answered


def _telling(labels: tuple[Label, ...]) -> tuple[Label, ...]:
    """Return what people are told: that one was due is of interest where it is all there is."""
    return tuple(label for label in labels if label.reason is not Reason.EVERY) or labels[:1]


def _node(after: Snapshot, call: Save) -> str:
    activation = after.state.activations.get(call.attempt.activation)
    return activation.node if activation else ""


def _entry(made: Checkpoint, label: Label) -> Json:
    """Return what a status shows of a checkpoint: what is large is only in the document."""
    entry: Json = {"seq": made.snapshot.state.seq, "time": rfc3339(made.time), **label.manifest()}
    if len(json.dumps(entry.get("metadata"))) > SHOWN_BYTES:
        del entry["metadata"]
    if "path" in entry:
        entry["path"] = cut.cut(entry["path"], PATH_BYTES)
    return entry
