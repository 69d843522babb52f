"""Whatever a run has become, and whatever was lost on the way: what was committed is read again."""

import asyncio
from dataclasses import replace
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from graflow.api.attempts import Attempt
from graflow.machine.events import (
    AttemptClaimed,
    AttemptFailed,
    AttemptLost,
    AttemptSucceeded,
    RunStarted,
    TimerFired,
)
from graflow.machine.plan import TaskPlan
from graflow.machine.reducer import fold
from graflow.machine.scopes import node_of
from graflow.machine.state import Error
from graflow.store.keys import RunKeys
from graflow.store.memory import MemoryStore
from graflow_operator import journal, snapshot
from graflow_operator.journal import Journal
from graflow_operator.refs import AttemptRef
from graflow_operator.snapshot import Snapshot
from property.strategies import directives, plans

KEYS = RunKeys("team", "u1")
BOOM = Error("TaskFailed", "boom")
SIZES = {"SMALL_CHARS": 300, "INLINE_CHARS": 900, "TRAIL_CHARS": 400, "LARGE_BYTES": 10**9}


class Calls:
    """A store whose calls are awaited, without threads."""

    def __init__(self):
        self.store = MemoryStore()

    async def get(self, key):
        return self.store.get(key)

    async def put(self, key, data):
        self.store.put(key, data)


def news(draw, plan, state, now):
    """Anything that may be told of a run."""
    live = [a for a in state.activations.values() if a.phase.has_attempt]
    if not live:
        return TimerFired(now)
    activation = draw(st.sampled_from(live))
    pair = activation.number, activation.attempt
    match draw(st.sampled_from(["claimed", "succeeded", "succeeded", "failed", "lost"])):
        case "claimed":
            return AttemptClaimed(*pair, f"pod-{activation.number}", now)
        case "failed":
            return AttemptFailed(*pair, BOOM, now)
        case "lost":
            return AttemptLost(*pair, BOOM, now)
        case _:
            is_task = isinstance(node_of(plan, state, activation), TaskPlan)
            decided = draw(directives(plan, state, activation)) if is_task else ()
            return AttemptSucceeded(*pair, {"json": "v" * (activation.number % 7)}, now, decided)


def moved(draw, plan, before, now):
    """A run some facts later, and what the operator remembers of it."""
    state = before.state.copy()
    for _ in range(draw(st.integers(1, 3))):
        fold(plan, state, news(draw, plan, state, now) if state.seq else RunStarted(now))
    refs = [AttemptRef(a.number, a.attempt) for a in state.activations.values()]
    some = st.lists(st.sampled_from(refs), max_size=3) if refs else st.just([])
    history = before.history
    for ref in draw(some):
        attempt = Attempt(ref.attempt, "TaskFailed", "boom", now, exit_code=1)
        history = history.with_attempt(ref.activation, attempt).with_log(ref.activation, "line")
    return replace(
        before,
        state=state,
        held=frozenset(draw(some)),
        refused=dict.fromkeys(draw(some), now),
        reported=dict.fromkeys(draw(some), "uid/nonce"),
        history=history.of(state),
    )


async def _driven(draw, plan):
    calls = Calls()
    writer, committed, cursor = Journal(calls, KEYS), Snapshot(), None
    for step in range(draw(st.integers(1, 25))):
        after = moved(draw, plan, committed, 100.0 + step)
        kept = await writer.place(committed, after, 0)
        if draw(st.integers(0, 4)) == 0:
            continue  # the status that names it was not written
        writer.committed(kept)
        for key in writer.replaced(cursor or {}, kept.cursor):
            calls.store.delete(key)
        committed, cursor = after, kept.cursor
        reader = Journal(calls, KEYS)
        read = await reader.read(plan, cursor)
        assert snapshot.document(read) == snapshot.document(committed)
        if draw(st.integers(0, 5)) == 0:
            writer, committed = reader, read


@given(plan=plans(), data=st.data())
def test_what_was_committed_is_read_again(plan, data):
    with patch.multiple(journal, **SIZES):
        asyncio.run(_driven(data.draw, plan))
