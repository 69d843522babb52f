"""What is told of an exception: its type, its words, and the frames that its author knows."""

import json
import os
import sys
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Final

from graflow.dsl.failures import Judgement, judge
from graflow.exceptions import words_of
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
    message = words_of(error)
    if isinstance(error, AttemptError):
        return failed(error.reason, "", message, retryable=error.retryable)
    if isinstance(error, Interrupted):
        # The operator knows why. If the time was up, that is the task's failure, as a
        # TimeoutError; otherwise it is none, and the policy does not matter.
        judged = Judgement(reasons.INTERRUPTED, may_retry(TimeoutError()))
    else:
        judged = judge(error, may_retry)
    kind = type(error).__qualname__
    if type(error).__module__ not in ("builtins", "__main__"):
        kind = f"{type(error).__module__}.{kind}"
    text = trace(error)
    if text == f"{kind}: {message}\n":  # no line of the program: nothing that is not said already
        text = ""
    return failed(judged.reason, kind, message, text=text, retryable=judged.retryable)


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


def print_locally(error: BaseException) -> None:
    """Show the exception in the pod's log too, where its author looks first."""
    try:
        sys.stderr.write(trace(error))
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        pass  # as in `say`
