"""Parts of the cluster that stand still for a while, as when they hang or cannot be reached."""

import os
import signal
from collections.abc import Iterable

from devcluster.errors import ClusterError
from devcluster.layout import Layout
from devcluster.processes import Book, Process


def pause(layout: Layout, names: Iterable[str]) -> None:
    """Let these parts stand still, with all that they hold, until they are to go on.

    Raises:
        ClusterError: If one of them does not run.
    """
    for process in _running(layout, names):
        os.kill(process.pid, signal.SIGSTOP)


def go_on(layout: Layout, names: Iterable[str]) -> None:
    """Let these parts go on where they stopped; those that never stopped just do.

    Raises:
        ClusterError: If one of them does not run.
    """
    for process in _running(layout, names):
        os.kill(process.pid, signal.SIGCONT)


def paused(layout: Layout) -> list[str]:
    """Return the names of the parts that stand still."""
    processes = Book(layout.pids).processes()
    return [process.name for process in processes if process.alive and process.paused]


def _running(layout: Layout, names: Iterable[str]) -> list[Process]:
    living = {process.name: process for process in Book(layout.pids).processes() if process.alive}
    wanted = list(names)
    for name in wanted:
        if name not in living:
            runs = f"these do: {', '.join(living)}" if living else "nothing of this checkout does"
            raise ClusterError(f"no {name} of this cluster runs; {runs}")
    return [living[name] for name in wanted]
