"""Where checkpoints of this machine are: beside each other in a folder, or in an S3 bucket."""

import contextlib
import errno
import os
import secrets
import time
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import urlsplit

from graflow.exceptions import CheckpointError, MissingPackageError
from graflow.store.base import ObjectStore
from graflow.store.errors import StoreError

SUFFIX: Final = ".pkl"
_S3: Final = "s3"
_WAY_OUT: Final = "give a path of this machine, or s3://bucket/key"


class Place(Protocol):
    """Where one checkpoint is, with its extracts."""

    @property
    def path(self) -> str:
        """Of the checkpoint itself."""

    def write(self, suffix: str, data: bytes) -> None:
        """Write a part, whole or not at all.

        Raises:
            CheckpointError: If that cannot be done.
        """

    def read(self, suffix: str) -> bytes:
        """Return a part.

        Raises:
            CheckpointError: If it is not there.
        """


def default_path(session_id: str, steps: int) -> str:
    """Return where a checkpoint is put when nobody says where, without its suffix."""
    name = f"session_{session_id}_step_{steps}_{int(time.time())}"
    path = Path("checkpoints", session_id, name)
    number = 1
    while (
        (found := path.with_name(f"{name}_{number}" if number > 1 else name))
        .with_name(found.name + SUFFIX)
        .exists()
    ):
        number += 1
    return str(found)


def place_of(path: str, default: str = "") -> Place:
    """Return the place that a path means, with or without the suffix.

    Args:
        path: A file (`~` is the home of whoever runs the program), or the key of an object; a
            folder or prefix (`/` at the end): a new name in it; empty: the default.
        default: A new name.

    Raises:
        CheckpointError: If it is of a kind that there is not.
    """
    asked = path = path or default
    if path.endswith("/"):
        path += Path(default).name
    stem = path.removesuffix(SUFFIX)
    if "://" not in stem and not stem.startswith(f"{_S3}:/"):  # one / less: it was made a Path
        return _Folder(_file_of(stem, asked))
    parts = urlsplit(stem)
    if parts.scheme != _S3 or not parts.netloc or not parts.path.strip("/"):
        raise CheckpointError(f"a checkpoint cannot be at {asked!r}; {_WAY_OUT}")
    return _Bucket(parts.netloc, parts.path.lstrip("/"))


def _file_of(stem: str, asked: str) -> Path:
    if "\0" in stem or stem.rpartition("/")[2] in ("", ".", ".."):
        raise CheckpointError(
            f"a checkpoint cannot be at {asked!r}, which names no file; {_WAY_OUT}"
        )
    return Path(os.path.expanduser(stem))  # noqa: PTH111 - without a home it stays as it is


class _Folder:
    """Files beside each other."""

    def __init__(self, stem: Path) -> None:
        self._stem = stem

    @property
    def path(self) -> str:
        """Of the checkpoint itself."""
        return str(self._file(SUFFIX))

    def write(self, suffix: str, data: bytes) -> None:
        """Write a file under another name, and rename it once the disk has it."""
        file = self._file(suffix)
        draft = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
        try:
            if self._file(SUFFIX).is_dir():  # before an extract of what cannot be is written
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            file.parent.mkdir(parents=True, exist_ok=True)
            try:
                with draft.open("xb") as opened:
                    opened.write(data)
                    opened.flush()
                    os.fsync(opened.fileno())
                draft.replace(file)
            finally:
                draft.unlink(missing_ok=True)
            _sync_folder(file.parent)
        except OSError as error:
            raise CheckpointError(
                f"the checkpoint {file} cannot be written: {error.strerror or error}; give a path"
                " where there is room, and where you may write"
            ) from error

    def read(self, suffix: str) -> bytes:
        """Return a file."""
        file = self._file(suffix)
        try:
            return file.read_bytes()
        except OSError as error:
            raise CheckpointError(
                f"the checkpoint {file} cannot be read: {error.strerror or error}; give one that"
                f" is there{_newest_near(self._stem)}"
            ) from error

    def _file(self, suffix: str) -> Path:
        return self._stem.with_name(self._stem.name + suffix)


def _newest_near(stem: Path) -> str:
    """Return words for the newest checkpoint in what may be a folder, or else beside it."""
    for folder in (stem, stem.parent):
        with contextlib.suppress(OSError):  # gone meanwhile, or not ours to look at
            found = [file for file in folder.glob(f"*{SUFFIX}") if file.is_file()]
            if found:
                return f", as {max(found, key=lambda file: file.stat().st_mtime)}"
    return ""


def _sync_folder(folder: Path) -> None:
    """Make the renaming last through a loss of power, where folders can be synced."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


class _Bucket:
    """Objects in a bucket, with the credentials of whoever runs the program."""

    def __init__(self, bucket: str, stem: str) -> None:
        self._name = bucket
        self._stem = stem
        self._store = s3_store(bucket)

    @property
    def path(self) -> str:
        """Of the checkpoint itself."""
        return f"{_S3}://{self._name}/{self._stem}{SUFFIX}"

    def write(self, suffix: str, data: bytes) -> None:
        """Write an object, which is whole once it is there."""
        try:
            self._store.put(self._stem + suffix, data)
        except StoreError as error:
            raise CheckpointError(
                f"the checkpoint {self.path} cannot be written: {error}"
            ) from error

    def read(self, suffix: str) -> bytes:
        """Return an object."""
        try:
            return self._store.get(self._stem + suffix)
        except StoreError as error:
            raise CheckpointError(f"the checkpoint {self.path} cannot be read: {error}") from error


def s3_store(bucket: str) -> ObjectStore:
    """Return a bucket as boto3 finds it: credentials, region and endpoint of the environment.

    Raises:
        MissingPackageError: If boto3 is not installed.
    """
    try:
        from graflow.store.s3 import S3Location, S3Store  # noqa: PLC0415 - boto3 is large
    except ImportError as error:
        raise MissingPackageError("boto3", "a checkpoint at s3://…") from error
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    return S3Store(S3Location(bucket, endpoint, region or "us-east-1"))
