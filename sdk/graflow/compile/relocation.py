"""Paths of the program's folder, as they are in a pod."""

import os
from dataclasses import dataclass
from pathlib import Path, PurePath

CODE_DIR = "/tmp/graflow/code"  # noqa: S108 - where the runner unpacks a bundle; fixed by contract


@dataclass(frozen=True, slots=True)
class Relocation:
    """Replaces the program's folder at the beginning of paths."""

    folders: tuple[str, ...]
    """The program's folder as it was named, and with links resolved."""

    @classmethod
    def of(cls, root: Path) -> "Relocation":
        """Return the relocation of a program's folder, given as an absolute path."""
        return cls(tuple(dict.fromkeys((str(root), str(root.resolve())))))

    def text(self, value: str) -> str:
        """Return a path in the program's folder as it is in a pod, any other text as it is."""
        for folder in self.folders:
            if value == folder:
                return CODE_DIR
            if value.startswith(folder + os.sep) and len(folder) > 1:
                return CODE_DIR + value[len(folder) :]
        return value

    def path(self, value: PurePath) -> PurePath:
        """Return a path object of the same type; the very same one when it is elsewhere."""
        moved = self.text(str(value))
        return value if moved == str(value) else type(value)(moved)

    def any(self, value: object) -> object:
        """Relocate plain text and paths, and return everything else as it is."""
        if type(value) is str:
            return self.text(value)
        return self.path(value) if isinstance(value, PurePath) else value


def in_pod(path: str) -> bool:
    """Whether a path is where the program's files are in a pod."""
    return path.startswith(CODE_DIR + os.sep)
