"""Looks at every effect of the operator from outside, and asks whether its promises still hold."""

import base64
import hashlib
import json
from collections import Counter

from graflow.machine.plan import TaskPlan
from graflow.machine.scopes import plan_at
from graflow.machine.state import Phase
from graflow.store.keys import IDS, RunKeys
from graflow_operator import checkpoint, folding, program, snapshot, values
from graflow_operator.channel_log import kept
from graflow_operator.cluster import PODS, WORKFLOWS
from graflow_operator.refs import AttemptRef, RunRef
from graflow_operator.snapshot import Snapshot
from support.crashes.asked import Asked
from support.crashes.promises import (
    CHANNEL,
    COMMIT_FIRST,
    CURSOR,
    DIRECTIVES,
    LEAKS,
    NEVER_AGAIN,
    ONCE,
    ONE_RUNNER,
    OUTCOMES,
)

MAY_STAY = ("outcomes", "logs")
"""Tombstones, outcomes that nobody was there to hear, ends of logs: they stay with their run."""

ORPHANS = 4


class Observer:
    """What one run has been seen to do.

    Args:
        cluster: Everything in it.
        bucket: The store; None if there is none.
        workflow: The Workflow, as it was created.
        plan: Of its program.
        clock: Seconds.
    """

    def __init__(self, cluster, bucket, workflow, plan, clock):
        self._cluster = cluster
        self._bucket = bucket
        self.run = RunRef.of(workflow)
        self.keys = RunKeys(self.run.namespace, self.run.uid)
        self._plan = plan
        self._clock = clock
        self.violations = []
        """(invariant, words)."""

        self.snapshot = Snapshot()
        self._status = {}
        self._cursor = None
        self._needed = set()
        self._values = set()
        """Blobs that any committed state has had."""

        self._over = set()
        """Activations that no runner may work on any more."""

        self._allowed = set()
        """Attempts that some commit has let start."""

        self._accepted = {}
        """Attempts whose success can be found, by activation."""

        self._late = set()
        """Uids of pods that were made when their attempts were over: nobody can know of them."""

        self._claims = set()
        self._working = {}
        """Who has been given an attempt."""

        self._calls = Counter()
        """Calls on the channel that segments tell of."""

        self._told = Counter()
        """By caller, the number of its last call that any status has told of; without a store."""

        self._read_checkpoints = {}
        """By name: what each needs, and the one before."""

        self._pods = Counter()
        self.checked = Counter()
        """How often each promise was asked about."""

        self.answered = {}
        """Operations on the channel whose callers were told that they were done."""

        self.committed = Counter()
        """Activations that have ended, by task."""

        self.asked = Asked(cluster, self.wrong, self.checked)
        self.phase_ended = False

    def wrong(self, invariant, words):
        self.violations.append((invariant, words))

    # -- commits ----------------------------------------------------------------------------------

    def status_written(self, workflow):
        """Look at a status that has just become true."""
        self._status = workflow.get("status") or {}
        cursor = self._status.get("cursor")
        if cursor is None or cursor == self._cursor:
            return
        try:
            after = self._read(cursor)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it
            self.wrong(CURSOR, f"the committed state cannot be read: {error!r}")
            return
        self._cursor, before, self.snapshot = cursor, self.snapshot, after
        self._compare(before.state, after.state)
        self.asked.committed(after.state, self._clock())
        self._note_calls(cursor)
        for ref, activation in folding.under_way(after.state, ()).items():
            if ref not in after.held:
                self._allowed.add(ref)
            if activation.claim:
                self._claims.add((ref, activation.claim))
            self._counts(ref)
        self._walk(cursor, after)

    def _note_calls(self, cursor):
        """Note calls of the channel that a status tells of, until their attempt is over."""
        if self._bucket is None and cursor.get("channel"):
            for by, (number, _) in now(kept(cursor["channel"], None)).seen.items():
                self._told[tuple(by)] = max(number, self._told[tuple(by)])

    def _read(self, cursor):
        """Return the state that a cursor holds or names."""
        text, names = cursor.get("state"), cursor.get("segments") or ()
        data = base64.b64decode(text) if text else self._bucket.get(cursor["key"])
        changes = [self._bucket.get(self.keys.changes(name)) for name in names]
        if newest := cursor.get("changes"):
            changes.append(base64.b64decode(newest))
        return snapshot.unpack(self._plan, data, changes)

    def _compare(self, before, after):
        self.checked.update((ONCE, DIRECTIVES))
        if after.seq < before.seq:
            self.wrong(ONCE, f"the run went back from {before.seq} to {after.seq}")
        if before.phase.ended and after.seq != before.seq:
            self.wrong(ONCE, "an ended run went on")
        over = {n for n in range(1, after.steps + 1) if self._is_over(after, n)}
        if again := self._over - over:
            self.wrong(ONCE, f"activations {sorted(again)} had ended and are live again")
        for number in over - self._over:
            found = before.activations.get(number)
            if found is not None:
                self.committed[found.node] += 1
        self._over |= over
        if after.completed < before.completed or after.recorded < before.recorded:
            self.wrong(ONCE, "results that had been recorded are not there any more")
        if after.transitions_made < before.transitions_made:
            self.wrong(DIRECTIVES, "transitions that had been made are not there any more")
        self.phase_ended = after.phase.ended

    def _is_over(self, state, number):
        found = state.activations.get(number)
        if found is None or found.phase is Phase.FAILED:
            return True
        if found.phase is not Phase.HOLDING:
            return False
        return isinstance(plan_at(self._plan, state, found.scope).by_id[found.node], TaskPlan)

    # -- what the cursor names --------------------------------------------------------------------

    def _walk(self, cursor, after):
        if self._bucket is None:
            return
        self.checked[CURSOR] += 1
        self._needed = set(self._named(cursor, after))
        self._values.update(self._blobs(after))
        for key in self._needed - self._bucket.names():
            self.wrong(CURSOR, f"{key} is named by the cursor and is not there")

    def _named(self, cursor, after):
        """Yield the keys that a cursor needs, directly or not."""
        yield from self._under_prefix(cursor)
        yield from (self.keys.changes(name) for name in cursor.get("segments") or ())
        if segment := cursor.get("history"):
            yield from self._history(segment, after)
        yield from self._blobs(after)
        if name := cursor.get("checkpoint"):
            yield from self._checkpoints(name)
        channel = cursor.get("channel") or {}
        if channel.get("chain"):
            numbers = self._segments()
            yield from (
                self.keys.segment(n) for n in range(channel["seq"] + 1, max(numbers, default=0) + 1)
            )

    def _blobs(self, found):
        document = snapshot.codec.encode(found.state)
        return (self.keys.blob(sha) for sha in values.blobs(document))

    def _checkpoints(self, name):
        """Yield the checkpoints from the newest one back, and what each of them needs."""
        while name is not None and name not in self._read_checkpoints:
            key = self.keys.checkpoint(name)
            if key not in self._bucket.names():
                yield key
                return
            document = checkpoint.unpack(name, self._bucket.get(key))
            state = checkpoint.snapshot_of(document, self._plan)
            needs = {key, *self._blobs(state)}
            self._read_checkpoints[name] = needs, document.previous
            name = document.previous
        for needs, _ in self._read_checkpoints.values():
            yield from needs

    def _under_prefix(self, document):
        if isinstance(document, dict):
            key, sha = document.get("key"), document.get("sha256")
            data = key and self._bucket._objects.get(key)
            if data and sha and hashlib.sha256(data).hexdigest() != sha:
                self.wrong(CURSOR, f"{key} has other bytes than the cursor says")
            document = list(document.values())
        if isinstance(document, list):
            for part in document:
                yield from self._under_prefix(part)
        elif isinstance(document, str) and document.startswith(self.keys.prefix):
            yield document

    def _history(self, segment, after):
        """Yield the segments of the history, and see whether each move is told of once."""
        numbers = []
        while segment is not None:
            key = self.keys.history(segment)
            yield key
            if key not in self._bucket.names():
                return
            head, *lines = self._bucket.get(key).decode().splitlines()
            numbers[:0] = [json.loads(line)["sequence"] for line in lines]
            segment = json.loads(head)["previous"]
        if numbers != list(range(1, after.state.transitions_made + 1)):
            words = f"the history tells of {numbers}, and {after.state.transitions_made} were made"
            self.wrong(DIRECTIVES, words)

    def _segments(self):
        prefix = self.keys.channels
        names = [key.removeprefix(prefix) for key in self._bucket.names() if key.startswith(prefix)]
        return [int(name) for name in names if name.isdigit()]

    def store_changed(self, verb, key):
        """Look at a change in the store."""
        self.checked[CURSOR] += verb == "delete"
        if verb == "delete" and key in self._needed and self._exists:
            self.wrong(CURSOR, f"{key} was deleted, and the committed cursor needs it")
        name = key.removeprefix(self.keys.channels)
        counts = key.startswith(self.keys.channels) and name.isdigit() and self._is_read(int(name))
        if verb == "put" and counts:
            for call in json.loads(self._bucket.get(key))["calls"]:
                if "by" in call:
                    self._counted((*call["by"], call["n"]))

    def _is_read(self, number):
        """Whether a segment with this number counts: the numbers of those that were removed are
        free again for an operator that does not know that, and nobody looks there any more."""
        part = (self._cursor or {}).get("channel")
        if self.phase_ended:
            return False
        return part is None or (bool(part.get("chain")) and number > part["seq"])

    def _counted(self, call):
        self.checked[CHANNEL] += 1
        self._calls[call] += 1
        if self._calls[call] > 1:
            self.wrong(CHANNEL, f"call {call} was applied {self._calls[call]} times")

    @property
    def _exists(self):
        found = self._cluster.peek(WORKFLOWS, self.run.namespace, self.run.name)
        return found is not None and found["metadata"]["uid"] == self.run.uid

    # -- pods and runners -------------------------------------------------------------------------

    def pod_made(self, pod, *, stale):
        """Look at a pod that has just been made.

        Args:
            pod: The pod.
            stale: Whether by an operator that another one has followed, who cannot know better; its
                pods are turned away when they ask for their task.
        """
        self.checked.update((COMMIT_FIRST, ONE_RUNNER))
        ref = AttemptRef.of(pod["metadata"]["labels"])
        if ref not in self._allowed:
            self.wrong(COMMIT_FIRST, f"the pod of {ref} was made before a commit let it start")
        name = pod["metadata"]["name"]
        self._pods[name] += 1
        if self._pods[name] > 1 and not stale:
            self.wrong(ONE_RUNNER, f"pod {name} was made {self._pods[name]} times")
        live = self.snapshot.state.activations.get(ref.activation)
        if stale and (live is None or live.attempt != ref.attempt):
            self._late.add(pod["metadata"]["uid"])

    def order_ready(self, order):
        """Look at an order that is about to leave the operator, and return what is wrong with it:
        that counts if it comes to its runner. What is committed while it is on its way cannot
        keep it from there."""
        self.checked.update((ONE_RUNNER, NEVER_AGAIN))
        ref = AttemptRef(order["activation"], order["attempt"])
        if ref.activation in self._over:
            return [(NEVER_AGAIN, f"{ref} runs, and its activation had ended")]
        live = self.snapshot.state.activations.get(ref.activation)
        if live is not None and live.attempt > ref.attempt:
            return [(ONE_RUNNER, f"{ref} runs, and attempt {live.attempt} is the current one")]
        return []

    def claim_answered(self, order, claim):
        """Look at an order that a runner has just been given: its user code begins."""
        self.checked.update((COMMIT_FIRST, ONE_RUNNER))
        ref = AttemptRef(order["activation"], order["attempt"])
        if (ref, claim) not in self._claims:
            self.wrong(COMMIT_FIRST, f"{ref} was given to {claim}, which no commit says")
        holder = self._working.setdefault(ref, claim)
        if holder != claim:
            self.wrong(ONE_RUNNER, f"{ref} was given to {holder} and to {claim}")
        self.asked.order_given(order)

    def report_answered(self, ref, claim):
        """Look at what is committed when a runner hears that its report is."""
        self.checked[COMMIT_FIRST] += 1
        live = self.snapshot.state.activations.get(ref.activation)
        open_ = (
            not self.phase_ended
            and live is not None
            and live.attempt == ref.attempt
            and live.claim == claim
        )
        if open_ and live.phase.has_attempt and ref.activation not in self._over:
            self.wrong(COMMIT_FIRST, f"the report of {ref} was answered before its commit")

    def outcome_accepted(self, ref, report, pod=""):
        """Look at an outcome that has just come to where it is to be found: the store, or a pod."""
        if pod in self._late:
            return
        self.checked[OUTCOMES] += 1
        if report["outcome"] == "Succeeded":
            self._accepted[ref.activation] = ref
            started = (one for one in self._allowed if one.activation == ref.activation)
            self._counts(max(started, key=lambda one: one.attempt, default=ref))

    def _counts(self, current):
        """See whether an activation has gone on to another attempt after one that succeeded."""
        accepted = self._accepted.get(current.activation)
        if accepted is None:
            return
        self.checked[OUTCOMES] += 1
        if current.attempt > accepted.attempt:
            self.wrong(OUTCOMES, f"{accepted} succeeded, and {current} is to run")

    def operation_answered(self, ref, body, answer):
        """Look at what is durable when a runner hears that an operation on the channel is done."""
        if "n" not in body or answer.get("error"):
            return
        self.checked[CHANNEL] += 1
        call = (*(ref.activation, ref.attempt), body.get("stream", 0), body["n"])
        said = self.answered.setdefault(call, answer)
        if said != answer:
            self.wrong(CHANNEL, f"call {call} was answered with {said} and with {answer}")
        if self._bucket is not None:
            if not self._calls[call]:
                self.wrong(CHANNEL, f"call {call} was answered, and no segment tells of it")
            return
        if self._told[call[:3]] < body["n"]:
            self.wrong(CHANNEL, f"call {call} was answered, and the status does not tell of it")

    # -- the end ----------------------------------------------------------------------------------

    def outcome(self):
        """Return what can be told of the run, however it came about."""
        status, state = self._status, self.snapshot.state
        moves = Counter((t.source, t.target, t.kind, t.iteration) for t in state.transitions)
        return {
            "phase": status.get("phase"),
            "reason": status.get("reason"),
            "result": status.get("result"),
            "activations": state.steps,
            "completed": state.completed,
            "transitions": sorted(moves.items()),
            "channel": self._channel(),
        }

    @property
    def is_told_twice(self):
        used = {call[:2] for call in (*self.answered, *self._calls)}
        return len(used) > len({activation for activation, _ in used})

    def _channel(self):
        part = (self._cursor or {}).get("channel")
        if part is None:
            return None
        state = now(kept(part, Direct(self._bucket) if self._bucket else None))
        found = {}
        for key, entry in (state.entries if state else {}).items():
            content = entry.content
            runs = getattr(content, "__iter__", None) and not isinstance(content, dict | str)
            found[key] = sorted(map(str, items_of(content))) if runs else str(content)
        return found

    def look_for_leaks(self, stops, *, raced):
        """Look at what is there when all of an ended run should be cleared away.

        What was in the store before a commit that its writer did not live to make stays there, and
        means nothing, until the run goes: a few objects for each time an operator was stopped. So
        do values of passes and of made tasks that are over.

        Args:
            stops: How often an operator was stopped.
            raced: Whether two of them drove the run at a time: each commit that was refused has
                left something.
        """
        self.checked[LEAKS] += 1
        self.asked.look_for_leaks()
        for pod in self._cluster.all(PODS):
            self.wrong(LEAKS, f"pod {pod['metadata']['name']} is still there")
        if self._bucket is None:
            return
        orphans = [
            key
            for key in sorted(self._bucket.names() - self._needed - self._values)
            if key.startswith(self.keys.prefix) and key.split("/")[2] not in MAY_STAY
        ]
        orphans = [key for key in orphans if not self._is_fence(key)]
        for key in orphans:
            if self.keys.segment_in(key) is not None:
                self.wrong(LEAKS, f"{key} is left of the channel of a run that has ended")
        if not raced and len(orphans) > ORPHANS * stops:
            self.wrong(LEAKS, f"nothing refers to {', '.join(orphans)} in the store")

    def _is_fence(self, key):
        """Whether it keeps a number of the channel from operators that were replaced."""
        is_segment = self.keys.segment_in(key) is not None
        return is_segment and not json.loads(self._bucket.get(key))["calls"]

    def look_for_ruins(self):
        """Look at what is there when the Workflow was deleted, and there was time."""
        self.checked[LEAKS] += 1
        for plural, _, name in self._cluster.objects:
            if plural not in ("codebundles", "leases", "runnerprofiles"):
                self.wrong(LEAKS, f"{plural} {name} is left of a run that is gone")
        if self._bucket is not None:
            for key in self._bucket.names():
                if not key.startswith(IDS):  # what a runId has done is to outlive its run
                    self.wrong(LEAKS, f"{key} is left in the store of a run that is gone")


def items_of(runs):
    """Yield the items of a channel's list, as far as they are in it."""
    for run in runs:
        yield from run.items.get("json", [run.items])


class Direct:
    """A store that an observer reads at once."""

    def __init__(self, bucket):
        self._bucket = bucket

    async def get(self, key):
        return self._bucket.get(key)


def now(coroutine):
    """Return what a coroutine returns that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waits")


def plan_of(workflow):
    return program.read(workflow).plan
