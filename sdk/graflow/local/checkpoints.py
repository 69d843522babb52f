"""Checkpoints of this machine: files that are whole or absent, and objects in S3 (K3).

A checkpoint is a line that says what it is, then a pickle. The line is checked before anything is
unpickled: what is damaged, foreign or of another version is refused with words.
"""

import hashlib
import json
import platform
from collections.abc import Mapping
from typing import Any, Final

from graflow import __version__
from graflow.dsl.checkpoints import Asked, CheckpointMetadata
from graflow.exceptions import CheckpointError
from graflow.local.extracts import state_extract
from graflow.local.pickles import dumped, loaded
from graflow.local.places import Place, default_path, place_of
from graflow.local.rest import Rest

LAYOUT: Final = 1
"""Version of what the pickle holds; one of another version is refused."""

_MAGIC: Final = b"graflow checkpoint "
_PICKLE: Final = b"\x80"


def keep(
    rest: Rest, asked: Asked, *, resuming_task_id: str | None = None
) -> tuple[str, CheckpointMetadata]:
    """Write a run to where a checkpoint of it is wanted.

    Args:
        rest: The run.
        asked: Where, and what to say about it.
        resuming_task_id: For people: the task that is to begin again.

    Returns:
        The path of the checkpoint, and what is known of it.

    Raises:
        CheckpointError: If a value or a task cannot be pickled, or it cannot be written there.
    """
    start = rest.program.plan.start[0]
    metadata = CheckpointMetadata.create(
        rest.session_id, rest.state.steps, start_node=start, user_metadata=asked.metadata
    )
    place = place_of(asked.path or "", default_path(rest.session_id, rest.state.steps))
    data = dumped(rest)
    # The checkpoint comes last: where it is, its extracts are.
    place.write(".state.json", _text(state_extract(rest, resuming_task_id)))
    place.write(".meta.json", _text(metadata.to_dict()))
    place.write(".pkl", _headed(data, metadata))
    return place.path, metadata


def read(path: str) -> tuple[Rest, CheckpointMetadata]:
    """Read a checkpoint. What it holds is code of whoever wrote it, and is run.

    Raises:
        CheckpointError: If there is none, or it is not one that this version reads.
    """
    place = place_of(path)
    header, data = _parted(place, place.read(".pkl"))
    _check(place, header, data)
    return loaded(data), CheckpointMetadata.from_dict(header["metadata"])


def _headed(data: bytes, metadata: CheckpointMetadata) -> bytes:
    header = {
        "layout": LAYOUT,
        "graflow": __version__,
        "python": _python(),
        "bytes": len(data),
        "sha256": _digest(metadata.to_dict(), data),
        "metadata": metadata.to_dict(),
    }
    return b"".join((_MAGIC, json.dumps(header).encode(), b"\n", data))


def _parted(place: Place, found: bytes) -> tuple[Mapping[str, Any], bytes]:
    line, _, data = found.partition(b"\n")
    try:
        if line.startswith(_MAGIC):
            header: Mapping[str, Any] = json.loads(line.removeprefix(_MAGIC))
            return header, data
    except ValueError:
        pass
    what = "a pickle that something else made" if found.startswith(_PICKLE) else "something else"
    raise CheckpointError(
        f"{place.path} is no checkpoint of this Graflow, but {what}; give the .pkl that a"
        " checkpoint was written to"
    )


def _check(place: Place, header: Mapping[str, Any], data: bytes) -> None:
    if header.get("layout") != LAYOUT:
        raise CheckpointError(
            f"{place.path} was written by graflow {header.get('graflow')}, in layout"
            f" {header.get('layout')}, and {__version__} reads layout {LAYOUT}; go on with the"
            " version that wrote it"
        )
    if _digest(header.get("metadata"), data) != header.get("sha256"):
        raise CheckpointError(
            f"{place.path} is damaged: it has {len(data)} of {header.get('bytes')} bytes, or others"
            " than were written; go on from another checkpoint"
        )
    if header.get("python") != _python():
        raise CheckpointError(
            f"{place.path} was written by Python {header.get('python')} and holds its bytecode;"
            f" this is {_python()}; go on with that version"
        )


def _digest(metadata: object, data: bytes) -> str:
    return hashlib.sha256(json.dumps(metadata).encode() + data).hexdigest()


def _python() -> str:
    return ".".join(platform.python_version_tuple()[:2])


def _text(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()
