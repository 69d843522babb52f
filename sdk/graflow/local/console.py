"""Questions on the terminal that the program runs on."""

import getpass
import json
import os
import select
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final, TextIO

from graflow.dsl.feedback import FeedbackRequest, FeedbackResponse, FeedbackType
from graflow.exceptions import AnswerRefusedError

_YES: Final = ("y", "yes")
_NO: Final = ("n", "no")
_turn = threading.Lock()
"""Held by the question that is on the terminal: there is one terminal."""

_shown: list["Terminal"] = []


class LeftOpenError(Exception):
    """Whoever is at the terminal does not answer now: Ctrl-C, or the end of the input."""


class TooLateError(Exception):
    """Nobody has answered in time."""


def terminal() -> "Terminal | None":
    """Return the terminal that somebody can answer at; None: there is none."""
    try:
        if sys.stdin.isatty() and sys.stdout.isatty():
            return Terminal(sys.stdin, sys.stdout)
    except (AttributeError, ValueError):  # None, or closed
        pass
    return None


def let_go() -> bool:
    """Leave the question that is on the terminal open; return False if there is none.

    For the main thread, which gets Ctrl-C while another one asks.
    """
    for one in tuple(_shown):
        one.let_go()
    return bool(_shown)


class Terminal:
    """Where somebody reads questions and types answers."""

    def __init__(self, typed: TextIO, shown: TextIO) -> None:
        self._typed = typed
        self._out = shown
        self._wake: int | None = None
        self._ends: float | None = None

    def ask(
        self, request: FeedbackRequest, check: Callable[[FeedbackResponse], None]
    ) -> FeedbackResponse:
        """Show a question until it is answered.

        Args:
            request: The question.
            check: Raises `AnswerRefusedError` for what is no answer; then it is asked again.

        Raises:
            LeftOpenError: If whoever is there does not answer now.
            TooLateError: If nobody has answered in time.
        """
        with _turn:
            left, self._wake = os.pipe()
            _shown.append(self)
            timeout = request.timeout
            self._ends = None if timeout is None else time.monotonic() + timeout
            try:
                return self._asked(request, check, left)
            except KeyboardInterrupt:
                print(file=self._out)
                raise LeftOpenError from None
            finally:
                _shown.remove(self)
                os.close(left)
                os.close(self._wake)
                self._wake = None

    def let_go(self) -> None:
        """Leave the question open; in any thread."""
        if self._wake is not None:
            os.write(self._wake, b".")

    def _asked(
        self, request: FeedbackRequest, check: Callable[[FeedbackResponse], None], wake: int
    ) -> FeedbackResponse:
        self._show(request)
        while True:
            try:
                response = self._answer(request, wake)
                check(response)
            except AnswerRefusedError as error:
                print(error, file=self._out)
            else:
                return response

    def _show(self, request: FeedbackRequest) -> None:
        left = request.timeout
        until = "" if left is None else f"answer within {round(left, 1):g} s; "
        print(f"\n{request.task_id} asks: {request.prompt}", file=self._out)
        print(f"  ({until}Ctrl-C leaves it open)", file=self._out)
        for text in (request.payload or {}).values():
            print(text, file=self._out)
        for number, option in enumerate(request.options or (), 1):
            print(f"  {number}) {option}", file=self._out)

    def _answer(self, request: FeedbackRequest, wake: int) -> FeedbackResponse:
        kind, options = request.feedback_type, request.options or []
        given: dict[str, Any] = {}
        match kind:
            case FeedbackType.APPROVAL:
                given["approved"] = _yes_or_no(self._line("Approve? [y/n] ", wake))
                given["reason"] = self._line("Reason (may be empty): ", wake) or None
            case FeedbackType.TEXT:
                given["text"] = self._line("> ", wake)
            case FeedbackType.SELECTION:
                given["selected"] = _option(self._line("Number: ", wake), options)
            case FeedbackType.MULTI_SELECTION:
                typed = self._line("Numbers, with commas between them (may be empty): ", wake)
                parts = [part for part in typed.split(",") if part.strip()]
                given["selected_multiple"] = [_option(part, options) for part in parts]
            case FeedbackType.CUSTOM:
                given["custom_data"] = _json(self._line("JSON: ", wake))
        return FeedbackResponse(request.feedback_id, kind, responded_by=getpass.getuser(), **given)

    def _line(self, hint: str, wake: int) -> str:
        print(hint, end="", file=self._out, flush=True)
        left = None if self._ends is None else max(0.0, self._ends - time.monotonic())
        ready, _, _ = select.select([self._typed.fileno(), wake], [], [], left)
        if not ready:
            print(file=self._out)
            raise TooLateError
        line = "" if wake in ready else self._typed.readline()
        if not line:  # Ctrl-D, or Ctrl-C in the main thread
            print(file=self._out)
            raise LeftOpenError
        return line.strip()


def _yes_or_no(typed: str) -> bool:
    if typed.lower() in _YES + _NO:
        return typed.lower() in _YES
    raise AnswerRefusedError(f"{typed!r} is neither y nor n")


def _option(typed: str, options: list[str]) -> str:
    typed = typed.strip()
    if typed.isdecimal() and 1 <= int(typed) <= len(options):  # first: options may be numbers
        return options[int(typed) - 1]
    if typed in options:
        return typed
    raise AnswerRefusedError(f"{typed!r} is no number from 1 to {len(options)}")


def _json(typed: str) -> Any:  # noqa: ANN401 - any JSON
    try:
        return json.loads(typed)
    except ValueError as error:
        raise AnswerRefusedError(f"{typed!r} is no JSON: {error}") from None
