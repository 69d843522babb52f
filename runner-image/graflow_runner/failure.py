"""What is told of an exception: its type, its words, and the frames that its author knows."""

import json
import os
import sys
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Final

from graflow.exceptions import ArgumentError
from graflow.machine import reasons
from graflow_runner.errors import AttemptError, Interrupted

TRACEBACK_BYTES: Final = 32 * 1024
MESSAGE_BYTES: Final = 4 * 1024
TYPE_BYTES: Final = 256

_MARK_BYTES: Final = 64
"""Room for the line that says how much was left out."""

_OURS: Final = tuple(
    f"{os.path.dirname(folder)}{os.sep}"  # noqa: PTH120  # pathlib is slow
    for folder in (__file__, os.path.dirname(reasons.__file__))  # noqa: PTH120
)
"""Folders of the runner and of Graflow; the absolute names of their files begin with these."""


def failed(
    reason: str, kind: str, message: str, *, text: str = "", retryable: bool = True
) -> dict[str, Any]:
    """Return the report of a failure."""
    return {
        "outcome": "Failed",
        "error": {
            "reason": reason,
            "type": cut(kind, TYPE_BYTES),
            "message": cut(message, MESSAGE_BYTES),
            "traceback": cut(text, TRACEBACK_BYTES),
            "retryable": retryable,
        },
    }


def report_of(error: BaseException, may_retry: Callable[[BaseException], bool]) -> dict[str, Any]:
    """Return the report of what left user code, or kept it from running.

    Args:
        error: What was raised.
        may_retry: What the task says of an error of its own.
    """
    kind, message, retryable = type(error).__qualname__, _words(error), True
    if type(error).__module__ not in ("builtins", "__main__"):
        kind = f"{type(error).__module__}.{kind}"
    match error:
        case AttemptError():
            return failed(error.reason, "", message, retryable=error.retryable)
        case SystemExit():
            reason = reasons.SYSTEM_EXIT
            message = _exit_words(error)
        case Interrupted():
            reason = reasons.INTERRUPTED
        case ArgumentError():
            reason, retryable = reasons.ARGUMENTS_MISSING, False
        case _:
            reason = reasons.TASK_FAILED
            retryable = may_retry(error)
    return failed(reason, kind, message, text=trace(error), retryable=retryable)


def trace(error: BaseException) -> str:
    """Return the traceback as Python prints it, without the runner's own frames at its top."""
    import traceback  # noqa: PLC0415  # failures only

    try:
        lines = traceback.TracebackException(
            type(error), error, users_part(error.__traceback__), compact=True
        ).format()
        return "".join(lines)
    except Exception as broken:  # noqa: BLE001  # an exception's own __str__ may raise anything
        return f"{type(error).__qualname__}: (no traceback: {type(broken).__qualname__})\n"


def users_part(tb: TracebackType | None) -> TracebackType | None:
    """Return the traceback from the first frame that is not Graflow's."""
    while tb is not None and tb.tb_frame.f_code.co_filename.startswith(_OURS):
        tb = tb.tb_next
    return tb


def cut(text: str, limit: int) -> str:
    r"""Return the text in at most `limit` bytes of UTF-8: head and tail, and what is missing.

    >>> cut("a" * 60 + "z" * 60, 100)[:25], len(cut("a" * 60 + "z" * 60, 100)) <= 100
    ('aaaaaaaaaaaaaaaaaa\n... 84', True)
    """
    data = text.encode("utf-8", "backslashreplace")
    if len(data) <= limit:
        return data.decode()
    if limit <= _MARK_BYTES:
        return data[:limit].decode("utf-8", "ignore")
    room = limit - _MARK_BYTES
    head, tail = data[: room // 2], data[-(room - room // 2) :]
    left_out = len(data) - room
    middle = f"\n... {left_out} bytes left out ...\n"
    return head.decode("utf-8", "ignore") + middle + tail.decode("utf-8", "ignore")


def shortened(report: Mapping[str, Any], limit: int) -> dict[str, Any]:
    """Return the report of a failure with so little of its texts that its error fits a limit."""
    texts = report["error"]
    error = dict(texts)
    for tenths in range(8, -1, -1):
        error["message"] = cut(texts["message"], limit * tenths // 30)
        error["traceback"] = cut(texts["traceback"], limit * tenths // 10)
        if len(json.dumps(error)) <= limit:
            break
    return {**report, "error": error}


def _words(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as broken:  # noqa: BLE001  # as above
        return f"(its text cannot be shown: {type(broken).__qualname__})"


def _exit_words(error: SystemExit) -> str:
    code = error.code
    if code is None:
        code = 0
    if isinstance(code, int):
        return f"the task called sys.exit({code}); return a value, or raise an exception"
    return f"the task called sys.exit with {code!r}"


def print_locally(error: BaseException) -> None:
    """Show the exception in the pod's log too, where its author looks first."""
    try:
        sys.stderr.write(trace(error))
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        pass  # as in `say`
