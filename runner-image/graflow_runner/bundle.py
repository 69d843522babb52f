"""The code bundle: checked, then unpacked where the program believes its files to be."""

import hashlib
import io
import json
import os
import stat
import sys
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from graflow.machine import reasons
from graflow_runner.claim import cloudpickle_version
from graflow_runner.errors import BundleError

FORMAT: Final = 2
MAX_RAW_BYTES: Final = 64 * 1024 * 1024
"""Most that a bundle may hold unpacked; the SDK refuses to make larger ones."""

_DAMAGES: Final = (
    zipfile.BadZipFile, zlib.error, EOFError, KeyError, OSError, RuntimeError, ValueError
)  # fmt: skip
"""What reading a damaged zip raises. RuntimeError: encrypted, packed in a way that nobody knows, or
nested too deeply."""

_MAPPINGS: Final = ("functions", "arguments", "defaults")
"""Of a manifest."""

PYTHON: Final = f"{sys.version_info.major}.{sys.version_info.minor}"


class Bundle:
    """A code bundle whose bytes are what the Workflow names.

    Args:
        data: The zip.
        sha256: What its hash must be, in hex; checked before anything else is done with it.

    Raises:
        BundleError: If it is another zip, none at all, or of a later format.
    """

    def __init__(self, data: bytes, *, sha256: str) -> None:
        found = hashlib.sha256(data).hexdigest()
        if found != sha256:
            raise BundleError(
                reasons.BUNDLE_CORRUPT,
                f"the code bundle's sha256 is {found}, and the Workflow names {sha256}; "
                "make both anew with `graflow compile` or `graflow submit`",
            )
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
            self._manifest = _manifest(json.loads(self._zip.read("manifest.json")))
            version = self._manifest["format"]
        except _DAMAGES as error:
            raise BundleError(
                reasons.BUNDLE_CORRUPT, f"the code bundle is no zip with a manifest: {error}"
            ) from error
        if version != FORMAT:
            raise BundleError(
                reasons.BUNDLE_CORRUPT,
                f"the code bundle has format {version!r} and this runner reads format {FORMAT}; "
                "use a runner image of the version that made the bundle",
            )

    @property
    def program(self) -> str:
        """Name of the program's file, for people."""
        return str(self._manifest.get("program", ""))

    def unpack(self, folder: Path) -> None:
        """Write the files beside the program to a folder.

        Raises:
            BundleError: If a name leads out of the folder, or there is too much.
        """
        root = str(self._manifest.get("root", "files")).strip("/") + "/"
        entries = self._zip.infolist()
        if sum(entry.file_size for entry in entries) > MAX_RAW_BYTES:
            raise BundleError(
                reasons.BUNDLE_CORRUPT,
                f"the code bundle holds more than {MAX_RAW_BYTES >> 20} MiB unpacked",
            )
        for entry in entries:
            _check(entry.filename)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            for entry in entries:
                if entry.filename.startswith(root) and not entry.is_dir():
                    self._write(entry, folder / entry.filename.removeprefix(root))
        except _DAMAGES as error:
            raise BundleError(
                reasons.BUNDLE_CORRUPT, f"the code bundle is damaged: {error}"
            ) from error

    def _write(self, entry: zipfile.ZipInfo, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self._zip.read(entry))
        if (entry.external_attr >> 16) & stat.S_IXUSR:
            path.chmod(0o755)

    def function(self, sha256: str) -> Any:  # noqa: ANN401  # whatever was pickled
        """Return the unpickled function with this hash.

        Raises:
            BundleError: If it is not there, damaged, or made by another Python.
            Exception: What unpickling raised, as when a module is missing in the image.
        """
        self._check_versions()
        data = self._read(f"functions/{sha256}.pkl")
        if hashlib.sha256(data).hexdigest() != sha256:
            raise BundleError(
                reasons.BUNDLE_CORRUPT,
                f"the code bundle's function {sha256} has other bytes than its name",
            )
        import cloudpickle  # noqa: PLC0415  # entry points and scripts do without

        return cloudpickle.loads(data)

    def form(self, sha256: str, name: str) -> dict[str, Any]:
        """Return the portable form of a task: its function, and the arguments bound to it alone.

        Args:
            sha256: Hash of the function.
            name: Id of the task in the bundle.

        Raises:
            BundleError: As above.
            Exception: As above.
        """
        form = dict(self.function(sha256))
        place = self._manifest.get("arguments", {}).get(name)
        if place is not None:
            import cloudpickle  # noqa: PLC0415  # as above

            offset, size = place
            form["bound"] = cloudpickle.loads(self._read("arguments.bin")[offset : offset + size])
        return form

    def services(self) -> Mapping[str, Any]:
        """Return the clients, agents and prompts that the program gives to its runs, by kind.

        Raises:
            BundleError: As above.
            Exception: As above.
        """
        sha256 = self._manifest.get("services")
        found: Mapping[str, Any] = {} if sha256 is None else self.function(sha256)
        return found

    def sha256_of(self, name: str) -> str:
        """Return the hash of a task's function, by its id in the bundle.

        Raises:
            BundleError: If there is none.
        """
        for sha256, names in self._manifest.get("functions", {}).items():
            if name in names:
                return str(sha256)
        raise _missing(f"code of {name!r}")

    @property
    def defaults(self) -> Mapping[str, int]:
        """What the program says for tasks that say nothing."""
        found: Mapping[str, int] = self._manifest.get("defaults", {})
        return found

    def plan(self) -> Mapping[str, Any]:
        """Return the program's tasks, groups, edges and start, as the spec says them.

        Raises:
            BundleError: If they are not there, or damaged.
        """
        data = self._read("plan.json")
        try:
            found: Mapping[str, Any] = json.loads(data)
        except _DAMAGES as error:
            raise BundleError(
                reasons.BUNDLE_CORRUPT, f"plan.json of the code bundle is no JSON: {error}"
            ) from error
        return found

    def _read(self, name: str) -> bytes:
        try:
            return self._zip.read(name)
        except KeyError:
            raise _missing(name) from None
        except _DAMAGES as error:
            raise BundleError(
                reasons.BUNDLE_CORRUPT, f"the code bundle is damaged: {error}"
            ) from error

    def _check_versions(self) -> None:
        check_python(str(self._manifest.get("python", "")))
        made, here = str(self._manifest.get("cloudpickle", "")), cloudpickle_version()
        if made.split(".")[:2] != here.split(".")[:2]:
            raise BundleError(
                reasons.PYTHON_VERSION_MISMATCH,
                f"the program's functions were pickled by cloudpickle {made}, and this image has "
                f"cloudpickle {here}; install cloudpickle {made} in the image, or {here} where "
                "you submit",
            )


def _manifest(found: object) -> Mapping[str, Any]:
    """Return a manifest that has the form of one.

    Raises:
        ValueError: If it has not.
    """
    if not isinstance(found, dict):
        raise ValueError("manifest.json is no object")  # noqa: TRY004  # of JSON, not of Python
    for name in _MAPPINGS:
        if not isinstance(found.get(name, {}), dict):
            raise ValueError(f"{name} in manifest.json is no object")  # noqa: TRY004  # as above
    for sha256, tasks in found.get("functions", {}).items():
        if not isinstance(tasks, list):
            raise ValueError(f"functions.{sha256} in manifest.json is no list")  # noqa: TRY004  # as above
    for task, place in found.get("arguments", {}).items():
        if not (isinstance(place, list) and [*map(type, place)] == [int, int]):
            raise ValueError(f"arguments.{task} in manifest.json is not [offset, length]")
    return found


def _missing(what: str) -> BundleError:
    return BundleError(
        reasons.BUNDLE_CORRUPT,
        f"the code bundle holds no {what}; it was made of another program. "
        "Make Workflow and CodeBundle together",
    )


def check_python(made: str) -> None:
    """Refuse pickles that this interpreter may misread. Patch versions do not matter.

    Raises:
        BundleError: If they were made by another Python.
    """
    if made != PYTHON:
        raise BundleError(
            reasons.PYTHON_VERSION_MISMATCH,
            f"the program's functions were pickled by Python {made}, and this image has "
            f"Python {PYTHON}; submit with Python {PYTHON}, or give the task an image with "
            f"Python {made}",
        )


def _check(name: str) -> None:
    parts = name.split("/")
    if name.startswith("/") or "\\" in name or "\0" in name or ".." in parts or ":" in parts[0]:
        raise BundleError(
            reasons.BUNDLE_CORRUPT,
            f"the code bundle holds {name!r}, a path that leads out of its folder; "
            "nothing was unpacked",
        )


def enter(folder: Path) -> None:
    """Make a folder the working directory and the first place where modules are looked for."""
    os.chdir(folder)
    sys.path.insert(0, str(folder))
