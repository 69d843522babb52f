"""Questions to people, as the terminal shows them. What they say is somebody else's text."""

import json
import unicodedata
from collections.abc import Iterator, Sequence
from datetime import datetime

import click
from rich.text import Text

from graflow.api.feedback import People
from graflow.cli.show import between, console, duration, print_table, table, utc_now
from graflow.cli.told import tell_list
from graflow.cluster.questions import Asked
from graflow.questions import FeedbackType

SHOWN_PROMPT = 60
LABEL = 11
COLUMNS = ("NAME", "WORKFLOW", "TASK", "TYPE", "PROMPT", "DEADLINE", "ASSIGNEES")

OPTIONS = {
    FeedbackType.APPROVAL: "--approve or --reject, with --reason TEXT",
    FeedbackType.TEXT: "--text TEXT",
    FeedbackType.SELECTION: "--select OPTION",
    FeedbackType.MULTI_SELECTION: "--select OPTION, once for each of them, or --none",
    FeedbackType.CUSTOM: "--json VALUE or --json @FILE",
}
"""How `graflow answer` is told the answer to a question of this type."""


class Inbox:
    """Prints questions, each once for each phase that it is in."""

    def __init__(self, output: str, *, everywhere: bool, decided: bool) -> None:
        """Take the form: table, json or name; and whether to show namespaces and phases."""
        self._output = output
        self._everywhere = everywhere
        self._decided = decided
        self._told: set[tuple[str, str, str]] = set()

    def tell_all(self, found: Sequence[Asked], none: str) -> None:
        """Print all questions; `none` is what people are told where there are none."""
        if self._output == "name":
            for one in found:
                click.echo(self._name(one))
            return
        tell_list(found, self._output, entry=lambda one: one.manifest(), show=self._rows, none=none)

    def tell(self, one: Asked) -> None:
        """Print a question that is asked now, on one line."""
        key = (one.namespace, one.name, one.phase.value)
        if key in self._told:
            return
        is_first = not self._told
        self._told.add(key)
        if self._output == "name":
            click.echo(self._name(one))
        elif self._output == "json":
            click.echo(json.dumps(one.manifest(), ensure_ascii=False))
        else:
            self._rows([one], head=is_first)

    def _name(self, one: Asked) -> str:
        """Return a question as `graflow answer` takes it."""
        return f"{one.name} -n {one.namespace}" if self._everywhere else one.name

    def _rows(self, found: Sequence[Asked], *, head: bool = True) -> None:
        out, now = console(), utc_now()
        where, phase = ["NAMESPACE"] * self._everywhere, ["PHASE"] * self._decided
        shown = table([*COLUMNS[:1], *where, *COLUMNS[1:4], *phase, *COLUMNS[4:]])
        shown.show_header = head
        for one in found:
            row = [one.name, *([one.namespace] if where else []), one.spec.workflow.name]
            row += [_task(one), one.spec.type.value, *([one.phase.value] if phase else [])]
            row += [_cut(one.spec.prompt), _deadline(one, now, relative=out.is_terminal)]
            shown.add_row(*(Text(printable(cell)) for cell in (*row, people(one.people))))
        print_table(out, shown)


def show_question(asked: Asked, payload: str, *, options: bool, now: datetime) -> None:
    """Print a question at length: all that an answer is about.

    Args:
        asked: The question.
        payload: What is to be read besides; empty: nothing.
        options: Show what can be chosen, too.
        now: This moment.
    """
    spec = asked.spec
    for title, text in _head(asked, now):
        click.echo(f"{title:<{LABEL}}{printable(text)}")
    click.echo(f"\n{printable(spec.prompt)}")
    if payload:
        click.echo(f"\n{printable(payload)}")
    offered = (spec.options if options else None) or ()
    if offered:
        click.echo()
    for number, option in enumerate(offered, 1):
        click.echo(f"  {number}) {printable(option)}")


def _head(asked: Asked, now: datetime) -> Iterator[tuple[str, str]]:
    spec, status = asked.spec, asked.status
    yield "Question", f"{asked.name} (namespace {asked.namespace})"
    yield "Asked by", f"task {_task(asked)} of workflow {spec.workflow.name}"
    yield "Since", f"{asked.since}, {between(asked.since, None, now)} ago"
    yield "Phase", asked.phase.value + (f": {status.message}" if status.message else "")
    until = asked.deadline
    yield "Deadline", f"{until}, {_deadline(asked, now, relative=True)}" if until else "none"
    if spec.approvals > 1:
        yield "Approvals", f"{len(status.responses)} of {spec.approvals} people have answered"
    yield "For", people(asked.people)
    if not spec.submitter_may_answer:
        yield "Not", f"{spec.submitter}, who has submitted the run"
    if asked.closed(now.timestamp()) is None:
        yield "Answer", OPTIONS[spec.type]
    if spec.json_schema is not None:
        yield "Schema", json.dumps(spec.json_schema, ensure_ascii=False)


def people(asked: People) -> str:
    """Return who is asked, for people."""
    groups = (f"group {name}" for name in asked.groups)
    return ", ".join((*asked.users, *groups)) or "whoever may respond"


def printable(text: str) -> str:
    r"""Return text in which nothing steers a terminal or stands elsewhere than it is written.

    >>> printable("a\x1b[2Kb")
    'a\\x1b[2Kb'
    """
    return "".join(
        one
        if one in "\n\t" or unicodedata.category(one) not in ("Cc", "Cf", "Cs", "Zl", "Zp")
        else one.encode("unicode_escape").decode()
        for one in text
    )


def _task(asked: Asked) -> str:
    again = f" #{asked.spec.iteration}" if asked.spec.iteration > 1 else ""
    path = f"{asked.spec.path}/" if asked.spec.path else ""
    return f"{path}{asked.spec.task}{again}"


def _cut(prompt: str) -> str:
    line = " ".join(prompt.split())
    return line if len(line) <= SHOWN_PROMPT else f"{line[: SHOWN_PROMPT - 1]}…"


def _deadline(asked: Asked, now: datetime, *, relative: bool) -> str:
    until = asked.deadline
    if until is None or not relative:
        return until or "none"
    left = (datetime.fromisoformat(until) - now).total_seconds()
    return f"in {duration(left)}" if left > 0 else f"{duration(-left)} ago"
