"""Tables of runs and their tasks, for people."""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from graflow.api.workflow_status import (
    CheckpointStatus,
    TaskStatus,
    Transition,
    Waiting,
    WorkflowStatus,
)
from graflow.cluster.failures import explanation, refusal
from graflow.cluster.garbage import Garbage
from graflow.cluster.workflows import Object
from graflow.compile.bundle import size_text

STYLES = {"Succeeded": "green", "Failed": "red", "Cancelled": "yellow", "Running": "cyan"}
WIDE = 10_000  # no line is broken and no name cut off: a terminal wraps by itself, as with kubectl
SHOWN_MOVES = 5
FEW_SECONDS, MINUTE, HOUR, DAY = 10, 60, 3600, 86_400


def console() -> Console:
    """Return where tables go: stdout, in colour only on a terminal."""
    return Console(highlight=False, width=WIDE)


def show_status(
    name: str, namespace: str, status: WorkflowStatus, *, wide: bool, now: datetime
) -> None:
    """Print where a run stands: itself, its tasks, what they wait for, why it failed."""
    out = console()
    refused = refusal(status)
    phase = "Refused" if refused is not None else status.phase or "Pending"
    head = [
        ("Workflow", Text(f"{name} (namespace {namespace})")),
        ("Phase", Text(phase, style=STYLES.get(phase, "red" if refused else ""))),
        ("Reason", Text(status.reason or "")),
        ("Progress", Text(status.progress or "")),
        ("Started", Text(_started(status, now))),
        ("Goes on", Text(_goes_on(status))),
        ("Saved", Text(_saved(status))),
    ]
    for title, text in head:
        if text:
            out.print(Text(f"{title:<10}"), text, sep="", end="\n")
    if status.tasks:
        out.print()
        print_table(out, _tasks(status.tasks, wide=wide, now=now))
    if status.transitions:
        out.print()
        print_table(out, _moves(status.transitions[-SHOWN_MOVES:]))
        if (more := status.transitions[-1].sequence - SHOWN_MOVES) > 0:
            out.print(Text(f"and {more} before; --transitions shows all"))
    _show_causes(out, f"graflow why {name} -n {namespace}", status, now)
    if message := explanation(status):
        out.print()
        out.print(Text(message))


def _wait(one: Waiting, now: datetime) -> str:
    since = f" for {between(one.since, None, now)}" if one.since else ""
    return f"  {one.task or 'the run'}: {one.reason}{since}  {one.message or ''}".rstrip()


def _show_causes(out: Console, more: str, status: WorkflowStatus, now: datetime) -> None:
    """Print what tasks wait for and what failed first; `more` is the command that says more."""
    if status.waiting:
        out.print()
        out.print("Waiting", style="bold")
        for one in status.waiting:
            out.print(Text(_wait(one, now)))
        if (others := (status.waiting_count or 0) - len(status.waiting)) > 0:
            out.print(Text(f"  and {others} more"))
        out.print(Text(f"  what to do: {more}"))
    if (failure := status.failure) is not None:
        what = f"task {failure.task}" if failure.task else "the run as a whole"
        attempt = f", attempt {failure.attempt}" if failure.attempt else ""
        code = "" if failure.exit_code is None else f", exit code {failure.exit_code}"
        words = f"Failed first: {what}{attempt}{code}: {failure.reason}"
        out.print()
        out.print(Text(f"{words}; its attempts and last lines: {more}"))


def show_transitions(moves: Sequence[Transition]) -> None:
    """Print what tasks have decided, the oldest first."""
    out = console()
    print_table(out, _moves(moves))
    if (missing := moves[0].sequence - 1) > 0:
        click.echo(f"{missing} before these are not known; with a store, all are kept", err=True)


def show_checkpoints(found: Iterable[CheckpointStatus]) -> None:
    """Print one line for each checkpoint."""
    shown = table(["SEQ", "TAKEN", "BECAUSE", "TASK", "LABEL", "METADATA"])
    for one in found:
        metadata = json.dumps(one.metadata, ensure_ascii=False) if one.metadata else ""
        row = (str(one.seq), one.time, one.reason, one.task or "", one.path or "", metadata)
        shown.add_row(*(Text(" ".join(cell.split())) for cell in row))
    print_table(console(), shown)


def show_garbage(found: Iterable[Garbage]) -> None:
    """Print one line for each run of which something is garbage."""
    shown = table(["RUN", "WHY", "OBJECTS", "SIZE", "OF WHICH", "DELETED"])
    for one in found:
        kinds = ", ".join(f"{count} in {kind}" for kind, count in sorted(one.folders.items()))
        deleted = "yes" if one.deleted else ""
        row = (one.name or one.uid, one.why, str(one.objects), size_text(one.bytes), kinds, deleted)
        shown.add_row(*(Text(cell) for cell in row))
    print_table(console(), shown)


def _goes_on(status: WorkflowStatus) -> str:
    """Return where a run comes from that did not begin anew, and with which changes."""
    source = status.resumed_from
    if source is None:
        return ""
    changes = f": {'; '.join(source.changes)}" if source.changes else ""
    return f"from checkpoint {source.checkpoint} of {source.name}{changes}"


def _saved(status: WorkflowStatus) -> str:
    """Return which checkpoint is the newest."""
    if not status.checkpoints:
        return ""
    newest = status.checkpoints[-1]
    by = f" by {newest.task}" if newest.task else ""
    return f"checkpoint {newest.seq}, {newest.time} ({newest.reason}{by})"


def show_list(workflows: Iterable[Object], *, now: datetime) -> None:
    """Print one line for each run."""
    shown = table(["NAME", "PHASE", "PROGRESS", "AGE", "WAITING"])
    for one in workflows:
        status = WorkflowStatus.model_validate(one.get("status") or {})
        phase = status.phase or "Pending"
        shown.add_row(
            one["metadata"]["name"],
            Text(phase, style=STYLES.get(phase, "")),
            status.progress or "",
            between(one["metadata"]["creationTimestamp"], None, now),
            ", ".join(dict.fromkeys(waiting.reason for waiting in status.waiting)),
        )
    print_table(console(), shown)


def print_table(out: Console, table: Table) -> None:
    """Print a table without blanks at the ends of its lines."""
    with out.capture() as printed:
        out.print(table)
    for line in printed.get().splitlines():
        click.echo(line.rstrip(), color=True)


def _tasks(tasks: Sequence[TaskStatus], *, wide: bool, now: datetime) -> Table:
    more = ["STARTED", "NODE"] if wide else []
    shown = table(["TASK", "PHASE", "ATTEMPT", "POD", "TOOK", *more, "REASON"])
    for task in tasks:
        name = f"{task.name} #{task.iteration}" if (task.iteration or 1) > 1 else task.name
        row: list[str | Text] = [
            name,
            Text(task.phase, style=STYLES.get(task.phase, "")),
            str(task.attempt or ""),
            task.pod or "",
            between(task.start_time, task.completion_time, now),
            *([task.start_time or "", task.node or ""] if wide else []),
            Text(task.reason or ""),
        ]
        shown.add_row(*row)
    return shown


def _moves(moves: Iterable[Transition]) -> Table:
    shown = table(["#", "DECIDED BY", "MOVE", "TO", "WHEN", "BECAUSE"])
    for moved in moves:
        by = f"{moved.source} #{moved.iteration}" if (moved.iteration or 1) > 1 else moved.source
        row = (str(moved.sequence), by, moved.kind, moved.target or "", moved.time)
        shown.add_row(*(Text(cell) for cell in row), Text(" ".join((moved.reason or "").split())))
    return shown


def table(columns: Sequence[str]) -> Table:
    """Return a table as all commands print them, without rows."""
    made = Table(box=None, pad_edge=False, header_style="")
    for column in columns:
        made.add_column(column, no_wrap=True, overflow="fold")
    return made


def _started(status: WorkflowStatus, now: datetime) -> str:
    if status.start_time is None:
        return ""
    verb = "took" if status.completion_time else "running for"
    took = between(status.start_time, status.completion_time, now)
    return f"{status.start_time}, {verb} {took}"


def between(start: str | None, end: str | None, now: datetime) -> str:
    """Return how long it is from a time to another, or to now; empty if it has not begun."""
    if start is None:
        return ""
    until = datetime.fromisoformat(end) if end else now
    seconds = max(0.0, (until - datetime.fromisoformat(start)).total_seconds())
    return duration(seconds)


def duration(seconds: float) -> str:
    """Return a length of time in at most two units.

    >>> [duration(s) for s in (0.44, 12.3, 75, 3700, 90_000)]
    ['0.4s', '12s', '1m15s', '1h1m', '1d1h']
    """
    if seconds < MINUTE:
        digits = 1 if seconds < FEW_SECONDS else 0
        return f"{seconds:.{digits}f}".removesuffix(".0") + "s"
    whole = int(seconds)
    if whole < HOUR:
        return f"{whole // MINUTE}m{whole % MINUTE}s"
    if whole < DAY:
        return f"{whole // HOUR}h{whole % HOUR // MINUTE}m"
    return f"{whole // DAY}d{whole % DAY // HOUR}h"


def utc_now() -> datetime:
    """Return this moment."""
    return datetime.now(UTC)
