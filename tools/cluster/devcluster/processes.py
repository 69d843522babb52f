"""Processes that outlive the command that started them, and how they are stopped."""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from devcluster.console import duration, say
from devcluster.errors import ClusterError

_POLL_S = 0.05
_HEARTBEAT_S = 20.0


@dataclass(frozen=True, slots=True)
class Process:
    """A process for certain: a number that was given out again has another start time."""

    name: str
    pid: int
    started: int

    @property
    def alive(self) -> bool:
        """Whether this very process still runs."""
        return start_time(self.pid) == self.started

    @property
    def paused(self) -> bool:
        """Whether it stands still until it gets SIGCONT."""
        return _fields(self.pid)[:1] == ["T"]


def start_time(pid: int) -> int | None:
    """Return when a process began, in clock ticks since boot; None if it is gone or a zombie."""
    fields = _fields(pid)
    return int(fields[19]) if fields and fields[0] not in "ZX" else None


def _fields(pid: int) -> list[str]:
    """Return what the kernel says of a process, from its state on; nothing if it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    # The name, in brackets, may hold spaces and brackets itself.
    return text.rpartition(")")[2].split()


class Book:
    """The file that says which processes were started, the latest last."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def processes(self) -> list[Process]:
        """Return what was started, dead or alive."""
        if not self._file.exists():
            return []
        return [Process(**entry) for entry in json.loads(self._file.read_text())]

    def start(
        self, name: str, command: Sequence[str | Path], log: Path, env: Mapping[str, str]
    ) -> Process:
        """Start a process in a session of its own and write it down.

        Ctrl-C is held back meanwhile: between the two lies a process nobody knows of.
        """
        with _uninterrupted(), log.open("ab") as output:
            child = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=log.parent,
                env={**os.environ, **env},
                start_new_session=True,
            )
            process = Process(name, child.pid, start_time(child.pid) or 0)
            entries = [asdict(entry) for entry in (*self.processes(), process)]
            temporary = self._file.with_suffix(".new")
            temporary.write_text(json.dumps(entries, indent=1))
            temporary.rename(self._file)
        # Not waited for here: it goes on when this command has ended.
        child.returncode = 0
        return process


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Put signals off until the block has ended.

    With handlers, not with a mask: that one the child would inherit, and never end.
    """
    came: list[int] = []
    usual = {
        number: signal.signal(number, lambda number, _: came.append(number))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)
        for signal_came in came:
            signal.raise_signal(signal_came)


def stop(processes: Iterable[Process], patience_s: float = 10.0) -> None:
    """End processes: ask, wait, then kill."""
    living = [process for process in processes if process.alive]
    for how in (signal.SIGTERM, signal.SIGKILL):
        for process in living:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, how)
                os.kill(process.pid, signal.SIGCONT)  # one that stands still heeds no SIGTERM
        until = time.monotonic() + patience_s
        while living and time.monotonic() < until:
            time.sleep(_POLL_S)
            living = [process for process in living if process.alive]
        if not living:
            return
    raise ClusterError(f"cannot end {', '.join(f'{p.name} ({p.pid})' for p in living)}")


def wait_until(
    what: str,
    ready: Callable[[], bool],
    log: Path,
    process: Process | None = None,
    patience_s: float = 60.0,
) -> None:
    """Wait for a condition; give up early when the process it depends on has died."""
    until = time.monotonic() + patience_s
    while not ready():
        if process and not process.alive:
            raise ClusterError(f"{process.name} ended instead of being ready:\n{tail(log)}")
        if time.monotonic() > until:
            raise ClusterError(f"{what} took longer than {patience_s:.0f} s:\n{tail(log)}")
        time.sleep(_POLL_S)


def tail(log: Path, lines: int = 15) -> str:
    """Return the end of a log, with its path."""
    text = log.read_text(errors="replace") if log.exists() else ""
    return "\n".join([f"the end of {log}:", *text.splitlines()[-lines:]])


def run(
    *command: str | Path, stdin: str | None = None, env: Mapping[str, str] | None = None
) -> str:
    """Run a command to its end and return what it printed.

    Raises:
        ClusterError: With the command and its last words, if it failed.
    """
    words = [str(word) for word in command]
    environment = {**os.environ, **(env or {})}
    done = subprocess.run(
        words, input=stdin or "", capture_output=True, text=True, check=False, env=environment
    )
    if done.returncode:
        raise ClusterError(f"`{' '.join(words)}` failed: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def run_visibly(
    what: str,
    command: Sequence[str | Path],
    log: Path,
    env: Mapping[str, str],
    cwd: Path | None = None,
) -> None:
    """Run something long: its output to a log, a line on the terminal now and then.

    Raises:
        ClusterError: With the end of the log, if it failed.
    """
    began = time.monotonic()
    words = [str(word) for word in command]
    with (
        log.open("w") as output,
        subprocess.Popen(
            words,
            cwd=cwd,
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        ) as process,
    ):
        try:
            while process.poll() is None:
                try:
                    process.wait(_HEARTBEAT_S)
                except subprocess.TimeoutExpired:
                    lines = len(log.read_text(errors="replace").splitlines())
                    taken = duration(time.monotonic() - began)
                    say(f"{what}: going on for {taken}, {lines} lines in its log")
        finally:
            process.kill()
    if process.returncode:
        raise ClusterError(f"{what} failed: {tail(log)}")
