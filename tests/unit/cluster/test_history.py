"""All that the tasks of a run have decided, read while the run goes on."""

import json
from typing import Any

import pytest

from graflow.cluster.apiserver import ApiServer
from graflow.cluster.errors import ValueLostError
from graflow.cluster.run import Run
from graflow.cluster.workflows import Workflows

OLD, NEW = f"1-{'a' * 64}", f"2-{'b' * 64}"


@pytest.fixture
def run(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("GRAFLOW_SERVICE", "ops/graflow")
    return Run(Workflows(server, "team"), "etl", "u1")


def workflow(history: str | None) -> tuple[int, Any]:
    cursor = {"seq": 1, **({"history": history} if history else {})}
    status = {"phase": "Running", "cursor": cursor, "transitions": [moved(7)]}
    return 200, {"metadata": {"name": "etl", "uid": "u1", "resourceVersion": "1"}, "status": status}


def moved(sequence: int) -> dict[str, Any]:
    known = {"from": "a", "to": "b", "kind": "Jump", "time": "2026-01-01T00:00:00Z"}
    return {"sequence": sequence, **known}


def segment(*moves: dict[str, Any]) -> bytes:
    lines = [{"previous": None}, *moves]
    return "".join(f"{json.dumps(line)}\n" for line in lines).encode()


def test_a_segment_that_a_longer_one_has_replaced_meanwhile_is_asked_for_again(
    fake: Any, run: Run
) -> None:
    gone = (404, {"reason": "NotFound", "message": "the store has no such history"})
    fake.answers = [workflow(OLD), gone, workflow(NEW), segment(moved(1), moved(2))]
    assert [one.sequence for one in run.transitions()] == [1, 2, 7]


def test_a_history_that_stays_away_is_named(fake: Any, run: Run) -> None:
    gone = (404, {"reason": "NotFound", "message": "the store has no such history"})
    fake.answers = [workflow(OLD), gone, workflow(OLD), gone, workflow(OLD), gone]
    with pytest.raises(ValueLostError, match="hand out the history of workflow 'etl'"):
        run.transitions()


def test_a_damaged_history_is_named(fake: Any, run: Run) -> None:
    fake.answers = [workflow(OLD), b"nonsense"] * 3
    with pytest.raises(ValueLostError, match="cannot be read"):
        run.transitions()


def test_without_a_store_the_last_moves_are_those_of_the_status(fake: Any, run: Run) -> None:
    fake.answers = [workflow(None)]
    assert [one.sequence for one in run.transitions()] == [7]
