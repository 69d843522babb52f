"""From the order's call to something that can be called."""

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from graflow.dsl.call import Callee
from graflow.machine import reasons
from graflow_runner import script
from graflow_runner.errors import AttemptError, BundleError

if TYPE_CHECKING:  # not every task has code
    from graflow_runner.bundle import Bundle


def callee_of(call: Mapping[str, Any], bundle: "Bundle | None", *, task: str) -> Callee:
    """Return what an order's call is about.

    Args:
        call: `{"function": …, "id": …}`, `{"entrypoint": …}` or `{"script": …, "params": […]}`.
        bundle: The run's code, unpacked.
        task: The task's id, for messages.

    Raises:
        AttemptError: If it is not there, or nothing that can be called.
        Exception: What user code raised while it was imported.
    """
    match call:
        case {"function": sha256}:
            if bundle is None or not isinstance(sha256, str):
                raise BundleError(
                    reasons.BUNDLE_CORRUPT,
                    f"task {task!r} is a function of a program, and the Workflow names no bundle; "
                    "set spec.bundle",
                )
            form = bundle.function(sha256)
            if bound := bundle.arguments(call.get("id", task)):
                form = {**form, "bound": bound}
            return Callee.from_portable(form)
        case {"entrypoint": str(entrypoint)}:
            return _entrypoint(entrypoint, task)
        case {"script": str(source), "params": [*params]}:
            return Callee(func=script.compiled(source, params, task=task))
        case _:
            raise AttemptError(
                reasons.RUNNER_FAILED,
                f"task {task!r} is a call of an unknown kind, {sorted(call)}; "
                "use a runner image of the operator's version",
            )


def _entrypoint(entrypoint: str, task: str) -> Callee:
    name, _, path = entrypoint.partition(":")
    where = f"entrypoint of task {task!r}"
    if not name or not path:
        raise AttemptError(
            reasons.INVALID,
            f"{where} is {entrypoint!r}; it must be a module and a callable, such as pkg.mod:main",
        )
    found = _module(name, where)
    walked = name
    for step in path.split("."):
        try:
            found = getattr(found, step)
        except AttributeError:
            raise AttemptError(
                reasons.INVALID,
                f"{where} is {entrypoint!r}, and {walked} has no {step!r}; {_near(step, found)}",
            ) from None
        walked = f"{walked}.{step}"
    callee = getattr(found, "callee", None)
    if isinstance(callee, Callee):
        return callee
    if not callable(found):
        raise AttemptError(
            reasons.INVALID,
            f"{where} is {entrypoint!r}, which is {found!r} and cannot be called",
        )
    return Callee(func=found)


def _module(name: str, where: str) -> object:
    try:
        __import__(name)  # unlike import_module it leaves no frames of importlib in tracebacks
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            raise AttemptError(
                reasons.INVALID,
                f"{where}: the image and the code bundle have no module {error.name!r}; give the "
                "task an image that has it, or submit it with the program",
            ) from None
        raise
    return sys.modules[name]


def _near(name: str, found: object) -> str:
    from graflow.exceptions import hint  # noqa: PLC0415  # failures only

    return hint(name, [known for known in dir(found) if not known.startswith("_")])
