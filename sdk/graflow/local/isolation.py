"""Copies of what tasks captured, fresh in each attempt, as they are in pods (C5)."""

import io
import pickle
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import cloudpickle

from graflow.compile.captured import blame
from graflow.compile.files import nothing
from graflow.compile.modules import own_modules, pickled_by_value
from graflow.dsl.call import Callee
from graflow.dsl.task import TaskWrapper


class Isolation:
    """Makes the copies of one run.

    Functions of the program and of the modules beside it come with the globals that they use.
    Modules themselves, and attributes of classes, are the same for all.

    Args:
        tasks: The tasks of the program, by their ids.

    Raises:
        CaptureError: If one of them uses what cannot go to a pod.
    """

    def __init__(self, tasks: Mapping[str, TaskWrapper]) -> None:
        self._beside = own_modules(nothing(Path.cwd()))
        with pickled_by_value(self._beside):
            self._pickles = {
                id(task.callee): _pickled(task_id, task.callee) for task_id, task in tasks.items()
            }
        self._kept = tuple(tasks.values())
        """As long as they live, nothing else has their ids."""

    def copy(self, task_id: str, callee: Callee) -> Callee:
        """Return a copy for one attempt.

        Raises:
            CaptureError: If a task made at run time uses what cannot go to a pod.
        """
        data = self._pickles.get(id(callee))
        if data is None:
            with pickled_by_value(self._beside):
                data = _pickled(task_id, callee)
        return Callee.from_portable(pickle.loads(data))  # noqa: S301 - made here


def _pickled(task_id: str, callee: Callee) -> bytes:
    form = callee.portable()
    try:
        return _dump(form)
    except Exception as error:  # noqa: BLE001 - user objects raise what they like when pickled
        try:
            with _all_by_reference():  # a module beside the program holds what pods make anew
                return _dump(form)
        except Exception:  # noqa: BLE001 - it is not that
            raise blame(task_id, form, _dump, error) from error


@contextmanager
def _all_by_reference() -> Iterator[None]:
    """Take all modules but the program itself as they are."""
    named = tuple(cloudpickle.list_registry_pickle_by_value())
    modules = [sys.modules[name] for name in named if name in sys.modules]
    for module in modules:
        cloudpickle.unregister_pickle_by_value(module)
    try:
        yield
    finally:
        for module in modules:
            cloudpickle.register_pickle_by_value(module)


def _dump(value: object) -> bytes:
    buffer = io.BytesIO()
    _Pickler(buffer).dump(value)
    return buffer.getvalue()


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle ships no types
    def reducer_override(self, obj: Any) -> Any:  # noqa: ANN401 - as pickle has it
        if type(obj) is ModuleType and obj.__name__ in sys.modules:
            return import_module, (obj.__name__,)
        return super().reducer_override(obj)
