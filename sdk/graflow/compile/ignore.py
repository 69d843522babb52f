"""Which files rules leave out: `.gitignore` as git reads it, and `.graflowignore` after it."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from pathspec import GitIgnoreSpec

IGNORE_FILES = (".gitignore", ".graflowignore")  # the later one wins

NEVER_FOLDERS = frozenset(
    {
        ".git",
        ".graflow",
        ".hg",
        ".hypothesis",
        ".idea",
        ".ipynb_checkpoints",
        ".mypy_cache",
        ".nox",
        ".pytest_cache",
        ".ruff_cache",
        ".svn",
        ".tox",
        ".venv",
        ".vscode",
        "__pycache__",
        "node_modules",
    }
)
NEVER_ENDINGS = (".pyc", ".pyo", ".egg-info", ".dist-info")
NEVER_FILES = frozenset({".DS_Store", "Thumbs.db", *IGNORE_FILES})


@dataclass(frozen=True, slots=True)
class Rules:
    """The ignore files that hold in one folder, outermost first."""

    layers: tuple[tuple[Path, GitIgnoreSpec], ...] = ()
    """Each with the folder that its patterns are relative to."""

    def ignores(self, path: Path, *, folder: bool) -> bool:
        """Whether the last rule that matches an absolute path leaves it out."""
        for base, spec in reversed(self.layers):
            relative = path.relative_to(base).as_posix() + ("/" if folder else "")
            verdict = spec.check_file(relative).include
            if verdict is not None:
                return verdict
        return False

    def within(self, folder: Path) -> "Rules":
        """Return these rules and those that the folder itself adds."""
        added = tuple((folder, spec) for spec in _specs(folder))
        return Rules(self.layers + added) if added else self


def never(path: Path, *, folder: bool) -> bool:
    """Whether this is something that no program reads: caches, environments, version control."""
    if path.name.endswith(NEVER_ENDINGS):
        return True
    if folder:
        return path.name in NEVER_FOLDERS or (path / "pyvenv.cfg").is_file()
    return path.name in NEVER_FILES


def rules_above(root: Path) -> Rules:
    """Return the rules that the folders above hold, up to the one that git calls its root.

    A folder that they leave out as a whole is one that somebody runs a program in all the same:
    then they say nothing about what is in it.
    """
    repository = next((up for up in (root, *root.parents) if (up / ".git").exists()), root)
    down = [up for up in reversed((root, *root.parents)) if up.is_relative_to(repository)]
    rules = Rules()
    for folder, child in pairwise(down):
        rules = rules.within(folder)
        if rules.ignores(child, folder=True):
            return Rules()
    return rules


def _specs(folder: Path) -> Iterator[GitIgnoreSpec]:
    for name in IGNORE_FILES:
        file = folder / name
        if file.is_file():
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
            yield GitIgnoreSpec.from_lines(lines)
