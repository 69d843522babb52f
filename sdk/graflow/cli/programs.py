"""Runs a program's file as `python FILE` does, with another host behind its `execute()`."""

import contextlib
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType, TracebackType

from graflow.cli.exits import Exit
from graflow.dsl.host import Host, use_host
from graflow.exceptions import GraflowError, GraflowRuntimeError
from graflow.local import LocalHost


def run_file(
    file: Path, args: Sequence[str], host: Host | None, *, failed: Exit = Exit.FAILED
) -> None:
    """Run a program.

    Args:
        file: Its file.
        args: Its own arguments.
        host: What runs its workflows; this process when None.
        failed: Exit code for a program that raises an exception.

    Raises:
        SystemExit: If it raised an exception, which was shown as Python shows it; or as the program
            itself said.
        GraflowError: If it drew what cannot run; or a run of it on a cluster failed, whose
            traceback is in the message.
    """
    path = Path(os.path.abspath(file))  # noqa: PTH100 - links stay, as in Python's own __file__
    module = ModuleType("__main__")
    module.__dict__.update(__file__=str(path), __builtins__=__builtins__, __cached__=None)
    try:
        with _as_main(module, file, args), use_host(host) if host else contextlib.nullcontext():
            code = compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
            exec(code, module.__dict__)  # noqa: S102 - running the program is what was asked for
    except GraflowError as error:
        here = host is None or isinstance(host, LocalHost)
        if here and isinstance(error, GraflowRuntimeError):
            _fail(error, path, failed)
        raise
    except Exception as error:  # noqa: BLE001 - whatever the program raises
        _fail(error, path, failed)


@contextlib.contextmanager
def _as_main(module: ModuleType, file: Path, args: Sequence[str]) -> Iterator[None]:
    """Let the process look as if Python had been started with the file."""
    before = sys.modules["__main__"], sys.argv, sys.path
    sys.modules["__main__"] = module
    sys.argv = [str(file), *args]
    sys.path = [str(Path(os.path.realpath(file)).parent), *sys.path[1:]]
    try:
        yield
    finally:
        sys.modules["__main__"], sys.argv, sys.path = before


def _fail(error: BaseException, path: Path, failed: Exit) -> None:
    """Show an exception as Python does, from the program's first line on, and end."""
    own = _from_program(error.__traceback__, path)
    traceback.print_exception(type(error), error, own)
    raise SystemExit(failed) from None


def _from_program(found: TracebackType | None, path: Path) -> TracebackType | None:
    step = found
    while step is not None and step.tb_frame.f_code.co_filename != str(path):
        step = step.tb_next
    return step
