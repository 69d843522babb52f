"""From the order's call to something that can be called."""

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from graflow.dsl.call import Callee
from graflow.machine import reasons
from graflow_runner import script
from graflow_runner.errors import AttemptError, BundleError
from graflow_runner.refs import Fetch, value_of

if TYPE_CHECKING:  # not every task has code
    from graflow_runner.bundle import Bundle


def callee_of(
    call: Mapping[str, Any], bundle: "Bundle | None", fetch: Fetch, *, task: str
) -> Callee:
    """Return what an order's call is about.

    Args:
        call: `{"function": …, "id": …}` of the bundle, `{"code": …}` that another task has made,
            `{"entrypoint": …}`, or `{"script": …, "params": […]}`.
        bundle: The run's code, unpacked.
        fetch: Gets what is in the store.
        task: The task's id, for messages.

    Raises:
        AttemptError: If it is not there, or nothing that can be called.
        Exception: What user code raised while it was imported.
    """
    match call:
        case {"code": ref}:
            return Callee.from_portable(made(ref, fetch))
        case {"function": sha256}:
            checked = _in_bundle(sha256, bundle, task)
            return Callee.from_portable(checked.form(sha256, call.get("id", task)))
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


def policy_of(call: Mapping[str, Any], bundle: "Bundle | None", fetch: Fetch, *, group: str) -> Any:  # noqa: ANN401  # a policy of the program's own
    """Return the object that judges a group, from `{"function": …}` or `{"code": …}`.

    Raises:
        AttemptError: If it is not there.
        Exception: What user code raised while it was imported.
    """
    if "code" in call:
        return made(call["code"], fetch)
    return _in_bundle(call.get("function"), bundle, group).function(call["function"])


def made(ref: Mapping[str, Any], fetch: Fetch) -> Any:  # noqa: ANN401  # whatever was pickled
    """Return the code that a running task has made: a task's portable form, or a policy.

    Args:
        ref: `{"group": {"python": …, "code": …, "arguments": …}}`, arguments only if it has some.
        fetch: Gets what is in the store.

    Raises:
        AttemptError: If it cannot be had, or was made by another Python.
        Exception: What unpickling raised.
    """
    from graflow_runner.bundle import check_python  # noqa: PLC0415  # not every task has code

    parts = ref["group"]
    check_python(str(value_of(parts["python"], fetch)))
    code = value_of(parts["code"], fetch)
    if "arguments" not in parts:
        return code
    return {**code, "bound": value_of(parts["arguments"], fetch)}


def _in_bundle(sha256: object, bundle: "Bundle | None", name: str) -> "Bundle":
    if bundle is None or not isinstance(sha256, str):
        raise BundleError(
            reasons.BUNDLE_CORRUPT,
            f"task {name!r} is a function of a program, and the Workflow names no bundle; "
            "set spec.bundle",
        )
    return bundle


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
