"""Values of a run as this machine gets them."""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from graflow.cluster.errors import ValueLostError
from graflow.cluster.handout import Handout
from graflow.values import decode

ValueRef: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Pickled:
    """A value that only unpickling opens, which runs code that is in it."""

    sha256: str
    size: int
    """Bytes of the pickle."""

    def __repr__(self) -> str:
        return (
            f"<pickled value of {self.size} bytes; for a run that you trust, "
            f"result(unpickle=True) opens it>"
        )


@dataclass(frozen=True, slots=True)
class Values:
    """Reads the values of one run."""

    handout: Handout

    @property
    def workflow(self) -> str:
        """Name of the Workflow."""
        return self.handout.workflow

    def open(self, ref: ValueRef, *, unpickle: bool) -> Any:  # noqa: ANN401 - any value
        """Return the value that a reference stands for.

        Args:
            ref: The reference, inline or into the store.
            unpickle: Whether to unpickle, that is, run code that the run has written. Otherwise a
                pickled value comes back as `Pickled`.

        Raises:
            ValueLostError: If the value cannot be read.
        """
        match ref:
            case {"exact": str(text)}:
                return self.open(json.loads(text), unpickle=unpickle)
            case {"json": value}:
                return value
            case {"pickle": str(text)}:
                data = base64.b64decode(text)
                return _unpickled(data) if unpickle else Pickled(_sha256(data), len(data))
            case {"group": dict(members)}:
                return {name: self.open(one, unpickle=unpickle) for name, one in members.items()}
            case {"blob": {"sha256": str(sha256), "size": int(size), "encoding": encoding}}:
                if encoding == "json":
                    return decode("json", self.read(sha256))
                return _unpickled(self.read(sha256)) if unpickle else Pickled(sha256, size)
            case _:
                raise ValueLostError(
                    f"the value of workflow {self.workflow!r} has a form that is not known here; "
                    f"a newer release of graflow may know it"
                )

    def read(self, sha256: str) -> bytes:
        """Return the bytes of a value in the store, from the operator.

        Raises:
            ValueLostError: If the operator does not give them, or gives others.
        """
        data = self.handout.read(f"values/{sha256}", "the value")
        if _sha256(data) != sha256:
            raise ValueLostError(
                f"the value of workflow {self.workflow!r} came with other content than the run "
                f"recorded (sha256 {_sha256(data)}, not {sha256}); it was changed in the store"
            )
        return data


def _unpickled(data: bytes) -> Any:  # noqa: ANN401 - any value
    return decode("pickle", data)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
