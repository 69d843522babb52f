"""Faults that tests provoke on a real cluster, what comes of each, and the page that tells it."""

from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass, replace
from pathlib import Path

from graflow.machine import faults

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "provoked-faults.md"
COLUMNS = (
    "fault",
    "how it is provoked",
    "waits as",
    "reason",
    "class",
    "run",
    "attempts",
    "failures",
    "losses",
)
HEAD = """\
<!-- Written by `make provoked` from what was seen. Do not edit. -->
# Provoked faults

What tests do to runs on a real cluster, and what comes of it. `make test-e2e` provokes each fault
anew and fails if a run ends otherwise than this page says.

Attempts are those that were begun. Failures count against the task's `retry.maxAttempts`, losses
against the attempts that the infrastructure may lose (5 of each run of a task). Reasons and classes
are explained [in a page of their own](failures.md). Tasks that fail may try twice here; a run that
succeeds did so in the attempt after the one that was hit. User code leaves marks in the run's
channel while it runs: no attempt left one after the next had begun.
"""


@dataclass(frozen=True)
class Outcome:
    """What came of a run with one task."""

    reason: str
    """Why attempts ended badly; empty if none did."""

    run: str
    attempts: int
    failures: int
    losses: int
    waited: tuple[str, ...] = ()
    """What the task was seen to wait for."""


@dataclass(frozen=True)
class Provocation:
    """A fault, and how it is brought about."""

    fault: str
    how: str
    ends: Outcome
    provoke: Callable[..., Outcome]
    """Called with the town and a name for the run."""

    alone: bool
    """Whether others must not run meanwhile: it disturbs the node or the operator."""

    @property
    def kind(self) -> faults.FaultKind:
        """Class of the reason that attempts ended for, or that the task waited for."""
        return faults.of(self.ends.reason or self.ends.waited[0]).kind

    @property
    def name(self) -> str:
        """What its run is called."""
        return self.provoke.__name__.replace("_", "-")

    def seen(self, outcome: Outcome) -> Outcome:
        """Return what came of it, without the waits that are not the point and may be missed."""
        waited = [reason for reason in outcome.waited if reason in self.ends.waited]
        return replace(outcome, waited=tuple(waited))


PROVOCATIONS: list[Provocation] = []
"""All of them; the page has them by class."""


def provoked(
    fault: str, *, how: str, ends: Outcome, alone: bool = False
) -> Callable[..., Callable[..., Outcome]]:
    """Register a function that brings a fault about and returns what came of it."""

    def register(provoke: Callable[..., Outcome]) -> Callable[..., Outcome]:
        PROVOCATIONS.append(Provocation(fault, how, ends, provoke, alone))
        return provoke

    return register


def failed(reason: str, *, attempts: int = 2) -> Outcome:
    """Return the outcome of faults of the task itself: its retries are spent."""
    return Outcome(reason, "Failed", attempts, failures=attempts, losses=0)


def lost(reason: str, *, waited: tuple[str, ...] = ()) -> Outcome:
    """Return the outcome of one lost attempt: another one succeeds, no retry is spent."""
    return Outcome(reason, "Succeeded", 2, failures=0, losses=1, waited=waited)


def waits(reason: str) -> Outcome:
    """Return the outcome of what passes: the task waits, and then succeeds."""
    return Outcome("", "Succeeded", 1, failures=0, losses=0, waited=(reason,))


def stuck(reason: str) -> Outcome:
    """Return the outcome of what does not pass: the task waits, and then fails."""
    return Outcome(reason, "Failed", 1, failures=0, losses=0, waited=(reason,))


def row(provocation: Provocation, seen: Outcome) -> str:
    """Return a line of the page's table."""
    _, run, *numbers, waited = astuple(seen)
    cells = (
        provocation.fault,
        provocation.how,
        ", ".join(f"`{reason}`" for reason in waited),
        f"`{seen.reason}`" if seen.reason else "",
        provocation.kind.value,
        run,
        *map(str, numbers),
    )
    return f"| {' | '.join(cells)} |"


def rows() -> dict[str, str]:
    """Return the lines of the page's table, by fault."""
    lines = PAGE.read_text().splitlines() if PAGE.exists() else []
    found = [line for line in lines if line.startswith("| ")][2:]
    return {line.split(" | ")[0].removeprefix("| "): line for line in found}


def page(lines: Mapping[str, str]) -> str:
    """Return the page, with a line for each fault that has one."""
    kinds = list(faults.FaultKind)
    table = [f"| {' | '.join(COLUMNS)} |", f"|{' --- |' * len(COLUMNS)}"]
    ordered = sorted(PROVOCATIONS, key=lambda one: kinds.index(one.kind))
    table += [lines[one.fault] for one in ordered if one.fault in lines]
    return "\n".join([HEAD, *table]) + "\n"


def write(new: Mapping[str, str]) -> None:
    """Write the page: the new lines, and for other faults those that it has."""
    PAGE.write_text(page({**rows(), **new}))
