"""A store in a folder: keys are paths. For the local host and for small clusters' tests."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from graflow.store.base import Method
from graflow.store.errors import ObjectMissingError, StoreRefusedError, StoreUnavailableError

CHUNK_BYTES = 1 << 20
TEMPORARY = ".tmp-"


class FolderStore:
    """Objects as files. An object is whole or absent: it is written aside, then linked in place."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    def get(self, key: str) -> bytes:
        """Return the object."""
        with _explained(key):
            return self._path(key).read_bytes()

    def chunks(self, key: str) -> Iterator[bytes]:
        """Return the object piece by piece."""
        with _explained(key), self._path(key).open("rb") as file:
            while piece := file.read(CHUNK_BYTES):
                yield piece

    def size(self, key: str) -> int | None:
        """Return the object's size in bytes; None if there is none."""
        try:
            with _explained(key):
                return self._path(key).stat().st_size
        except ObjectMissingError:
            return None

    def put(self, key: str, data: bytes) -> None:
        """Write the object."""
        with _explained(key):
            path = self._path(key)
            self._aside(path, data).replace(path)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Write the object unless there is one: `link` refuses a name that is taken."""
        with _explained(key):
            path = self._path(key)
            aside = self._aside(path, data)
            try:
                os.link(aside, path)
            except FileExistsError:
                return False
            finally:
                aside.unlink()
            return True

    def copy(self, source: str, target: str) -> None:
        """Write the bytes of one object under another key too."""
        self.put(target, self.get(source))

    def list(self, prefix: str) -> Iterator[str]:
        """Return the keys that begin with the prefix, in order."""
        files = (path for path in self._root.rglob("*") if path.is_file())
        keys = (
            path.relative_to(self._root).as_posix()
            for path in files
            if not path.name.startswith(TEMPORARY)
        )
        return iter(sorted(key for key in keys if key.startswith(prefix)))

    def delete(self, key: str) -> None:
        """Remove the object."""
        with suppress(ObjectMissingError), _explained(key):
            self._path(key).unlink()

    def presign(
        self,
        method: Method,
        key: str,
        *,
        expires_s: int,
        only_if_absent: bool = False,
    ) -> None:
        """Return None: a folder has no address."""
        del method, key, expires_s, only_if_absent

    def credentials_last_s(self) -> None:
        """Return None: nothing is signed."""

    def _path(self, key: str) -> Path:
        path = (self._root / key).resolve()
        if not path.is_relative_to(self._root) or path == self._root:
            raise StoreRefusedError(f"key {key!r} leads outside the folder {self._root}")
        return path

    def _aside(self, path: Path, data: bytes) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=TEMPORARY, dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        return Path(name)


@contextmanager
def _explained(key: str) -> Iterator[None]:
    """Turn what the operating system says into the errors of a store."""
    try:
        yield
    except FileNotFoundError as error:
        raise ObjectMissingError(key) from error
    except PermissionError as error:
        raise StoreRefusedError(f"object {key!r}: {error}") from error
    except OSError as error:
        raise StoreUnavailableError(f"object {key!r}: {error}") from error
