"""A store in this process, for tests and for trying things out."""

import threading
from collections.abc import Iterator

from graflow.store.base import Method
from graflow.store.errors import ObjectMissingError


class MemoryStore:
    """Objects in a dictionary."""

    def __init__(self) -> None:
        self._objects: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def get(self, key: str) -> bytes:
        """Return the object."""
        try:
            return self._objects[key]
        except KeyError:
            raise ObjectMissingError(key) from None

    def chunks(self, key: str) -> Iterator[bytes]:
        """Return the object in one piece."""
        yield self.get(key)

    def size(self, key: str) -> int | None:
        """Return the object's size in bytes; None if there is none."""
        data = self._objects.get(key)
        return None if data is None else len(data)

    def put(self, key: str, data: bytes) -> None:
        """Write the object."""
        with self._lock:
            self._objects[key] = data

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Write the object unless there is one."""
        with self._lock:
            return self._objects.setdefault(key, data) is data

    def copy(self, source: str, target: str) -> None:
        """Write the bytes of one object under another key too."""
        self.put(target, self.get(source))

    def list(self, prefix: str) -> Iterator[str]:
        """Return the keys that begin with the prefix, in order."""
        return iter(sorted(key for key in self._objects if key.startswith(prefix)))

    def delete(self, key: str) -> None:
        """Remove the object."""
        with self._lock:
            self._objects.pop(key, None)

    def presign(
        self,
        method: Method,
        key: str,
        *,
        expires_s: int,
        only_if_absent: bool = False,
    ) -> None:
        """Return None: nothing outside this process can reach it."""
        del method, key, expires_s, only_if_absent

    def credentials_last_s(self) -> None:
        """Return None: nothing is signed."""
