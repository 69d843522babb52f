"""All that the tasks of a run have decided, from the segments in the store."""

import json

from graflow.api.workflow_status import Transition
from graflow.cluster.errors import ValueLostError
from graflow.cluster.handout import Handout


def all_of(handout: Handout, newest: str) -> tuple[Transition, ...]:
    """Return the moves in a segment and in all those before it, the oldest first.

    Raises:
        ValueLostError: If the operator does not hand them out.
    """
    segments: list[list[Transition]] = []
    name: str | None = newest
    while name is not None:
        data = handout.read(f"history/{name}", "the history")
        try:
            head, *lines = data.decode().removesuffix("\n").split("\n")
            name = json.loads(head)["previous"]
            segments.append([Transition.model_validate_json(line) for line in lines])
        except (ValueError, KeyError) as error:
            raise ValueLostError(
                f"the history of workflow {handout.workflow!r} cannot be read: {error}"
            ) from error
    return tuple(moved for segment in reversed(segments) for moved in segment)
