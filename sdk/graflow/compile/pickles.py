"""Code of tasks as pickles that another process can load; what pods hand over is made here too."""

import io
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter
from pathlib import PurePath
from types import CellType, CodeType, FunctionType
from typing import Any

import cloudpickle

from graflow.compile.captured import blame
from graflow.compile.classes import name_class
from graflow.compile.relocation import Relocation, in_pod
from graflow.dsl.task import TaskWrapper

NO_FILE = "<dynamic-code>"  # what cloudpickle puts in place of a code object's file
MAIN = ("__main__", "__mp_main__")
BOUND = "bound"  # the part of a task's portable form that instances of one function do not share
DERIVED = "annotations"  # the part that follows from the function
HERE = Relocation(())


@dataclass(frozen=True, slots=True)
class Pickled:
    """What a task runs."""

    code: bytes
    """Pickle of the task's portable form, the same for all instances of a function."""

    arguments: bytes = b""
    """Pickle of the arguments bound to this instance, when `code` does not have them."""


def pickled(
    forms: Mapping[str, object], relocation: Relocation = HERE, *, naming: bool = False
) -> dict[str, Pickled]:
    """Pickle what another process needs of each task.

    Args:
        forms: Portable forms of tasks, and whatever else is code, each by an id.
        relocation: Moves the paths in them.
        naming: Whether classes that go by value get names that are the same in every process.

    Raises:
        CaptureError: If a task uses something that cannot travel; it names task and variable.
    """

    def dump(value: object) -> bytes:
        return _dump(value, relocation, naming=naming)[0]

    def made(name: str, form: object) -> bytes:
        try:
            return dump(form)
        except Exception as error:
            raise blame(name, form, dump, error) from error

    def data_alone(bound: object) -> bytes | None:
        """Return the pickle of bound arguments, unless they hold code or cannot be pickled.

        Code stays in one pickle with the function that uses it: what both call global is one thing.
        """
        try:
            data, holds_code = _dump(bound, relocation, naming=naming)
        except Exception:  # noqa: BLE001 - the attempt to pickle it with the function tells why
            return None
        return None if holds_code else data

    found: dict[str, Pickled] = {}
    shared: dict[tuple[int, ...], bytes] = {}
    for name, form in forms.items():
        bound = form.get(BOUND) if isinstance(form, dict) else None
        arguments = data_alone(bound) if bound else b""
        if arguments is None or not isinstance(form, dict):
            found[name] = Pickled(made(name, form))
            continue
        rest = {part: value for part, value in form.items() if part != BOUND}
        instance_of = tuple(id(value) for part, value in rest.items() if part != DERIVED)
        if instance_of not in shared:
            shared[instance_of] = made(name, {**rest, BOUND: {}})
        found[name] = Pickled(shared[instance_of], arguments)
    return found


def _dump(value: object, relocation: Relocation, *, naming: bool) -> tuple[bytes, bool]:
    buffer = io.BytesIO()
    pickler = _Pickler(buffer, relocation, naming=naming)
    pickler.dump(value)
    return buffer.getvalue(), pickler.holds_code


def of_imported_task(func: FunctionType) -> tuple[Any, ...] | None:
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


class _Ordered:
    """Pickles a set of constants in the same order in every process."""

    def __init__(self, items: frozenset[object]) -> None:
        self._items = items

    def __reduce__(self) -> tuple[object, ...]:
        return frozenset, (sorted(self._items, key=repr),)


def _in_order(part: object) -> object:
    """Return a part of a code object with the sets in it ordered."""
    if isinstance(part, tuple):
        return tuple(_in_order(inner) for inner in part)
    return _Ordered(part) if isinstance(part, frozenset) else part


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle ships no types
    """cloudpickle that moves paths of the program's folder to where they are in a pod.

    Nothing of the program is changed for it, so that other threads of the program never see
    the pod's paths.
    """

    def __init__(self, file: io.BytesIO, relocation: Relocation, *, naming: bool) -> None:
        super().__init__(file)
        self._relocation = relocation
        self._naming = naming
        self.holds_code = False
        """Whether a function or class was pickled by value."""

    def reducer_override(self, obj: Any) -> Any:  # noqa: ANN401 - as pickle has it
        """Reduce paths and closure cells ourselves, and everything else as cloudpickle does."""
        if isinstance(obj, PurePath):
            moved = self._relocation.path(obj)
            return NotImplemented if moved is obj else moved.__reduce__()
        if type(obj) is CodeType:
            make, args = super().dispatch_table[CodeType](obj)
            return make, tuple(self._file_of(obj) if a == NO_FILE else _in_order(a) for a in args)
        if type(obj) is CellType and (moved_cell := self._moved_cell(obj)):
            return moved_cell
        if type(obj) is FunctionType and (found := of_imported_task(obj)):
            return found
        if isinstance(obj, type) and self._naming:
            name_class(obj)
        reduced = super().reducer_override(obj)
        self.holds_code |= reduced is not NotImplemented
        return reduced

    def _file_of(self, code: CodeType) -> str:
        """Return the file that tracebacks in a pod name, and whose lines they show if it is there.

        Of a file that is not in the program's folder they only show its name, since its folder
        says nothing in a pod.
        """
        moved = self._relocation.text(code.co_filename)
        return moved if in_pod(moved) else PurePath(moved).name

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
