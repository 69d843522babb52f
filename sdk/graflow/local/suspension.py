"""Runs that wait for people when the program that ran them ends."""

import logging
from typing import TYPE_CHECKING, Any, Final

from graflow.dsl.checkpoints import Asked
from graflow.local.checkpoints import keep
from graflow.local.people import Waiting

if TYPE_CHECKING:
    from graflow.local.run import LocalRun

SUSPENDED: Final = object()
"""In the place of the value of a run that has none yet."""

REASON: Final = "feedback_timeout"
"""Graflow's own word."""

_LOG: Final = logging.getLogger("graflow.feedback")
_MOST_NAMED: Final = 10


def suspend(run: "LocalRun") -> None:
    """Keep a run whose tasks wait for people in a checkpoint, and say where.

    Raises:
        CheckpointError: If a value or a task cannot be pickled, or it cannot be written there.
    """
    waiting = run.people.waiting()
    first = waiting[0]
    path, metadata = keep(run.live.at_rest(), Asked(_told(waiting)), resuming_task_id=first.task_id)
    run.live.last_checkpoint = path, metadata
    run.people.suspended(
        {
            "checkpoint_path": path,
            "checkpoint_id": metadata.checkpoint_id,
            "checkpoint_created_at": metadata.created_at,
            "checkpoint_steps": metadata.steps,
            "checkpoint_reason": REASON,
        }
    )
    others = f" and {len(waiting) - 1} more" if len(waiting) > 1 else ""
    # What was asked at a terminal is in no folder: nobody else can answer it.
    is_kept = run.people.manager.get_request(first.feedback_id) is not None
    _LOG.warning(
        "the run waits for an answer to %r of task %r (%s)%s; %sgo on with `graflow run --resume "
        "%s` and the program, or CheckpointManager.resume_from_checkpoint: what has no answer by "
        "then is asked again",
        first.prompt,
        first.task_id,
        first.feedback_id,
        others,
        "answer with FeedbackManager().provide_feedback, and " if is_kept else "",
        path,
    )


def _told(waiting: list[Waiting]) -> dict[str, Any]:
    first = waiting[0]
    return {
        "reason": REASON,
        "feedback_id": first.feedback_id,
        "feedback_ids": [one.feedback_id for one in waiting[:_MOST_NAMED]],
        "task_id": first.task_id,
        "timeout": first.timeout,
    }
