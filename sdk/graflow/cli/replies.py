"""What people say to a question on the command line, or type at the terminal."""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import click

from graflow.api import answering
from graflow.api.errors import InvalidWorkflow, words
from graflow.api.feedback_status import Content
from graflow.api.parse import parse_part
from graflow.cli.exits import Exit
from graflow.cli.show_questions import OPTIONS, printable
from graflow.cluster.errors import ConflictError
from graflow.cluster.questions import Asked
from graflow.dsl.feedback import FeedbackRequest, FeedbackResponse
from graflow.exceptions import AnswerRefusedError
from graflow.local import console
from graflow.questions import FIELDS, FeedbackType

_FITS: Final = {
    "approve": ("--approve", (FeedbackType.APPROVAL,)),
    "reject": ("--reject", (FeedbackType.APPROVAL,)),
    "text": ("--text", (FeedbackType.TEXT,)),
    "select": ("--select", (FeedbackType.SELECTION, FeedbackType.MULTI_SELECTION)),
    "nothing": ("--none", (FeedbackType.MULTI_SELECTION,)),
    "custom": ("--json", (FeedbackType.CUSTOM,)),
}
"""By name of the parameter: the option, and the types of questions that it answers."""


def reply(asked: Asked, given: Mapping[str, Any]) -> Content:
    """Return what options say to a question.

    Args:
        asked: The question.
        given: The options that are there, by name.

    Raises:
        click.UsageError: If that is no answer to it; names the options that would be one.
    """
    if given.get("approve") and given.get("reject"):
        raise click.UsageError("--approve and --reject do not go together; choose one")
    kind = asked.spec.type
    for name in given:
        option, kinds = _FITS.get(name, ("", (kind,)))
        if kind not in kinds:
            raise click.UsageError(
                f"{option} does not answer a question of type {kind.value}; answer with"
                f" {OPTIONS[kind]}"
            )
    said: dict[str, Any] = {}
    if given.get("approve") or given.get("reject"):
        said["approved"] = bool(given.get("approve"))
    said |= {name: given[name] for name in ("reason", "text") if name in given}
    if "select" in given or given.get("nothing"):
        chosen = [*given.get("select", ())]
        if chosen and given.get("nothing"):
            raise click.UsageError("--select and --none do not go together; choose one")
        is_one = kind is FeedbackType.SELECTION and len(chosen) == 1
        said |= {"selected": chosen[0]} if is_one else {"selectedMultiple": chosen}
    if "custom" in given:
        said["custom"] = _json(given["custom"])
    try:
        return _checked(asked, said)
    except AnswerRefusedError as error:
        raise click.UsageError(f"{error}\nanswer with {OPTIONS[kind]}") from None


def typed(asked: Asked, show: Callable[[], None]) -> Content:
    """Ask whoever is at the terminal, until it is an answer.

    Args:
        asked: The question.
        show: Shows it.

    Raises:
        click.UsageError: If there is no terminal; names the options.
        ConflictError: If nobody can answer it any more.
    """
    terminal = console.terminal()
    if terminal is None:
        raise click.UsageError(
            f"say the answer; to a question of type {asked.spec.type.value} it is"
            f" {OPTIONS[asked.spec.type]}. On a terminal you are asked; --show only shows"
        )
    show()
    now = time.time()
    if (why := asked.closed(now)) is not None:
        raise ConflictError(f"{asked.name}: {why}")
    kept: list[Content] = []

    def check(response: FeedbackResponse) -> None:
        data = {ours: getattr(response, name) for name, ours in FIELDS.items()}
        said = {name: value for name, value in data.items() if value is not None}
        if "selected" in said or "selectedMultiple" in said:
            said = _as_offered(asked, said)
        kept[:] = [_checked(asked, said)]

    try:
        terminal.ask(_shown(asked, now), check)
    except console.LeftOpenError:
        click.echo(f"{asked.name} stays open", err=True)
        raise click.exceptions.Exit(Exit.INTERRUPTED) from None
    except console.TooLateError:
        raise ConflictError(f"{asked.name}: the deadline has passed") from None
    return kept[0]


def _shown(asked: Asked, now: float) -> FeedbackRequest:
    """Return a question for the terminal, which shows its options and asks; the rest is shown."""
    spec = asked.spec
    return FeedbackRequest(
        asked.name,
        printable(spec.task),
        spec.workflow.uid,
        spec.type,
        "what do you say?",
        options=[printable(one) for one in spec.options or ()] or None,
        timeout=answering.seconds_of(asked.deadline) - now if asked.deadline else None,
    )


def _as_offered(asked: Asked, said: Mapping[str, Any]) -> dict[str, Any]:
    """Return chosen options as the question has them, not as a terminal can show them."""
    offered = {printable(one): one for one in asked.spec.options or ()}
    many = said.get("selectedMultiple")
    if many is None:
        return {"selected": offered[said["selected"]]}
    return {"selectedMultiple": [offered[one] for one in many]}


def _checked(asked: Asked, said: Mapping[str, Any]) -> Content:
    """Return what is said, if it answers the question.

    Raises:
        AnswerRefusedError: If not.
    """
    try:
        content = parse_part(Content, said, "")
    except InvalidWorkflow as error:
        raise AnswerRefusedError(str(error)) from error
    if problems := answering.check_content(asked.spec, content):
        raise AnswerRefusedError(words(problems))
    return content


def _json(given: str) -> object:
    """Return the JSON that an option or the file that it names holds.

    Raises:
        click.UsageError: If it is none.
    """
    try:
        text = Path(given[1:]).read_text() if given.startswith("@") else given
        return json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise click.UsageError(f"--json: {given[:100]!r} cannot be read: {error}") from None
