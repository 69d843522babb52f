"""Changes one behind the other, as bytes that only grow. Pure."""

import base64
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

WINDOW_BITS, MEMORY_LEVEL = 13, 7
"""A tenth of a megabyte for each run that is driven; by default it would be a quarter."""


def _packer() -> Any:  # noqa: ANN401 - zlib's own type has no public name
    return zlib.compressobj(wbits=WINDOW_BITS, memLevel=MEMORY_LEVEL)


@dataclass(frozen=True, slots=True)
class Trail:
    """Lines packed as one stream, each readable as soon as it is there."""

    data: bytes = b""
    _packer: Any = field(default_factory=_packer, repr=False, compare=False)

    @classmethod
    def of(cls, lines: Iterable[bytes]) -> "Trail":
        """Return the trail of these lines."""
        return cls().extended(b"".join(lines))

    def extended(self, line: bytes) -> "Trail":
        """Return the trail with a line more; what that costs does not grow with the trail."""
        packer = self._packer.copy()
        more = packer.compress(line) + packer.flush(zlib.Z_SYNC_FLUSH)
        return Trail(self.data + more, packer)

    @property
    def whole(self) -> bytes:
        """The stream with its end, as an object in the store has it."""
        return self.data + bytes(self._packer.copy().flush())

    @property
    def chars(self) -> int:
        """Characters of `text`."""
        return -(-len(self.data) // 3) * 4

    @property
    def text(self) -> str:
        """The stream as a status can hold it."""
        return base64.b64encode(self.data).decode()


EMPTY = Trail()
