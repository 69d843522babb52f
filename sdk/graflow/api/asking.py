"""What a program may ask people, and all that is wrong with a question before it is seen. Pure."""

from collections.abc import Collection, Iterable, Iterator

from graflow.api import cut
from graflow.api.answer_schema import schema_problems
from graflow.api.answering import check_content
from graflow.api.errors import InvalidWorkflow, words
from graflow.api.feedback import Action, OnDeadline, Payload, Question
from graflow.api.parse import parse_part
from graflow.machine.check import Problem
from graflow.questions import (
    MAX_METADATA_BYTES,
    MAX_PAYLOAD_BYTES,
    MAX_PROMPT_BYTES,
    MAX_QUESTION_BYTES,
    FeedbackType,
)


class InvalidQuestionError(Exception):
    """What a program asks is no question; `problems` are all the reasons."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(words(self.problems))


def check_question(
    raw: object, *, submitter: str | None = None, tasks: Collection[str] | None = None
) -> Question:
    """Return the question that a JSON-like object describes.

    Args:
        raw: What a runner sent.
        submitter: Who submitted the run, if that is known.
        tasks: Ids of the tasks that the run can go to; None: not looked at.

    Raises:
        InvalidQuestionError: If it is none that can be asked and decided; with every problem found.
    """
    if (size := cut.size_of(raw)) > MAX_QUESTION_BYTES:
        words = f"the question has {size} bytes as JSON and may have {MAX_QUESTION_BYTES}; ask less"
        raise InvalidQuestionError([Problem("", words)])
    try:
        question = parse_part(Question, raw, "")
    except InvalidWorkflow as error:
        raise InvalidQuestionError(error.problems) from error
    if found := tuple(_problems(question, submitter, tasks)):
        raise InvalidQuestionError(found)
    return question


def _problems(
    asked: Question, submitter: str | None, tasks: Collection[str] | None
) -> Iterator[Problem]:
    if not asked.prompt.strip():
        yield Problem("prompt", f"is {asked.prompt!r}; ask something")
    if (size := _bytes(asked.prompt)) > MAX_PROMPT_BYTES:
        yield Problem("prompt", f"has {size} bytes and may have {MAX_PROMPT_BYTES}; put what is"
                                " to be read into the payload")  # fmt: skip
    yield from _of_type(asked)
    if asked.payload is not None:
        yield from _payload(asked.payload)
    if (size := cut.size_of(asked.metadata or {})) > MAX_METADATA_BYTES:
        yield Problem("metadata", f"has {size} bytes as JSON and may have {MAX_METADATA_BYTES}")
    yield from _people(asked, submitter)
    if asked.on_deadline is not None:
        yield from _on_deadline(asked, asked.on_deadline, tasks)


def _of_type(asked: Question) -> Iterator[Problem]:
    """Yield what does not go with the type of the question."""
    kind = asked.type.value
    if asked.type.has_options and asked.options is None:
        yield Problem("options", f"is required for type {kind}: what can be chosen")
    if not asked.type.has_options and asked.options is not None:
        yield Problem("options", f"is not for type {kind}; use selection or multi_selection")
    options = asked.options or ()
    if twice := [one for n, one in enumerate(options) if one in options[:n]]:
        yield Problem("options", f"{twice[0]!r} is there twice; name each once")
    if asked.type is not FeedbackType.CUSTOM and asked.json_schema is not None:
        yield Problem("schema", f"is not for type {kind}; use custom")
    elif asked.type is FeedbackType.CUSTOM and asked.json_schema is None:
        yield Problem("schema", 'is required for type custom; {"type": "object"} takes any object')
    elif asked.json_schema is not None:
        yield from schema_problems(asked.json_schema, "schema")
    if asked.type is not FeedbackType.APPROVAL and asked.approvals > 1:
        yield Problem("approvals", f"is {asked.approvals}, which is for type approval; leave it"
                                   " out")  # fmt: skip


def _payload(payload: Payload) -> Iterator[Problem]:
    given = payload.model_dump(exclude_none=True)
    if len(given) != 1:
        found = ", ".join(given) or "nothing"
        yield Problem("payload", f"is exactly one of text, markdown and blob; this has {found}")
    for name in ("text", "markdown"):
        if (size := _bytes(given.get(name) or "")) > MAX_PAYLOAD_BYTES:
            most = f"has {size} bytes and may have {MAX_PAYLOAD_BYTES}"
            yield Problem(f"payload.{name}", f"{most}; a larger one goes into the store, as blob")


def _people(asked: Question, submitter: str | None) -> Iterator[Problem]:
    """Yield why too few people could answer."""
    if not asked.submitter_may_answer and submitter is None:
        yield Problem("submitterMayAnswer", "is false, and nobody knows who submitted this run;"
                                            " set spec.submitter of the Workflow")  # fmt: skip
    barred = {submitter} if not asked.submitter_may_answer else set()
    users = {*asked.assignees.users} - barred
    if asked.assignees.users and not asked.assignees.groups and len(users) < asked.approvals:
        yield Problem("assignees", f"{len(users)} of these may answer, and it takes"
                                   f" {asked.approvals}; name more users, or a group")  # fmt: skip


def _on_deadline(
    asked: Question, then: OnDeadline, tasks: Collection[str] | None
) -> Iterator[Problem]:
    if asked.timeout_seconds is None:
        yield Problem("onDeadline", "takes timeoutSeconds: without it there is no deadline")
    goes_with = {"default": Action.DEFAULT, "task": Action.GOTO, "to": Action.ESCALATE}
    for field, action in goes_with.items():
        is_there = getattr(then, field) is not None
        if is_there and then.action is not action:
            yield Problem(f"onDeadline.{field}", f"is for action {action}, and this is"
                                                 f" {then.action}")  # fmt: skip
        if not is_there and then.action is action:
            yield Problem(f"onDeadline.{field}", f"is required for action {action}")
    if then.seconds is not None and then.action is not Action.ESCALATE:
        yield Problem("onDeadline.seconds", f"is for action Escalate, and this is {then.action}")
    if then.default is not None:
        yield from check_content(asked, then.default, "onDeadline.default")
    if then.task is not None and tasks is not None and then.task not in tasks:
        yield Problem("onDeadline.task", f"{then.task!r} is not in the workflow; name a task of it")
    if then.to is not None and not (then.to.users or then.to.groups):
        yield Problem("onDeadline.to", "names nobody; name users or groups")


def _bytes(text: str) -> int:
    return len(text.encode(errors="surrogatepass"))
