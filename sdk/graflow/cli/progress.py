"""What commands say on stderr about a run while they wait for it."""

import sys
import threading
from dataclasses import dataclass, field

import click

from graflow.api.workflow_status import TaskStatus, Transition, WorkflowStatus
from graflow.cluster.errors import ClusterError
from graflow.cluster.failures import is_over
from graflow.cluster.run import Run
from graflow.compile.bundle import size_text
from graflow.compile.program import Compiled
from graflow.machine import reasons

SILENCE_S = 10.0
"""After this long without any news of a new run, say what may be the matter."""

COLOURS = {"Succeeded": "green", "Failed": "red", "Cancelled": "yellow", "Running": "cyan"}
MAX_LINE = 300


def say(text: str) -> None:
    """Write a line to stderr; colours only reach a terminal."""
    click.echo(text, err=True)


def tell_begun(compiled: Compiled, run: Run) -> None:
    """Say that a run was created, and what was sent for it."""
    tell_files(compiled)
    say(f"workflow {click.style(run.name, bold=True)} created in namespace {run.namespace}")


def tell_files(compiled: Compiled) -> None:
    """Say which files travel and which do not, though no rule leaves them out."""
    bundle = compiled.bundle
    tasks = _count(len(compiled.tasks), "task")
    count = _count(len(bundle.files), "file")
    files = f"{count} of {compiled.root}" if bundle.files else "no files"
    say(f"code of {tasks} and {files} ({size_text(len(bundle.data))})")
    for left in bundle.left_out:
        say(f"{click.style('left out', fg='yellow')} {left.path}: {left.why}")


def tell_parcel(compiled: Compiled) -> None:
    """List on stdout what would be sent."""
    tell_files(compiled)
    for task in compiled.tasks:
        click.echo(f"task {task}")
    for file in compiled.bundle.files:
        click.echo(f"file {file}  {size_text((compiled.root / file).stat().st_size)}")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


@dataclass
class Reporter:
    """Says what changes from one status to the next."""

    seen: dict[tuple[str, int], tuple[object, ...]] = field(default_factory=dict)
    waiting: dict[str, str] = field(default_factory=dict)
    moves: int = 0
    """What tasks have decided, as far as it was told."""

    def __call__(self, status: WorkflowStatus) -> None:
        """Take the next status."""
        for moved in status.transitions:
            if moved.sequence > self.moves:
                self.moves = moved.sequence
                say(_move_line(moved))
        told = set()
        for task in status.tasks:
            key = (task.name, task.iteration or 0)
            now = (task.phase, task.attempt, task.reason)
            # What is about to begin is no news; what keeps it from beginning comes below.
            if task.phase != "Pending" and self.seen.get(key) != now:
                self.seen[key] = now
                say(_task_line(task))
                told.add((task.name, f"{task.reason}: {task.message}"))
        waits = {
            one.task or "the run": f"{one.reason}: {one.message}"
            for one in status.waiting
            if one.message and one.reason != reasons.HOLDING  # what holds it is told of itself
        }
        for task_name, why in waits.items():
            if self.waiting.get(task_name) != why and (task_name, why) not in told:
                say(f"  {task_name} waits, {_short(why)}")
        self.waiting = waits


@dataclass
class Waiting:
    """Waits for a run, says on stderr how it goes, and shows what its tasks print."""

    show_logs: bool

    def wait(self, run: Run) -> WorkflowStatus:
        """Wait for the end of a run and return its last status.

        Raises:
            ClusterError: If the end cannot be known.
        """
        over = threading.Event()
        printer = threading.Thread(target=_print_logs, args=(run, over), daemon=True)
        if self.show_logs:
            printer.start()
        try:
            return self._watch(run)
        except KeyboardInterrupt:
            where = f"{run.name} -n {run.namespace}"
            say(f"\nworkflow {run.name} goes on; `graflow watch {where}` waits for it, "
                f"`graflow cancel {where}` ends it")  # fmt: skip
            raise
        finally:
            over.set()
            if self.show_logs and sys.exc_info()[0] is None:
                printer.join()

    def _watch(self, run: Run) -> WorkflowStatus:
        report = Reporter()
        silence = threading.Timer(SILENCE_S, say, [_nobody(run)])
        silence.daemon = True
        silence.start()
        status = WorkflowStatus()
        try:
            for status in run.changes():
                if status.phase or is_over(status):
                    silence.cancel()
                report(status)
        finally:
            silence.cancel()
        say(_end_line(run, status))
        return status


def _print_logs(run: Run, over: threading.Event) -> None:
    try:
        for line in run.logs(over=over.is_set, labelled=False):
            click.echo(line)
    except ClusterError as error:
        say(f"what the tasks print cannot be shown: {error}")


def _nobody(run: Run) -> str:
    return (
        f"no operator has taken workflow {run.name} yet; see whether Graflow's runs and looks at "
        f"namespace {run.namespace}: kubectl get pods -A -l app.kubernetes.io/name=graflow"
    )


def _task_line(task: TaskStatus) -> str:
    phase = click.style(task.phase, fg=COLOURS.get(task.phase))
    more = f" (attempt {task.attempt})" if (task.attempt or 1) > 1 else ""
    why = f", {task.reason}: {_short(task.message or '')}" if task.reason else ""
    return f"  {task.name} {phase}{more}{why}"


def _move_line(moved: Transition) -> str:
    where = f" to {moved.target}" if moved.target and moved.target != moved.source else ""
    why = f": {_short(moved.reason)}" if moved.reason else ""
    return f"  {moved.source} {click.style(moved.kind, bold=True)}{where}{why}"


def _end_line(run: Run, status: WorkflowStatus) -> str:
    phase = status.phase or "Refused"
    return f"workflow {run.name} {click.style(phase, fg=COLOURS.get(phase))}"


def _short(text: str) -> str:
    lines = text.strip().splitlines()
    line = lines[-1] if lines and lines[0].startswith("Traceback") else "".join(lines[:1])
    return line if len(line) <= MAX_LINE else f"{line[: MAX_LINE - 1]}…"
