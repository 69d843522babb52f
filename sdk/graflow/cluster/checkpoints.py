"""All checkpoints of a run, as the operator tells them from the documents in the store."""

import json

from pydantic import ValidationError

from graflow.api.workflow_status import CheckpointStatus
from graflow.cluster.errors import ValueLostError
from graflow.cluster.handout import Handout


def all_of(handout: Handout) -> tuple[CheckpointStatus, ...]:
    """Return all checkpoints of a run, the oldest first.

    Raises:
        ValueLostError: If the operator does not tell.
    """
    found: list[CheckpointStatus] = []
    before: str | None = ""
    while before is not None:
        path = f"checkpoints/{before}" if before else "checkpoints"
        data = handout.read(path, "the list of checkpoints")
        try:
            page = json.loads(data)
            found += [CheckpointStatus.model_validate(one) for one in page["checkpoints"]]
            before = page["previous"]
        except (ValueError, KeyError, TypeError, ValidationError) as error:
            raise ValueLostError(
                f"the checkpoints of workflow {handout.workflow!r} cannot be read: {error}"
            ) from error
    return tuple(reversed(found))
