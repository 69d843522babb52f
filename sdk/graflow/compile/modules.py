"""Modules whose code has to travel inside the pickles, since no import finds them in a pod."""

import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from types import ModuleType

import cloudpickle

from graflow.compile.files import Selection
from graflow.compile.pickles import MAIN

OURS = ("graflow", "graflow_runner", "graflow_operator", "cloudpickle")
INSTALLED = ("site-packages", "dist-packages")

_registry = RLock()  # cloudpickle's list of modules is one for the whole process


def own_modules(selection: Selection) -> tuple[ModuleType, ...]:
    """Return the imported modules of the user's own that a pod cannot import.

    Neither the standard library nor installed packages (the image has them, or says by an error
    that it does not), nor modules that travel as files, nor what was left out as a secret.
    """
    return tuple(
        module
        for name, module in sorted(sys.modules.items())
        if type(module) is ModuleType
        and name not in MAIN
        and name.partition(".")[0] not in OURS
        and any(_travels_by_value(name, origin, selection) for origin in _origins(module))
    )


@contextmanager
def pickled_by_value(modules: tuple[ModuleType, ...]) -> Iterator[None]:
    """Let cloudpickle take these modules by value, and end it whatever happens."""
    with _registry:
        before = set(cloudpickle.list_registry_pickle_by_value())
        added = [module for module in modules if module.__name__ not in before]
        try:
            for module in added:
                cloudpickle.register_pickle_by_value(module)
            yield
        finally:
            for module in added:
                cloudpickle.unregister_pickle_by_value(module)


def _origins(module: ModuleType) -> tuple[Path, ...]:
    """Where a module's source is; for a package without `__init__.py`, its folders."""
    attributes = vars(module)
    file = attributes.get("__file__")
    if isinstance(file, str):
        return (Path(file),) if file.endswith(".py") else ()
    if "__path__" not in attributes:
        return ()
    return tuple(Path(folder) for folder in attributes["__path__"] if isinstance(folder, str))


def _travels_by_value(name: str, origin: Path, selection: Selection) -> bool:
    if not origin.is_absolute():
        origin = origin.absolute()
    if any(part in INSTALLED for part in origin.parts) or _is_standard(origin):
        return False
    for root in (selection.root, selection.root.resolve()):
        if origin.is_relative_to(root):
            return not _found_in_pod(name, origin.relative_to(root), selection)
    return True


def _found_in_pod(name: str, relative: Path, selection: Selection) -> bool:
    """Whether a pod imports a file under this name, or must not get it at all."""
    text = relative.as_posix()
    if any(text == left.path or text.startswith(f"{left.path}/") for left in selection.left_out):
        return True
    parts = relative.with_suffix("").parts
    if parts[-1:] == ("__init__",):
        parts = parts[:-1]
    if parts != tuple(name.split(".")):
        return False
    return text in selection.files or any(file.startswith(f"{text}/") for file in selection.files)


def _is_standard(origin: Path) -> bool:
    paths = sysconfig.get_paths()
    return any(origin.is_relative_to(paths[key]) for key in ("stdlib", "platstdlib"))
