"""A run's record on the cluster: its state, and what people are told, written together."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from graflow.api import errors
from graflow.api.cut import size_of
from graflow.api.waits import MOST_WAITS, held_up
from graflow.api.workflow_status import Cursor, WorkflowStatus
from graflow.machine.check import Problem
from graflow.machine.plan import Plan
from graflow.machine.state import Error
from graflow.store import ObjectMissingError
from graflow_operator import census, completions, metrics, statuses, telling
from graflow_operator.checkpoints import Taken
from graflow_operator.cluster import Object
from graflow_operator.cluster_errors import ClusterError, InvalidError
from graflow_operator.commits import Commits, SupersededError
from graflow_operator.dispatch import Dispatch
from graflow_operator.facts import PodFact
from graflow_operator.history import History
from graflow_operator.journal import Journal, Kept
from graflow_operator.parts import Parts
from graflow_operator.program import Program
from graflow_operator.refs import AttemptRef
from graflow_operator.snapshot import Snapshot

SOFT_S = 1.0
"""How long news that only people want may wait for company, in seconds."""

MOST_SOFT_S = 30.0
"""The same where there is news again and again, such as a scheduler's words on a busy cluster."""

QUIET_S = 60.0
"""After so long without such news the next is told as soon as the first was, in seconds."""

STATUS_BYTES = metrics.STATUS_LIMIT - 1024
"""Of a status in all; a kibibyte is left for how the API server writes it."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class News:
    """What people are to be told besides the state."""

    waits: statuses.Waits
    hold_up: Error | None
    """Why the run as a whole does not go on."""


NO_NEWS = News({}, None)


class Record:
    """Reads and writes the record of one run."""

    def __init__(self, parts: Parts, workflow: Object, dispatch: Dispatch) -> None:
        self._parts = parts
        self._dispatch = dispatch
        self._commits = Commits(parts.cluster, workflow)
        self._run = self._commits.run
        keys = parts.store_keys(self._run)
        self._journal = Journal(parts.storage, keys)
        self._history = History(parts.storage, keys) if parts.storage else None
        self._previous = statuses.previous(workflow)
        self._told = NO_NEWS
        waits = self._previous.waiting if self._previous else ()
        self._noted = {(one.task or "", one.reason) for one in waits}
        """Tasks and the waits of theirs that a note told of."""

        self.standing = census.standing(self._previous)
        """How the run stands, as people were told last."""

        self.origin: Object | None = None
        """What is to be said of where the run has come from, before its first commit."""

        self.soft_at = 0.0
        """When news for people alone is to be written, in seconds since the epoch; 0: there is
        none."""

        self._soft_s = SOFT_S
        self._told_at = 0.0
        """When news for people alone was written last."""

    @property
    def workflow(self) -> Object:
        """The Workflow object as it was seen last."""
        return self._commits.workflow

    @property
    def generation(self) -> int:
        """Which version of the spec it has."""
        generation: int = self.workflow["metadata"].get("generation", 0)
        return generation

    def take(self, seen: Object) -> None:
        """Take over an object that a watch showed, if it is newer and its state is the same."""
        self._commits.take(seen)

    async def read(self, plan: Plan) -> Snapshot | None:
        """Return where the run stands; None if it has not begun.

        Raises:
            UnreadableSnapshotError: If that cannot be made out.
            SupersededError: If somebody has moved the run on since.
            StoreRequiredError: If it is in a store, and there is none.
            StoreError: If the store does not give it.
        """
        if (cursor := self._commits.cursor) is None:
            return None
        try:
            return await self._journal.read(plan, cursor)
        except ObjectMissingError as error:
            raise await self._commits.missing(error) from error

    async def commit(  # noqa: PLR0913, PLR0917 - all that one commit says
        self,
        program: Program,
        before: Snapshot,
        after: Snapshot,
        news: News,
        facts: Mapping[AttemptRef, PodFact],
        channel: Object | None = None,
        taken: Taken | None = None,
    ) -> bool:
        """Make what has changed durable, and return whether anything was written.

        News for people alone waits for company, for a while. `channel` is what the cursor is to
        say of the run's channel; `taken` is the checkpoint that this commit makes true.

        Raises:
            SupersededError: If somebody else moved the run on.
            StoreRequiredError: If the state has outgrown the object and there is no store.
            StoreError, ClusterError: If it is not known whether it was written.
        """
        now = self._parts.clock()
        moved = after.differs_from(before)
        old = self._commits.cursor
        written = moved or channel != self.channel or taken is not None
        if not written and not self._is_soft_due(now, changed=news != self._told):
            return False
        placed, cursor, ending = None, old or {}, None
        if written or old is None:
            ending = await self._ending(program, before, after)
            placed, cursor = await self._placed(before, after, channel, taken, ending)
        kept = self._kept(taken)
        notes = statuses.pod_notes(facts, news.waits)
        about = statuses.About(self.generation, self._parts.settings.instance)
        status = statuses.status(
            about,
            program.plan,
            after,
            news.hold_up,
            self._previous,
            notes,
            now=now,
            room=STATUS_BYTES - size_of({**kept, "cursor": cursor}),
        )
        await self._write({**status.manifest(), **kept, "cursor": cursor})
        if placed is not None:
            self._journal.committed(placed)
        self._ended(after, ending)
        self._previous = status.model_copy(update={"cursor": Cursor(seq=cursor["seq"])})
        self._told, self.soft_at = news, 0.0
        self.standing = census.standing(
            status, (w.reason for w in news.waits.values()), news.hold_up
        )
        metrics.COMMIT_FACTS.observe(after.state.seq - before.state.seq)
        telling.tell_moves(self._parts.notes, self._run, before.state, after.state)
        self._noted |= telling.tell_waits(
            self._parts.notes, self._run, after.state, news.waits, self._noted
        )
        self._note(news.hold_up)
        self._forget(old, cursor)
        return True

    def _note(self, hold_up: Error | None) -> None:
        """Leave a note on why the run stands still, if it does and none says so."""
        self._noted |= telling.tell_hold_up(self._parts.notes, self._run, hold_up, self._noted)

    async def _ending(
        self, program: Program, before: Snapshot, after: Snapshot
    ) -> completions.Ending | None:
        """Leave in the store how the run ends, if this commit ends it."""
        if before.state.phase.ended or not after.state.phase.ended:
            return None
        return await completions.ending(self._parts, self._run, program.spec, after.state)

    def _ended(self, after: Snapshot, ending: completions.Ending | None) -> None:
        """Have it recorded how the run has ended, and free its id, now that it is committed."""
        if after.state.phase.ended:
            self._parts.run_ids.leave(self._run)
        if ending is not None:
            counting = partial(completions.count, self._parts, ending)
            self._dispatch.send(("completion", self._run.uid), counting)

    @property
    def channel(self) -> Object | None:
        """What the committed cursor says of the run's channel; None: it has not been used."""
        found: Object | None = (self._commits.cursor or {}).get("channel")
        return found

    @property
    def cursor(self) -> Object:
        """The committed cursor; empty before the first commit."""
        return self._commits.cursor or {}

    def _kept(self, taken: Taken | None) -> Object:
        """Return what a status goes on to say: of checkpoints, and where the run has come from."""
        before = self._commits.status
        kept: Object = {
            name: before[name] for name in ("resumedFrom", "checkpoints") if name in before
        }
        if self.origin is not None:
            kept["resumedFrom"] = self.origin
        if taken is not None:
            kept["checkpoints"] = taken.shown(before.get("checkpoints", ()))
        return kept

    async def _placed(
        self,
        before: Snapshot,
        after: Snapshot,
        channel: Object | None,
        taken: Taken | None,
        ending: completions.Ending | None,
    ) -> tuple[Kept, Object]:
        """Put the state where it belongs; return also the whole cursor."""
        beside = len((channel or {}).get("state", ""))
        placed = await self._journal.place(before, after, beside)
        history, saved = self.cursor.get("history"), self.cursor.get("checkpoint")
        if self._history is not None and after.state is not before.state:
            history = await self._history.extended(history, before, after)
        parts = {
            "channel": channel,
            "history": history,
            "checkpoint": taken.name if taken else saved,
            "completion": ending.sha256 if ending else self.cursor.get("completion"),
        }
        named = {name: part for name, part in parts.items() if part is not None}
        return placed, placed.cursor | named

    async def _write(self, status: Object) -> None:
        try:
            await self._commits.write(status)
        except InvalidError as error:
            # A summary that the API server does not take must not stop the run.
            log.exception("%s: its status was refused; writing a shorter one", self._run)
            kept = (
                *("phase", "reason", "startTime", "completionTime", "conditions"),
                *("resumedFrom", "cursor"),
            )
            short = {name: status[name] for name in kept if name in status}
            words = f"the full status was refused by the API server: {error}"
            await self._commits.write({**short, "message": words[:1000]})

    def _is_soft_due(self, now: float, *, changed: bool) -> bool:
        if not changed:
            self.soft_at = 0.0
            return False
        if not self.soft_at:
            quiet = now >= self._told_at + QUIET_S
            self._soft_s = SOFT_S if quiet else min(self._soft_s * 2, MOST_SOFT_S)
            self.soft_at = now + self._soft_s
        if now < self.soft_at:
            return False
        self._told_at = now
        return True

    def _forget(self, old: Object | None, new: Object) -> None:
        """Remove from the store what no cursor names any more."""
        storage, old = self._parts.storage, old or {}
        if storage is None:
            return
        keys = self._journal.replaced(old, new)
        segment = old.get("history")
        if segment and self._history is not None and self._history.is_replaced(segment):
            keys.append(self._parts.store_keys(self._run).history(segment))
        for key in keys:
            self._dispatch.send(("forget", key), partial(storage.delete, key))

    async def refuse(self, reason: str, problems: Iterable[Problem]) -> None:
        """Say why a Workflow cannot run as it is written."""
        problems = tuple(problems)
        about = statuses.About(self.generation, self._parts.settings.instance)
        now = self._parts.clock()
        found = statuses.refused(about, reason, problems, self._previous, now=now)
        await self._commits.write(found.manifest())
        self._parts.notes.post(self._run, reason, errors.words(problems), warning=True)

    async def say(self, hold_up: Error) -> None:
        """Say why the run stands still, beside the state that is committed already."""
        status = self._commits.status
        told: Object = {"reason": hold_up.reason, "message": hold_up.message[:1000]}
        if all(status.get(name) == value for name, value in told.items()):
            return
        waits = held_up(self._previous or WorkflowStatus(), hold_up, self._parts.clock())
        others = [one for one in status.get("waiting", ()) if one.get("task")]
        told["waiting"] = [*(one.manifest() for one in waits), *others][:MOST_WAITS]
        try:
            await self._commits.write({**status, **told})
        except (ClusterError, SupersededError) as error:
            log.warning("%s: could not say %s: %s", self._run, hold_up.reason, error)
        else:
            self._told = News(self._told.waits, hold_up)
            self._previous = statuses.previous(self.workflow)
            self.standing = replace(self.standing, held=hold_up.reason)
            self._note(hold_up)
