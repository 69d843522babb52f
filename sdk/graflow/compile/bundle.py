"""A code bundle: one zip with a program's functions, its plan and the files beside it."""

import base64
import hashlib
import io
import json
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cloudpickle

from graflow.api.bundle import ARGUMENTS, FORMAT, MANIFEST, PLAN
from graflow.api.names import API_VERSION, bundle_name
from graflow.compile.errors import BundleTooLargeError, FilesError
from graflow.compile.files import LeftOut, Selection
from graflow.compile.pickles import Pickled

FILES_ROOT = "files"
KIB = 1024
MAX_ZIP_BYTES = 512 * KIB
MAX_RAW_BYTES = 64 * KIB * KIB
EPOCH = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip can hold
NAMED = 5  # files that an error about the size names

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A program's code as it travels."""

    data: bytes
    """The zip."""

    files: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()

    @property
    def sha256(self) -> str:
        """Hash of the zip, in hex."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def name(self) -> str:
        """Name of the CodeBundle resource, the same for the same content."""
        return bundle_name(self.sha256)

    def resource(self) -> dict[str, Any]:
        """Return the CodeBundle resource, without a namespace."""
        return {
            "apiVersion": API_VERSION,
            "kind": "CodeBundle",
            "metadata": {"name": self.name},
            "spec": {
                "sha256": self.sha256,
                "size": len(self.data),
                "pythonVersion": PYTHON,
                "cloudpickleVersion": cloudpickle.__version__,
                "zip": base64.b64encode(self.data).decode(),
            },
        }


@dataclass(frozen=True, slots=True)
class Contents:
    """What a bundle says of a program, beside its code and files."""

    program: str
    """Name of the program's file, for people."""

    plan: Mapping[str, Any]
    """The program's plan, as a spec says it."""

    defaults: Mapping[str, int] = field(default_factory=dict)
    """`maxCycles` and `maxRetries` of tasks that say nothing, where they are not the usual ones."""

    services: bytes | None = None
    """Pickle of the program's clients, agents and prompts, if it gives any to its runs."""


def pack(pickles: Mapping[str, Pickled], selection: Selection, contents: Contents) -> Bundle:
    """Make the bundle of a program.

    Args:
        pickles: What the runner unpickles for each task, and each group's policy, by the id.
        selection: The files beside the program.
        contents: What is said of the program.

    Raises:
        BundleTooLargeError: If the zip is larger than a CodeBundle may be.
        FilesError: If a file cannot be read.
    """
    raw = _sizes(selection)
    if sum(raw.values()) > MAX_RAW_BYTES:
        raise _too_large(sum(raw.values()), MAX_RAW_BYTES, raw)
    code: dict[str, bytes] = {}
    functions: dict[str, list[str]] = {}
    arguments: dict[str, tuple[int, int]] = {}
    bound = io.BytesIO()
    for name, one in pickles.items():
        sha256 = hashlib.sha256(one.code).hexdigest()
        code[sha256] = one.code
        functions.setdefault(sha256, []).append(name)
        if one.arguments:
            arguments[name] = (bound.tell(), bound.write(one.arguments))
    manifest = {
        "format": FORMAT,
        "python": PYTHON,
        "cloudpickle": cloudpickle.__version__,
        "program": contents.program,
        "root": FILES_ROOT,
        "defaults": contents.defaults,
        "functions": functions,
        "arguments": arguments,
    }
    if contents.services is not None:
        sha256 = hashlib.sha256(contents.services).hexdigest()
        code[sha256] = contents.services
        manifest["services"] = sha256
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        _write(archive, MANIFEST, _json(manifest))
        _write(archive, PLAN, _json(contents.plan))
        if arguments:
            _write(archive, ARGUMENTS, bound.getvalue())
        for sha256, data in sorted(code.items()):
            _write(archive, f"functions/{sha256}.pkl", data)
        for file in selection.files:
            path = selection.root / file
            _write(archive, f"{FILES_ROOT}/{file}", _read(path), executable=_is_executable(path))
    data = buffer.getvalue()
    if len(data) > MAX_ZIP_BYTES:
        raise _too_large_in_all(data, pickles, raw)
    return Bundle(data, selection.files, selection.left_out)


def size_text(size: int) -> str:
    """Return a number of bytes for people, in the unit that fits."""
    if size < KIB:
        return f"{size} B"
    return f"{size / KIB:.0f} KiB" if size < KIB * KIB else f"{size / KIB / KIB:.1f} MiB"


def _write(archive: zipfile.ZipFile, name: str, data: bytes, *, executable: bool = False) -> None:
    info = zipfile.ZipInfo(name, EPOCH)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.create_system = 3  # Unix, on every system: the bytes are the same everywhere
    info.external_attr = (0o100755 if executable else 0o100644) << 16
    archive.writestr(info, data)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FilesError(f"{path} cannot be read: {error.strerror}") from error


def _sizes(selection: Selection) -> dict[str, int]:
    try:
        return {file: (selection.root / file).stat().st_size for file in selection.files}
    except OSError as error:
        raise FilesError(f"{error.filename} cannot be read: {error.strerror}") from error


def _is_executable(path: Path) -> bool:
    return bool(path.stat().st_mode & 0o100)


def _too_large_in_all(
    data: bytes, pickles: Mapping[str, Pickled], raw: Mapping[str, int]
) -> BundleTooLargeError:
    if not raw:
        return BundleTooLargeError(
            f"the code of the {len(pickles)} tasks takes {size_text(len(data))}, more than the "
            f"{size_text(MAX_ZIP_BYTES)} that a CodeBundle holds; let one task do the work of "
            f"several, or move large constants into files, an image or a bucket"
        )
    sizes = {
        f"code of task {task!r}": len(one.code) + len(one.arguments)
        for task, one in pickles.items()
    }
    return _too_large(len(data), MAX_ZIP_BYTES, {**raw, **sizes})


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _too_large(size: int, limit: int, parts: Mapping[str, int]) -> BundleTooLargeError:
    largest = sorted(parts.items(), key=lambda part: -part[1])[:NAMED]
    named = ", ".join(f"{name} ({size_text(part)})" for name, part in largest)
    return BundleTooLargeError(
        f"the code bundle has {size_text(size)}, more than the {size_text(limit)} that a "
        f"CodeBundle holds; the largest: {named}. Name what no task reads in a .graflowignore "
        f"file, put large data into an image or a bucket, or send no files with --no-files"
    )
