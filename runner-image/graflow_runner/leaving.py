"""The end of the process, once the outcome is told: quick, whatever user code left running."""

import atexit
import contextlib
import os
import sys
import threading
from typing import Final

EXIT_HANDLERS_S: Final = 5.0
"""How long handlers that user code registered with `atexit` may take, in seconds."""


def leave(code: int) -> None:
    """Run exit handlers for a while, flush, and end the process. Does not return.

    Threads that user code left running do not keep the pod alive: the outcome is told, and
    whoever waits for the pod's resources should have them.
    """
    handlers = threading.Thread(target=_run_exit_handlers, name="atexit", daemon=True)
    handlers.start()
    handlers.join(EXIT_HANDLERS_S)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # closed or replaced by user code
            stream.flush()
    os._exit(code)


def _run_exit_handlers() -> None:
    with contextlib.suppress(Exception):
        atexit._run_exitfuncs()  # noqa: SLF001  # the only way to run them and still end by _exit
