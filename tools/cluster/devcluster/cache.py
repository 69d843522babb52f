"""The cache outside the checkout: one folder an artefact, complete or absent."""

import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from devcluster.console import say

_UNFINISHED = ".unfinished-"


def root() -> Path:
    """Return the cache's folder: `$GRAFLOW_CACHE`, else `graflow` in the user's cache."""
    if named := os.environ.get("GRAFLOW_CACHE"):
        return Path(named).expanduser().resolve()
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(home).expanduser().resolve() / "graflow"


def digest(*parts: bytes | str) -> str:
    """Return a short name for this content.

    >>> digest("ab", "c") == digest("a", "bc")
    False
    """
    total = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        total.update(len(data).to_bytes(8, "big") + data)
    return total.hexdigest()[:16]


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """Let one process at a time build what goes by this name."""
    root().mkdir(parents=True, exist_ok=True)
    with (root() / f"{name}.lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another build of the {name}")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def filling(folder: Path) -> Iterator[Path]:
    """Yield an empty folder that becomes `folder` when the block ends well.

    A build that is killed leaves only a folder with a name nobody looks for; the
    next build of the same artefact, which holds the lock, removes it.
    """
    temporary = folder.with_name(_UNFINISHED + folder.name)
    remove(temporary)
    temporary.mkdir(parents=True)
    yield temporary
    remove(folder)
    temporary.rename(folder)


def remove(path: Path) -> None:
    """Remove a file or folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
