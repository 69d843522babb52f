"""Checkpoints of runs on this machine, as Graflow's programs take and read them."""

from collections.abc import Iterable, Mapping
from typing import Any

from graflow.dsl.checkpoints import Asked, CheckpointMetadata, checked_metadata, checked_path
from graflow.dsl.context import TaskExecutionContext
from graflow.dsl.execution import ExecutionContext
from graflow.exceptions import CheckpointError
from graflow.local.checkpoints import keep, read
from graflow.local.live import Live
from graflow.local.outcome import LocalOutcome
from graflow.local.rest import Rest
from graflow.local.resumed import ResumedContext, before_its_start

__all__ = ["CheckpointError", "CheckpointManager", "CheckpointMetadata"]


class CheckpointManager:
    """Writes a run to a file or to S3, and reads it back."""

    @classmethod
    def create_checkpoint(
        cls,
        context: ExecutionContext | TaskExecutionContext,
        *,
        path: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        resuming_task_id: str | None = None,
    ) -> tuple[str, CheckpointMetadata]:
        """Write a run as it is now: one that goes on, has ended, or has yet to begin.

        Args:
            context: Of the run. That of a task, or of a run that goes on, may be given in a task.
            path: A file, with or without `.pkl`, a folder (with `/` at the end), or
                `s3://bucket/key`; by default a new name in `checkpoints/<session id>`.
            metadata: What to say about it: JSON, at most 1 KiB.
            resuming_task_id: For people who read `.state.json`: what is to begin again.

        Returns:
            The path of the `.pkl`, and what is known of it.

        Raises:
            CheckpointError: If a value or a task cannot be pickled, which it names; or if the
                checkpoint cannot be written there.
        """
        if isinstance(context, TaskExecutionContext):
            found = context.checkpoint(metadata, path=path, deferred=False)
            if found is None:
                raise TypeError("an immediate checkpoint was put off")
            return found
        asked = Asked(checked_metadata(metadata), checked_path(path))
        made = keep(_at_rest(context), asked, resuming_task_id=resuming_task_id)
        context.last_checkpoint = made
        return made

    @classmethod
    def resume_from_checkpoint(
        cls,
        path: str,
        *,
        results: Mapping[str, object] | None = None,
        rerun: Iterable[str] = (),
    ) -> tuple[ExecutionContext, CheckpointMetadata]:
        """Read a run that goes on when `WorkflowEngine().execute(context)` is called.

        A checkpoint is code of whoever wrote it, and is run: read only your own.

        Args:
            path: A file, with or without `.pkl`, or `s3://bucket/key`.
            results: By task, what its result is to have been, for what has not run yet.
            rerun: Tasks to run again besides.

        Returns:
            The context, which has the session id of the run, and what is known of the checkpoint.

        Raises:
            CheckpointError: If there is none, or it is not one that this version reads.
        """
        rest, metadata = read(checked_path(path) or "")
        context = ResumedContext.of(rest, results or {}, rerun)
        context.last_checkpoint = path, metadata
        return context, metadata


def _at_rest(context: ExecutionContext) -> Rest:
    if isinstance(context, ResumedContext) and not context.begun:
        return context.at_rest()
    outcome = context.outcome
    if outcome is None:
        return before_its_start(context)
    if isinstance(outcome, Live | LocalOutcome):
        return outcome.at_rest()
    raise CheckpointError(
        "a run on a cluster keeps its checkpoints there; see `graflow checkpoints`"
    )
