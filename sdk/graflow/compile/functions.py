"""Functions of a program as pickles that a pod can load."""

import io
import sys
from collections.abc import Callable, Mapping
from operator import attrgetter
from pathlib import PurePath
from types import CellType, CodeType, FunctionType
from typing import Any

import cloudpickle

from graflow.compile.captured import blame
from graflow.compile.classes import name_class
from graflow.compile.files import Selection
from graflow.compile.modules import MAIN, own_modules, pickled_by_value
from graflow.compile.relocation import Relocation
from graflow.dsl.task import TaskWrapper

NO_FILE = "<dynamic-code>"  # what cloudpickle puts in place of a code object's file
Dump = Callable[[object], bytes]


def pickle_all(portable: Mapping[str, object], selection: Selection) -> dict[str, bytes]:
    """Pickle what the runner needs of each task.

    Functions of `__main__`, and of modules of the user's own that do not travel as files, go by
    value, with the globals they use. Paths in the program's folder become those in the pod.

    Args:
        portable: Each task's portable form, by the task's id.
        selection: The files that travel beside the pickles.

    Raises:
        CaptureError: If a task uses something that cannot travel; it names task and variable.
    """
    relocation = Relocation.of(selection.root)

    def dump(value: object) -> bytes:
        buffer = io.BytesIO()
        _Pickler(buffer, relocation).dump(value)
        return buffer.getvalue()

    with pickled_by_value(own_modules(selection)):
        return {task: _pickle(task, form, dump) for task, form in portable.items()}


def _pickle(task: str, form: object, dump: Dump) -> bytes:
    try:
        return dump(form)
    except Exception as error:
        raise blame(task, form, dump, error) from error


def _of_imported_task(func: FunctionType) -> tuple[Any, ...] | None:
    """Reduce the function of a task in an importable module to a look-up of that task.

    The decorator has put the task where the function was, so that no import finds the function.
    None when it is no such function.
    """
    module = sys.modules.get(func.__module__)
    name = func.__qualname__
    by_value = {*MAIN, *cloudpickle.list_registry_pickle_by_value()}
    if module is None or module.__name__ in by_value or "<locals>" in name:
        return None
    try:
        found = attrgetter(name)(module)
    except AttributeError:
        return None
    if not isinstance(found, TaskWrapper) or found.func is not func:
        return None
    return attrgetter(f"{name}.func"), (module,)


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle ships no types
    """cloudpickle that moves paths of the program's folder to where they are in a pod.

    Nothing of the program is changed for it, so that other threads of the program never see
    the pod's paths.
    """

    def __init__(self, file: io.BytesIO, relocation: Relocation) -> None:
        super().__init__(file)
        self._relocation = relocation

    def reducer_override(self, obj: Any) -> Any:  # noqa: ANN401 - as pickle has it
        """Reduce paths and closure cells ourselves, and everything else as cloudpickle does."""
        if isinstance(obj, PurePath):
            moved = self._relocation.path(obj)
            return NotImplemented if moved is obj else moved.__reduce__()
        if type(obj) is CodeType:
            make, args = super().dispatch_table[CodeType](obj)
            return make, tuple(self._file_of(obj) if a == NO_FILE else a for a in args)
        if type(obj) is CellType and (moved_cell := self._moved_cell(obj)):
            return moved_cell
        if type(obj) is FunctionType and (found := _of_imported_task(obj)):
            return found
        if isinstance(obj, type):
            name_class(obj)
        return super().reducer_override(obj)

    def _file_of(self, code: CodeType) -> str:
        """Return the file that tracebacks in a pod name, and whose lines they show if it is there.

        Of a file that is not in the program's folder they only show its name, since its folder
        says nothing in a pod.
        """
        moved = self._relocation.text(code.co_filename)
        return moved if moved != code.co_filename else PurePath(moved).name

    def _moved_cell(self, cell: CellType) -> tuple[Any, ...] | None:
        try:
            contents = cell.cell_contents
        except ValueError:  # an empty cell
            return None
        moved = self._relocation.any(contents)
        return None if moved is contents or moved == contents else (CellType, (moved,))

    def _dynamic_function_reduce(self, func: FunctionType) -> tuple[Any, ...]:
        """Relocate the globals that a function uses, and its defaults.

        This and the next are cloudpickle's own names: its only seam for the globals of a function.
        """
        make, args, (attributes, slots), *rest = super()._dynamic_function_reduce(func)
        moved = self._relocation.any
        slots["__globals__"] = {name: moved(value) for name, value in slots["__globals__"].items()}
        if slots["__defaults__"]:
            slots["__defaults__"] = tuple(moved(value) for value in slots["__defaults__"])
        if slots["__kwdefaults__"]:
            slots["__kwdefaults__"] = {k: moved(v) for k, v in slots["__kwdefaults__"].items()}
        return (make, args, (attributes, slots), *rest)

    def _function_getnewargs(self, func: FunctionType) -> tuple[Any, ...]:
        args = super()._function_getnewargs(func)
        base_globals = args[1]
        if "__file__" in base_globals:
            base_globals["__file__"] = self._relocation.any(base_globals["__file__"])
        return tuple(args)
