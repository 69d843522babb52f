"""Why a run is as it is, for people: what `graflow why` prints."""

from collections.abc import Iterable, Iterator
from datetime import datetime

import click
from rich.table import Table
from rich.text import Text

from graflow.api.signals import signal_of
from graflow.api.workflow_status import AttemptStatus, FailureStatus
from graflow.cli.show import STYLES, between, console, table
from graflow.cluster.why import ENDED, NOT_YET, RUNNING, TaskWhy, Why
from graflow.machine import faults, reasons

MOST = 12
"""Tasks of one kind that are shown: a screen is for reading."""

LABEL = 10


def show_why(why: Why, *, now: datetime) -> None:
    """Print why a run is as it is."""
    out = console()
    lines = [("Workflow", Text(f"{why.name} (namespace {why.namespace})"))]
    lines.append(("Phase", Text(_phase(why, now), style=STYLES.get(why.phase, ""))))
    if why.until:
        lines.append(
            ("Deadline", Text(f"{why.until}, in {between(now.isoformat(), why.until, now)}"))
        )
    for title, text in lines:
        out.print(Text(f"{title:<{LABEL}}"), text, sep="")
    out.print(Text(f"{'':<{LABEL}}{why.sentence}"))
    for one in why.waits:
        _print(_paragraph(one, "the run", now))
    if why.failure is not None:
        click.echo()
        _print(_failure(why, why.failure))
        if len(why.failure.attempts) > 1:
            click.echo()
            _print_table(_attempts(why.failure.attempts, now))
        _print(_log(why, why.failure))
    _print(_tasks(why, now))


def _phase(why: Why, now: datetime) -> str:
    if why.since is None:
        return why.phase
    verb = "since" if why.phase == RUNNING else "at"
    return f"{why.phase} {verb} {why.since}, {between(why.since, None, now)} ago"


def _tasks(why: Why, now: datetime) -> Iterator[str]:
    """Yield lines on the tasks: those that wait at length, the others in one line each."""
    full = [one for one in why.tasks if one.state not in (RUNNING, NOT_YET)]
    for one in full[:MOST]:
        yield from _paragraph(one, one.task, now)
    if (more := len(full[MOST:]) + why.more) > 0:
        yield ""
        yield f"and {more} more that wait"
    for state in (RUNNING, NOT_YET):
        found = [one for one in why.tasks if one.state == state]
        if found:
            yield ""
        yield from (_line(one, now) for one in found[:MOST])
        if len(found) > MOST:
            yield f"and {len(found) - MOST} more"


def _paragraph(one: TaskWhy, name: str, now: datetime) -> Iterator[str]:
    yield ""
    again = f" #{one.iteration}" if (one.iteration or 1) > 1 else ""
    if one.state == ENDED:
        yield f"{name}{again} has ended {one.since or ''}".rstrip()
    else:
        since = f", for {between(one.since, None, now)} (since {one.since})" if one.since else ""
        yield f"{name}{again} waits: {one.reason}{since}"
    yield from (f"  {line}" for line in one.message.splitlines())
    if one.until:
        yield f"  until {one.until}"
    if one.pod:
        on = f" on node {one.node}" if one.node else ""
        yield f"  pod {one.pod}{on}, attempt {one.attempt or 1}"
    if one.advice:
        yield f"  → {one.advice}"


def _line(one: TaskWhy, now: datetime) -> str:
    again = f" #{one.iteration}" if (one.iteration or 1) > 1 else ""
    if one.state != RUNNING:
        return f"{one.task} {one.message}"
    on = f" on node {one.node}" if one.node else ""
    took = f" for {between(one.since, None, now)}" if one.since else ""
    pod = f", pod {one.pod}" if one.pod else ""
    return f"{one.task}{again} runs{took}{on}{pod}, attempt {one.attempt or 1}"


def _failure(why: Why, failure: FailureStatus) -> Iterator[str]:
    fault = faults.of(failure.reason)
    again = f" #{failure.iteration}" if (failure.iteration or 1) > 1 else ""
    what = f"task {failure.task}{again}" if failure.task else "the run as a whole"
    attempt = f", attempt {failure.attempt}" if failure.attempt else ""
    when = f" at {failure.time}" if failure.time else ""
    yield f"Failed first: {what}{attempt}{when}"
    yield f"  {failure.reason} ({fault.kind.value}): {fault.meaning}"
    yield from (f"  {line}" for line in (failure.message or "").splitlines())
    facts = []
    if failure.exit_code is not None:
        name = signal_of(failure.exit_code)
        facts.append(f"exit code {failure.exit_code}{f' ({name})' if name else ''}")
    if failure.pod:
        facts.append(f"pod {failure.pod}")
    if failure.node:
        facts.append(f"node {failure.node}")
    if facts:
        yield f"  {', '.join(facts)}"
    yield f"  → {fault.advice}"
    if failure.reason == reasons.TASK_FAILED:
        yield f"  the traceback: graflow status {why.name} -n {why.namespace}"


def _attempts(attempts: Iterable[AttemptStatus], now: datetime) -> Table:
    made = table(["ATTEMPT", "STARTED", "TOOK", "STOPPED BY", "CODE", "POD", "NODE", "BECAUSE"])
    for one in attempts:
        made.add_row(
            str(one.attempt),
            one.start_time or "",
            between(one.start_time, one.completion_time, now),
            Text(one.reason),
            "" if one.exit_code is None else str(one.exit_code),
            one.pod or "",
            one.node or "",
            Text(" ".join((one.message or "").split())),
        )
    return made


def _log(why: Why, failure: FailureStatus) -> Iterator[str]:
    if not failure.log:
        return
    yield ""
    yield f"Last lines of its log (more: graflow logs {why.name} {failure.task}):"
    yield from (f"  {line}" for line in failure.log.splitlines())


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(line)


def _print_table(made: Table) -> None:
    out = console()
    with out.capture() as printed:
        out.print(made)
    for line in printed.get().splitlines():
        click.echo(line.rstrip(), color=True)
