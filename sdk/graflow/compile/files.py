"""Which files beside a program travel with it."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from graflow.compile.errors import FilesError
from graflow.compile.ignore import Rules, never, rules_above
from graflow.compile.secret import holds_private_key, is_secret_folder, is_secret_name

MAX_FILES = 5_000


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file or folder that stays here though no ignore file says so."""

    path: str
    """Relative to the program's folder."""

    why: str
    """For people: what it is taken for and how to send it all the same."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The files that travel with a program."""

    root: Path
    """The program's folder."""

    files: tuple[str, ...] = ()
    """Paths relative to the root, with slashes, sorted."""

    left_out: tuple[LeftOut, ...] = ()


def nothing(root: Path) -> Selection:
    """Return a selection of no file (`--no-files`)."""
    return Selection(root)


def select(root: Path, *, include: Sequence[str] = ()) -> Selection:
    """Choose the files that travel: all in the folder but what rules and caution leave out.

    Args:
        root: Absolute path of the program's folder.
        include: Files, folders or patterns, relative to the root, that travel whatever the rules
            say; the way to send what looks like a secret.

    Raises:
        FilesError: If a pattern of `include` matches nothing, or there are too many files.
    """
    named = frozenset(path for pattern in include for path in _named(root, pattern))
    if why := _too_wide(root):
        left_out = (LeftOut(".", f"{why}: move the program into a folder of its own"),)
        return Selection(root, tuple(sorted(named)), left_out)
    walk = _Walk(root.resolve(), named)
    found = set(named)
    for name in walk.folder(root, "", rules_above(root)):
        found.add(name)
        if len(found) > MAX_FILES:
            raise FilesError(
                f"more than {MAX_FILES} files in {root}; name what should stay here in a "
                f".graflowignore file, or use --no-files"
            )
    return Selection(root, tuple(sorted(found)), tuple(sorted(walk.left_out, key=_path)))


def _path(left_out: LeftOut) -> str:
    return left_out.path


def _too_wide(root: Path) -> str:
    """Why a folder holds more than one program's files; empty when it may be the program's own."""
    real = root.resolve()
    if real == Path(real.anchor):
        return "no files travel from the root of the file system"
    if real == Path.home().resolve():
        return "no files travel from a home directory"
    if real == Path(tempfile.gettempdir()).resolve():
        return "no files travel from the folder for temporary files"
    return ""


def _named(root: Path, pattern: str) -> Iterator[str]:
    """Yield the files that one `--include` names."""
    given = root / pattern
    if not Path(os.path.normpath(given)).is_relative_to(root):
        raise FilesError(f"--include {pattern!r} is outside the program's folder {root}")
    matches = [given] if given.exists() else sorted(root.glob(pattern))
    files = [
        file
        for match in matches
        for file in ([match] if match.is_file() else sorted(match.rglob("*")))
        if file.is_file() and file.resolve().is_relative_to(root.resolve())
    ]
    if not files:
        raise FilesError(f"--include {pattern!r} matches no file in {root}")
    for file in files:
        yield Path(os.path.normpath(file)).relative_to(root).as_posix()


def _is_secret(entry: Path, *, folder: bool) -> bool:
    """Judge by name; for a link by the names that it leads through too."""
    through = entry.resolve().parts if entry.is_symlink() else ()
    names = (entry.name, *through[-1:])
    if any(is_secret_folder(part) for part in through):
        return True
    return any((is_secret_folder if folder else is_secret_name)(name) for name in names)


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _content_refusal(entry: Path, name: str) -> str:
    try:
        private = holds_private_key(entry)
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return f"is a private key; send it with --include {name}" if private else ""


@dataclass(slots=True)
class _Walk:
    """One pass over the folders, and what it left out on the way."""

    root: Path
    named: frozenset[str]
    left_out: list[LeftOut] = field(default_factory=list)

    def folder(
        self, folder: Path, prefix: str, rules: Rules, above: frozenset[Path] = frozenset()
    ) -> Iterator[str]:
        """Yield the files of a folder and those below, relative to the program's folder."""
        rules = rules.within(folder)
        above |= {folder.resolve()}
        try:
            entries = sorted(folder.iterdir())
        except OSError as error:
            self._leave(prefix or ".", f"cannot be read ({error.strerror})")
            return
        for entry in entries:
            name = prefix + entry.name
            is_folder = entry.is_dir()
            if never(entry, folder=is_folder) or rules.ignores(entry, folder=is_folder):
                continue
            if why := self._refusal(entry, name, above=above, folder=is_folder):
                self._leave(name, why)
            elif is_folder:
                yield from self.folder(entry, f"{name}/", rules, above)
            elif entry.is_file():
                yield name

    def _refusal(self, entry: Path, name: str, *, above: frozenset[Path], folder: bool) -> str:
        """Why caution leaves something out that no rule does; empty when it does not."""
        if name in self.named:
            return ""
        if not _is_text(name):
            return "its name is not UTF-8"
        if entry.is_symlink() and (why := self._link_refusal(entry.resolve(), above)):
            return why
        if _is_secret(entry, folder=folder):
            return f"looks like a secret; send it with --include {name}"
        return "" if folder or not entry.is_file() else _content_refusal(entry, name)

    def _link_refusal(self, target: Path, above: frozenset[Path]) -> str:
        if not target.is_relative_to(self.root):
            return "a link out of the program's folder"
        return "a link to a folder that it is in" if target in above else ""

    def _leave(self, name: str, why: str) -> None:
        self.left_out.append(LeftOut(name.encode(errors="replace").decode(), why))
