"""How a run ended, as the exception that a program sees."""

from typing import Any

import pytest

from graflow.api.workflow_status import WorkflowStatus
from graflow.cluster.errors import NotFinishedError, RefusedError, ValueLostError
from graflow.cluster.failures import RemoteTaskError, failure, is_over
from graflow.cluster.run import Run
from graflow.cluster.workflows import Workflows
from graflow.exceptions import (
    ArgumentError,
    CycleLimitExceededError,
    GraflowRuntimeError,
    GraflowWorkflowCanceledError,
    MaxStepsExceededError,
    ParallelGroupError,
    RetryLimitExceededError,
)

TRACEBACK = (
    'Traceback (most recent call last):\n  File "/tmp/graflow/code/w.py", line 3\nValueError: no'
)


def status(**fields: Any) -> WorkflowStatus:
    return WorkflowStatus.model_validate(fields)


def task(name: str, phase: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "phase": phase, "pod": f"pod-{name}", **fields}


def condition(kind: str, message: str) -> dict[str, Any]:
    when = "2026-01-01T00:00:00Z"
    return {
        "type": kind,
        "status": "False",
        "reason": "Reason",
        "message": message,
        "lastTransitionTime": when,
    }


@pytest.mark.parametrize("phase", [None, "Pending", "Running", "Succeeded", "SomethingNew"])
def test_a_run_that_goes_on_or_ended_well_is_no_failure(phase: str | None) -> None:
    assert failure("etl", status(phase=phase)) is None


def test_f4_a_failed_run_brings_the_remote_traceback_along() -> None:
    tasks = [task("a", "Succeeded"), task("b", "Failed", reason="TaskFailed", message=TRACEBACK)]
    error = failure(
        "etl",
        status(
            phase="Failed",
            reason="TaskFailed",
            message="task 'b' failed: ValueError: no",
            tasks=tasks,
            conditions=[condition("Succeeded", f"task 'b' failed: ValueError: no\n\n{TRACEBACK}")],
        ),
    )
    assert isinstance(error, GraflowRuntimeError)
    assert str(error).endswith(TRACEBACK)
    assert str(error).count("Traceback") == 1
    assert isinstance(error.cause, RemoteTaskError)
    assert error.__cause__ is error.cause


@pytest.mark.parametrize(
    ("reason", "kind"),
    [("ArgumentsMissing", ArgumentError), ("MaxStepsExceeded", MaxStepsExceededError)],
)
def test_f4_reasons_become_their_documented_exceptions(reason: str, kind: type[Exception]) -> None:
    assert type(failure("etl", status(phase="Failed", reason=reason, message="x"))) is kind


def test_f1_a_task_that_failed_in_all_of_its_attempts_says_so_with_the_last_traceback() -> None:
    tried = task("b", "Failed", attempt=5, failures=3, maxAttempts=3, message=TRACEBACK)
    failed = status(phase="Failed", reason="TaskFailed", message="short", tasks=[tried])
    error = failure("etl", failed)
    assert isinstance(error, RetryLimitExceededError)
    assert (error.task_id, error.max_retries) == ("b", 2)
    assert TRACEBACK in str(error)
    tried["maxAttempts"] = 5
    given_up = failure(
        "etl", status(phase="Failed", reason="TaskFailed", message="short", tasks=[tried])
    )
    assert not isinstance(given_up, RetryLimitExceededError), "lost attempts are no failures"


def test_f1_too_many_passes_say_how_many() -> None:
    tasks = [task("b", "Failed", iteration=4, reason="CycleLimitExceeded", message="m")]
    failed = status(phase="Failed", reason="CycleLimitExceeded", message="m", tasks=tasks)
    error = failure("etl", failed)
    assert isinstance(error, CycleLimitExceededError)
    assert (error.task_id, error.cycle_count, error.max_cycles) == ("b", 4, 4)


def test_f4_a_failed_group_names_its_members_as_a_run_on_this_machine_does() -> None:
    members = [
        {"name": "b", "task": "later", "reason": "TaskFailed", "message": "m.Odd: no"},
        {
            "name": "inner",
            "task": "inner",
            "reason": "ParallelGroupFailed",
            "message": "Parallel group inner failed: 1 task(s) failed",
        },
        {"name": "c", "task": "c", "reason": "OOMKilled", "message": "pod c used too much"},
        {
            "name": "d",
            "task": "d",
            "reason": "TaskFailed",
            "message": "ValueError: no",
            "failures": 3,
            "maxAttempts": 3,
        },
    ]
    failed = status(
        phase="Failed",
        reason="ParallelGroupFailed",
        message="outer failed",
        failedGroup={"name": "outer", "failed": members, "succeeded": ["a"]},
    )
    error = failure("etl", failed)
    assert isinstance(error, ParallelGroupError)
    assert error.group_id == "outer"
    limit = RetryLimitExceededError("d", 3, 2, Exception("no"))
    assert error.failed_tasks == [
        ("b", "An error occurred: no (caused by no)"),
        ("inner", "Parallel group inner failed: 1 task(s) failed"),
        ("c", "pod c used too much"),
        ("d", str(limit)),
    ]
    assert error.successful_tasks == ["a"]
    assert isinstance(error.__cause__, RemoteTaskError)


def test_a_result_that_the_status_does_not_have_is_never_none(server: Any) -> None:
    run = Run(Workflows(server), "etl", "u1")
    message = "the result takes more than 16384 bytes and is not shown here"
    with pytest.raises(ValueLostError, match=message):
        run.result_in(status(phase="Succeeded", message=message), unpickle=False)


def test_f4_a_cancelled_run_is_one() -> None:
    error = failure("etl", status(phase="Cancelled", message="asked for"))
    assert isinstance(error, GraflowWorkflowCanceledError)
    assert str(error) == "asked for"


def test_a_workflow_that_was_not_accepted_is_over_and_says_why() -> None:
    refused = status(
        conditions=[
            condition("Accepted", "the bundle needs Python 3.12, the runner image has 3.11")
        ]
    )
    assert is_over(refused)
    error = failure("etl", refused)
    assert isinstance(error, RefusedError)
    assert "'etl' was not accepted: the bundle needs Python 3.12" in str(error)


def test_the_result_of_a_run_that_goes_on_is_refused_with_what_to_do(server: Any) -> None:
    run = Run(Workflows(server), "etl", "u1")
    with pytest.raises(NotFinishedError, match=r"is Running and has no result yet.*graflow watch"):
        run.result_in(status(phase="Running"), unpickle=False)
