"""What is said about a run while somebody waits for it: each change once."""

from typing import Any

import pytest

from graflow.api.workflow_status import WorkflowStatus
from graflow.cli.progress import Reporter


def status(**fields: Any) -> WorkflowStatus:
    return WorkflowStatus.model_validate(fields)


def moved(sequence: int, kind: str = "Jump", **fields: Any) -> dict[str, Any]:
    known = {"from": "agent", "kind": kind, "time": "2026-01-01T00:00:00Z"}
    return {"sequence": sequence, **known, **fields}


HOLDING = {"name": "a", "phase": "Running", "reason": "Holding", "message": "waits for 't1'"}
HELD = {"task": "a", "reason": "Holding", "message": "waits for 't1'"}
STUCK = {"task": "t1", "reason": "Unschedulable", "message": "0/1 nodes are available"}


def test_each_move_is_told_once_with_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    report = Reporter()
    moves = [
        moved(1, to="tool", reason="score 0.6 < 0.8\nagain"),
        moved(2, "Iteration", to="agent"),
    ]
    report(status(transitions=moves))
    report(status(transitions=[*moves, moved(3, "Termination", reason="enough")]))
    assert capsys.readouterr().err.splitlines() == [
        "  agent Jump to tool: score 0.6 < 0.8",
        "  agent Iteration",
        "  agent Termination: enough",
    ]


def test_moves_that_came_faster_than_the_status_are_not_made_up(
    capsys: pytest.CaptureFixture[str],
) -> None:
    report = Reporter()
    report(status(transitions=[moved(41, to="x")]))
    report(status(transitions=[moved(40, to="w"), moved(41, to="x")]))
    assert capsys.readouterr().err.splitlines() == ["  agent Jump to x"]


def test_a_task_that_waits_for_what_it_made_is_told_once_and_what_that_waits_for_too(
    capsys: pytest.CaptureFixture[str],
) -> None:
    report = Reporter()
    for _ in range(2):
        report(status(tasks=[HOLDING], waiting=[STUCK, HELD]))
    assert capsys.readouterr().err.splitlines() == [
        "  a Running, Holding: waits for 't1'",
        "  t1 waits, Unschedulable: 0/1 nodes are available",
    ]


def test_a_task_that_waits_is_told_once_though_it_stands_in_two_places(
    capsys: pytest.CaptureFixture[str],
) -> None:
    report = Reporter()
    why = {"reason": "WaitingForPerson", "message": "waits for an answer to q"}
    waits = {"tasks": [{"name": "a", "phase": "Waiting", **why}], "waiting": [{"task": "a", **why}]}
    for _ in range(2):
        report(status(**waits))
    assert capsys.readouterr().err.splitlines() == [
        "  a Waiting, WaitingForPerson: waits for an answer to q",
    ]
