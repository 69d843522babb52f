"""Any program of this machine, kept anywhere: what goes on ends as what was never stopped."""

from collections import Counter
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import event, given, note, settings
from hypothesis import strategies as st

from graflow.core.checkpoint import CheckpointManager
from graflow.dsl.program import Program
from graflow.exceptions import GraflowRuntimeError
from graflow.local import LocalHost, checkpoints
from property import test_hosts_agree as programs
from property.test_hosts_agree import Case, cases

KEPT: dict[str, bytes] = {}
"""Checkpoints by their paths, in the order in which they were taken."""

MOST = 40
"""Of one run: a program that goes round and round would take thousands."""


class Shelf:
    """A place that is quick."""

    def __init__(self, path: str) -> None:
        self.path = path

    def write(self, suffix: str, data: bytes) -> None:
        if suffix == ".pkl":
            KEPT[self.path] = data

    def read(self, suffix: str) -> bytes:
        assert suffix == ".pkl"
        return KEPT[self.path]


@pytest.fixture(autouse=True)
def _quick_places(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(checkpoints, "place_of", lambda path, _default="": Shelf(path))
    yield
    KEPT.clear()


def new(words: str) -> str:
    """Return a path. (What a task's function names itself would travel in the checkpoint.)"""
    return f"{len(KEPT)} {words}"


def is_room() -> bool:
    return len(KEPT) < MOST


def keeping(case: Case, task: str, ran: Counter[str]) -> Any:
    """Return the function of a task that takes a checkpoint before it works, and one after."""
    work = original(case, task, ran)

    def run(context: Any, data: Any = None) -> Any:
        if is_room():
            context.checkpoint(path=new(f"before {task}"), deferred=False)
        value = work(context, data)
        if is_room():
            context.checkpoint(path=new(f"after {task}"))
        return value

    return run


original = programs.body


def ended(host: Any) -> tuple[str, Any, int]:
    """Return how a run ended: the value and the steps of one that did well."""
    try:
        value, context = host()
    except GraflowRuntimeError as error:
        return programs.reason_of(error), None, 0
    return "Succeeded", value, context.steps


def kept(case: Case) -> tuple[Program, tuple[str, Any, int]]:
    KEPT.clear()
    with patch.object(programs, "body", keeping):
        program = programs.drawn(case, Counter())
        return program, ended(lambda: LocalHost().execute(program, ret_context=True))


@given(case=cases(), at=st.integers(0, 99))
@settings(deadline=None, max_examples=settings().max_examples // 5)
def test_k3_a_run_goes_on_from_any_checkpoint_to_the_end_that_it_had(case: Case, at: int) -> None:
    _, end = kept(case)
    event(end[0])
    paths = list(KEPT)
    for path in paths[at % len(paths) :][:1] if paths else ():
        note(path)
        context, _ = CheckpointManager.resume_from_checkpoint(path)

        def go_on(found: Any = context) -> Any:
            return found.execute(), found

        again = ended(go_on)
        assert again[0] == end[0] or "Succeeded" not in (again[0], end[0])
        assert again == end or end[0] != "Succeeded"
