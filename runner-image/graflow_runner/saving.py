"""Checkpoints that a task in a pod takes while it runs: each is one call to the operator."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from graflow_runner.calls import Operator
from graflow_runner.numbering import Numbers

if TYPE_CHECKING:  # few tasks take one
    from graflow.dsl.checkpoints import Asked, CheckpointMetadata


class Saving:
    """Takes checkpoints for one attempt. A call whose answer was lost counts once.

    Args:
        operator: Whom to ask.
        order: The operator's order.
    """

    def __init__(self, operator: Operator, order: Mapping[str, Any]) -> None:
        self._operator = operator
        self._run = order["run"]
        self._can = order["limits"].get("checkpoints", True)
        self._numbers = Numbers()

    def check(self) -> None:
        """Look whether there is a place for checkpoints.

        Raises:
            CheckpointError: If there is none.
        """
        if self._can:
            return
        from graflow.exceptions import CheckpointError  # noqa: PLC0415  # few tasks ask

        raise CheckpointError(
            "a checkpoint needs a store, and the operator has none; configure one"
            " (GRAFLOW_STORE_BUCKET), or leave the call out"
        )

    def save(self, asked: "Asked") -> "tuple[str, CheckpointMetadata]":
        """Have one taken now; return its name, and what is known of it."""
        with self._numbers.next() as number:
            found = self._operator.checkpoint({**asked.portable(), **number})
        from graflow.dsl.checkpoints import CheckpointMetadata  # noqa: PLC0415  # few tasks ask

        made = CheckpointMetadata.create(
            self._run["uid"], found["steps"], user_metadata=asked.metadata
        )
        return f"{self._run['name']}@{found['seq']}", made
