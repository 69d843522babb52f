"""The last lines of attempts that failed, as they were kept when their pods have gone."""

from collections.abc import Iterator
from dataclasses import dataclass

from graflow.api.workflow_status import WorkflowStatus
from graflow.cluster.errors import ClusterError
from graflow.cluster.handout import Handout

MOST_ATTEMPTS = 10
"""That are asked for of one task: the last ones."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of which lines may have been kept."""

    task: str
    activation: int
    number: int


def attempts(status: WorkflowStatus, task: str | None) -> Iterator[Attempt]:
    """Yield the attempts of which lines may have been kept, oldest first.

    Args:
        status: Of the run.
        task: Only those of this task; of all, those that failed for good.
    """
    for one in reversed(status.tasks):
        if one.activation is None or one.attempt is None or (task or one.name) != one.name:
            continue
        if task is not None:
            first = max(1, one.attempt - MOST_ATTEMPTS + 1)
            yield from (Attempt(task, one.activation, n) for n in range(first, one.attempt + 1))
        elif one.phase == "Failed":
            yield Attempt(one.name, one.activation, one.attempt)


def lines(handout: Handout, status: WorkflowStatus, attempt: Attempt) -> list[str]:
    """Return what was kept of one attempt, under a line that says so; nothing if nothing was."""
    try:
        path = f"logs/{attempt.activation}/{attempt.number}"
        text = handout.read(path, f"the log of task {attempt.task!r}").decode(errors="replace")
    except ClusterError:  # with no store, and where it is out of reach, the status has a few
        text = ""
    failure = status.failure
    if not text and failure is not None:
        same = (failure.activation, failure.attempt) == (attempt.activation, attempt.number)
        text = failure.log or "" if same else ""
    if not text:
        return []
    head = f"==> last lines of attempt {attempt.number} of {attempt.task}; its pod is gone <=="
    return [head, *text.splitlines()]
