"""Where the running program is, and which folder is its own."""

import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Place:
    """A program on this machine."""

    root: Path
    """Its folder."""

    program: str
    """Name of its file; empty when it has none, as in a notebook."""


def place() -> Place:
    """Return where the program that runs in this process is.

    A tool that runs programs (pytest, a web server, a notebook) is not the program, and its folder
    is not the user's: then there is a place without a file, from which no files travel.
    """
    file = getattr(sys.modules.get("__main__"), "__file__", None)
    if not isinstance(file, str) or _is_tool(Path(file).absolute()):
        return Place(Path.cwd(), "")
    path = Path(file).absolute()
    return Place(path.parent, path.name)


def _is_tool(path: Path) -> bool:
    prefixes = {sys.prefix, sys.base_prefix, sys.exec_prefix}
    return any(
        path.is_relative_to(Path(prefix) / folder)
        for prefix in prefixes
        for folder in ("bin", "lib", "lib64", "Scripts")
    )
