"""Contexts and channels that travel: what arrives is a handle on those of the running task (C5)."""

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from graflow.exceptions import GraflowRuntimeError

if TYPE_CHECKING:  # the context itself has handles
    from graflow.dsl.context import TaskExecutionContext

_mine: ContextVar["TaskExecutionContext | None"] = ContextVar("graflow_context", default=None)
_all: list["TaskExecutionContext"] = []
"""Those of the tasks that run in this process: a thread that a task starts has no context of the
task's, and in a pod there is only one that it can belong to."""

_of_process: list["TaskExecutionContext"] = []
"""That of the task whose process this is, in a pod."""


def fill_process(context: "TaskExecutionContext") -> None:
    """Take note that all that runs in this process belongs to a task."""
    _of_process.append(context)


def around() -> "TaskExecutionContext | None":
    """Return the context of the task that what is begun here belongs to; None: to none."""
    mine = _mine.get()
    if mine is not None and not mine.over:
        return mine
    return _of_process[0] if _of_process else None


def enter(context: "TaskExecutionContext") -> None:
    """Make a context that of the task that runs here."""
    context.over = False
    _mine.set(context)
    _all.append(context)


def leave(context: "TaskExecutionContext") -> None:
    """Take note that the task of a context has ended."""
    context.over = True
    _all.remove(context)


def in_place_of(context: "TaskExecutionContext") -> "TaskExecutionContext | None":
    """Return the context of the task that runs here, where that is another one's; else None."""
    mine = _mine.get()
    return None if mine is context else mine


def running() -> "TaskExecutionContext":
    """Return the context of the running task.

    Raises:
        GraflowRuntimeError: If no task runs here.
    """
    mine = _mine.get()
    if mine is not None:
        return mine
    if len(_all) == 1:
        return _all[0]
    raise GraflowRuntimeError(
        "a context or channel that came from another task is used where no task runs; use it in "
        "a task, in a thread of its own with contextvars.copy_context().run(…)"
    )


class ContextHandle:
    """The context of whatever task runs where it is used."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any part of a context
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(running(), name)

    def __reduce__(self) -> tuple[object, ...]:
        return ContextHandle, ()


class ChannelHandle:
    """The channel of whatever task runs where it is used; see `Channel`."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any part of a channel
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(running().get_channel(), name)

    def __reduce__(self) -> tuple[object, ...]:
        return ChannelHandle, ()
