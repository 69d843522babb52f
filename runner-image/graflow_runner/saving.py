"""Checkpoints that a task in a pod takes while it runs: each is one call to the operator."""

import os
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from graflow_runner.calls import Operator

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
        self._begin(stream=0)

    def _begin(self, stream: int) -> None:
        """Count this process's calls from the beginning."""
        self._pid = os.getpid()
        self._stream = stream
        self._number = 0
        self._turn = threading.Lock()

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
        if os.getpid() != self._pid:  # user code forked: its numbers are not its parent's
            self._begin(stream=int.from_bytes(os.urandom(7), "big") | 1)
        with self._turn:
            self._number += 1
            called = {"stream": self._stream, "n": self._number}
            found = self._operator.checkpoint({**asked.portable(), **called})
        from graflow.dsl.checkpoints import CheckpointMetadata  # noqa: PLC0415  # few tasks ask

        made = CheckpointMetadata.create(
            self._run["uid"], found["steps"], user_metadata=asked.metadata
        )
        return f"{self._run['name']}@{found['seq']}", made
