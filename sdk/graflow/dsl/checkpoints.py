"""Checkpoints as running tasks ask for them, and as programs are told of them (K2)."""

import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Self

from graflow.exceptions import CheckpointError

if TYPE_CHECKING:
    from graflow.dsl.context import TaskFacts

MAX_METADATA_BYTES: Final = 1024
"""How large a program's words about one checkpoint may be, as JSON in UTF-8; on every host."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One call of `ctx.checkpoint`, checked."""

    metadata: Mapping[str, Any] = field(default_factory=dict)
    """What the program says about it, and which task asked, in which pass and how."""

    path: str | None = None
    """Where the program wants it; None: where the host puts it."""

    def portable(self) -> dict[str, Any]:
        """Return it as JSON, for another process."""
        return {"metadata": dict(self.metadata), "path": self.path}


@dataclass(frozen=True, slots=True)
class CheckpointMetadata:
    """What is known about a checkpoint without reading it."""

    checkpoint_id: str
    session_id: str
    created_at: str
    """When, as ISO 8601 in UTC."""

    steps: int
    """How many activations there were."""

    start_node: str | None = None
    backend: Mapping[str, str] = field(default_factory=dict)
    """Where the parts of the run are kept: `{"channel": "memory"}`."""

    user_metadata: Mapping[str, Any] = field(default_factory=dict)
    """What the program said about it; of a task also `task_id`, `cycle_count`, `elapsed_time` in
    seconds, and `mode`: deferred or immediate."""

    @classmethod
    def create(
        cls,
        session_id: str,
        steps: int,
        *,
        start_node: str | None = None,
        user_metadata: Mapping[str, Any] | None = None,
    ) -> Self:
        """Return the metadata of a checkpoint that is taken now, on this machine."""
        now = time.time()
        return cls(
            checkpoint_id=f"{session_id}_{steps}_{int(now)}",
            session_id=session_id,
            created_at=datetime.fromtimestamp(now, UTC).isoformat(),
            steps=steps,
            start_node=start_node,
            backend={"channel": "memory"},
            user_metadata=dict(user_metadata or {}),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Return what `to_dict` was called on; keys of other releases are ignored."""
        known = {f.name for f in fields(cls)}
        return cls(**{name: value for name, value in data.items() if name in known})


def asked(metadata: object, path: object, facts: "TaskFacts", *, deferred: bool) -> Asked:
    """Check what a running task asks for.

    Raises:
        CheckpointError: If the metadata is not a small JSON object, or the path no text.
    """
    told = {
        "task_id": facts.task_id,
        "cycle_count": facts.cycle_count,
        "elapsed_time": round(time.time() - facts.start_time, 3),
        "mode": "deferred" if deferred else "immediate",
    }
    return Asked({**checked_metadata(metadata), **told}, checked_path(path))


def checked_metadata(metadata: object) -> dict[str, Any]:
    """Return a program's words about a checkpoint, as what they are once read back from JSON.

    Raises:
        CheckpointError: If they are not a JSON object of at most `MAX_METADATA_BYTES`.
    """
    if metadata is None:
        return {}
    if not isinstance(metadata, Mapping):
        raise CheckpointError(
            f"metadata of a checkpoint is a dict of JSON values, not {metadata!r}"
        )
    try:
        text = json.dumps(dict(metadata), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"metadata of a checkpoint is a dict of JSON values: {error}; values of any type belong"
            " in results and in the channel, which a checkpoint has anyway"
        ) from error
    size = len(text.encode())
    if size > MAX_METADATA_BYTES:
        raise CheckpointError(
            f"metadata of a checkpoint takes {size} bytes as JSON and may take"
            f" {MAX_METADATA_BYTES}; values belong in results and in the channel, which a"
            " checkpoint has anyway"
        )
    found: dict[str, Any] = json.loads(text)
    return found


def checked_path(path: object) -> str | None:
    """Return where a checkpoint is to be.

    Raises:
        CheckpointError: If it is no path.
    """
    if path is None:
        return None
    try:
        found = os.fspath(path)  # type: ignore[call-overload]  # what is no path raises
    except TypeError:
        found = None
    if not isinstance(found, str) or not found:
        raise CheckpointError(f"the path of a checkpoint is a text, not {path!r}")
    return found
