"""What is different between the code of two programs, as far as their bundles show it."""

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from graflow.api.bundle import ARGUMENTS, DAMAGES, MANIFEST, PLAN, BundleDamagedError

FILES = "files/"
NAMED = 10
"""Tasks or files that a sentence names."""


@dataclass(frozen=True, slots=True)
class Code:
    """A program's tasks and files, each with something that changes with it."""

    tasks: Mapping[str, object] = field(default_factory=dict)
    files: Mapping[str, object] = field(default_factory=dict)


def code_in(data: bytes) -> Code:
    """Return what the zip of a bundle holds.

    Raises:
        BundleDamagedError: If it is none.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            files = {
                one.filename.removeprefix(FILES): (one.CRC, one.file_size)
                for one in archive.infolist()
                if one.filename.startswith(FILES)
            }
            manifest, plan = (json.loads(archive.read(name)) for name in (MANIFEST, PLAN))
            bound = archive.read(ARGUMENTS) if manifest["arguments"] else b""
        pickles = {
            name: sha256 for sha256, names in manifest["functions"].items() for name in names
        }
        arguments = {name: bound[at : at + n] for name, (at, n) in manifest["arguments"].items()}
        tasks = {
            name: (one, pickles.get(name), arguments.get(name))
            for name, one in _nodes(plan).items()
        }
    except (*DAMAGES, TypeError, AttributeError) as error:
        raise BundleDamagedError(f"it cannot be read: {error}") from error
    return Code(tasks, files)


def code_of(spec: Mapping[str, Any]) -> Code:
    """Return what a spec says that has no bundle."""
    return Code(_nodes(spec))


def _nodes(plan: Mapping[str, Any]) -> dict[str, object]:
    return {one["name"]: one for part in ("tasks", "groups") for one in plan.get(part) or ()}


def differences(old: Code, new: Code) -> Iterator[str]:
    """Yield a sentence for each kind of difference."""
    for what, before, now in (("task", old.tasks, new.tasks), ("file", old.files, new.files)):
        changed = [name for name, one in now.items() if name in before and before[name] != one]
        for names, verb in (
            (changed, "changed"),
            ([name for name in now if name not in before], "new"),
            ([name for name in before if name not in now], "gone"),
        ):
            if names:
                yield f"{_named(what, names)} {'is' if len(names) == 1 else 'are'} {verb}"


def _named(what: str, names: list[str]) -> str:
    """Return names as a sentence begins with them.

    >>> _named("task", ["a", "b"])
    'tasks a, b'
    """
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{what}{'' if len(names) == 1 else 's'} {', '.join(names[:NAMED])}{more}"
